//! UDP: messages between sockets, which may be lost on the way, or overtake each other.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::unpolled::Unpolled;

use crate::addr::{self, LookupHost, ToSocketAddrs};
use crate::operation::{Operation, Readiness};
use crate::ready::Direction;
use crate::source::Source;

/// A UDP socket.
///
/// A message is received whole, or cut off where the buffer ends: what is cut off is gone. All operations take `&self`, so one task
/// may receive while another sends.
///
/// What has no method here is in the [socket of the standard library](Source::get_ref) behind [`source`](UdpSocket::source):
/// broadcast, multicast, time to live. For options that go before `bind` make the socket with `socket2`, and this from it with
/// [`from_std`](UdpSocket::from_std).
///
/// ```
/// use handcar_executor::spawn;
/// use handcar_io_reactor::UdpSocket;
///
/// handcar_executor::run(async {
///     let server = UdpSocket::bind("127.0.0.1:0").await?;
///     let addr = server.local_addr()?;
///     let server = spawn(async move {
///         let mut buf = [0; 1500];
///         let (n, from) = server.recv_from(&mut buf).await?;
///         server.send_to(&buf[..n], from).await
///     });
///
///     let client = UdpSocket::bind("127.0.0.1:0").await?;
///     client.connect(addr).await?;
///     client.send(b"echo").await?;
///     let mut buf = [0; 1500];
///     let n = client.recv(&mut buf).await?;
///     assert_eq!(&buf[..n], b"echo");
///     assert_eq!(server.await.unwrap()?, 4);
///     std::io::Result::Ok(())
/// })
/// .unwrap();
/// ```
pub struct UdpSocket {
    source: Source<net::UdpSocket>,
}

impl UdpSocket {
    /// Makes a socket at an address: the first of those that `addr` stands for at which it can.
    ///
    /// Port 0 lets the system choose one; [`local_addr`](UdpSocket::local_addr) tells which.
    ///
    /// ```
    /// # use handcar_io_reactor::UdpSocket;
    /// # handcar_executor::run(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
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
    pub fn bind(addr: impl ToSocketAddrs) -> UdpBind {
        UdpBind(addr::look_up(&"bind", addr))
    }

    /// Makes a socket of one of the standard library, which becomes non-blocking.
    ///
    /// ```
    /// # use handcar_io_reactor::UdpSocket;
    /// # handcar_executor::run(async {
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_broadcast(true)?;
    /// let socket = UdpSocket::from_std(socket)?;
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
    pub fn from_std(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        Ok(UdpSocket { source: Source::new(socket)? })
    }

    /// Gives back the standard library's socket, non-blocking as it is.
    pub fn into_std(self) -> net::UdpSocket {
        self.source.into_inner()
    }

