//! Connecting: one address after the other, until one answers.
//!
//! A non-blocking `connect` begins, and says so (`EINPROGRESS`). It is over when the socket becomes writable; whether it
//! went well, the socket's pending error tells. The source is made only after `connect` was called: a socket that is not
//! even connecting counts as hung up, and epoll would report that first.

use std::future::Future;
use std::io;
use std::mem;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::addr::{LookupHost, no_address};
use crate::reactor::Reactor;
use crate::ready::{Direction, Ready};
use crate::source::Source;

/// Makes a connection: see [`TcpStream::connect`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Connect(Stage);

#[derive(Debug)]
enum Stage {
    Lookup(LookupHost),
    /// The addresses that are left, and why the last one failed.
    Next(vec::IntoIter<SocketAddr>, Option<io::Error>),
    Trying(Source<net::TcpStream>, vec::IntoIter<SocketAddr>),
    Done,
}

impl Connect {
    pub(super) fn new(lookup: LookupHost) -> Connect {
        Connect(Stage::Lookup(lookup))
    }
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let stage = &mut self.0;
        loop {
            *stage = match mem::replace(stage, Stage::Done) {
                Stage::Lookup(mut lookup) => match Pin::new(&mut lookup).poll(cx)? {
                    Poll::Ready(addrs) => Stage::Next(addrs, None),
                    Poll::Pending => {
                        *stage = Stage::Lookup(lookup);
                        return Poll::Pending;
                    }
                },
                Stage::Next(mut addrs, failure) => match addrs.next().map(begin) {
                    Some(Ok(source)) => Stage::Trying(source, addrs),
                    Some(Err(error)) => Stage::Next(addrs, Some(error)),
                    None => return Poll::Ready(Err(failure.unwrap_or_else(no_address))),
                },
                Stage::Trying(source, addrs) => match poll_connected(&source, cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(TcpStream::new(source))),
                    Poll::Ready(Err(error)) => Stage::Next(addrs, Some(error)),
                    Poll::Pending => {
                        *stage = Stage::Trying(source, addrs);
                        return Poll::Pending;
                    }
                },
                Stage::Done => panic!("`Connect` polled after it was ready"),
            };
        }
    }
}

fn poll_connected(source: &Source<net::TcpStream>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    ready!(source.site(Direction::Write).poll_reported(cx))?;
    Poll::Ready(source.get_ref().take_error()?.map_or(Ok(()), Err))
}

fn begin(addr: SocketAddr) -> io::Result<Source<net::TcpStream>> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match socket.connect(&addr.into()) {
        Err(error) if !is_under_way(&error) => return Err(error),
        _ => {}
    }
    Source::register(Reactor::current()?, socket.into(), Ready::UNKNOWN)
}

/// A signal that comes in between interrupts the call, not the connecting.
fn is_under_way(error: &io::Error) -> bool {
    let under_way = [Errno::INPROGRESS, Errno::INTR].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| under_way.contains(&code))
}
