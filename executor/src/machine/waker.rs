//! The waker: a number.
//!
//! A [`Waker`] must be `Send + Sync`. Anyone may clone, wake or drop it, on any thread, after its task or even its runtime
//! has ended. Most runtimes pay for that with a reference-counted task whose memory other threads help to free. Here the
//! waker's data word is not a pointer at all:
//!
//! ```text
//!     63            48 47            32 31                             0
//!    +----------------+----------------+--------------------------------+
//!    | executor       | generation     | slot                           |      vtable: one static
//!    +----------------+----------------+--------------------------------+
//!      which runtime    which tenant     which slot of its slab
//!                       of the slot
//! ```
//!
//! Cloning copies a word, dropping does nothing, and two wakers are the same exactly if their words are. To wake means to
//! look the number up: on the runtime's own thread that is an index into its slab, from anywhere else it is a letter to the
//! runtime's [mailbox](super::mailbox). A number whose task has ended finds an empty slot or a tenant of another generation,
//! and nothing happens.
//!
//! Generations wrap and executor numbers are used again. The worst that a mistaken number can do is one spurious poll, which
//! every future has to bear anyway. So **an id may only wake**: whatever must hit the right task (cancel, join) holds the
//! task itself.

use std::fmt;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::machine::{context, mailbox};

/// Half of the word is the slot, a quarter each the generation and the executor: 32, 16 and 16 bits, or 16, 8 and 8.
const SLOT_BITS: u32 = usize::BITS / 2;
const QUARTER_BITS: u32 = usize::BITS / 4;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;
const QUARTER_MASK: usize = (1 << QUARTER_BITS) - 1;

/// The most slots of one runtime; the last number is left free as "none" for the links of the run queue.
pub(crate) const MAX_SLOTS: usize = SLOT_MASK;

/// The most runtimes of one process; number 0 is never given out.
pub(crate) const MAX_EXECUTORS: usize = QUARTER_MASK;

/// What a waker carries, and what identifies a task while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(usize);

impl TaskId {
    /// No task: executor 0 does not exist.
    pub(crate) const NONE: TaskId = TaskId(0);

    #[allow(clippy::cast_possible_truncation)] // the halves and quarters are cut to size on purpose
    pub(crate) fn new(executor: u16, generation: u16, slot: u32) -> TaskId {
        TaskId((executor as usize) << (SLOT_BITS + QUARTER_BITS) | (generation as usize) << SLOT_BITS | slot as usize)
    }

    /// The generation after `generation`, within its bits.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn next_generation(generation: u16) -> u16 {
        ((generation as usize + 1) & QUARTER_MASK) as u16
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn executor(self) -> u16 {
        (self.0 >> (SLOT_BITS + QUARTER_BITS)) as u16
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn generation(self) -> u16 {
        (self.0 >> SLOT_BITS & QUARTER_MASK) as u16
    }

    /// The number, for an atomic.
    pub(crate) fn as_word(self) -> usize {
        self.0
    }

    pub(crate) fn from_word(word: usize) -> TaskId {
        TaskId(word)
    }

    pub(crate) fn slot(self) -> usize {
        self.0 & SLOT_MASK
    }

    /// The waker with this number.
    #[inline]
    pub(crate) fn waker(self) -> Waker {
        // SAFETY: `Waker::new` asks that the functions of `VTABLE` keep the contract of `RawWaker`. They are safe functions
        // that never dereference the data word, own no resource, and touch nothing but thread-locals and the mailbox behind
        // its lock, so any thread may call them in any order, any number of times.
        unsafe { Waker::new(ptr::without_provenance(self.0), &VTABLE) }
    }

    /// Wakes whoever lives in the slot now, if it is still the tenant that was meant.
    #[inline]
    pub(crate) fn wake(self) {
        match context::with_current(|core| (core.address.executor == self.executor()).then(|| core.mark(self))) {
            Some(Some(None)) => {}
            Some(Some(Some(ready))) => ready.wake_parent(),
            Some(None) | None => mailbox::send(self),
        }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| RawWaker::new(data, &VTABLE),
    |data| TaskId(data.addr()).wake(),
    |data| TaskId(data.addr()).wake(),
    |_| {},
);

/// Slot and generation: `#7.2` is the second tenant of slot 7.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.slot(), self.generation())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self} of executor {})", self.executor())
    }
}
