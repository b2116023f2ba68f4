//! The heap of deadlines: which timer is due next, and where each one is.
//!
//! The heap is 4-ary and holds 16-byte entries; a table by key knows each one's place, so that dropping a timer removes it
//! at once and leaves no tombstone. Equal deadlines fire in the order in which they were armed. A hierarchical wheel was
//! measured beside it and gained nothing once arming was staged.
//!
//! An entry that moves within the heap writes its new place down without reading what is there: its timer may lie anywhere, and to wait
//! until that has come from memory was half the time of a removal among a hundred thousand.
//!
//! Nothing here calls anybody: no waker is woken or dropped, and none cloned that is more than a number; and nothing grows, if
//! what it [`lacks`](TimerHeap::lacks) was given it before.

use std::mem;
use std::task::Waker;

use crate::kept::{is_plain, keep_plain};

/// Children of a heap entry.
const ARITY: usize = 4;

pub(crate) struct TimerHeap {
    table: Vec<Timer>,
    /// The key in the table that was left last: the first of a list, which `u32::MAX` ends.
    left: u32,
    heap: Vec<Entry>,
    staged: Vec<Entry>,
    next_order: u32,
}

pub(crate) struct Timer {
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
pub(crate) struct Entry {
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

impl Default for TimerHeap {
    fn default() -> TimerHeap {
        TimerHeap { table: Vec::new(), left: u32::MAX, heap: Vec::new(), staged: Vec::new(), next_order: 0 }
    }
}

impl TimerHeap {
    /// The capacity that its lists have to be given before one more timer is armed, if they lack room for it. Each entry belongs to a key in the
    /// table. So if each list has room for as many as the table, nothing else here allocates.
    pub(crate) fn lacks(&self) -> Option<usize> {
        let room = self.table.capacity().min(self.heap.capacity()).min(self.staged.capacity());
        let is_full = self.left == u32::MAX && self.table.len() >= room;
        is_full.then(|| (2 * self.table.len()).max(4))
    }

    pub(crate) fn table(&mut self) -> &mut Vec<Timer> {
        &mut self.table
    }

    pub(crate) fn heap(&mut self) -> &mut Vec<Entry> {
        &mut self.heap
    }

    pub(crate) fn staged(&mut self) -> &mut Vec<Entry> {
        &mut self.staged
    }

    /// Arms a timer that gets its deadline, `nanos` from then on, when it is [settled](TimerHeap::settle).
    pub(crate) fn stage(&mut self, nanos: u64, waker: Waker) -> u32 {
        if nanos == NEVER {
            return self.insert(NEVER, waker);
        }
        let key = self.insert(STAGED + self.staged.len() as u64, waker);
        let entry = self.entry(nanos, key);
        self.staged.push(entry);
        key
    }

    /// As [`stage`](TimerHeap::stage), the fast path: the waker is a plain number, and nothing has to grow.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn stage_fast(&mut self, nanos: u64, waker: &Waker) -> Option<u32> {
        let (key, staged) = (self.left, self.staged.len());
        if nanos == NEVER || staged == self.staged.capacity() {
            return None;
        }
        let timer = self.table.get_mut(key as usize)?; // u32::MAX is no key
        mem::forget(timer.waker.replace(keep_plain(waker)?)); // there was none
        self.left = mem::replace(&mut timer.word, STAGED + staged as u64) as u32;
        let entry = self.entry(nanos, key);
        self.staged.push(entry);
        Some(key)
    }

    /// As [`remove`](TimerHeap::remove), the fast path: it was staged last, and its waker, a plain number, need not be dropped.
    #[inline]
    pub(crate) fn remove_fast(&mut self, key: u32) -> bool {
        let Some(timer) = self.table.get_mut(key as usize) else { return false };
        let is_last = timer.word == STAGED + self.staged.len() as u64 - 1;
        if !is_last || !timer.waker.as_ref().is_some_and(is_plain) {
            return false;
        }
        mem::forget(timer.waker.take());
        timer.word = mem::replace(&mut self.left, key).into();
        self.staged.pop();
        true
    }

