//! The stream of bytes between two sockets: how it is made, split and closed. How bytes move is in `transfer`.
//!
//! All operations take `&self`, so one task may read while another writes.

use std::fmt;
use std::io;
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use super::{Connect, Peek};
use crate::addr::{self, ToSocketAddrs};
use crate::into_split::{self, OwnedReadHalf, OwnedWriteHalf, sealed};
use crate::operation::Readiness;
use crate::source::Source;
use crate::split::{ReadHalf, WriteHalf};

/// A TCP connection.
///
/// Reading and writing are those of `futures::io::AsyncReadExt` and `AsyncWriteExt`, on the stream or on a reference to it.
/// Dropping it closes both directions; [`shutdown`](TcpStream::shutdown) or `close` ends the sending direction alone.
///
/// ```
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
/// use handcar_io_reactor::{TcpListener, TcpStream};
///
/// handcar_executor::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
///     let (mut server, _) = listener.accept().await?;
///
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
/// A read or write that is given up has moved nothing: bytes move in the poll that says so. (What is built of several, such
/// as `read_exact` and `write_all`, may have moved a part.)
pub struct TcpStream {
    pub(super) source: Source<net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of the addresses that `addr` stands for which answers.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?; // and closed again
    /// let addrs: [SocketAddr; 2] = [nobody, listener.local_addr()?];
    /// let stream = TcpStream::connect(&addrs[..]).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// That of the look-up, or of the last address: `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`, ...
    ///
    /// # Cancel safety
    ///
    /// The half-made connection is closed.
    #[track_caller]
    pub fn connect(addr: impl ToSocketAddrs) -> Connect {
        Connect::new(addr::look_up(&"connect", addr))
    }

    pub(super) fn new(source: Source<net::TcpStream>) -> TcpStream {
        TcpStream { source }
    }

    /// Makes a stream of one of the standard library, which becomes non-blocking.
    ///
    /// ```
    /// # use handcar_io_reactor::TcpStream;
    /// # handcar_executor::run(async {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(stream)?;
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
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        Ok(TcpStream { source: Source::new(stream)? })
    }

    /// Gives back the standard library's stream, non-blocking as it is.
    ///
    /// ```
    /// # use handcar_io_reactor::TcpStream;
    /// # handcar_executor::run(async {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let stream: std::net::TcpStream = stream.into_std();
    /// stream.set_nonblocking(false)?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn into_std(self) -> net::TcpStream {
        self.source.into_inner()
    }

    /// Waits until there is something to read, or the stream has ended: see [`Source::readable`].
    ///
    /// ```
    /// # use futures::io::AsyncWriteExt;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// client.write_all(b"x").await?;
    /// server.readable().await?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
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
    /// As [`readable`](TcpStream::readable).
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](TcpStream::readable).
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        self.source.writable()
    }

    /// Waits for bytes and copies them to `buf` without taking them from the stream. `Ok(0)` is the end.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.write_all(b"GET /").await?;
    /// let mut buf = [0; 8];
    /// let n = server.peek(&mut buf).await?;
    /// assert_eq!(&buf[..n], b"GET /");
    /// let n = server.read(&mut buf).await?;
    /// assert_eq!(&buf[..n], b"GET /");
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says: `ConnectionReset`, ...
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: nothing is taken.
    #[track_caller]
    pub fn peek<'a>(&'a self, buf: &'a mut [u8]) -> Peek<'a> {
        Peek::new(&self.source, buf)
    }

    /// Ends one direction or both. The peer reads the end of the stream after what was sent before.
    ///
    /// ```
    /// # use std::net::Shutdown;
    /// # use futures::io::AsyncReadExt;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.shutdown(Shutdown::Write)?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 0);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has gone altogether, and what else the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get_ref().shutdown(how)
    }

    /// Splits the stream into halves that borrow it: one task reads and writes at the same time.
    ///
    /// With `futures::AsyncReadExt` in scope, `stream.split()` is that trait's method, which locks and allocates: a method
    /// that takes the stream itself goes before one that borrows it. Written as below it is this one.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// let (reader, mut writer) = TcpStream::split(&mut server);
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
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Splits the stream into halves that own it together, for two tasks.
    ///
    /// Dropping the write half ends the sending direction; the connection is closed when both are gone.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_executor::spawn;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// let (mut reader, mut writer) = client.into_split();
    /// let sender = spawn(async move { writer.write_all(b"hello").await });
    /// let mut text = String::new();
    /// server.read_to_string(&mut text).await?; // ends, for the writer is dropped with its task
    /// assert_eq!(text, "hello");
    /// # drop(server);
    /// # assert_eq!(reader.read(&mut [0]).await?, 0);
    /// # sender.await.unwrap()
    /// # })
    /// # .unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        into_split::halves(self)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection has failed, and what else the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self
    }
}

impl sealed::ShutDown for TcpStream {
    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.get_ref().fmt(f)
    }
}
