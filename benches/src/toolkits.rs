//! The families of channels and locks, each behind [`Toolkit`](crate::toolkit::Toolkit).

mod handcar;
#[cfg(feature = "peers")]
pub(crate) mod peers;
mod tokio;

pub(crate) use self::handcar::HandcarSync;
pub(crate) use self::tokio::TokioSync;

const OPEN: &str = "nobody closes it";