    /// Arms a timer with a deadline.
    pub(crate) fn arm(&mut self, nanos: u64, waker: Waker) -> u32 {
        let key = self.insert(NEVER, waker);
        self.push(nanos, key);
        key
    }

    /// Gives an armed timer another deadline. False if it has fired.
    pub(crate) fn rearm(&mut self, key: u32, nanos: u64) -> bool {
        let Some(place) = self.place(key) else { return false };
        self.clear(place);
        self.push(nanos, key);
        true
    }

    /// Removes a timer and returns whom it would have woken, if it was armed.
    #[inline]
    pub(crate) fn remove(&mut self, key: u32) -> Option<Waker> {
        let timer = &mut self.table[key as usize];
        let before = mem::replace(&mut self.left, key);
        let (waker, word) = (timer.waker.take(), mem::replace(&mut timer.word, before.into()));
        if waker.is_some() {
            self.clear(word);
        }
        waker
    }

    /// Whom an armed timer wakes.
    ///
    /// # Errors
    ///
    /// Has the deadline of one that has fired.
    pub(crate) fn waker(&mut self, key: u32) -> Result<&mut Waker, u64> {
        let Timer { waker, word } = &mut self.table[key as usize];
        waker.as_mut().ok_or(*word)
    }

    /// Gives those that are staged their deadlines.
    pub(crate) fn settle(&mut self, now: u64) {
        let mut staged = mem::take(&mut self.staged);
        for entry in staged.drain(..) {
            self.push_entry(Entry { nanos: now.saturating_add(entry.nanos), ..entry });
        }
        self.staged = staged; // its memory is used again
    }

    /// Takes out the next one that is due, and returns whom it wakes.
    pub(crate) fn fire(&mut self, now: u64) -> Option<Waker> {
        let first = *self.heap.first().filter(|first| first.nanos <= now)?;
        self.take_out(0);
        let timer = &mut self.table[first.key as usize];
        timer.word = first.nanos;
        timer.waker.take()
    }

    /// The earliest deadline of those that have one.
    pub(crate) fn first(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.nanos)
    }

    pub(crate) fn deadline(&self, key: u32) -> u64 {
        match self.place(key) {
            None => self.table[key as usize].word,
            Some(at @ ..STAGED) => self.heap[usize::try_from(at).expect("a place is a u32")].nanos,
            Some(_) => NEVER,
        }
    }

    pub(crate) fn is_staged(&self, key: u32) -> bool {
        self.place(key).is_some_and(|place| (STAGED..NEVER).contains(&place))
    }

    /// How many are armed, those not counted that never fire.
    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.staged.len()
    }

    #[allow(clippy::cast_possible_truncation)] // four thousand million timers do not fit into memory
    fn insert(&mut self, place: u64, waker: Waker) -> u32 {
        let key = self.left;
        let timer = Timer { waker: Some(waker), word: place };
        if let Some(left) = self.table.get_mut(key as usize) {
            self.left = left.word as u32;
            *left = timer; // its waker is gone
            return key;
        }
        self.table.push(timer); // u32::MAX is no key
        self.table.len() as u32 - 1
    }

    /// The place of a timer, if it is armed.
    fn place(&self, key: u32) -> Option<u64> {
        let timer = &self.table[key as usize];
        timer.waker.is_some().then_some(timer.word)
    }

    fn set_place(&mut self, key: u32, place: u64) {
        self.table[key as usize].word = place;
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // a place is a u32
    fn clear(&mut self, place: u64) {
        match place {
            ..STAGED => self.take_out(place as usize),
            STAGED..NEVER => self.unstage((place - STAGED) as usize),
            NEVER => {}
        }
    }

    fn entry(&mut self, nanos: u64, key: u32) -> Entry {
        self.next_order = self.next_order.wrapping_add(1);
        Entry { nanos, order: self.next_order, key }
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

    fn take_out(&mut self, at: usize) {
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
