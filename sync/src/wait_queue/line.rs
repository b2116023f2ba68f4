//! The line itself: a doubly linked list through a table of waiters.
//!
//! The places that nobody has are a list too, by the same links. (`slab` asks of each entry whether there is one, which the owner of its
//! key knows, and needs a word more for it.)

use std::mem;
use std::task::Waker;

use super::{Outcome, State};

/// The end of the line, on both sides.
const NONE: usize = usize::MAX;

/// An empty table with more room than this is given back, so that one rush does not cost memory for ever.
const KEPT_ENTRIES: usize = 1024;

pub(super) struct Line {
    waiters: Vec<Waiter>,
    /// The place that was left last, and how many are not left.
    free: usize,
    taken: usize,
    head: usize,
    tail: usize,
    /// How many have ever joined.
    joined: u64,
    /// How many of these are dismissed. A waker may come back before all of them have been woken, and what it grants must not
    /// go to one of those; it wakes them first.
    dismissed: u64,
}

struct Waiter {
    state: State,
    /// How much it asks for.
    need: usize,
    /// How many had ever joined before it.
    order: u64,
    /// Towards the head.
    before: usize,
    /// Towards the tail; of a place that nobody has, the one that was left before it.
    behind: usize,
}

/// What a future finds when it looks at its waiter.
pub(super) enum Look {
    Settled(Outcome),
    /// It waits, with the waker of this poll.
    Current,
    /// It waits, with the waker of an earlier poll.
    Stale,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { waiters: Vec::new(), free: NONE, taken: 0, head: NONE, tail: NONE, joined: 0, dismissed: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(super) fn push(&mut self, need: usize, waker: Waker) -> usize {
        let (order, before) = (self.joined, self.tail);
        let waiter = Waiter { state: State::Waiting(waker), need, order, before, behind: NONE };
        let mut key = self.free;
        if let Some(place) = self.waiters.get_mut(key) {
            self.free = place.behind;
            mem::forget(mem::replace(place, waiter)); // there was no waker
        } else {
            key = self.waiters.len();
            self.waiters.push(waiter);
        }
        self.taken += 1;
        self.joined += 1;
        self.tail = key;
        match self.waiters.get_mut(before) {
            Some(last) => last.behind = key,
            None => self.head = key,
        }
        key
    }

    /// Dismisses all who stand here now, whom [`settle_head`](Self::settle_head) will come upon.
    pub(super) fn dismiss_all(&mut self) {
        self.dismissed = self.joined;
    }

    /// Settles the head: as dismissed if it is, as granted if `admits` says yes to what it needs.
    #[inline]
    pub(super) fn settle_head(&mut self, admits: &mut impl FnMut(usize) -> bool) -> Option<Waker> {
        let waiter = self.waiters.get_mut(self.head)?;
        let outcome = if waiter.order < self.dismissed {
            Outcome::Dismissed
        } else if admits(waiter.need) {
            Outcome::Granted
        } else {
            return None;
        };
        let waker = waiter.settle(outcome);
        self.head = waiter.behind;
        match self.waiters.get_mut(self.head) {
            Some(next) => next.before = NONE,
            None => self.tail = NONE,
        }
        Some(waker)
    }

    /// Settles the tail as granted.
    pub(super) fn settle_tail(&mut self) -> Option<Waker> {
        let tail = self.tail;
        let waker = self.waiters.get_mut(tail)?.settle(Outcome::Granted);
        self.unlink(tail);
        Some(waker)
    }

    /// Looks at a waiter for its own future, and removes it if it is settled.
    pub(super) fn look(&mut self, key: usize, waker: &Waker) -> Look {
        match &self.waiters[key].state {
            State::Waiting(current) if current.will_wake(waker) => Look::Current,
            State::Waiting(_) => Look::Stale,
            State::Settled(outcome) => {
                let outcome = *outcome;
                self.forget(key);
                Look::Settled(outcome)
            }
        }
    }

    pub(super) fn is_settled(&self, key: usize) -> bool {
        matches!(self.waiters[key].state, State::Settled(_))
    }

    pub(super) fn swap_waker(&mut self, key: usize, waker: &mut Waker) {
        if let State::Waiting(current) = &mut self.waiters[key].state {
            mem::swap(current, waker);
        }
    }

    /// Removes a waiter, settled or not.
    pub(super) fn remove(&mut self, key: usize) -> State {
        if let State::Waiting(_) = self.waiters[key].state {
            self.unlink(key);
        }
        self.forget(key)
    }

    fn unlink(&mut self, key: usize) {
        let Waiter { before, behind, .. } = self.waiters[key];
        match self.waiters.get_mut(before) {
            Some(waiter) => waiter.behind = behind,
            None => self.head = behind,
        }
        match self.waiters.get_mut(behind) {
            Some(waiter) => waiter.before = before,
            None => self.tail = before,
        }
    }

    /// Removes the entry of a waiter that stands in the line no longer.
    fn forget(&mut self, key: usize) -> State {
        let place = &mut self.waiters[key];
        let state = mem::replace(&mut place.state, State::Settled(Outcome::Dismissed));
        place.behind = mem::replace(&mut self.free, key);
        self.taken -= 1;
        if self.taken == 0 && self.waiters.capacity() > KEPT_ENTRIES {
            (self.waiters, self.free) = (Vec::new(), NONE);
        }
        state
    }
}

impl Waiter {
    #[inline]
    fn settle(&mut self, outcome: Outcome) -> Waker {
        match mem::replace(&mut self.state, State::Settled(outcome)) {
            State::Waiting(waker) => waker,
            State::Settled(_) => unreachable!("a settled waiter stood in the line"),
        }
    }
}
