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

use crate::kept::keep;
use crate::time::clock::{Clock, Instant};

/// Children of a heap entry.
const ARITY: usize = 4;

pub(crate) struct Timers {
    pub(crate) clock: Clock,
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

enum Timer {
    Armed { place: Place, waker: Waker },
    Fired { at: Instant },
}

/// Where an armed timer's entry is.
#[derive(Clone, Copy)]
enum Place {
    Staged(u32),
    Heap(u32),
    Never,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Timer>() == 24);

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
    pub(crate) fn new(clock: Clock) -> Timers {
        Timers { clock, books: RefCell::default(), looked_at: Cell::default() }
    }

    /// Arms a timer that fires `nanos` after the next look. `u64::MAX` is never.
    pub(crate) fn arm_after(&self, nanos: u64, waker: Waker) -> u32 {
        self.books.borrow_mut().stage(nanos, waker)
    }

    /// Arms a timer that fires at `deadline`.
    pub(crate) fn arm_at(&self, deadline: Instant, waker: Waker) -> u32 {
        let mut books = self.books.borrow_mut();
        let key = books.insert(Place::Never, waker);
        books.push(deadline.nanos(), key);
        key
    }

    /// Moves an armed timer to `deadline`; whom it wakes stays. False if it has fired.
    pub(crate) fn rearm(&self, key: u32, deadline: Instant) -> bool {
        let mut books = self.books.borrow_mut();
        let armed = books.unplace(key);
        if armed {
            books.push(deadline.nanos(), key);
        }
        armed
    }

    /// Removes a timer and returns whom it would have woken, to be dropped or armed elsewhere. Every key is removed once, by
    /// the future that got it.
    pub(crate) fn disarm(&self, key: u32) -> Option<Waker> {
        let mut books = self.books.borrow_mut();
        let Timer::Armed { place, waker } = books.table.remove(key as usize) else { return None };
        books.clear(place);
        Some(waker)
    }

    /// The deadline of a timer that has fired; if it has not, it will wake `cx`.
    pub(crate) fn poll(&self, key: u32, cx: &Context<'_>) -> Poll<Instant> {
        let known = match &self.books.borrow().table[key as usize] {
            Timer::Fired { at } => return Poll::Ready(*at),
            Timer::Armed { waker, .. } => waker.will_wake(cx.waker()),
        };
        if !known {
            let mut new = keep(cx.waker()); // a stranger's code: the timer may have fired when it is back
            match &mut self.books.borrow_mut().table[key as usize] {
                Timer::Armed { waker, .. } => std::mem::swap(waker, &mut new),
                Timer::Fired { at } => return Poll::Ready(*at),
            }
        }
        Poll::Pending
    }

    /// A timer's deadline; a staged one gets it now.
    pub(crate) fn deadline(&self, key: u32) -> Instant {
        let is_staged = matches!(self.books.borrow().table[key as usize], Timer::Armed { place: Place::Staged(_), .. });
        if is_staged {
            self.settle(self.clock.now());
        }
        self.books.borrow().deadline(key)
    }

    pub(crate) fn has_fired(&self, key: u32) -> bool {
        matches!(self.books.borrow().table[key as usize], Timer::Fired { .. })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
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
            books.push_entry(Entry { nanos: now.nanos().saturating_add(entry.nanos), ..entry });
        }
        books.staged = staged; // its memory is used again
    }

    /// The earliest deadline. Call it when nothing is staged.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.books.borrow().heap.first().map(|entry| Instant::from_nanos(entry.nanos))
    }

    /// Takes the timers that are due out of the heap, their wakers into `due`, in order.
    pub(crate) fn fire(&self, now: Instant, due: &mut Vec<Waker>) {
        let mut books = self.books.borrow_mut();
        while let Some(&first) = books.heap.first()
            && first.nanos <= now.nanos()
        {
            books.remove(0);
            let fired = Timer::Fired { at: Instant::from_nanos(first.nanos) };
            if let Timer::Armed { waker, .. } = std::mem::replace(&mut books.table[first.key as usize], fired) {
                due.push(waker);
            }
        }
    }
}

impl Books {
    #[allow(clippy::cast_possible_truncation)] // four thousand million timers do not fit into memory
    fn insert(&mut self, place: Place, waker: Waker) -> u32 {
        self.table.insert(Timer::Armed { place, waker }) as u32
    }

    fn set_place(&mut self, key: u32, to: Place) {
        if let Timer::Armed { place, .. } = &mut self.table[key as usize] {
            *place = to;
        }
    }

    /// Takes an armed timer's entry away. False if the timer has fired.
    fn unplace(&mut self, key: u32) -> bool {
        let Timer::Armed { place, .. } = self.table[key as usize] else { return false };
        self.clear(place);
        self.set_place(key, Place::Never);
        true
    }

    #[inline]
    fn clear(&mut self, place: Place) {
        match place {
            Place::Staged(at) => self.unstage(at as usize),
            Place::Heap(at) => self.remove(at as usize),
            Place::Never => {}
        }
    }

    fn deadline(&self, key: u32) -> Instant {
        match self.table[key as usize] {
            Timer::Fired { at } => at,
            Timer::Armed { place: Place::Heap(at), .. } => Instant::from_nanos(self.heap[at as usize].nanos),
            Timer::Armed { .. } => Instant::NEVER,
        }
    }

    fn entry(&mut self, nanos: u64, key: u32) -> Entry {
        self.next_order = self.next_order.wrapping_add(1);
        Entry { nanos, order: self.next_order, key }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn stage(&mut self, nanos: u64, waker: Waker) -> u32 {
        if nanos == u64::MAX {
            return self.insert(Place::Never, waker);
        }
        let key = self.insert(Place::Staged(self.staged.len() as u32), waker);
        let entry = self.entry(nanos, key);
        self.staged.push(entry);
        key
    }

    #[allow(clippy::cast_possible_truncation)]
    fn unstage(&mut self, at: usize) {
        if at + 1 == self.staged.len() {
            self.staged.truncate(at); // most often: a timeout around something short
            return;
        }
        self.staged.swap_remove(at);
        self.set_place(self.staged[at].key, Place::Staged(at as u32));
    }

    fn push(&mut self, nanos: u64, key: u32) {
        let entry = self.entry(nanos, key);
        self.push_entry(entry);
    }

    fn push_entry(&mut self, entry: Entry) {
        if entry.nanos == u64::MAX {
            return self.set_place(entry.key, Place::Never);
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
        self.set_place(entry.key, Place::Heap(at as u32));
    }
}
