//! The other families of channels and locks.

mod async_unsync;
mod field;
mod glommio;
mod local_sync;
mod one_permit;

pub(crate) use self::async_unsync::{AsyncUnsync, BorrowedOneshot};
pub(crate) use self::field::Field;
pub(crate) use self::glommio::GlommioSync;
pub(crate) use self::local_sync::LocalSync;
pub(crate) use self::one_permit::OnePermit;
