//! Unix sockets. Read in this order: `address`, `retry` (what has no event of its own), `stream`, `transfer` (reading and writing),
//! `connect`, `listener`, `datagram`.

mod address;
mod connect;
mod datagram;
mod listener;
mod retry;
mod stream;
mod transfer;

pub use connect::UnixConnect;
pub use datagram::{UnixDatagram, UnixSendTo};
pub use listener::UnixListener;
pub use stream::UnixStream;
