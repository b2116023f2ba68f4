//! Moving bytes: reading, writing and looking ahead.
//!
//! They are implemented for `&TcpStream`, so several tasks may read and write one stream.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use handcar_executor::unpolled::Unpolled;

use super::TcpStream;
use crate::delegate::{delegate_read, delegate_write};
use crate::into_split::sealed::ShutDown;
use crate::ready::Direction;
use crate::site::Stand;
use crate::source::Source;
use crate::transfer::{one_call, room, send_vectored};

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source.poll_read_up_to(cx, buf.len(), |mut stream| stream.read(buf))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let range = one_call(bufs);
        let bufs = &mut bufs[range];
        self.source.poll_read_up_to(cx, room(bufs), |mut stream| stream.read_vectored(bufs))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_write_up_to(cx, buf.len(), |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = &bufs[one_call(bufs)];
        self.source.poll_write_up_to(cx, room(bufs), |stream| send_vectored(stream, bufs))
    }

    /// Does nothing: what was written is with the system already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the sending direction.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end_sending())
    }
}

delegate_read!(TcpStream);
delegate_write!(TcpStream);

/// Looks at bytes without taking them: see [`TcpStream::peek`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Peek<'a> {
    stream: &'a net::TcpStream,
    buf: &'a mut [u8],
    /// Gone when there was something to see.
    stand: Option<Stand<'a>>,
}

impl<'a> Peek<'a> {
    #[track_caller]
    pub(super) fn new(source: &'a Source<net::TcpStream>, buf: &'a mut [u8]) -> Peek<'a> {
        let stand = Stand::new(source.site(Direction::Read), Unpolled::new(&"peek"));
        Peek { stream: source.get_ref(), buf, stand: Some(stand) }
    }
}

impl Future for Peek<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let stand = this.stand.as_mut().expect("`Peek` polled after it was ready");
        let polled = stand.poll_io(cx, || this.stream.peek(this.buf));
        if polled.is_ready() {
            this.stand = None;
        }
        polled
    }
}
