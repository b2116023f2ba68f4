//! Everywhere but on Linux: the crate `polling`, which knows kqueue, event ports and poll.
//!
//! Where the system has edges they are used, as on Linux: registered once for both directions and never touched again.
//! Where it has not (event ports, plain `poll`), each event disarms its descriptor, and whoever waits next arms it again
//! for the directions that somebody awaits.
//!
//! `polling` does not report that the peer has closed its side. So here a short read never means "drained": data and the
//! end of the stream may have come as one edge, and only a call that would block proves that nothing is left.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use handcar_executor::park::Notify;
use polling::{Event, Events, PollMode, Poller};

use super::EVENTS;
use crate::reactor::Key;
use crate::ready::Ready;

pub(crate) struct Selector {
    poller: Arc<Notifier>,
    events: RefCell<Events>,
}

struct Notifier(Poller);

impl Selector {
    /// Whether a read or write of less than was asked for may be taken to say that the next would block.
    pub(crate) const SHORT_MEANS_DRAINED: bool = false;

    pub(crate) fn new() -> io::Result<Selector> {
        let poller = Arc::new(Notifier(Poller::new()?));
        let capacity = NonZeroUsize::new(EVENTS).expect("there is room for an event");
        Ok(Selector { poller, events: RefCell::new(Events::with_capacity(capacity)) })
    }

    /// Registers `fd`: with edges for both directions at once, else for none as yet.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        let (interest, mode) = if self.is_oneshot() {
            (Event::none(key.word()), PollMode::Oneshot)
        } else {
            (Event::all(key.word()), PollMode::Edge)
        };
        // SAFETY: `Poller` asks that the descriptor be deleted from it before it is closed. The only caller is
        // `Reactor::watch` for a `Source`, which owns what `fd` was borrowed from, hands out only shared references to
        // it, and calls `remove` before it drops it or gives it away. (A leaked source never closes its descriptor. One
        // whose `as_fd` answers with another descriptor each time harms itself alone: `Poller` uses the number as a name,
        // and an event for it wakes at worst a task that finds nothing.)
        unsafe { self.poller.0.add_with_mode(fd.as_raw_fd(), interest, mode) }
    }

    /// Forgets `fd`, which must still be open.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.0.delete(fd)
    }

    /// Waits until something has happened, for at most `timeout`, and tells `report` of each event.
    pub(crate) fn wait(&self, timeout: Option<Duration>, mut report: impl FnMut(Key, Ready)) -> io::Result<()> {
        let events = &mut *self.events.borrow_mut();
        events.clear();
        self.poller.0.wait(events, timeout)?;
        for event in events.iter() {
            let ready = Ready { read: event.readable, write: event.writable, irregular: false };
            report(Key::from_word(event.key), ready);
        }
        Ok(())
    }

    pub(super) fn poller(&self) -> &Poller {
        &self.poller.0
    }

    pub(crate) fn notifier(&self) -> Arc<dyn Notify> {
        self.poller.clone()
    }

    /// Whether an event disarms its descriptor.
    pub(crate) fn is_oneshot(&self) -> bool {
        !self.poller.0.supports_edge()
    }

    /// Asks for one more event, of reading or of writing.
    pub(crate) fn rearm(&self, fd: BorrowedFd<'_>, key: Key, [read, write]: [bool; 2]) -> io::Result<()> {
        self.poller.0.modify(fd, Event::new(key.word(), read, write))
    }
}

impl Notify for Notifier {
    fn notify(&self) {
        // An error here is the system's refusal to write to a descriptor that is open and empty.
        let _ = self.0.notify();
    }
}
