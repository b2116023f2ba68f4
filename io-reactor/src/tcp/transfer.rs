//! Moving bytes: reading, writing and looking ahead.
//!
//! Reading and writing are [`Source`]'s operations and one thing more: a call that moved fewer bytes than it was given room
//! for has emptied, or filled, the socket's buffer, and the next one would say "would block". It is not made.
//!
//! They are implemented for `&TcpStream`, so several tasks may read and write one stream.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use handcar_executor::unpolled::Unpolled;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::TcpStream;
use crate::delegate::{delegate_read, delegate_write};
use crate::ready::Direction;
use crate::site::Stand;
use crate::source::Source;

/// How many buffers one system call takes (`IOV_MAX` of all systems that matter).
const BUFFERS: usize = 1024;

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_up_to(cx, buf.len(), |mut stream| stream.read(buf))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = bufs.len().min(BUFFERS);
        let bufs = &mut bufs[..count];
        let room = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_read_up_to(cx, room, |mut stream| stream.read_vectored(bufs))
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_up_to(cx, buf.len(), |mut stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = &bufs[..bufs.len().min(BUFFERS)];
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_write_up_to(cx, len, |stream| send_vectored(stream, bufs))
    }

    /// Does nothing: what was written is with the system already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the sending direction. A connection that has gone altogether is closed already.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

delegate_read!(TcpStream);
delegate_write!(TcpStream);

impl TcpStream {
    /// Reads, and notes when less came than there was room for.
    #[inline]
    fn poll_read_up_to(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        op: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.source.poll_read_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.source.site(Direction::Read).note_progress(n, room);
        }
        polled
    }

    /// Writes, and notes when less went than was there.
    #[inline]
    fn poll_write_up_to(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        op: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.source.poll_write_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.source.site(Direction::Write).note_progress(n, len);
        }
        polled
    }
}

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

/// `writev` would raise `SIGPIPE` when the peer has gone, which ends a program whose `main` is not Rust's.
fn send_vectored(stream: &net::TcpStream, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    // Apple has the socket's own option instead, which the standard library and socket2 set.
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::empty();
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::NOSIGNAL;
    Ok(sendmsg(stream, bufs, &mut SendAncillaryBuffer::default(), flags)?)
}
