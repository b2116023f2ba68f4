//! The other single-threaded runtimes, each run as its own documentation shows it.

mod compio;
mod glommio;
mod local_pool;
mod monoio;
mod smol;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) use self::compio::Compio;
pub(crate) use self::glommio::Glommio;
pub(crate) use self::local_pool::LocalPool;
pub(crate) use self::monoio::Monoio;
pub(crate) use self::smol::{Smol, SmolStatic};

/// Waits for the kernel with epoll.
#[derive(Debug)]
pub(crate) struct Epoll;

/// Waits for the kernel with `io_uring`.
#[derive(Debug)]
pub(crate) struct Uring;

/// With `io_uring`, which is told not to interrupt the thread for what is complete (`COOP_TASKRUN`). compio's documentation advises that;
/// monoio's does not, but it can be had.
#[derive(Debug)]
pub(crate) struct CoopUring;

/// The handle of a runtime whose tasks hand out their value alone: a panic goes on in who waits.
#[derive(Debug)]
pub(crate) struct Sure<H>(H);

impl<H: Future + Unpin> Future for Sure<H> {
    type Output = Result<H::Output, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}
