//! The runtimes, each behind [`Runtime`](crate::runtime::Runtime).

mod handcar;
mod kernel;
#[cfg(feature = "peers")]
pub(crate) mod peers;
mod tokio;

pub(crate) use self::handcar::{Handcar, Observed, ReportUnpolled, SlowPoll, Watchdog, Watched};
pub(crate) use self::kernel::Kernel;
#[cfg(feature = "peers")]
pub(crate) use self::tokio::Pingora;
pub(crate) use self::tokio::{
    InTurn, LocalRuntime, LocalSet, LooksOften, MultiThread, NoDrivers, Spawn, TimeoutAt, Tokio,
};