    /// What it is built on.
    ///
    /// ```
    /// # use handcar_io_reactor::UdpSocket;
    /// # handcar_executor::run(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.source().get_ref().set_ttl(1)?;
    /// let nothing = socket.source().try_read_with(|socket| socket.recv(&mut [0; 8]));
    /// assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn source(&self) -> &Source<net::UdpSocket> {
        &self.source
    }

    /// Makes an address the peer, the first of those that `addr` stands for at which that can be: [`send`](UdpSocket::send) goes
    /// there, and nobody else's messages come in from now on. Nothing is sent.
    ///
    /// ```
    /// # use handcar_io_reactor::UdpSocket;
    /// # handcar_executor::run(async {
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// assert_eq!(client.send(b"hello").await?, 5);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// That of the look-up or of the last address: `NetworkUnreachable`, `PermissionDenied`, ...
    ///
    /// # Cancel safety
    ///
    /// Nothing has happened until it says so.
    #[track_caller]
    pub fn connect(&self, addr: impl ToSocketAddrs) -> UdpConnect<'_> {
        UdpConnect { socket: self, lookup: addr::look_up(&"connect", addr) }
    }

    /// Sends a message to the [peer](UdpSocket::connect), and says how many bytes that were: all.
    ///
    /// # Errors
    ///
    /// What the system says: `ConnectionRefused` if the peer has sent word that nobody is there, an error without a name if there is
    /// no peer or the message is too long, ...
    ///
    /// # Cancel safety
    ///
    /// The message goes in the poll that says so.
    #[track_caller]
    pub fn send<'a>(
        &'a self,
        message: &'a [u8],
    ) -> Operation<'a, net::UdpSocket, impl FnMut(&net::UdpSocket) -> io::Result<usize> + use<'a>> {
        let op = move |socket: &net::UdpSocket| socket.send(message);
        Operation::new(&self.source, Direction::Write, Unpolled::new(&"send"), op)
    }

    /// Sends a message to an address.
    ///
    /// # Errors
    ///
    /// As [`send`](UdpSocket::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](UdpSocket::send).
    #[track_caller]
    pub fn send_to<'a>(
        &'a self,
        message: &'a [u8],
        addr: SocketAddr,
    ) -> Operation<'a, net::UdpSocket, impl FnMut(&net::UdpSocket) -> io::Result<usize> + use<'a>> {
        let op = move |socket: &net::UdpSocket| socket.send_to(message, addr);
        Operation::new(&self.source, Direction::Write, Unpolled::new(&"send_to"), op)
    }

    /// Waits for a message, and says how long it is.
    ///
    /// # Errors
    ///
    /// What the system says: `ConnectionRefused` if the [peer](UdpSocket::connect) has sent word that nobody is there, ...
    ///
    /// # Cancel safety
    ///
    /// A message is taken in the poll that returns it.
    #[track_caller]
    pub fn recv<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> Operation<'a, net::UdpSocket, impl FnMut(&net::UdpSocket) -> io::Result<usize> + use<'a>> {
        let op = move |socket: &net::UdpSocket| socket.recv(buf);
        Operation::new(&self.source, Direction::Read, Unpolled::new(&"recv"), op)
    }

    /// Waits for a message, and says how long it is and where it came from.
    ///
    /// # Errors
    ///
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](UdpSocket::recv).
    #[track_caller]
    pub fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> Operation<'a, net::UdpSocket, impl FnMut(&net::UdpSocket) -> io::Result<(usize, SocketAddr)> + use<'a>> {
        let op = move |socket: &net::UdpSocket| socket.recv_from(buf);
        Operation::new(&self.source, Direction::Read, Unpolled::new(&"recv_from"), op)
    }

    /// Waits for a message and looks at it, as [`recv_from`](UdpSocket::recv_from) does, without taking it.
    ///
    /// ```
    /// # use handcar_io_reactor::UdpSocket;
    /// # handcar_executor::run(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.send_to(b"to myself", socket.local_addr()?).await?;
    /// let mut buf = [0; 64];
    /// let (_, from) = socket.peek_from(&mut buf).await?;
    /// assert_eq!(socket.recv_from(&mut buf).await?, (9, from));
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](UdpSocket::recv).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: nothing is taken.
    #[track_caller]
    pub fn peek_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> Operation<'a, net::UdpSocket, impl FnMut(&net::UdpSocket) -> io::Result<(usize, SocketAddr)> + use<'a>> {
        let op = move |socket: &net::UdpSocket| socket.peek_from(buf);
        Operation::new(&self.source, Direction::Read, Unpolled::new(&"peek_from"), op)
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

    /// Waits until something can be sent: see [`Source::writable`].
    ///
    /// # Errors
    ///
    /// As [`readable`](UdpSocket::readable).
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](UdpSocket::readable).
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

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.get_ref().fmt(f)
    }
}

/// Makes a socket: see [`UdpSocket::bind`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct UdpBind(LookupHost);

impl Future for UdpBind {
    type Output = io::Result<UdpSocket>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<UdpSocket>> {
        self.0.poll_first(cx, |addr| UdpSocket::from_std(net::UdpSocket::bind(addr)?))
    }
}

/// Makes an address the peer: see [`UdpSocket::connect`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct UdpConnect<'a> {
    socket: &'a UdpSocket,
    lookup: LookupHost,
}

impl Future for UdpConnect<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket.source.get_ref();
        self.lookup.poll_first(cx, |addr| socket.connect(addr))
    }
}
