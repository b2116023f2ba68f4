//! Accepting: one connection after the other, also when there are no descriptors for them.
//!
//! **When descriptors run out** `accept` fails with `EMFILE` or `ENFILE`, and the connection stays in the queue. A loop
//! that reports the error and accepts again would spin, for the listener is ready all the time; one that waits for the
//! next edge would sleep for ever if nobody else ever connects. So the error is returned, once, and the next `accept`
//! waits until a source closes or 100 ms have passed (a descriptor may be given back that no source has held).
//!
//! **An accept in vain is dear.** Linux makes the new socket first and looks for a connection then: to be told that there is
//! none costs 3 us, a third of accepting one, and to ask 0.4. So the first connection after a report is accepted unasked,
//! and the next few only if they are there. When many have come, one accept in vain at their end is cheaper than asking
//! for each.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use handcar_executor::Instant;
use handcar_executor::layer::Alarm;
use handcar_executor::unpolled::Unpolled;
use rustix::io::Errno;

use crate::TcpListener;
use crate::entry::Place;
use crate::reactor::Reactor;
use crate::ready::Direction;
use crate::site::Stand;
use crate::source::Source;

/// After how long `accept` tries again when there were no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of the connections that come together are asked for: beyond that there are likely more.
const ASKED_FOR: u32 = 4;

/// How many connections may wait to be accepted, unless the system allows fewer. tokio's figure.
pub(crate) const BACKLOG: i32 = 1024;

/// A socket that others connect to: [`TcpListener`] or [`UnixListener`](crate::UnixListener). No other type can be one.
pub trait Listener: sealed::Accepting {}

impl<L: sealed::Accepting> Listener for L {}

pub(crate) mod sealed {
    use super::{Arrivals, AsFd, io};

    /// Not to be implemented outside: what an accept needs may change.
    pub trait Accepting {
        type Socket: AsFd;
        type Stream;
        type Addr;

        fn arrivals(&self) -> &Arrivals<Self::Socket>;

        /// One connection, if there is one. One that its peer has given up is [passed over](super::pass_over).
        fn take(&self) -> io::Result<(Self::Stream, Self::Addr)>;
    }
}

/// A listening socket, and what the next accept has to know of the last one.
#[derive(Debug)]
pub struct Arrivals<T: AsFd> {
    pub(crate) source: Source<T>,
    /// Set when there were no descriptors, until an accept may try again.
    starved: Cell<Option<Starved>>,
    /// How many connections were accepted since there was none last.
    together: Cell<u32>,
}

impl<T: AsFd> Arrivals<T> {
    pub(crate) fn new(source: Source<T>) -> Self {
        Self { source, starved: Cell::new(None), together: Cell::new(0) }
    }
}

/// Waits for a connection: see [`TcpListener::accept`].
#[must_use = "futures do nothing unless awaited"]
pub struct Accept<'a, L = TcpListener> {
    listener: &'a L,
    /// Gone when it has been ready.
    stand: Option<Stand<'a>>,
    /// While there are no descriptors.
    recovery: Option<Recovery<'a>>,
}

impl<'a, L: Listener> Accept<'a, L> {
    pub(crate) fn new(listener: &'a L, unpolled: Unpolled) -> Self {
        let stand = Stand::new(listener.arrivals().source.site(Direction::Read), unpolled);
        Accept { listener, stand: Some(stand), recovery: None }
    }
}

impl<L: Listener> Future for Accept<'_, L> {
    type Output = io::Result<(L::Stream, L::Addr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let stand = this.stand.as_mut().expect("`Accept` polled after it was ready");
        stand.unpolled.forget();
        let arrivals = this.listener.arrivals();
        if let Some(starved) = arrivals.starved.get() {
            let reactor = arrivals.source.reactor();
            let recovery = match this.recovery.take() {
                Some(recovery) if recovery.starved == starved => recovery,
                // The first, or another task has tried since, and in vain: the pause is a new one.
                _ => Recovery::new(reactor, starved),
            };
            ready!(this.recovery.insert(recovery).poll(cx));
            arrivals.starved.set(None);
        }
        this.recovery = None;
        let accepted = ready!(poll_accept(this.listener, stand, cx));
        this.stand = None;
        Poll::Ready(accepted)
    }
}

impl<L: fmt::Debug> fmt::Debug for Accept<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", self.listener).finish_non_exhaustive()
    }
}

/// The connections of a listener as a stream: see [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a, L = TcpListener> {
    accept: Accept<'a, L>,
}

impl<'a, L: Listener> Incoming<'a, L> {
    pub(crate) fn new(listener: &'a L) -> Self {
        Incoming { accept: Accept::new(listener, Unpolled::known()) }
    }
}

impl<L: Listener> Stream for Incoming<'_, L> {
    type Item = io::Result<L::Stream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.accept).poll(cx));
        self.accept = Accept::new(self.accept.listener, Unpolled::known());
        Poll::Ready(Some(accepted.map(|(stream, _peer)| stream)))
    }
}

/// Waits until a descriptor may be there again.
struct Recovery<'a> {
    reactor: &'a Reactor,
    starved: Starved,
    place: Option<Place>,
    /// Boxed, since it is rare.
    pause: Box<Alarm>,
}

impl<'a> Recovery<'a> {
    fn new(reactor: &'a Reactor, starved: Starved) -> Recovery<'a> {
        Recovery { reactor, starved, place: None, pause: Box::new(Alarm::at(starved.until)) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_closed() {
            return Poll::Ready(());
        }
        self.reactor.wait_for_closing(&mut self.place, cx.waker());
        // The clone was a stranger's code: look again.
        if self.has_closed() { Poll::Ready(()) } else { self.pause.poll(cx) }
    }

    fn has_closed(&self) -> bool {
        self.reactor.closings() != self.starved.closings
    }
}

impl Drop for Recovery<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.reactor.leave_closing(place);
        }
    }
}

/// The listener was told that there are no descriptors.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Starved {
    until: Instant,
    /// How many sources had closed by then.
    closings: usize,
}

/// Accepts one connection, and notes it if there was no descriptor for it.
fn poll_accept<L: Listener>(
    listener: &L,
    stand: &mut Stand<'_>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(L::Stream, L::Addr)>> {
    let accepted = ready!(stand.poll_io(cx, || accept_next(listener)));
    if accepted.as_ref().is_err_and(is_out_of_descriptors) {
        let arrivals = listener.arrivals();
        let closings = arrivals.source.reactor().closings();
        arrivals.starved.set(Some(Starved { until: Instant::now() + PAUSE, closings }));
    }
    Poll::Ready(accepted)
}

/// One more connection of those that have come together, if there is one.
fn accept_next<L: Listener>(listener: &L) -> io::Result<(L::Stream, L::Addr)> {
    let arrivals = listener.arrivals();
    let already = arrivals.together.get();
    let asked = match already {
        1..=ASKED_FOR => arrivals.source.site(Direction::Read).check(),
        _ => Ok(()),
    };
    let accepted = asked.and_then(|()| listener.take());
    let was_last = accepted.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    arrivals.together.set(if was_last { 0 } else { already.saturating_add(1) });
    accepted
}

/// The error of an accept. If the peer has given up before it was accepted, there may be another behind it.
pub(crate) fn pass_over(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::ConnectionAborted { io::ErrorKind::Interrupted.into() } else { error }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
