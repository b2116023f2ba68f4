//! The options of a connection.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::TcpStream;

/// The most seconds that fit.
const MOST_LINGER: u64 = (1 << 31) - 1;

impl TcpStream {
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
    /// when the stream is dropped. The system counts whole seconds: to them it is rounded up.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        let whole =
            |linger: Duration| linger.as_secs().saturating_add(u64::from(linger.subsec_nanos() > 0)).min(MOST_LINGER);
        SockRef::from(self.source.get_ref()).set_linger(linger.map(|linger| Duration::from_secs(whole(linger))))
    }

    /// Takes the error that is pending on the socket, if one is (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// If the system cannot say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get_ref().take_error()
    }
}
