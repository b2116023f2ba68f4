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
use crate::unchecked::{Borrow, UncheckedRefCell};

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
    books: UncheckedRefCell<Books>,
}

struct Books {
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
        let (table, blocks) = (Vec::new(), Slab::new());
        let books = Books { table, empty: NONE, head: NONE, tail: NONE, before: NONE, blocks, generation: 0 };
        Slots { executor: TaskId::of_executor(executor), books: UncheckedRefCell::new(books) }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // it is nothing
    fn books(&self) -> Borrow<'_, Books> {
        // SAFETY: each method below has let go when it returns, and those that grow before they allocate. Until then it calls
        // nothing that could come back here: no destructor, no allocator, and no panic, for what it indexes is a living task's slot;
        // of other files `Ready::push`, which says the same, and what `Core` gives to `pop`.
        unsafe { self.books.borrow_mut() }
    }

    /// Whether there is room for one more task.
    #[inline]
    #[track_caller]
    pub(crate) fn expect_room(&self) {
        let is_room = self.has_room();
        assert!(is_room, "a runtime holds at most {MAX_SLOTS} tasks: wait for some to end");
    }

    #[inline]
    fn has_room(&self) -> bool {
        let books = self.books();
        books.empty != NONE || books.table.len() < MAX_SLOTS
    }

    /// A slot for a task, queued for its first poll.
    #[inline(never)] // one copy for all types of tasks
    pub(crate) fn insert_task(&self, task: Rc<dyn Run>) -> TaskId {
        {
            let books = &mut *self.books();
            let number = books.empty;
            if let Some(slot) = books.table.get_mut(number as usize) {
                books.empty = slot.link;
                slot.link = NONE;
                mem::forget(slot.task.replace(task)); // it had none
                let id = self.executor.at(slot.generation, number);
                books.append(number);
                return id;
            }
        }
        self.insert_as_last(task) // NONE is no slot's number
    }

    /// No slot is empty: one more.
    #[cold]
    #[inline(never)]
    #[allow(clippy::cast_possible_truncation)] // a slot's number is below MAX_SLOTS
    fn insert_as_last(&self, task: Rc<dyn Run>) -> TaskId {
        let number = self.books().table.len();
        let capacity = self.books().table.capacity();
        if number == capacity {
            // SAFETY: nothing is borrowed, as in `books`.
            unsafe { self.books.grow((2 * number).max(4), |books| &mut books.table) };
            return self.insert_task(task);
        }
        let books = &mut *self.books();
        books.table.push(Slot { generation: 1, queued: true, slow: false, link: NONE, task: Some(task) });
        books.append(number as u32);
        self.executor.at(1, number as u32)
    }

    /// A block for children from `first` on. Returns the number of the first.
    #[track_caller]
    pub(crate) fn insert_block(&self, ready: Rc<Ready>, first: u32) -> TaskId {
        let is_room = self.books().blocks.len() < MAX_BLOCKS;
        assert!(is_room, "a runtime has no room for more children: wait for some to end");
        while self.books().has_only_taken_blocks() {
            self.grow_blocks();
        }
        let books = &mut *self.books();
        books.generation = TaskId::next_generation(books.generation);
        let block = books.blocks.insert(Block { generation: books.generation, first, ready });
        self.executor.at_block(books.generation, block)
    }

    /// As [`grow`](UncheckedRefCell::grow), of a slab.
    #[cold]
    fn grow_blocks(&self) {
        let capacity = (2 * self.books().blocks.len()).max(4);
        let mut larger = Slab::with_capacity(capacity);
        {
            let books = &mut *self.books();
            if books.has_only_taken_blocks() && books.blocks.len() < larger.capacity() {
                for block in books.blocks.drain() {
                    larger.insert(block); // at the place that it had
                }
                mem::swap(&mut books.blocks, &mut larger);
            }
        }
        drop(larger); // the memory from before
    }

    /// Queues the task that `id` names. False if it was queued already, or lives no more.
    #[inline(always)]
    #[allow(clippy::inline_always)] // into `Core::mark`, which is its only caller
    pub(crate) fn wake(&self, id: TaskId) -> bool {
        let books = &mut *self.books();
        let Some(slot) = books.table.get_mut(id.slot() as usize) else {
            return false;
        };
        if slot.generation != id.generation() || slot.queued {
            return false;
        }
        slot.queued = true;
        slot.link = NONE;
        books.append(id.slot());
        true
    }

    /// Puts a child into its parent's ready list. The caller wakes the parent.
    pub(crate) fn wake_child(&self, id: TaskId) -> Option<Waker> {
        let books = self.books();
        let (ready, child) = books.child(id)?;
        ready.push(child)
    }

    /// The combinator that a child belongs to, if it lives, and the child's index there.
    pub(crate) fn child(&self, id: TaskId) -> Option<(Rc<Ready>, u32)> {
        self.books().child(id).map(|(ready, child)| (Rc::clone(ready), child))
    }

    /// Takes the last task out of the run queue, if that is `id`. It still counts as queued, and has to be put back.
    pub(crate) fn set_aside(&self, id: TaskId) -> bool {
        let books = &mut *self.books();
        let is_last = id != TaskId::NONE && books.tail == id.slot();
        if is_last && books.head == books.tail {
            (books.head, books.tail) = (NONE, NONE);
        } else if is_last {
            books.tail = books.before;
            books.table[books.tail as usize].link = NONE;
        }
        is_last
    }

    /// Puts it at the end.
    pub(crate) fn put_back(&self, id: TaskId) {
        self.books().append(id.slot());
    }

    /// Takes the next task from the run queue; it stays in its slot. `if_slow` is called under the borrow: it may not come back here.
    #[inline]
    pub(crate) fn pop(&self, if_slow: impl FnOnce()) -> Option<Rc<dyn Run>> {
        let books = &mut *self.books();
        let slot = books.table.get_mut(books.head as usize)?; // NONE is no slot's number
        slot.queued = false;
        books.head = slot.link;
        if slot.link == NONE {
            books.tail = NONE;
        }
        if slot.slow {
            slot.slow = false;
            if_slow();
        }
        slot.task.clone()
    }

    /// Empties a finished task's slot, unless it is queued: then it comes by once more.
    #[inline]
    pub(crate) fn retire(&self, id: TaskId) -> Option<Rc<dyn Run>> {
        let books = &mut *self.books();
        let slot = &mut books.table[id.slot() as usize];
        if slot.queued {
            return None;
        }
        slot.generation = TaskId::next_generation(slot.generation);
        (slot.queued, slot.slow) = (true, false);
        slot.link = mem::replace(&mut books.empty, id.slot());
        slot.task.take()
    }

    /// Notes that the polls of a task are slow, if it lives.
    pub(crate) fn note_slow(&self, id: TaskId) {
        if let Some(slot) = self.books().table.get_mut(id.slot() as usize)
            && slot.generation == id.generation()
            && id != TaskId::NONE
        {
            slot.slow = true;
        }
    }

    /// Gives back the block whose first child has this number.
    pub(crate) fn remove_block(&self, first: TaskId) {
        let block = self.books().blocks.try_remove(first.block_and_place().0); // it is there; a panic would be one under the borrow
        drop(block);
    }

    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        self.books().head != NONE
    }

    /// Every task, in the order of their slots.
    pub(crate) fn tasks(&self) -> Vec<Rc<dyn Run>> {
        let mut tasks = Vec::with_capacity(self.len());
        let room = tasks.capacity();
        tasks.extend(self.books().table.iter().filter_map(|slot| slot.task.clone()).take(room));
        tasks
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.books().table.iter().filter(|slot| slot.task.is_some()).count()
    }

    /// The task that `id` names, if it lives.
    pub(crate) fn task(&self, id: TaskId) -> Option<Rc<dyn Run>> {
        let task = self.books().table.get(id.slot() as usize)?.task.clone()?;
        (task.header().id.get() == id).then_some(task)
    }
}

impl Books {
    fn has_only_taken_blocks(&self) -> bool {
        self.blocks.len() == self.blocks.capacity()
    }

    #[allow(clippy::cast_possible_truncation)]
    fn child(&self, id: TaskId) -> Option<(&Rc<Ready>, u32)> {
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
}
