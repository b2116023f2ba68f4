//! Listening: the Unix socket that others connect to.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use handcar_executor::unpolled::Unpolled;
use socket2::{Domain, Socket, Type};

use super::UnixStream;
use super::address::address;
use crate::accept::sealed::Accepting;
use crate::accept::{Accept, Arrivals, BACKLOG, Incoming, pass_over};
use crate::source::Source;

/// A Unix socket that listens for connections.
///
/// ```
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
/// use handcar_executor::spawn;
/// use handcar_io_reactor::{UnixListener, UnixStream};
///
/// handcar_executor::run(async {
///     let path = std::env::temp_dir().join(format!("handcar-doc-{}", std::process::id()));
///     let listener = UnixListener::bind(&path)?;
///     let server = spawn(async move {
///         let (mut stream, _) = listener.accept().await?;
///         stream.write_all(b"hello").await
///     });
///
///     let mut stream = UnixStream::connect(&path).await?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     assert_eq!(answer, "hello");
///     server.await.unwrap()?;
///     std::fs::remove_file(path)
/// })
/// .unwrap();
/// ```
pub struct UnixListener(Arrivals<net::UnixListener>);

impl UnixListener {
    /// Listens at `path`, where the system makes a file of the kind "socket"; on Linux also in the abstract namespace, with a name
    /// that has a zero byte before it.
    ///
    /// The file stays when the listener has gone, and nobody can listen there before it is removed: remove it, once you know that
    /// it is nobody else's.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that cannot be such a path, and what the system says: `AddrInUse` if the file exists, `NotFound`,
    /// `PermissionDenied`, ...
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let addr = address(path.as_ref())?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&addr)?;
        socket.listen(BACKLOG)?;
        UnixListener::from_std(socket.into())
    }

    /// Makes a listener of one of the standard library, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// As [`Source::new`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        Ok(UnixListener(Arrivals::new(Source::new(listener)?)))
    }

    /// Gives back the standard library's listener, non-blocking as it is.
    pub fn into_std(self) -> net::UnixListener {
        self.0.source.into_inner()
    }

    /// Waits for the next connection, as [`TcpListener::accept`](crate::TcpListener::accept) does.
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
    pub fn accept(&self) -> Accept<'_, UnixListener> {
        Accept::new(self, Unpolled::new(&"accept"))
    }

    /// The connections, one after the other, as a stream that never ends.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use handcar_io_reactor::{UnixListener, UnixStream};
    /// # handcar_executor::run(async {
    /// # let path = std::env::temp_dir().join(format!("handcar-doc-incoming-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// let _client = UnixStream::connect(&path).await?;
    /// let stream: UnixStream = listener.incoming().next().await.expect("it never ends")?;
    /// # std::fs::remove_file(path)
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`accept`](UnixListener::accept).
    pub fn incoming(&self) -> Incoming<'_, UnixListener> {
        Incoming::new(self)
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.source.get_ref().local_addr()
    }
}

impl Accepting for UnixListener {
    type Socket = net::UnixListener;
    type Stream = UnixStream;
    type Addr = SocketAddr;

    fn arrivals(&self) -> &Arrivals<net::UnixListener> {
        &self.0
    }

    fn take(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, peer) = self.0.source.get_ref().accept().map_err(pass_over)?;
        stream.set_nonblocking(true)?;
        Ok((UnixStream::register(self.0.source.reactor().clone(), stream)?, peer))
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.source.as_fd()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source.get_ref().fmt(f)
    }
}
