//! Moving bytes through a stream, whatever its kind.
//!
//! Reading and writing are [`Source`]'s operations and one thing more: a call that moved fewer bytes than it was given room
//! for has emptied, or filled, the socket's buffer, and the next one would say "would block". It is not made.

use std::io::{self, IoSlice};
use std::ops::{Deref, Range};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use crate::ready::Direction;
use crate::source::Source;

/// How many buffers one system call takes (`IOV_MAX` of all systems that matter).
const BUFFERS: usize = 1024;

/// `write` and `writev` would raise `SIGPIPE` when the peer has gone, which ends a program whose `main` is not Rust's.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
/// Apple has the socket's own option instead, which the standard library and socket2 set.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

impl<T: AsFd> Source<T> {
    /// Reads, and notes when less came than there was room for.
    #[inline]
    pub(crate) fn poll_read_up_to(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.poll_read_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.site(Direction::Read).note_progress(n, room);
        }
        polled
    }

    /// Writes, and notes when less went than was there.
    #[inline]
    pub(crate) fn poll_write_up_to(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let polled = self.poll_write_with(cx, op);
        if let Poll::Ready(Ok(n)) = polled {
            self.site(Direction::Write).note_progress(n, len);
        }
        polled
    }
}

/// The buffers that one system call takes, from the first that is not empty: a call that moved nothing would be taken for the end.
pub(crate) fn one_call<B: Deref<Target = [u8]>>(bufs: &[B]) -> Range<usize> {
    let start = bufs.iter().position(|buf| !buf.is_empty()).unwrap_or(0);
    start..bufs.len().min(start + BUFFERS)
}

/// How many bytes the buffers have together.
pub(crate) fn room<B: Deref<Target = [u8]>>(bufs: &[B]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

pub(crate) fn send(socket: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, NO_SIGNAL)?)
}

pub(crate) fn send_vectored(socket: &impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), NO_SIGNAL)?)
}
