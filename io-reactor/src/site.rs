//! A site: one direction of one source, as seen by an operation that may have to wait there.
//!
//! All I/O of Handcar runs through [`Site::poll_io`], which is the whole idea in one loop: try, and wait only when the
//! system says that it would block.

use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use handcar_executor::budget;
use handcar_executor::unpolled::Unpolled;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::entry::Place;
use crate::reactor::{Key, Reactor};
use crate::ready::Direction;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) reactor: &'a Rc<Reactor>,
    pub(crate) key: Key,
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) direction: Direction,
}

impl Site<'_> {
    /// Calls `op` until it does something else than to say that it would block, waiting in between.
    ///
    /// The waiter stands at `place`, or without one among those who wait by poll. Under another runtime than its own nobody
    /// would wake it: there an operation that need not wait is still done, and one that must is an error.
    #[inline]
    pub(crate) fn poll_io<R>(
        self,
        cx: &mut Context<'_>,
        mut place: Option<&mut Option<Place>>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(budget::poll(cx));
        loop {
            while self.is_ready() || !self.reactor.is_current() {
                match op() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.clear();
                        self.reactor.ensure_current()?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => {
                        budget::spend();
                        return Poll::Ready(result);
                    }
                }
            }
            self.wait(place.as_deref_mut(), cx)?;
            if !self.is_ready() {
                return Poll::Pending;
            }
            // The clone of a stranger's waker has turned the loop.
        }
    }

    /// Waits by poll until readiness is reported, and does nothing with it.
    pub(crate) fn poll_reported(self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(budget::poll(cx));
        if !self.is_ready() {
            self.reactor.ensure_current()?;
            self.wait(None, cx)?;
            if !self.is_ready() {
                return Poll::Pending;
            }
            // The clone of a stranger's waker has turned the loop.
        }
        budget::spend();
        Poll::Ready(Ok(()))
    }

    /// Asks the system whether the descriptor is ready now: what was reported may be used up, what was hoped untrue.
    pub(crate) fn check(self) -> io::Result<()> {
        let interest = match self.direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut [PollFd::from_borrowed_fd(self.fd, interest)], Some(&no_time))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }

    /// Notes that an operation would have blocked.
    #[inline]
    pub(crate) fn clear(self) {
        self.reactor.clear(self.key, self.direction);
    }

    /// Notes that an operation did `done` of the `asked` bytes.
    #[inline]
    pub(crate) fn note_progress(self, done: usize, asked: usize) {
        // Nothing at all is not short: it is the end of the stream, and stays readable.
        if 0 < done && done < asked {
            self.reactor.fell_short(self.key, self.direction);
        }
    }

    #[inline]
    fn is_ready(self) -> bool {
        self.reactor.is_ready(self.key, self.direction)
    }

    fn wait(self, place: Option<&mut Option<Place>>, cx: &Context<'_>) -> io::Result<()> {
        self.reactor.wait(self.fd, self.key, self.direction, place, cx.waker())
    }
}

/// A named future's stand at a site: it is given up when the future is dropped.
#[derive(Debug)]
pub(crate) struct Stand<'a> {
    site: Site<'a>,
    place: Option<Place>,
    pub(crate) unpolled: Unpolled,
}

impl<'a> Stand<'a> {
    pub(crate) fn new(site: Site<'a>, unpolled: Unpolled) -> Stand<'a> {
        Stand { site, place: None, unpolled }
    }

    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.unpolled.forget();
        self.site.poll_io(cx, Some(&mut self.place), op)
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let site = self.site;
        self.poll_io(cx, || site.check())
    }
}

impl Drop for Stand<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.site.reactor.leave(self.site.key, place);
        }
    }
}
