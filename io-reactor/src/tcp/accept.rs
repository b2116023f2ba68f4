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

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use handcar_executor::Instant;
use handcar_executor::layer::Alarm;
use handcar_executor::unpolled::Unpolled;
use rustix::io::Errno;

use super::{TcpListener, TcpStream};
use crate::entry::Place;
use crate::reactor::Reactor;
use crate::ready::{Direction, Ready};
use crate::site::Stand;
use crate::source::Source;

/// After how long `accept` tries again when there were no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How many of the connections that come together are asked for: beyond that there are likely more.
const ASKED_FOR: u32 = 4;

/// Waits for a connection: see [`TcpListener::accept`].
#[must_use = "futures do nothing unless awaited"]
pub struct Accept<'a> {
    listener: &'a TcpListener,
    /// Gone when it has been ready.
    stand: Option<Stand<'a>>,
    /// While there are no descriptors.
    recovery: Option<Recovery<'a>>,
}

impl<'a> Accept<'a> {
    pub(super) fn new(listener: &'a TcpListener, unpolled: Unpolled) -> Accept<'a> {
        let stand = Stand::new(listener.source.site(Direction::Read), unpolled);
        Accept { listener, stand: Some(stand), recovery: None }
    }
}

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let stand = this.stand.as_mut().expect("`Accept` polled after it was ready");
        stand.unpolled.forget();
        if let Some(starved) = this.listener.starved.get() {
            let reactor = this.listener.source.reactor();
            let recovery = match this.recovery.take() {
                Some(recovery) if recovery.starved == starved => recovery,
                // The first, or another task has tried since, and in vain: the pause is a new one.
                _ => Recovery::new(reactor, starved),
            };
            ready!(this.recovery.insert(recovery).poll(cx));
            this.listener.starved.set(None);
        }
        this.recovery = None;
        let accepted = ready!(poll_accept(this.listener, stand, cx));
        this.stand = None;
        Poll::Ready(accepted)
    }
}

impl fmt::Debug for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("listener", self.listener).finish_non_exhaustive()
    }
}

/// The connections of a listener as a stream: see [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    accept: Accept<'a>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(listener: &'a TcpListener) -> Incoming<'a> {
        Incoming { accept: Accept::new(listener, Unpolled::known()) }
    }
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

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
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Starved {
    until: Instant,
    /// How many sources had closed by then.
    closings: usize,
}

/// Accepts one connection, and notes it if there was no descriptor for it.
fn poll_accept(
    listener: &TcpListener,
    stand: &mut Stand<'_>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
    let reactor = listener.source.reactor();
    let accepted = ready!(stand.poll_io(cx, || accept_next(listener)));
    if accepted.as_ref().is_err_and(is_out_of_descriptors) {
        listener.starved.set(Some(Starved { until: Instant::now() + PAUSE, closings: reactor.closings() }));
    }
    let (stream, peer) = accepted?;
    let source = Source::register(reactor.clone(), stream, Ready::HOPED)?;
    Poll::Ready(Ok((TcpStream::new(source), peer)))
}

/// One more connection of those that have come together, if there is one.
fn accept_next(listener: &TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let already = listener.together.get();
    let asked = match already {
        1..=ASKED_FOR => listener.source.site(Direction::Read).check(),
        _ => Ok(()),
    };
    let accepted = asked.and_then(|()| accept(listener.source.get_ref()));
    let was_last = accepted.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    listener.together.set(if was_last { 0 } else { already.saturating_add(1) });
    accepted
}

/// One connection, non-blocking and closed on exec from the start.
#[cfg(not(target_vendor = "apple"))]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};

    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (stream, peer) = acceptfrom_with(listener, flags).map_err(pass_over)?;
    let peer = peer.ok_or(Errno::INVAL)?.try_into()?;
    Ok((stream.into(), peer))
}

/// One connection. Apple has no `accept4`.
#[cfg(target_vendor = "apple")]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().map_err(|error| match Errno::from_io_error(&error) {
        Some(errno) => pass_over(errno),
        None => error,
    })?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}

/// The peer has given up before it was accepted: there may be another behind it.
fn pass_over(errno: Errno) -> io::Error {
    if errno == Errno::CONNABORTED { io::ErrorKind::Interrupted.into() } else { errno.into() }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
