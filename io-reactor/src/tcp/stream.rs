//! The stream of bytes between two sockets.
//!
//! Reading and writing are [`Source`]'s operations and one thing more: a call that moved fewer bytes than it was given room
//! for has emptied, or filled, the socket's buffer, and the next one would say "would block". It is not made.
//!
//! All operations take `&self`, so one task may read while another writes, and the futures-io traits are implemented for
//! `&TcpStream` as well.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;

use super::{Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, into_split};
use crate::addr::{ToSocketAddrs, lookup_host};
use crate::delegate::{delegate_read, delegate_write};
use crate::operation::Readiness;
use crate::ready::Direction;
use crate::site::Stand;
use crate::source::Source;

/// How many buffers one system call takes (`IOV_MAX` of all systems that matter).
const BUFFERS: usize = 1024;

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
    source: Source<net::TcpStream>,
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
    pub fn connect(addr: impl ToSocketAddrs) -> Connect {
        Connect::new(lookup_host(addr))
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
    pub fn peek<'a>(&'a self, buf: &'a mut [u8]) -> Peek<'a> {
        let stand = Some(Stand::new(self.source.site(Direction::Read)));
        Peek { stream: self.source.get_ref(), buf, stand }
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

    /// Whether small writes are sent at once (`TCP_NODELAY`), not held back to be sent together.
    ///
    /// ```
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.get_ref().nodelay()
    }

    /// Sets whether small writes are sent at once: see [`nodelay`](TcpStream::nodelay).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.get_ref().set_nodelay(nodelay)
    }

    /// How many hops a packet may make (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.get_ref().ttl()
    }

    /// Sets how many hops a packet may make: see [`ttl`](TcpStream::ttl).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.get_ref().set_ttl(ttl)
    }

    /// How long closing the socket goes on sending what was written (`SO_LINGER`); `None` is the system's own way.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_linger(Some(Duration::ZERO))?; // dropping it resets the connection
    /// assert_eq!(stream.linger()?, Some(Duration::ZERO));
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.source.get_ref()).linger()
    }

    /// Sets how long closing goes on sending: see [`linger`](TcpStream::linger). Anything but zero can block the thread
    /// when the stream is dropped.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.source.get_ref()).set_linger(linger)
    }

    /// Takes the error that is pending on the socket, if one is (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// If the system cannot say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get_ref().take_error()
    }

    fn stream(&self) -> &TcpStream {
        self
    }

    /// Reads, and notes when less came than there was room for.
    #[inline]
    fn poll_read_up_to(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        op: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.source.poll_read_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.source.site(Direction::Read).note_progress(n, room);
        }
        polled
    }

    /// Writes, and notes when less went than was there.
    #[inline]
    fn poll_write_up_to(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        op: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.source.poll_write_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.source.site(Direction::Write).note_progress(n, len);
        }
        polled
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_up_to(cx, buf.len(), |mut stream| stream.read(buf))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = bufs.len().min(BUFFERS);
        let bufs = &mut bufs[..count];
        let room = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_read_up_to(cx, room, |mut stream| stream.read_vectored(bufs))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_up_to(cx, buf.len(), |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = &bufs[..bufs.len().min(BUFFERS)];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_write_up_to(cx, len, |stream| send_vectored(stream, bufs))
    }

    /// Does nothing: what was written is with the system already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the sending direction. A connection that has gone altogether is closed already.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

delegate_read!(TcpStream);
delegate_write!(TcpStream);

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

/// Looks at bytes without taking them: see [`TcpStream::peek`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Peek<'a> {
    stream: &'a net::TcpStream,
    buf: &'a mut [u8],
    /// Gone when there was something to see.
    stand: Option<Stand<'a>>,
}

impl Future for Peek<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let stand = this.stand.as_mut().expect("`Peek` polled after it was ready");
        let polled = stand.poll_io(cx, || this.stream.peek(this.buf));
        if polled.is_ready() {
            this.stand = None;
        }
        polled
    }
}

/// `writev` would raise `SIGPIPE` when the peer has gone, which ends a program whose `main` is not Rust's.
fn send_vectored(stream: &net::TcpStream, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    // Apple has the socket's own option instead, which the standard library and socket2 set.
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::empty();
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::NOSIGNAL;
    Ok(sendmsg(stream, bufs, &mut SendAncillaryBuffer::default(), flags)?)
}
