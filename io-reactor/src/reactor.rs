//! The reactor: the parker of a runtime that does I/O.
//!
//! It keeps one [`Entry`] for each source, asks the selector what has happened, notes it in the entries and wakes who
//! waits. It is made when the first source is, and takes the thread parker's place in mid-run; a runtime without I/O opens
//! no descriptor.
//!
//! **A key** is the index of an entry with the generation it was made in. The system hands it back with every event. A
//! descriptor may be closed, and its index given to another, between the moment when the kernel queued an event and the
//! moment when we read it; then the generation differs and nothing happens. (Should it ever wrap round to the same number,
//! the harm is one system call that says "would block".)
//!
//! **Wakers are foreign code.** They may belong to another executor, drop a source, make one, or panic. So none is cloned,
//! woken or dropped under a borrow: [`park`](Reactor::park) collects them in a list and wakes them when the entries are
//! free again, and one that panics does not keep the others from being woken.
//!
//! **Descriptors run out.** A task that was told so by `accept` waits until one is given back; the reactor sees each source
//! close. That event has an entry like any other, without a descriptor behind it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use handcar_executor::let_go;
use handcar_executor::park::{self, Notify, Park};
use slab::Slab;

use crate::entry::{Entry, Place, Surplus};
use crate::ready::{Direction, Ready};
use crate::selector::Selector;

/// Half of a word is the index, half the generation: 32 bits each, or 16 where a word has 32.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

/// Names an entry, in the books and to the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl Key {
    fn new(index: usize, generation: u32) -> Key {
        Key((generation as usize) << INDEX_BITS | index)
    }

    fn index(self) -> usize {
        self.0 & INDEX_MASK
    }

    /// Whether it was made in `generation`, as far as its bits go.
    fn is_of(self, generation: u32) -> bool {
        self == Key::new(self.index(), generation)
    }

    /// The key that an event carries.
    pub(crate) fn from_word(word: usize) -> Key {
        Key(word)
    }

    pub(crate) fn word(self) -> usize {
        self.0
    }
}

/// Waits for all descriptors of a runtime at once, and wakes the tasks that wait for one.
///
/// Sources install it by themselves, so a program hardly ever needs to name it.
///
/// ```
/// use handcar_executor::park::Park;
/// use handcar_io_reactor::Reactor;
///
/// # fn main() -> std::io::Result<()> {
/// let reactor = Reactor::new()?;
/// reactor.notifier().notify(); // from any thread: ends the park that runs, or the next one
/// reactor.park(None)?;
/// assert!(!reactor.is_watching());
/// # Ok(())
/// # }
/// ```
pub struct Reactor {
    pub(crate) selector: Selector,
    entries: RefCell<Slab<Entry>>,
    /// Of the newest entry. A slab forgets what it has removed, so the count is one for all.
    generation: Cell<u32>,
    /// How many wakers lie in the entries.
    waiting: Cell<usize>,
    /// The list in which `park` collects wakers, kept for its capacity.
    woken: Cell<Vec<Waker>>,
    /// The entry of those who wait for a source to close, and how many have.
    closing: Key,
    closings: Cell<usize>,
}

impl Reactor {
    /// Makes a reactor, which opens the descriptors that it needs for itself.
    ///
    /// # Errors
    ///
    /// What the system says when there are no more descriptors; on Linux before 5.11, that a newer one is needed.
    pub fn new() -> io::Result<Reactor> {
        let closing = Entry::new(0, Ready::UNKNOWN);
        let mut entries = Slab::new();
        let closing = Key::new(entries.insert(closing), 0);
        Ok(Reactor {
            selector: Selector::new()?,
            entries: RefCell::new(entries),
            generation: Cell::new(0),
            waiting: Cell::new(0),
            woken: Cell::new(Vec::new()),
            closing,
            closings: Cell::new(0),
        })
    }

