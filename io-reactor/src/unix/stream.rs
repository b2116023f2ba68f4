//! The stream of bytes between two Unix sockets: how it is made, split and closed. How bytes move is in `transfer`.
//!
//! All operations take `&self`, so one task may read while another writes.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::rc::Rc;

use socket2::{Domain, Socket, Type};

use super::UnixConnect;
use crate::into_split::{self, OwnedReadHalf, OwnedWriteHalf, sealed};
use crate::operation::Readiness;
use crate::reactor::Reactor;
use crate::ready::Ready;
use crate::source::Source;
use crate::split::{ReadHalf, WriteHalf};

/// A connection between two processes of one machine, or within one.
///
/// Reading and writing are those of `futures::io::AsyncReadExt` and `AsyncWriteExt`, on the stream or on a reference to it.
/// Dropping it closes both directions; [`shutdown`](UnixStream::shutdown) or `close` ends the sending direction alone.
///
/// ```
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
/// use handcar_io_reactor::UnixStream;
///
/// handcar_executor::run(async {
///     let (mut client, mut server) = UnixStream::pair()?;
///     client.write_all(b"question").await?;
///     client.close().await?; // no more from here, but the answer still comes
///     let mut text = String::new();
///     server.read_to_string(&mut text).await?;
///     server.write_all(format!("{text}? answer!").as_bytes()).await?;
///     drop(server);
///
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///     assert_eq!(answer, "question? answer!");
///     std::io::Result::Ok(())
/// })
/// .unwrap();
/// ```
///
/// # Cancel safety
///
/// As [`TcpStream`](crate::TcpStream#cancel-safety): bytes move in the poll that says so.
pub struct UnixStream {
    pub(super) source: Source<net::UnixStream>,
}

impl UnixStream {
    /// Connects to the listener at `path`; on Linux also to one in the abstract namespace, whose name has a zero byte before it.
    ///
    /// If as many wait to be accepted as may, it waits too, by the clock: it tries again after pauses of 100 us to 50 ms. Bound that
    /// with a timeout.
    ///
    /// ```
    /// # use handcar_io_reactor::{UnixListener, UnixStream};
    /// # handcar_executor::run(async {
    /// # let path = std::env::temp_dir().join(format!("handcar-doc-connect-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let stream = UnixStream::connect(&path).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_file(path)
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that cannot be such a path, and what the system says: `NotFound`, `ConnectionRefused` if nobody listens
    /// there any more, `PermissionDenied`, ...
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait or is connected.
    ///
    /// # Cancel safety
    ///
    /// The half-made connection is closed.
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> UnixConnect {
        UnixConnect::new(path.as_ref())
    }

