//! Messages between Unix sockets.
//!
//! Unlike those of UDP they arrive, in order and once: a socket that has no room for one makes its sender wait. (On Linux. On Apple's
//! systems and the BSDs the sender is told `ENOBUFS`.)

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::address::address;
use super::retry::Retry;
use crate::operation::{Operation, Readiness};
use crate::ready::Direction;
use crate::source::Source;
use crate::transfer::send;

/// A Unix socket for messages.
///
/// A message is received as it was sent, whole, or cut off where the buffer ends: what is cut off is gone.
///
/// ```
/// use handcar_io_reactor::UnixDatagram;
///
/// handcar_executor::run(async {
///     let (one, other) = UnixDatagram::pair()?;
///     one.send(b"whole ").await?;
///     one.send(b"messages").await?;
///     let mut buf = [0; 64];
///     assert_eq!(other.recv(&mut buf).await?, 6);
///     assert_eq!(other.recv(&mut buf).await?, 8);
///     std::io::Result::Ok(())
/// })
/// .unwrap();
/// ```
pub struct UnixDatagram {
    source: Source<net::UnixDatagram>,
}

impl UnixDatagram {
    /// Makes a socket that receives at `path`, where the system makes a file: see
    /// [`UnixListener::bind`](crate::UnixListener::bind), also for what may be in its way.
    ///
    /// ```
    /// # use handcar_io_reactor::UnixDatagram;
    /// # handcar_executor::run(async {
    /// # let path = std::env::temp_dir().join(format!("handcar-doc-datagram-{}", std::process::id()));
    /// let log = UnixDatagram::bind(&path)?;
    /// UnixDatagram::unbound()?.send_to(b"<14>started", &path).await?;
    /// let mut buf = [0; 64];
    /// let (n, from) = log.recv_from(&mut buf).await?;
    /// assert_eq!(&buf[..n], b"<14>started");
    /// assert!(from.is_unnamed());
    /// # std::fs::remove_file(path)
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`](crate::UnixListener::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let addr = address(path.as_ref())?;
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        socket.bind(&addr)?;
        UnixDatagram::from_std(socket.into())
    }

    /// Makes a socket that has no address: it can send, and none can answer.
    ///
    /// # Errors
    ///
    /// What the system says when there are no more descriptors, and when the reactor could not be made.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(Socket::new(Domain::UNIX, Type::DGRAM, None)?.into())
    }

    /// Makes two sockets that are each other's peers.
    ///
    /// # Errors
    ///
    /// As [`unbound`](UnixDatagram::unbound).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::DGRAM, None)?;
        Ok((UnixDatagram::from_std(one.into())?, UnixDatagram::from_std(other.into())?))
    }

    /// Makes a socket of one of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// As [`Source::new`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram { source: Source::new(socket)? })
    }

    /// Gives back the standard library's socket, non-blocking as it is.
    pub fn into_std(self) -> net::UnixDatagram {
        self.source.into_inner()
    }

    /// What it is built on: for what has no method here, such as to peek.
    ///
    /// To a socket that is no peer send by [`send_to`](UnixDatagram::send_to) alone: the events of [`writable`](UnixDatagram::writable)
    /// and [`write_with`](Source::write_with) do not tell whether that one has room.
    pub fn source(&self) -> &Source<net::UnixDatagram> {
        &self.source
    }

    /// Makes the socket at `path` the peer: [`send`](UnixDatagram::send) goes there, and nobody else's messages come in from now on. If
    /// it had another peer, Linux throws away what has come and was not received.
    ///
    /// ```
    /// # use handcar_io_reactor::UnixDatagram;
    /// # handcar_executor::run(async {
    /// # let path = std::env::temp_dir().join(format!("handcar-doc-peer-{}", std::process::id()));
    /// let receiver = UnixDatagram::bind(&path)?;
    /// let sender = UnixDatagram::unbound()?;
    /// sender.connect(&path)?;
    /// assert_eq!(sender.send(b"hello").await?, 5);
    /// # std::fs::remove_file(path)
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that cannot be such a path, and what the system says: `NotFound`, `ConnectionRefused`, ...
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        SockRef::from(self.source.get_ref()).connect(&address(path.as_ref())?)
    }

    /// Sends a message to the [peer](UnixDatagram::connect), when that has room for it.
    ///
    /// # Errors
    ///
    /// What the system says: `NotConnected` without a peer, `ConnectionRefused` when it has gone, ...
    ///
    /// # Cancel safety
    ///
    /// The message goes in the poll that says so.
    #[track_caller]
    pub fn send<'a>(
        &'a self,
        message: &'a [u8],
    ) -> Operation<'a, net::UnixDatagram, impl FnMut(&net::UnixDatagram) -> io::Result<usize> + use<'a>> {
        let op = move |socket: &net::UnixDatagram| send(socket, message);
        Operation::new(&self.source, Direction::Write, Unpolled::new(&"send"), op)
    }

    /// Sends a message to the socket at `path`, when that has room for it.
    ///
    /// The system does not tell when a socket that is not the [peer](UnixDatagram::connect) has room again, so it is tried again
    /// and again, after pauses of 100 us to 50 ms. With a peer, [`send`](UnixDatagram::send) goes on at once.
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixDatagram::connect).
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](UnixDatagram::send).
    #[track_caller]
    pub fn send_to<'a>(&'a self, message: &'a [u8], path: impl AsRef<Path>) -> UnixSendTo<'a> {
        let to = address(path.as_ref()).map_err(Some);
        UnixSendTo { socket: self, message, to, retry: Retry::new(), unpolled: Unpolled::new(&"send_to") }
    }

    /// Waits for a message, and says how long it is.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Cancel safety
    ///
    /// A message is taken in the poll that returns it.
    #[track_caller]
    pub fn recv<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> Operation<'a, net::UnixDatagram, impl FnMut(&net::UnixDatagram) -> io::Result<usize> + use<'a>> {
        let op = move |socket: &net::UnixDatagram| socket.recv(buf);
        Operation::new(&self.source, Direction::Read, Unpolled::new(&"recv"), op)
    }

    /// Waits for a message, and says how long it is and where it came from.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](UnixDatagram::recv).
    #[track_caller]
    pub fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> Operation<'a, net::UnixDatagram, impl FnMut(&net::UnixDatagram) -> io::Result<(usize, SocketAddr)> + use<'a>>
    {
        let op = move |socket: &net::UnixDatagram| socket.recv_from(buf);
        Operation::new(&self.source, Direction::Read, Unpolled::new(&"recv_from"), op)
    }

    /// Waits until there is something to receive: see [`Source::readable`].
    ///
    /// # Errors
    ///
    /// If it has to wait under another runtime than the socket was made in.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        self.source.readable()
    }

    /// Waits until something can be sent to the peer: see [`Source::writable`].
    ///
    /// # Errors
    ///
    /// As [`readable`](UnixDatagram::readable).
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](UnixDatagram::readable).
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        self.source.writable()
    }

    /// The address at which it receives.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it has none, and what else the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.get_ref().fmt(f)
    }
}

/// Sends a message to an address: see [`UnixDatagram::send_to`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct UnixSendTo<'a> {
    socket: &'a UnixDatagram,
    message: &'a [u8],
    /// Why it is no address, or `Err(None)` when that was told or the message has gone.
    to: Result<SockAddr, Option<io::Error>>,
    retry: Retry,
    unpolled: Unpolled,
}

impl Future for UnixSendTo<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.unpolled.forget();
        let sent = ready!(this.retry.poll(cx, || match &mut this.to {
            Ok(to) => SockRef::from(this.socket.source.get_ref()).send_to(this.message, to),
            Err(fault) => Err(fault.take().expect("`UnixSendTo` polled after it was ready")),
        }));
        this.to = Err(None);
        Poll::Ready(sent)
    }
}
