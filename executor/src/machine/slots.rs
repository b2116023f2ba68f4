//! Slots: where tasks live, and the run queue that runs through them.
//!
//! A waker names a slot. The slot says who lives there now, in which generation, and whether it is queued already. The run
//! queue is a plain FIFO list whose links are in the slots themselves, so queueing allocates nothing and a slot can be queued
//! only once:
//!
//! ```text
//!    head ---.                            .--- tail
//!            v                            v
//!    slot    4 --link--> 0 --link--> 7    .
//!            |           |           |
//!          task        task        task          Rc<dyn Run>, polled by the loop
//!
//!    block   2: 64 children of a combinator --> ready list of their parent (see delegate.rs)
//! ```
//!
//! During a look the last in line may be put aside: it comes back behind whom the look wakes (see `core.rs`).
//!
//! Only the loop empties a task's slot, and never while it is queued: a task that wakes itself in its last poll is popped
//! once more, found to be finished, and retired then.
//!
//! A slot is 24 bytes, and keeps its number: those without a tenant are a list by the same links, the last one left first. Each
//! counts its tenants; so a number is mistaken for a later one only if exactly a multiple of 65,536 came after it. (`slab` would
//! forget the count, and asks of each slot what it is.) Blocks, of which there are few, are in a slab and share one count.

use std::mem;
use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

use crate::machine::delegate::Ready;
use crate::machine::header::HasHeader;
use crate::machine::task::Run;
use crate::machine::waker::{MAX_BLOCKS, MAX_SLOTS, TaskId};

/// The end of a list: no slot has this number.
const NONE: u32 = u32::MAX;

struct Slot {
    /// Of the tenant, or of the next one.
    generation: u16,
    /// An empty slot counts as queued, so that no wake queues it.
    queued: bool,
    /// Whether its next poll ends a round: see `pace.rs`.
    slow: bool,
    /// The next in the run queue, or the next that is empty.
    link: u32,
    task: Option<Rc<dyn Run>>,
}

/// 64 children of one combinator.
struct Block {
    generation: u16,
    /// The index of the first of them among all.
    first: u32,
    ready: Rc<Ready>,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Slot>() == 24);

pub(crate) struct Slots {
    executor: TaskId,
    table: Vec<Slot>,
    /// The first that is empty.
    empty: u32,
    /// The run queue, and who was the last in it before the last one came, if that was not empty.
    head: u32,
    tail: u32,
    before: u32,
    blocks: Slab<Block>,
    /// Of the last block.
    generation: u16,
}

impl Slots {
    pub(crate) fn new(executor: u16) -> Slots {
        let executor = TaskId::of_executor(executor);
        let (table, blocks) = (Vec::new(), Slab::new());
        Slots { executor, table, empty: NONE, head: NONE, tail: NONE, before: NONE, blocks, generation: 0 }
    }

    /// Whether there is room for one more task.
    #[inline]
    #[track_caller]
    pub(crate) fn expect_room(&self) {
        let is_room = self.empty != NONE || self.table.len() < MAX_SLOTS;
        assert!(is_room, "a runtime holds at most {MAX_SLOTS} tasks: wait for some to end");
    }

    /// A slot for a task, queued for its first poll.
    #[inline(never)] // one copy for all types of tasks
    pub(crate) fn insert_task(&mut self, task: Rc<dyn Run>) -> TaskId {
        let number = self.empty;
        let Some(slot) = self.table.get_mut(number as usize) else {
            return self.insert_as_last(task); // NONE is no slot's number
        };
        self.empty = slot.link;
        slot.link = NONE;
        mem::forget(slot.task.replace(task)); // it had none
        let id = self.executor.at(slot.generation, number);
        self.append(number);
        id
    }

    /// No slot is empty: one more.
    #[cold]
    #[allow(clippy::cast_possible_truncation)] // a slot's number is below MAX_SLOTS
    fn insert_as_last(&mut self, task: Rc<dyn Run>) -> TaskId {
        self.empty = self.table.len() as u32;
        self.table.push(Slot { generation: 1, queued: true, slow: false, link: NONE, task: None });
        self.insert_task(task)
    }

