//! The runtimes, each behind [`Runtime`](crate::runtime::Runtime).

mod handcar;
#[cfg(feature = "peers")]
pub(crate) mod peers;
mod tokio;

pub(crate) use self::handcar::{Handcar, Observed, ReportUnpolled, SlowPoll, Watchdog, Watched};
#[cfg(feature = "peers")]
pub(crate) use self::tokio::Pingora;
pub(crate) use self::tokio::{LocalRuntime, LocalSet, MultiThread, NoDrivers, Spawn, TimeoutAt, Tokio};
