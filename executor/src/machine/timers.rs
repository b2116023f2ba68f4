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
//!
//! An entry that moves within the heap writes its new place down without reading what is there: its timer may lie anywhere, and to wait
//! until that has come from memory was half the time of a removal among a hundred thousand.

use std::cell::{Cell, RefCell};
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::kept::{keep, let_go_here};
use crate::time::clock::{Clock, Instant};

/// Children of a heap entry.
const ARITY: usize = 4;

pub(crate) struct Timers {
    pub(crate) clock: Clock,
    books: RefCell<Books>,
    /// The clock at the last look: no timer has a deadline before it.
    looked_at: Cell<Instant>,
}

struct Books {
    table: Vec<Timer>,
    /// The key in the table that was left last: the first of a list, which `u32::MAX` ends.
    left: u32,
    heap: Vec<Entry>,
    staged: Vec<Entry>,
    next_order: u32,
}

struct Timer {
    /// Whom an armed one wakes.
    waker: Option<Waker>,
    /// Of an armed one: its place in the heap, or [`STAGED`] and its place there, or [`NEVER`]. Of one that has fired: its deadline. Of a
    /// key that nobody has: the one that was left before it.
    word: u64,
}

/// Added to a place among the staged; those in the heap are less.
const STAGED: u64 = 1 << 32;
/// A place, a duration or a deadline that does not come.
const NEVER: u64 = u64::MAX;

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
    #[allow(clippy::needless_bitwise_bool)] // nobody can predict which of two is first
    fn is_before(self, other: Entry) -> bool {
        let is_first = self.order.wrapping_sub(other.order) > u32::MAX / 2;
        (self.nanos < other.nanos) | ((self.nanos == other.nanos) & is_first)
    }
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Timers {
        let (table, heap, staged) = (Vec::new(), Vec::new(), Vec::new());
        let books = Books { table, left: u32::MAX, heap, staged, next_order: 0 };
        Timers { clock, books: RefCell::new(books), looked_at: Cell::default() }
    }

    /// Arms a timer that fires `nanos` after the next look. [`NEVER`] is never.
    pub(crate) fn arm_after(&self, nanos: u64, waker: Waker) -> u32 {
        self.books.borrow_mut().stage(nanos, waker)
    }

    /// Arms a timer that fires at `deadline`.
    pub(crate) fn arm_at(&self, deadline: Instant, waker: Waker) -> u32 {
        let mut books = self.books.borrow_mut();
        let key = books.insert(NEVER, waker);
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

    /// Removes a timer. Every key is removed once, by the future that got it.
    #[inline(never)] // one copy, with what lets its waker go
    pub(crate) fn disarm(&self, key: u32) {
        let_go_here(self.take(key));
    }

    /// Removes a timer and returns whom it would have woken, to be armed elsewhere.
    #[inline]
    pub(crate) fn take(&self, key: u32) -> Option<Waker> {
        let mut books = self.books.borrow_mut();
        let (waker, word) = books.leave(key);
        if waker.is_some() {
            books.clear(word);
        }
        waker
    }

    /// The deadline of a timer that has fired; if it has not, it will wake `cx`.
    pub(crate) fn poll(&self, key: u32, cx: &Context<'_>) -> Poll<Instant> {
        let known = {
            let timer = &self.books.borrow().table[key as usize];
            let Some(waker) = &timer.waker else { return Poll::Ready(Instant::from_nanos(timer.word)) };
            waker.will_wake(cx.waker())
        };
        if !known {
            let new = keep(cx.waker()); // a stranger's code: the timer may have fired when it is back
            let mut books = self.books.borrow_mut();
            let timer = &mut books.table[key as usize];
            if timer.waker.is_none() {
                return Poll::Ready(Instant::from_nanos(timer.word));
            }
            let old = timer.waker.replace(new);
            drop(books);
            drop(old);
        }
        Poll::Pending
    }

    /// A timer's deadline; a staged one gets it now.
    pub(crate) fn deadline(&self, key: u32) -> Instant {
        let place = self.books.borrow().place(key);
        if place.is_some_and(|place| (STAGED..NEVER).contains(&place)) {
            self.settle(self.clock.now());
        }
        self.books.borrow().deadline(key)
    }

    pub(crate) fn has_fired(&self, key: u32) -> bool {
        self.books.borrow().place(key).is_none()
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
        let mut staged = mem::take(&mut books.staged);
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
            let timer = &mut books.table[first.key as usize];
            timer.word = first.nanos;
            due.extend(timer.waker.take());
        }
    }
}

