//! The runtimes, each behind [`Runtime`](crate::runtime::Runtime).

mod handcar;
#[cfg(feature = "peers")]
pub(crate) mod peers;
mod tokio;
pub(crate) mod watched;

pub(crate) use self::handcar::Handcar;
#[cfg(feature = "peers")]
pub(crate) use self::tokio::Pingora;
pub(crate) use self::tokio::{LocalRuntime, LocalSet, NoDrivers, TimeoutAt, Tokio};
