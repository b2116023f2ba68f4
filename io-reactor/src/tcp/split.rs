//! Two halves that borrow one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::TcpStream;
use crate::delegate::{delegate_read, delegate_write};

/// The reading half of a stream: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

impl ReadHalf<'_> {
    /// The whole stream, for everything but reading: addresses, options, [`peek`](TcpStream::peek).
    pub fn stream(&self) -> &TcpStream {
        self.0
    }
}

/// The writing half of a stream: see [`TcpStream::split`]. `close` ends the sending direction; dropping it does nothing.
#[derive(Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

impl WriteHalf<'_> {
    /// The whole stream, for everything but writing: addresses, options.
    pub fn stream(&self) -> &TcpStream {
        self.0
    }
}

delegate_read!(ReadHalf<'_>);
delegate_write!(WriteHalf<'_>);
