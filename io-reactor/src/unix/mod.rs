//! Unix sockets. Read in this order: `address`, `retry` (what has no event), `stream`, `listener`, `datagram`.

mod address;
mod datagram;
mod listener;
mod retry;
mod stream;

pub use datagram::{UnixDatagram, UnixSendTo};
pub use listener::UnixListener;
pub use stream::{UnixConnect, UnixStream};
