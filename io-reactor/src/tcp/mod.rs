//! TCP. Read in this order: `stream`, `transfer` (reading, writing and looking ahead), `connect`, `listener`; the rest is small.

mod connect;
mod listener;
mod options;
mod stream;
mod transfer;

pub use connect::Connect;
pub use listener::{Bind, TcpListener};
pub use stream::TcpStream;
pub use transfer::Peek;
