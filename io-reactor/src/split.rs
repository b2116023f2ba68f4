//! Two halves that borrow one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::TcpStream;
use crate::delegate::{delegate_read, delegate_write};
use crate::into_split::Duplex;

/// The reading half of a stream: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a, S = TcpStream>(pub(crate) &'a S);

impl<S> ReadHalf<'_, S> {
    /// The whole stream, for everything but reading: addresses, options, [`peek`](TcpStream::peek).
    pub fn stream(&self) -> &S {
        self.0
    }
}

/// The writing half of a stream: see [`TcpStream::split`]. `close` ends the sending direction; dropping it does nothing.
#[derive(Debug)]
pub struct WriteHalf<'a, S = TcpStream>(pub(crate) &'a S);

impl<S> WriteHalf<'_, S> {
    /// The whole stream, for everything but writing: addresses, options.
    pub fn stream(&self) -> &S {
        self.0
    }
}

delegate_read!(ReadHalf<'_, S>, of any S);
delegate_write!(WriteHalf<'_, S>, of any S);
