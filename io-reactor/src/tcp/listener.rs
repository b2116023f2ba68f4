//! Listening: the socket that others connect to.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::unpolled::Unpolled;
use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::accept::sealed::Accepting;
use crate::accept::{Accept, Arrivals, BACKLOG, Incoming, pass_over};
use crate::addr::{self, LookupHost, ToSocketAddrs};
use crate::ready::Ready;
use crate::source::Source;

/// A TCP socket that listens for connections.
///
/// Several tasks may accept from one listener; each connection goes to one of them.
///
/// ```
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
/// use handcar_executor::spawn;
/// use handcar_io_reactor::{TcpListener, TcpStream};
///
/// handcar_executor::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let addr = listener.local_addr()?;
///     let server = spawn(async move {
///         let (mut stream, _peer) = listener.accept().await?;
///         let mut name = [0; 4];
///         stream.read_exact(&mut name).await?;
///         stream.write_all(b"hello ").await?;
///         stream.write_all(&name).await
///     });
///
///     let mut stream = TcpStream::connect(addr).await?;
///     stream.write_all(b"you!").await?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     assert_eq!(answer, "hello you!");
///     server.await.unwrap()
/// })
/// .unwrap();
/// ```
pub struct TcpListener(Arrivals<net::TcpListener>);

impl TcpListener {
    /// Listens at an address: the first of those that `addr` stands for at which it can.
    ///
    /// Port 0 lets the system choose one; [`local_addr`](TcpListener::local_addr) tells which. The address may be used
    /// again at once after an earlier listener has gone (`SO_REUSEADDR`). For other options make the socket with `socket2`,
    /// and a listener from it with [`from_std`](TcpListener::from_std).
    ///
    /// ```
    /// # use handcar_io_reactor::TcpListener;
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// That of the look-up or of the last address: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`, ...
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    #[track_caller]
    pub fn bind(addr: impl ToSocketAddrs) -> Bind {
        Bind(addr::look_up(&"bind", addr))
    }

    /// Makes a listener of one of the standard library, which becomes non-blocking.
    ///
    /// ```
    /// # use handcar_io_reactor::TcpListener;
    /// # handcar_executor::run(async {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = TcpListener::from_std(listener)?;
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
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        Ok(TcpListener(Arrivals::new(Source::new(listener)?)))
    }

    /// Gives back the standard library's listener, non-blocking as it is.
    ///
    /// ```
    /// # use handcar_io_reactor::TcpListener;
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let listener: std::net::TcpListener = listener.into_std();
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn into_std(self) -> net::TcpListener {
        self.0.source.into_inner()
    }

    /// Waits for the next connection.
    ///
    /// A connection that its peer has given up before it was accepted is passed over in silence.
    ///
    /// ```
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (_stream, peer) = listener.accept().await?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says. A server should report it and go on: when there are no descriptors, the next `accept` waits
    /// for one, so that such a loop does not spin.
    ///
    /// # Cancel safety
    ///
    /// A connection is taken in the poll that returns it: none is lost when the future is dropped.
    #[track_caller]
    pub fn accept(&self) -> Accept<'_> {
        Accept::new(self, Unpolled::new(&"accept"))
    }

    /// The connections, one after the other, as a stream that never ends.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let mut incoming = listener.incoming();
    /// let stream = incoming.next().await.expect("it never ends")?;
    /// assert_eq!(stream.peer_addr()?, client.local_addr()?);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](TcpListener::accept).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(self)
    }

    /// The address at which it listens.
    ///
    /// ```
    /// # use handcar_io_reactor::TcpListener;
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.source.get_ref().local_addr()
    }

    /// How many hops a packet may make (`IP_TTL`).
    ///
    /// ```
    /// # use handcar_io_reactor::TcpListener;
    /// # handcar_executor::run(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_ttl(17)?;
    /// assert_eq!(listener.ttl()?, 17);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.source.get_ref().ttl()
    }

    /// Sets how many hops a packet may make, for accepted connections as well: see [`ttl`](TcpListener::ttl).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.source.get_ref().set_ttl(ttl)
    }
}

impl Accepting for TcpListener {
    type Socket = net::TcpListener;
    type Stream = TcpStream;
    type Addr = SocketAddr;

    fn arrivals(&self) -> &Arrivals<net::TcpListener> {
        &self.0
    }

    fn take(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = accept(self.0.source.get_ref()).map_err(pass_over)?;
        let source = Source::register(self.0.source.reactor().clone(), stream, Ready::HOPED)?;
        Ok((TcpStream::new(source), peer))
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.source.as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source.get_ref().fmt(f)
    }
}

/// Begins to listen: see [`TcpListener::bind`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Bind(LookupHost);

impl Future for Bind {
    type Output = io::Result<TcpListener>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<TcpListener>> {
        self.0.poll_first(cx, |addr| TcpListener::from_std(listen(addr)?))
    }
}

fn listen(addr: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One connection, non-blocking and closed on exec from the start.
#[cfg(not(target_vendor = "apple"))]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    use rustix::io::Errno;
    use rustix::net::{SocketFlags, acceptfrom_with};

    let (stream, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.ok_or(Errno::INVAL)?.try_into()?;
    Ok((stream.into(), peer))
}

/// One connection. Apple has no `accept4`.
#[cfg(target_vendor = "apple")]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}
