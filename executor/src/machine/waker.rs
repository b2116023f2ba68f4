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

/// Set in the slot's number of a child of a combinator: below it are the number of a block and the place in it.
const CHILD: usize = 1 << (SLOT_BITS - 1);
/// A block has 64 children.
pub(crate) const BLOCK: usize = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 6;

/// The most tasks, and the most blocks of children, of one runtime.
pub(crate) const MAX_SLOTS: usize = CHILD;
pub(crate) const MAX_BLOCKS: usize = CHILD >> BLOCK_BITS;
/// The most runtimes of one process; number 0 is never given out.
pub(crate) const MAX_EXECUTORS: usize = QUARTER_MASK;

/// What a waker carries, and what identifies a task while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) usize);

impl TaskId {
    /// No task: executor 0 does not exist.
    pub(crate) const NONE: TaskId = TaskId(0);

    #[allow(clippy::cast_possible_truncation)] // the halves and quarters are cut to size on purpose
    pub(crate) fn new(executor: u16, generation: u16, slot: u32) -> TaskId {
        TaskId((executor as usize) << (SLOT_BITS + QUARTER_BITS) | (generation as usize) << SLOT_BITS | slot as usize)
    }

    /// The first child of a block; from it the one `at_place`.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn of_block(executor: u16, generation: u16, block: usize) -> TaskId {
        TaskId::new(executor, generation, (CHILD | block << BLOCK_BITS) as u32)
    }

    pub(crate) fn at_place(self, place: usize) -> TaskId {
        TaskId(self.0 | place)
    }

    pub(crate) fn is_child(self) -> bool {
        self.0 & CHILD != 0
    }

    /// A child's block, and its place there.
    pub(crate) fn block_and_place(self) -> (usize, usize) {
        ((self.0 & (CHILD - 1)) >> BLOCK_BITS, self.0 & (BLOCK - 1))
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

    pub(crate) fn slot(self) -> usize {
        self.0 & SLOT_MASK
    }

    /// The number of a waker, unless it is a stranger's.
    #[inline]
    pub(crate) fn of(waker: &Waker) -> Option<TaskId> {
        ptr::eq(waker.vtable(), &raw const VTABLE).then(|| TaskId(waker.data().addr()))
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
            Some(Some(Some(parent))) => parent.wake(),
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

/// Slot and generation: `#7.2` is the second tenant of slot 7. A child of a combinator has a block and a place: `#3/17.5`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_child() {
            let (block, place) = self.block_and_place();
            return write!(f, "#{block}/{place}.{}", self.generation());
        }
        write!(f, "#{}.{}", self.slot(), self.generation())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self} of executor {})", self.executor())
    }
}
