//! The futures of a [`Source`]: wait for readiness, or for an operation to be done.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::unpolled::Unpolled;

use crate::ready::Direction;
use crate::site::{Site, Stand};
use crate::source::Source;

/// Waits for readiness: see [`Source::readable`] and [`Source::writable`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Readiness<'a> {
    /// Gone when it has been ready.
    stand: Option<Stand<'a>>,
}

impl<'a> Readiness<'a> {
    pub(crate) fn new(site: Site<'a>, unpolled: Unpolled) -> Readiness<'a> {
        Readiness { stand: Some(Stand::new(site, unpolled)) }
    }
}

impl Future for Readiness<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stand = self.stand.as_mut().expect("`Readiness` polled after it was ready");
        let polled = stand.poll_ready(cx);
        if polled.is_ready() {
            self.stand = None;
        }
        polled
    }
}

/// An operation that is tried until it need not block: see [`Source::read_with`] and [`Source::write_with`].
#[must_use = "futures do nothing unless awaited"]
pub struct Operation<'a, T: AsFd, F> {
    source: &'a Source<T>,
    op: F,
    /// Gone when the operation is done.
    stand: Option<Stand<'a>>,
}

impl<'a, T: AsFd, F> Operation<'a, T, F> {
    pub(crate) fn new(source: &'a Source<T>, direction: Direction, unpolled: Unpolled, op: F) -> Self {
        Operation { source, op, stand: Some(Stand::new(source.site(direction), unpolled)) }
    }
}

impl<T, F, R> Future for Operation<'_, T, F>
where
    T: AsFd,
    F: FnMut(&T) -> io::Result<R>,
{
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        let this = self.get_mut();
        let stand = this.stand.as_mut().expect("`Operation` polled after it was ready");
        let polled = stand.poll_io(cx, || (this.op)(this.source.get_ref()));
        if polled.is_ready() {
            this.stand = None;
        }
        polled
    }
}

/// The closure is called, never pinned.
impl<T: AsFd, F> Unpin for Operation<'_, T, F> {}

impl<T: AsFd + fmt::Debug, F> fmt::Debug for Operation<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("source", self.source).finish_non_exhaustive()
    }
}
