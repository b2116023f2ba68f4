//! The runtimes, each behind [`Runtime`](crate::runtime::Runtime).

mod handcar;
mod tokio;

pub(crate) use self::handcar::Handcar;
pub(crate) use self::tokio::{LocalRuntime, LocalSet, NoDrivers, Tokio};