    /// Makes two streams that are each other's peers.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_io_reactor::UnixStream;
    /// # handcar_executor::run(async {
    /// let (mut one, mut other) = UnixStream::pair()?;
    /// one.write_all(b"x").await?;
    /// assert_eq!(other.read(&mut [0; 8]).await?, 1);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says when there are no more descriptors, and when the reactor could not be made.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        Ok((UnixStream::from_std(one.into())?, UnixStream::from_std(other.into())?))
    }

    /// Makes a stream of one of the standard library, which becomes non-blocking.
    ///
    /// ```
    /// # use handcar_io_reactor::UnixStream;
    /// # handcar_executor::run(async {
    /// let (ours, for_a_thread) = std::os::unix::net::UnixStream::pair()?;
    /// let ours = UnixStream::from_std(ours)?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Source::new`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        Ok(UnixStream { source: Source::new(stream)? })
    }

    /// One that is non-blocking already.
    pub(super) fn register(reactor: Rc<Reactor>, stream: net::UnixStream) -> io::Result<UnixStream> {
        Ok(UnixStream { source: Source::register(reactor, stream, Ready::HOPED)? })
    }

    /// Gives back the standard library's stream, non-blocking as it is.
    ///
    /// ```
    /// # use handcar_io_reactor::UnixStream;
    /// # handcar_executor::run(async {
    /// let (stream, _peer) = UnixStream::pair()?;
    /// let stream: std::os::unix::net::UnixStream = stream.into_std();
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn into_std(self) -> net::UnixStream {
        self.source.into_inner()
    }

    /// What it is built on: for what has no method here, such as to send descriptors along.
    ///
    /// ```
    /// # use std::mem::MaybeUninit;
    /// # use std::os::fd::AsFd;
    /// # use handcar_io_reactor::UnixStream;
    /// use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    ///
    /// # handcar_executor::run(async {
    /// # let (stream, _peer) = UnixStream::pair()?;
    /// let (_reader, writer) = std::io::pipe()?;
    /// let descriptors = [writer.as_fd()];
    /// let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    /// stream.source().write_with(|socket| {
    ///     let mut along = SendAncillaryBuffer::new(&mut space);
    ///     along.push(SendAncillaryMessage::ScmRights(&descriptors));
    ///     Ok(sendmsg(socket, &[std::io::IoSlice::new(b"a pipe")], &mut along, SendFlags::NOSIGNAL)?)
    /// }).await?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn source(&self) -> &Source<net::UnixStream> {
        &self.source
    }

    /// Waits until there is something to read, or the stream has ended: see [`Source::readable`].
    ///
    /// # Errors
    ///
    /// If it has to wait under another runtime than the stream was made in.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        self.source.readable()
    }

    /// Waits until something can be written: see [`Source::writable`].
    ///
    /// # Errors
    ///
    /// As [`readable`](UnixStream::readable).
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](UnixStream::readable).
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        self.source.writable()
    }

    /// Ends one direction or both. The peer reads the end of the stream after what was sent before; who waits here to read what
    /// is shut down reads the end as well, who waits to write has an error.
    ///
    /// ```
    /// # use std::net::Shutdown;
    /// # use futures::io::AsyncReadExt;
    /// # use handcar_io_reactor::UnixStream;
    /// # handcar_executor::run(async {
    /// let (client, mut server) = UnixStream::pair()?;
    /// client.shutdown(Shutdown::Write)?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 0);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get_ref().shutdown(how)?;
        // Linux sends no event to one's own writer at a full buffer, who now has an error to hear of.
        let read = how != Shutdown::Write;
        self.source.report(Ready { read, write: how != Shutdown::Read, irregular: read });
        Ok(())
    }

    /// Splits the stream into halves that borrow it, as [`TcpStream::split`](crate::TcpStream::split) does: written
    /// `UnixStream::split(&mut stream)` where `futures::AsyncReadExt` is in scope.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_io_reactor::UnixStream;
    /// # handcar_executor::run(async {
    /// # let (mut client, mut server) = UnixStream::pair()?;
    /// let (reader, mut writer) = UnixStream::split(&mut server);
    /// client.write_all(b"echo").await?;
    /// client.close().await?;
    /// futures::io::copy(reader, &mut writer).await?;
    /// writer.close().await?;
    /// # let mut answer = String::new();
    /// # client.read_to_string(&mut answer).await?;
    /// # assert_eq!(answer, "echo");
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_, UnixStream>, WriteHalf<'_, UnixStream>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Splits the stream into halves that own it together, as [`TcpStream::into_split`](crate::TcpStream::into_split) does.
    pub fn into_split(self) -> (OwnedReadHalf<UnixStream>, OwnedWriteHalf<UnixStream>) {
        into_split::halves(self)
    }

    /// The address of this end: often none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address of the other end: that of the listener, or often none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }

    /// Takes the error that is pending on the socket, if one is (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// If the system cannot say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get_ref().take_error()
    }

    pub(super) fn stream(&self) -> &UnixStream {
        self
    }
}

impl sealed::ShutDown for UnixStream {
    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.get_ref().fmt(f)
    }
}
