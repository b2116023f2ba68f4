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
//!      which runtime    which tenant     which of its slots
//!                       of the slot
//! ```
//!
//! The executor's first bit says that its runtime looks for deadlocks: such a waker is counted by `kept.rs` where it is cloned and dropped.
//! Of all others cloning copies a word, dropping does nothing, and two wakers are the same exactly if their words are. To wake means to
//! look the number up: on the runtime's own thread that is an index into its slots, from anywhere else it is a letter to the
//! runtime's [mailbox](super::mailbox). A number whose task has ended finds an empty slot or a tenant of another generation,
//! and nothing happens.
//!
//! Generations wrap and executor numbers are used again. The worst that a mistaken number can do is one spurious poll, which
//! every future has to bear anyway. So **an id may only wake**: whatever must hit the right task (cancel, join) holds the
//! task itself.

use std::ptr;
use std::task::{RawWakerVTable, Waker};

use crate::kept;
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
pub(crate) const MAX_EXECUTORS: usize = QUARTER_MASK >> 1;
/// Set in the executor's number if clones are counted.
pub(crate) const COUNTS: u16 = 1 << (QUARTER_BITS - 1);

/// What a waker carries, and what identifies a task while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) usize);

impl TaskId {
    /// No task: executor 0 does not exist.
    pub(crate) const NONE: TaskId = TaskId(0);

    /// A number with an executor in it, and nothing else.
    pub(crate) fn of_executor(executor: u16) -> TaskId {
        TaskId((executor as usize) << (SLOT_BITS + QUARTER_BITS))
    }

    /// A task of that executor.
    #[inline]
    pub(crate) fn at(self, generation: u16, slot: u32) -> TaskId {
        TaskId(self.0 | (generation as usize) << SLOT_BITS | slot as usize)
    }

    /// The first child of a block; from it the one `at_place`.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn at_block(self, generation: u16, block: usize) -> TaskId {
        self.at(generation, (CHILD | block << BLOCK_BITS) as u32)
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

    /// Whether clones of its waker are counted: the word's first bit.
    #[inline]
    pub(crate) fn is_counted(self) -> bool {
        self.0.cast_signed() < 0
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

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn slot(self) -> u32 {
        (self.0 & SLOT_MASK) as u32
    }

    /// The number of a waker, unless it is a stranger's.
    #[inline]
    pub(crate) fn of(waker: &Waker) -> Option<TaskId> {
        ptr::eq(waker.vtable(), &raw const VTABLE).then(|| TaskId(waker.data().addr()))
    }

    /// The waker with this number.
    #[inline]
    pub(crate) fn waker(self) -> Waker {
        self.waker_with(&VTABLE)
    }

    /// One with [`VTABLE`], or with that of `kept.rs`.
    #[inline]
    pub(crate) fn waker_with(self, vtable: &'static RawWakerVTable) -> Waker {
        // SAFETY: `Waker::new` asks that the functions of the vtable keep the contract of `RawWaker`. Those of both are safe functions
        // that never dereference the data word, own no memory, and touch nothing but thread-locals and the mailbox behind
        // its locks, so any thread may call them in any order, any number of times.
        unsafe { Waker::new(ptr::without_provenance(self.0), vtable) }
    }

    /// Wakes whoever lives in the slot now, if it is still the tenant that was meant.
    #[inline(never)] // one copy: 1.4 KB less, for an instruction more
    pub(crate) fn wake(self) {
        let is_here = context::with_current(|core| {
            if core.address.executor != self.executor() {
                return false;
            }
            if self.is_child() {
                core.mark_child(self);
            } else {
                core.mark(self);
            }
            true
        });
        if is_here != Some(true) {
            mailbox::send(self);
        }
    }
}

pub(crate) static VTABLE: RawWakerVTable = RawWakerVTable::new(
    kept::clone,
    |data| kept::wake(TaskId(data.addr())),
    |data| TaskId(data.addr()).wake(),
    |data| kept::dropped(TaskId(data.addr())),
);
