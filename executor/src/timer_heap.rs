//! The heap of deadlines: which timer is due next, and where each one is.
//!
//! ```text
//!     entries    0 . . heap . . | settled . . staged . .      to settle one is to let the heap grow by it
//!                 ^  ^     ^         ^
//!     table      each armed timer knows the place of its entry
//! ```
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
    /// The heap, and behind it those that are staged.
    entries: Vec<Entry>,
    /// How many the heap has.
    settled: usize,
    next_order: u32,
}

pub(crate) struct Timer {
    /// Whom an armed one wakes.
    waker: Option<Waker>,
    /// Of an armed one: the place of its entry, or [`NEVER`]. Of one that has fired: its deadline. Of a key that nobody has: the one that
    /// was left before it.
    word: u64,
}

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
        TimerHeap { table: Vec::new(), left: u32::MAX, entries: Vec::new(), settled: 0, next_order: 0 }
    }
}

impl TimerHeap {
    /// The capacity that table and entries have to be given before one more timer is armed, if there is no room for it. Each entry belongs
    /// to a key: so there is room for an entry where there is one for a key, if both have the same.
    pub(crate) fn lacks(&self) -> Option<usize> {
        let room = self.table.capacity().min(self.entries.capacity());
        let is_full = self.left == u32::MAX && self.table.len() >= room;
        is_full.then(|| (2 * self.table.len()).max(4))
    }

    pub(crate) fn table(&mut self) -> &mut Vec<Timer> {
        &mut self.table
    }

    pub(crate) fn entries(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// Arms a timer that gets its deadline, `nanos` from then on, when it is [settled](TimerHeap::settle).
    pub(crate) fn stage(&mut self, nanos: u64, waker: Waker) -> u32 {
        if nanos == NEVER {
            return self.insert(NEVER, waker);
        }
        let key = self.insert(self.entries.len() as u64, waker);
        let entry = self.entry(nanos, key);
        self.entries.push(entry);
        key
    }

    /// As [`stage`](TimerHeap::stage), the fast path: the waker is a plain number, and nothing has to grow.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn stage_fast(&mut self, nanos: u64, waker: &Waker) -> Option<u32> {
        let (key, place) = (self.left, self.entries.len());
        if nanos == NEVER || place == self.entries.capacity() {
            return None;
        }
        let timer = self.table.get_mut(key as usize)?; // u32::MAX is no key
        mem::forget(timer.waker.replace(keep_plain(waker)?)); // there was none
        self.left = mem::replace(&mut timer.word, place as u64) as u32;
        let entry = self.entry(nanos, key);
        self.entries.push(entry);
        Some(key)
    }

    /// As [`remove`](TimerHeap::remove), the fast path: it was staged last, and its waker, a plain number, need not be dropped.
    #[inline]
    pub(crate) fn remove_fast(&mut self, key: u32) -> bool {
        let Some(timer) = self.table.get_mut(key as usize) else { return false };
        let is_last = self.settled < self.entries.len() && timer.word == self.entries.len() as u64 - 1;
        if !is_last || !timer.waker.as_ref().is_some_and(is_plain) {
            return false;
        }
        mem::forget(timer.waker.take());
        timer.word = mem::replace(&mut self.left, key).into();
        self.entries.pop();
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
        while let Some(&staged) = self.entries.get(self.settled) {
            let entry = Entry { nanos: now.saturating_add(staged.nanos), ..staged };
            if entry.nanos == NEVER {
                self.set_place(entry.key, NEVER);
                self.unstage(self.settled);
            } else {
                self.settled += 1;
                self.sift_up(self.settled - 1, entry);
            }
        }
    }

    /// Takes out the next one that is due, and returns whom it wakes.
    pub(crate) fn fire(&mut self, now: u64) -> Option<Waker> {
        let first = *self.heap().first().filter(|first| first.nanos <= now)?;
        self.take_out(0);
        let timer = &mut self.table[first.key as usize];
        timer.word = first.nanos;
        timer.waker.take()
    }

    /// The earliest deadline of those that have one.
    pub(crate) fn first(&self) -> Option<u64> {
        self.heap().first().map(|entry| entry.nanos)
    }

    #[allow(clippy::cast_possible_truncation)] // a place is a u32
    pub(crate) fn deadline(&self, key: u32) -> u64 {
        match self.place(key) {
            None => self.table[key as usize].word,
            Some(place) => self.heap().get(place as usize).map_or(NEVER, |entry| entry.nanos),
        }
    }

    pub(crate) fn is_staged(&self, key: u32) -> bool {
        self.place(key).is_some_and(|place| (self.settled as u64..NEVER).contains(&place))
    }

    /// How many are armed, those not counted that never fire.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn heap(&self) -> &[Entry] {
        &self.entries[..self.settled]
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
            NEVER => {}
            _ if place < self.settled as u64 => self.take_out(place as usize),
            _ => self.unstage(place as usize),
        }
    }

    fn entry(&mut self, nanos: u64, key: u32) -> Entry {
        self.next_order = self.next_order.wrapping_add(1);
        Entry { nanos, order: self.next_order, key }
    }

    /// Removes the entry at `at`, which is staged, or no more of the heap. The last one of all takes its place.
    fn unstage(&mut self, at: usize) {
        self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.set_place(moved.key, at as u64);
        }
    }

    /// Puts a timer into the heap. The first that is staged moves to the end.
    fn push(&mut self, nanos: u64, key: u32) {
        let entry = self.entry(nanos, key);
        if nanos == NEVER {
            return self.set_place(key, NEVER);
        }
        let (at, end) = (self.settled, self.entries.len());
        self.entries.push(entry);
        self.entries.swap(at, end);
        self.set_place(self.entries[end].key, end as u64);
        self.settled += 1;
        self.sift_up(at, entry);
    }

    fn take_out(&mut self, at: usize) {
        self.settled -= 1;
        let last = self.entries[self.settled];
        self.unstage(self.settled);
        if at == self.settled {
            return; // it was the last one
        }
        if at > 0 && last.is_before(self.entries[(at - 1) / ARITY]) {
            self.sift_up(at, last);
        } else {
            self.sift_down(at, last);
        }
    }

    /// Puts `entry` at `at` or above, moving later ones down.
    fn sift_up(&mut self, mut at: usize, entry: Entry) {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !entry.is_before(self.entries[parent]) {
                break;
            }
            self.put(at, self.entries[parent]);
            at = parent;
        }
        self.put(at, entry);
    }

    /// Puts `entry` at `at` or below, moving earlier ones up.
    fn sift_down(&mut self, mut at: usize, entry: Entry) {
        loop {
            let first = at * ARITY + 1;
            let end = (first + ARITY).min(self.settled);
            let Some(least) =
                (first..end).reduce(|a, b| if self.entries[b].is_before(self.entries[a]) { b } else { a })
            else {
                break;
            };
            if !self.entries[least].is_before(entry) {
                break;
            }
            self.put(at, self.entries[least]);
            at = least;
        }
        self.put(at, entry);
    }

    fn put(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        self.set_place(entry.key, at as u64);
    }
}
