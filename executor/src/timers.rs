//! Timers: a heap of deadlines, and a waiting room for those that have none yet.
//!
//! ```text
//!     arm_after(duration) ---> staged ---- 2. the next look: deadline = its clock + duration ---.
//!       1. no clock read         |                                                              v
//!     arm_at(deadline) ----------|----------------------------------------------------------> heap --- 3. due ---> Fired
//!                                |                                                              |                 its waker
//!                                '---------------------- disarm: removed exactly --------------'                 is woken
//! ```
//!
//! Reading the clock costs more than all the rest of arming and disarming a timer, and most timers are timeouts that never
//! fire. So a relative timer is *staged*: it notes its duration, and gets its deadline at the loop's next look, which reads
//! the clock anyway. That makes it late by the time to the next look at most, and never early. A timeout that is armed and
//! dropped between two looks has not read the clock at all.
//!
//! The heap is 4-ary and holds 16-byte entries; a table by key knows each one's place, so that dropping a timer removes it
//! at once and leaves no tombstone. Equal deadlines fire in the order in which they were armed. A hierarchical wheel was
//! measured beside it and gained nothing once arming was staged.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::clock::Instant;

/// Children of a heap entry.
const ARITY: usize = 4;

#[derive(Default)]
pub(crate) struct Timers {
    books: RefCell<Books>,
    /// The clock at the last look: no timer has a deadline before it.
    looked_at: Cell<Instant>,
}

#[derive(Default)]
struct Books {
    table: Slab<Timer>,
    heap: Vec<Entry>,
    staged: Vec<Entry>,
    next_order: u32,
}

struct Timer {
    place: Place,
    waker: Option<Waker>,
}

/// Where a timer's entry is.
#[derive(Clone, Copy)]
enum Place {
    Staged(u32),
    Heap(u32),
    Fired,
    Never,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Nanoseconds: a deadline in the heap, a duration among the staged.
    nanos: u64,
    /// The order of arming, which may wrap: only entries of equal deadlines are compared by it.
    order: u32,
    key: u32,
}

impl Entry {
    fn is_before(self, other: Entry) -> bool {
        self.nanos < other.nanos || (self.nanos == other.nanos && self.order.wrapping_sub(other.order) > u32::MAX / 2)
    }
}

impl Timers {
    /// Arms a timer that fires `nanos` after the next look. `u64::MAX` is never.
    pub(crate) fn arm_after(&self, nanos: u64, waker: Waker) -> u32 {
        self.books.borrow_mut().arm(nanos, waker, true)
    }

    /// Arms a timer that fires at `deadline`.
    pub(crate) fn arm_at(&self, deadline: Instant, waker: Waker) -> u32 {
        self.books.borrow_mut().arm(deadline.nanos(), waker, false)
    }

    /// Removes a timer. Every key is removed once, by the future that got it.
    pub(crate) fn disarm(&self, key: u32) {
        let waker = {
            let mut books = self.books.borrow_mut();
            let timer = books.table.remove(key as usize);
            match timer.place {
                Place::Staged(at) => books.unstage(at as usize),
                Place::Heap(at) => books.remove(at as usize),
                Place::Fired | Place::Never => {}
            }
            timer.waker
        };
        drop(waker); // a stranger's destructor: after the borrow
    }

    /// Whether the timer has fired; if not, it will wake `cx`.
    pub(crate) fn poll(&self, key: u32, cx: &Context<'_>) -> Poll<()> {
        let old = {
            let mut books = self.books.borrow_mut();
            let timer = &mut books.table[key as usize];
            if matches!(timer.place, Place::Fired) {
                return Poll::Ready(());
            }
            if timer.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            timer.waker.take()
        };
        drop(old);
        let new = cx.waker().clone();
        let crossed = self.books.borrow_mut().table[key as usize].waker.replace(new);
        drop(crossed);
        Poll::Pending
    }

    /// A timer's deadline; a staged one gets it now. `now` reads the clock.
    pub(crate) fn deadline(&self, key: u32, now: impl FnOnce() -> Instant) -> Instant {
        if let Place::Staged(_) = self.place(key) {
            self.settle(now());
        }
        match self.place(key) {
            Place::Heap(at) => Instant::from_nanos(self.books.borrow().heap[at as usize].nanos),
            Place::Fired => self.looked_at.get(),
            Place::Never | Place::Staged(_) => Instant::NEVER,
        }
    }

