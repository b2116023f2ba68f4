//! Moving bytes: reading and writing.
//!
//! **A short read leaves nothing behind, with one exception.** When a peer has sent file descriptors along, or credentials are
//! wanted, a read ends where those lie, with more bytes behind it and no further edge to say so. A `read` does not tell; `recvmsg`
//! does, by a flag: what came along had no room. Then the next read is made.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use handcar_executor::budget;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, recvmsg};

use super::UnixStream;
use crate::delegate::{delegate_read, delegate_write};
use crate::into_split::sealed::ShutDown;
use crate::ready::Direction;
use crate::transfer::{one_call, room, send, send_vectored};

impl AsyncRead for &UnixStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, &mut [IoSliceMut::new(buf)])
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let range = one_call(bufs);
        self.poll_receive(cx, &mut bufs[range])
    }
}

impl AsyncWrite for &UnixStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll_write_up_to(cx, buf.len(), |stream| send(stream, buf))
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

delegate_read!(UnixStream);
delegate_write!(UnixStream);

impl UnixStream {
    /// Reads, and notes when less came than there was room for and nothing came along.
    fn poll_receive(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>]) -> Poll<io::Result<usize>> {
        if room(bufs) == 0 {
            // As `read` does. `recvmsg` would wait, and then take what comes along, for no byte.
            ready!(budget::poll(cx));
            budget::spend();
            return Poll::Ready(Ok(0));
        }
        let received = ready!(self.source.poll_read_with(cx, |stream| {
            Ok(recvmsg(stream, bufs, &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?)
        }))?;
        if !received.flags.contains(ReturnFlags::CTRUNC) {
            self.source.site(Direction::Read).note_progress(received.bytes, room(bufs));
        }
        Poll::Ready(Ok(received.bytes))
    }
}
