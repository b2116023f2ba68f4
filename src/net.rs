//! The network: TCP, UDP, Unix sockets, and the lookup of names.
//!
//! Sockets wait through the reactor, which comes into being with the first of them. They are read and written through the
//! traits of `futures-io`, as `T` and as `&T`, so the extension methods of `futures` and `futures-lite` work on them.

pub use handcar_io_reactor::{
    Accept, Bind, Connect, Duplex, Incoming, Listener, LookupHost, OwnedReadHalf, OwnedWriteHalf, Peek, ReadHalf,
    ReuniteError, Source, TcpListener, TcpStream, ToSocketAddrs, UdpBind, UdpConnect, UdpSocket, UnixConnect,
    UnixDatagram, UnixListener, UnixSendTo, UnixStream, WriteHalf, lookup_host,
};
