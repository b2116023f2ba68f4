//! Connecting: at once, or when the listener has room for one more.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;
use socket2::{Domain, SockAddr, Socket, Type};

use super::UnixStream;
use super::address::address;
use super::retry::Retry;
use crate::reactor::Reactor;

/// Makes a connection: see [`UnixStream::connect`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct UnixConnect {
    unpolled: Unpolled,
    retry: Retry,
    /// Gone when it is connected, or has failed.
    attempt: Option<io::Result<(Socket, SockAddr)>>,
}

impl UnixConnect {
    #[track_caller]
    pub(super) fn new(path: &Path) -> UnixConnect {
        UnixConnect { unpolled: Unpolled::new(&"connect"), retry: Retry::new(), attempt: Some(begin(path)) }
    }
}

impl Future for UnixConnect {
    type Output = io::Result<UnixStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        let this = &mut *self;
        this.unpolled.forget();
        let attempt = this.attempt.as_ref().expect("`UnixConnect` polled after it was ready");
        let connected = ready!(this.retry.poll(cx, || match attempt {
            Ok((socket, addr)) => socket.connect(addr),
            Err(_) => Ok(()),
        }));
        let attempt = this.attempt.take().expect("it is there until it is ready");
        let (socket, _) = connected.and(attempt)?;
        Poll::Ready(UnixStream::register(Reactor::current()?, socket.into()))
    }
}

fn begin(path: &Path) -> io::Result<(Socket, SockAddr)> {
    let addr = address(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok((socket, addr))
}
