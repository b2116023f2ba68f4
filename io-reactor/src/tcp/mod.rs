//! TCP: listening, connecting, and the stream of bytes.

mod connect;
mod into_split;
mod listener;
mod split;
mod stream;

pub use connect::Connect;
pub use into_split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use listener::{Accept, Bind, Incoming, TcpListener};
pub use split::{ReadHalf, WriteHalf};
pub use stream::{Peek, TcpStream};