    /// The reactor of the current runtime, made and installed if this is the first that needs it.
    ///
    /// A host with a loop of its own waits for its descriptor, which is readable when the runtime has something to do: see
    /// [`Runtime::turn`](handcar_executor::Runtime::turn).
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use handcar_executor::Runtime;
    /// use handcar_io_reactor::Reactor;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::new()?;
    /// let reactor = runtime.enter(Reactor::current)?;
    /// let for_the_hosts_loop = reactor.as_fd();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Reactor::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> io::Result<Rc<Reactor>> {
        park::installed(Reactor::new)
    }

    /// Whether the current runtime waits here.
    pub(crate) fn is_current(self: &Rc<Self>) -> bool {
        park::is_current(self)
    }

    pub(crate) fn ensure_current(self: &Rc<Self>) -> io::Result<()> {
        if self.is_current() { Ok(()) } else { Err(elsewhere()) }
    }

    /// Opens an entry for a descriptor of which `ready` is known or hoped. The system hears of it when a task first waits.
    pub(crate) fn register(&self, ready: Ready) -> io::Result<Key> {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let index = self.entries.borrow_mut().insert(Entry::new(generation, ready));
        if index >= INDEX_MASK {
            self.entries.borrow_mut().remove(index);
            return Err(io::Error::other("the reactor has no room for another source"));
        }
        Ok(Key::new(index, generation))
    }

    /// Has the system watch `fd` from now on. It begins with what `fd` is ready for by then, so nothing is missed.
    #[cold]
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        self.selector.add(fd, key)?;
        self.entries.borrow_mut()[key.index()].is_watched = true;
        Ok(())
    }

    /// Closes the entry. Comes before the descriptor is closed, so that its number cannot belong to another by now.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>, key: Key) {
        let mut left_behind = Vec::new();
        let mut entry = self.entries.borrow_mut().remove(key.index());
        entry.take_waiting(Direction::Read, &mut left_behind);
        entry.take_waiting(Direction::Write, &mut left_behind);
        self.waiting.set(self.waiting.get() - left_behind.len());
        if entry.is_watched {
            // Should the system refuse, its events carry a key that nobody knows: the books are right either way.
            let _ = self.selector.remove(fd);
        }

        self.closings.set(self.closings.get().wrapping_add(1));
        let mut woken = Vec::new();
        self.entries.borrow_mut()[self.closing.index()].take_waiting(Direction::Read, &mut woken);
        self.wake(&mut woken);
        for waker in left_behind {
            let_go(Some(waker));
        }
    }

    pub(crate) fn is_ready(&self, key: Key, direction: Direction) -> bool {
        self.entries.borrow()[key.index()].ready.is(direction)
    }

    /// Notes that an operation would have blocked.
    pub(crate) fn clear(&self, key: Key, direction: Direction) {
        self.entries.borrow_mut()[key.index()].ready.clear(direction);
    }

    /// Notes that an operation did less than it was asked to, which saves the one that would block.
    #[inline]
    pub(crate) fn fell_short(&self, key: Key, direction: Direction) {
        if Selector::SHORT_MEANS_DRAINED {
            let entry = &mut self.entries.borrow_mut()[key.index()];
            if !entry.ready.irregular {
                entry.ready.clear(direction);
            }
        }
    }

    /// Notes what no event will tell, and wakes who waits for it.
    pub(crate) fn report(&self, key: Key, news: Ready) {
        let mut woken = Vec::new();
        self.entries.borrow_mut()[key.index()].report(news, &mut woken);
        self.wake(&mut woken);
    }

    /// Lets a task wait for one direction of `fd`: at a place that it will give up, or by poll.
    pub(crate) fn wait(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        direction: Direction,
        place: Option<&mut Option<Place>>,
        waker: &Waker,
    ) -> io::Result<()> {
        if !self.entries.borrow()[key.index()].is_watched {
            self.watch(fd, key)?;
        }
        self.enrol(key, direction, place, waker);
        if self.selector.is_oneshot() {
            let interest = {
                let entry = &self.entries.borrow()[key.index()];
                [Direction::Read, Direction::Write].map(|direction| entry.is_awaited(direction))
            };
            self.selector.rearm(fd, key, interest)?;
        }
        Ok(())
    }

    /// Lets a task wait until a source closes and gives its descriptor back; only closings from now on count.
    pub(crate) fn wait_for_closing(&self, place: &mut Option<Place>, waker: &Waker) {
        self.enrol(self.closing, Direction::Read, Some(place), waker);
    }

    /// How many sources have closed: who has seen the number change need not wait.
    pub(crate) fn closings(&self) -> usize {
        self.closings.get()
    }

    pub(crate) fn leave_closing(&self, place: Place) {
        self.leave(self.closing, place);
    }

    /// Gives up a place that `wait` gave out.
    pub(crate) fn leave(&self, key: Key, place: Place) {
        let left = self.entries.borrow_mut()[key.index()].leave(place);
        self.waiting.set(self.waiting.get() - usize::from(left.is_some()));
        let_go(left);
    }

    #[inline]
    fn enrol(&self, key: Key, direction: Direction, place: Option<&mut Option<Place>>, waker: &Waker) {
        let waker = waker.clone();
        let surplus = self.entries.borrow_mut()[key.index()].wait(direction, place, waker);
        match surplus {
            None => self.waiting.set(self.waiting.get() + 1),
            Some(Surplus::Dropped(waker)) => let_go(Some(waker)),
            Some(Surplus::PutOut(waker)) => park::wake_all(&mut vec![waker]), // whose panic is not this one's
        }
    }

    /// Wakes all whose wakers were taken from the entries, and empties the list.
    fn wake(&self, woken: &mut Vec<Waker>) {
        self.waiting.set(self.waiting.get() - woken.len());
        park::wake_all(woken);
    }
}

impl Park for Reactor {
    fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut woken = self.woken.take();
        let waited = {
            let entries = &mut *self.entries.borrow_mut();
            self.selector.wait(timeout, |key, news| {
                let entry = entries.get_mut(key.index());
                let Some(entry) = entry.filter(|entry| key.is_of(entry.generation())) else {
                    return; // the source has gone since the kernel queued this
                };
                entry.report(news, &mut woken);
                if self.selector.is_oneshot() {
                    // The event has disarmed both directions: whoever waits for the other one has to arm it again.
                    entry.take_waiting(Direction::Read, &mut woken);
                    entry.take_waiting(Direction::Write, &mut woken);
                }
            })
        };
        self.wake(&mut woken);
        self.woken.set(woken);
        waited
    }

    fn is_watching(&self) -> bool {
        self.waiting.get() > 0
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.selector.notifier()
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("sources", &(self.entries.borrow().len() - 1))
            .field("waiting", &self.waiting.get())
            .finish_non_exhaustive()
    }
}

#[cold]
fn elsewhere() -> io::Error {
    io::Error::other(
        "the source waits for the reactor of the runtime that made it, which does not run here: \
         make it in the runtime that uses it",
    )
}