    fn place(&self, key: u32) -> Place {
        self.books.borrow().table[key as usize].place
    }

    pub(crate) fn is_empty(&self) -> bool {
        let books = self.books.borrow();
        books.heap.is_empty() && books.staged.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        let books = self.books.borrow();
        books.heap.len() + books.staged.len()
    }

    /// The clock at the last look.
    pub(crate) fn looked_at(&self) -> Instant {
        self.looked_at.get()
    }

    /// Gives the staged timers their deadlines.
    pub(crate) fn settle(&self, now: Instant) {
        self.looked_at.set(now);
        let mut books = self.books.borrow_mut();
        let mut staged = std::mem::take(&mut books.staged);
        for entry in staged.drain(..) {
            books.push(Entry { nanos: now.nanos().saturating_add(entry.nanos), ..entry });
        }
        books.staged = staged; // its memory is used again
    }

    /// The earliest deadline. Call it when nothing is staged.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let books = self.books.borrow();
        debug_assert!(books.staged.is_empty(), "settle first");
        books.heap.first().map(|entry| Instant::from_nanos(entry.nanos))
    }

    /// Takes the timers that are due out of the heap, their wakers into `due`, in order.
    pub(crate) fn fire(&self, now: Instant, due: &mut Vec<Waker>) {
        let mut books = self.books.borrow_mut();
        while let Some(&first) = books.heap.first() {
            if first.nanos > now.nanos() {
                break;
            }
            books.remove(0);
            let timer = &mut books.table[first.key as usize];
            timer.place = Place::Fired;
            due.extend(timer.waker.take());
        }
    }
}

impl Books {
    #[allow(clippy::cast_possible_truncation)] // four thousand million timers do not fit into memory
    fn arm(&mut self, nanos: u64, waker: Waker, stage: bool) -> u32 {
        let key = self.table.insert(Timer { place: Place::Never, waker: Some(waker) }) as u32;
        if nanos == u64::MAX {
            return key;
        }
        let entry = Entry { nanos, order: self.next_order, key };
        self.next_order = self.next_order.wrapping_add(1);
        if stage {
            self.table[key as usize].place = Place::Staged(self.staged.len() as u32);
            self.staged.push(entry);
        } else {
            self.push(entry);
        }
        key
    }

    #[allow(clippy::cast_possible_truncation)]
    fn unstage(&mut self, at: usize) {
        self.staged.swap_remove(at);
        if let Some(moved) = self.staged.get(at) {
            self.table[moved.key as usize].place = Place::Staged(at as u32);
        }
    }

    fn push(&mut self, entry: Entry) {
        if entry.nanos == u64::MAX {
            self.table[entry.key as usize].place = Place::Never;
            return;
        }
        self.heap.push(entry);
        self.sift_up(self.heap.len() - 1, entry);
    }

    fn remove(&mut self, at: usize) {
        let Some(last) = self.heap.pop() else { return };
        if at == self.heap.len() {
            return; // it was the last one
        }
        if at > 0 && last.is_before(self.heap[(at - 1) / ARITY]) {
            self.sift_up(at, last);
        } else {
            self.sift_down(at, last);
        }
    }

    /// Puts `entry` at `at` or above, moving later ones down.
    fn sift_up(&mut self, mut at: usize, entry: Entry) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !entry.is_before(self.heap[parent]) {
                break;
            }
            self.place(at, self.heap[parent]);
            at = parent;
        }
        self.place(at, entry);
    }

    /// Puts `entry` at `at` or below, moving earlier ones up.
    fn sift_down(&mut self, mut at: usize, entry: Entry) {
        loop {
            let first = at * ARITY + 1;
            let end = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..end).reduce(|a, b| if self.heap[b].is_before(self.heap[a]) { b } else { a })
            else {
                break;
            };
            if !self.heap[least].is_before(entry) {
                break;
            }
            self.place(at, self.heap[least]);
            at = least;
        }
        self.place(at, entry);
    }

    #[allow(clippy::cast_possible_truncation)]
    fn place(&mut self, at: usize, entry: Entry) {
        self.heap[at] = entry;
        self.table[entry.key as usize].place = Place::Heap(at as u32);
    }
}