    /// A block for children from `first` on. Returns the number of the first.
    #[track_caller]
    pub(crate) fn insert_block(&mut self, ready: Rc<Ready>, first: u32) -> TaskId {
        assert!(self.blocks.len() < MAX_BLOCKS, "a runtime has no room for more children: wait for some to end");
        self.generation = TaskId::next_generation(self.generation);
        let block = self.blocks.insert(Block { generation: self.generation, first, ready });
        self.executor.at_block(self.generation, block)
    }

    /// Queues the task that `id` names. False if it was queued already, or lives no more.
    #[inline(always)]
    #[allow(clippy::inline_always)] // into `Core::mark`, which is its only caller
    pub(crate) fn wake(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.table.get_mut(id.slot() as usize) else {
            return false;
        };
        if slot.generation != id.generation() || slot.queued {
            return false;
        }
        slot.queued = true;
        slot.link = NONE;
        self.append(id.slot());
        true
    }

    /// Puts a child into its parent's ready list. Who has ended the borrow wakes the parent.
    pub(crate) fn wake_child(&self, id: TaskId) -> Option<Waker> {
        let (ready, child) = self.child(id)?;
        ready.push(child)
    }

    /// The combinator that a child belongs to, if it lives, and the child's index there.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn child(&self, id: TaskId) -> Option<(&Ready, u32)> {
        let (block, place) = id.block_and_place();
        let block = self.blocks.get(block).filter(|block| block.generation == id.generation())?;
        Some((&block.ready, block.first + place as u32))
    }

    fn append(&mut self, slot: u32) {
        match self.table.get_mut(self.tail as usize) {
            Some(tail) => tail.link = slot,
            None => self.head = slot, // the queue was empty: NONE is no slot's number
        }
        self.before = mem::replace(&mut self.tail, slot);
    }

    /// Takes the last task out of the run queue, if that is `id`. It still counts as queued, and has to be put back.
    pub(crate) fn set_aside(&mut self, id: TaskId) -> bool {
        let is_last = id != TaskId::NONE && self.tail == id.slot();
        if is_last && self.head == self.tail {
            (self.head, self.tail) = (NONE, NONE);
        } else if is_last {
            self.tail = self.before;
            self.table[self.tail as usize].link = NONE;
        }
        is_last
    }

    /// Puts it at the end.
    pub(crate) fn put_back(&mut self, id: TaskId) {
        self.append(id.slot());
    }

    /// Takes the next task from the run queue; it stays in its slot.
    #[inline]
    pub(crate) fn pop(&mut self, if_slow: impl FnOnce()) -> Option<Rc<dyn Run>> {
        let slot = self.table.get_mut(self.head as usize)?; // NONE is no slot's number
        slot.queued = false;
        self.head = slot.link;
        if slot.link == NONE {
            self.tail = NONE;
        }
        if slot.slow {
            slot.slow = false;
            if_slow();
        }
        slot.task.clone()
    }

    /// Empties a finished task's slot, unless it is queued: then it comes by once more. The caller drops what it gets after
    /// the borrow.
    #[inline]
    pub(crate) fn retire(&mut self, id: TaskId) -> Option<Rc<dyn Run>> {
        let slot = &mut self.table[id.slot() as usize];
        if slot.queued {
            return None;
        }
        slot.generation = TaskId::next_generation(slot.generation);
        (slot.queued, slot.slow) = (true, false);
        slot.link = mem::replace(&mut self.empty, id.slot());
        slot.task.take()
    }

    /// Notes that the polls of a task are slow, if it lives.
    pub(crate) fn note_slow(&mut self, id: TaskId) {
        if let Some(slot) = self.table.get_mut(id.slot() as usize)
            && slot.generation == id.generation()
            && id != TaskId::NONE
        {
            slot.slow = true;
        }
    }

    /// Gives back the block whose first child has this number.
    pub(crate) fn remove_block(&mut self, first: TaskId) {
        self.blocks.remove(first.block_and_place().0);
    }

    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        self.head != NONE
    }

    /// Every task, in the order of their slots.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Rc<dyn Run>> {
        self.table.iter().filter_map(|slot| slot.task.as_ref())
    }

    /// The task that `id` names, if it lives.
    pub(crate) fn task(&self, id: TaskId) -> Option<&Rc<dyn Run>> {
        let task = self.table.get(id.slot() as usize)?.task.as_ref()?;
        (task.header().id.get() == id).then_some(task)
    }
}
