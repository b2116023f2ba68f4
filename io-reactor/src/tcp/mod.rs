//! TCP. Read in this order: `stream`, `transfer` (how bytes move), `connect`, `listener`, `accept`; the rest is small.

mod accept;
mod connect;
mod into_split;
mod listener;
mod options;
mod split;
mod stream;
mod transfer;

pub use accept::{Accept, Incoming};
pub use connect::Connect;
pub use into_split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use listener::{Bind, TcpListener};
pub use split::{ReadHalf, WriteHalf};
pub use stream::TcpStream;
pub use transfer::Peek;
