//! Linux: epoll, spoken to directly.
//!
//! `polling` makes five system calls for each wait here, because it keeps a timer descriptor and re-arms its own notifier;
//! tokio makes one, and so do we. Its `Poller` still opens and owns the epoll descriptor, so that the runtime has the same
//! one on every system, but its `wait` must never be called: it would take the edges of our sources into its own list.
//!
//! * **`RDHUP` is not optional.** When data and the end of the stream arrive together there is one edge. A reader that
//!   takes a short read for "drained" would then wait for an edge that has already been; `RDHUP` in the event tells it to
//!   read on. `PRI` does the same for urgent data: a read stops short at the mark, with more behind it.
//! * **`epoll_pwait2`** takes nanoseconds. With `epoll_wait` a sleep of 250 us takes a whole millisecond. It came with
//!   Linux 5.11, and there is no way around it here: a kernel without it is refused at the start, in words.
//! * **The notifier** is an eventfd that nobody reads. Registered with `ET`, each write to it is a new edge; its counter
//!   would take five centuries at a billion notifications a second to run full.

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use handcar_executor::park::{Notify, less_slack};
use polling::Poller;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use super::EVENTS;
use crate::reactor::Key;
use crate::ready::Ready;

/// The notifier's key, which no source ever has: an event that wakes nobody still ends the wait.
const NOTIFIER: u64 = u64::MAX;

pub(crate) struct Selector {
    poller: Poller,
    notifier: Arc<Notifier>,
    events: RefCell<Vec<epoll::Event>>,
}

struct Notifier(OwnedFd);

#[allow(clippy::unused_self)] // the portable one's methods need it
impl Selector {
    /// Whether a read or write of less than was asked for may be taken to say that the next would block.
    pub(crate) const SHORT_MEANS_DRAINED: bool = true;

    pub(crate) fn new() -> io::Result<Selector> {
        let poller = Poller::new()?;
        let notifier = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poller, &notifier, EventData::new_u64(NOTIFIER), flags)?;
        let events = RefCell::new(Vec::with_capacity(EVENTS));
        let selector = Selector { poller, notifier: Arc::new(Notifier(notifier)), events };
        selector.wait(Some(Duration::ZERO), |_, _| {}).map_err(explain)?;
        Ok(selector)
    }

    /// Registers `fd` for both directions, once and for all.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI;
        let data = EventData::new_u64(key.word() as u64);
        Ok(epoll::add(&self.poller, fd, data, both | EventFlags::ET)?)
    }

    /// Forgets `fd`, which must still be open.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.poller, fd)?)
    }

    /// Waits until something has happened, for at most `timeout`, and tells `report` of each event.
    pub(crate) fn wait(&self, timeout: Option<Duration>, mut report: impl FnMut(Key, Ready)) -> io::Result<()> {
        // What does not fit is longer than any machine runs: for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(less_slack(timeout)).ok());
        let events = &mut *self.events.borrow_mut();
        events.clear();
        match epoll::wait(&self.poller, spare_capacity(events), timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()), // a wait may end early: the loop will ask again
            Err(error) => return Err(error.into()),
        }
        for event in events {
            // A word was put in, so none is lost in the way back.
            #[allow(clippy::cast_possible_truncation)]
            report(Key::from_word(event.data.u64() as usize), ready(event.flags));
        }
        Ok(())
    }

    pub(super) fn poller(&self) -> &Poller {
        &self.poller
    }

    pub(crate) fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }

    /// Whether an event disarms its descriptor. Edges never do.
    pub(crate) fn is_oneshot(&self) -> bool {
        false
    }

    pub(crate) fn rearm(&self, _: BorrowedFd<'_>, _: Key, _: [bool; 2]) -> io::Result<()> {
        unreachable!("edges are never re-armed")
    }
}

impl Notify for Notifier {
    fn notify(&self) {
        // It can fail only when the counter is full, and then the edge of the last write is yet to be seen.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

fn ready(flags: EventFlags) -> Ready {
    let failed = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    let irregular = failed || flags.intersects(EventFlags::RDHUP | EventFlags::PRI);
    Ready {
        read: irregular || flags.contains(EventFlags::IN),
        write: failed || flags.contains(EventFlags::OUT),
        irregular,
    }
}

fn explain(error: io::Error) -> io::Error {
    // A sandbox made before the call existed may answer EPERM in place of ENOSYS.
    if !matches!(Errno::from_io_error(&error), Some(Errno::NOSYS | Errno::PERM)) {
        return error;
    }
    io::Error::new(
        io::ErrorKind::Unsupported,
        "Handcar's reactor needs Linux 5.11 or newer: this kernel, or the sandbox around it, has no epoll_pwait2",
    )
}