impl Books {
    #[allow(clippy::cast_possible_truncation)] // four thousand million timers do not fit into memory
    fn insert(&mut self, place: u64, waker: Waker) -> u32 {
        let key = self.left;
        let timer = Timer { waker: Some(waker), word: place };
        if let Some(left) = self.table.get_mut(key as usize) {
            self.left = left.word as u32;
            *left = timer;
            return key;
        }
        self.table.push(timer); // u32::MAX is no key
        self.table.len() as u32 - 1
    }

    /// Leaves a key. Returns what its timer was.
    fn leave(&mut self, key: u32) -> (Option<Waker>, u64) {
        let timer = &mut self.table[key as usize];
        let before = mem::replace(&mut self.left, key);
        (timer.waker.take(), mem::replace(&mut timer.word, before.into()))
    }

    /// The place of a timer, if it is armed.
    fn place(&self, key: u32) -> Option<u64> {
        let timer = &self.table[key as usize];
        timer.waker.is_some().then_some(timer.word)
    }

    fn set_place(&mut self, key: u32, place: u64) {
        self.table[key as usize].word = place;
    }

    /// Takes an armed timer's entry away. False if the timer has fired.
    fn unplace(&mut self, key: u32) -> bool {
        let Some(place) = self.place(key) else { return false };
        self.clear(place);
        self.set_place(key, NEVER);
        true
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // a place is a u32
    fn clear(&mut self, place: u64) {
        match place {
            ..STAGED => self.remove(place as usize),
            STAGED..NEVER => self.unstage((place - STAGED) as usize),
            NEVER => {}
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn deadline(&self, key: u32) -> Instant {
        match self.place(key) {
            None => Instant::from_nanos(self.table[key as usize].word),
            Some(at @ ..STAGED) => Instant::from_nanos(self.heap[at as usize].nanos),
            Some(_) => Instant::NEVER,
        }
    }

    fn entry(&mut self, nanos: u64, key: u32) -> Entry {
        self.next_order = self.next_order.wrapping_add(1);
        Entry { nanos, order: self.next_order, key }
    }

    fn stage(&mut self, nanos: u64, waker: Waker) -> u32 {
        if nanos == NEVER {
            return self.insert(NEVER, waker);
        }
        let key = self.insert(STAGED + self.staged.len() as u64, waker);
        let entry = self.entry(nanos, key);
        self.staged.push(entry);
        key
    }

    fn unstage(&mut self, at: usize) {
        if at + 1 == self.staged.len() {
            self.staged.truncate(at); // most often: a timeout around something short
            return;
        }
        self.staged.swap_remove(at);
        self.set_place(self.staged[at].key, STAGED + at as u64);
    }

    fn push(&mut self, nanos: u64, key: u32) {
        let entry = self.entry(nanos, key);
        self.push_entry(entry);
    }

    fn push_entry(&mut self, entry: Entry) {
        if entry.nanos == NEVER {
            return self.set_place(entry.key, NEVER);
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
            self.put(at, self.heap[parent]);
            at = parent;
        }
        self.put(at, entry);
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
            self.put(at, self.heap[least]);
            at = least;
        }
        self.put(at, entry);
    }

    fn put(&mut self, at: usize, entry: Entry) {
        self.heap[at] = entry;
        self.set_place(entry.key, at as u64);
    }
}
