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

/// What a waiter asks for that has been dismissed, and has not been woken yet. The waker of one may come back and grant something while
/// others are still to be woken: that must not go to one of them, and they are settled before it goes to anybody.
const DISMISSED: usize = usize::MAX;

pub(super) struct Line {
    waiters: Vec<Waiter>,
    /// The place that was left last, and how many are not left.
    free: usize,
    taken: usize,
    head: usize,
    /// Means nothing while the line is empty.
    tail: usize,
}

struct Waiter {
    state: State,
    /// How much it asks for.
    need: usize,
    /// Towards the head; means nothing to the head itself.
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
        Self { waiters: Vec::new(), free: NONE, taken: 0, head: NONE, tail: NONE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Whether the next to join finds a place that somebody has left.
    pub(super) fn has_place(&self) -> bool {
        self.free < self.waiters.len()
    }

    #[inline]
    pub(super) fn push(&mut self, need: usize, waker: Waker) -> usize {
        debug_assert_ne!(need, DISMISSED, "nobody joins to be dismissed");
        let before = self.tail;
        let waiter = Waiter { state: State::Waiting(waker), need, before, behind: NONE };
        let mut key = self.free;
        if let Some(place) = self.waiters.get_mut(key) {
            self.free = place.behind;
            mem::forget(mem::replace(place, waiter)); // there was no waker
        } else {
            key = self.waiters.len();
            self.waiters.push(waiter);
        }
        self.taken += 1;
        self.tail = key;
        if self.is_empty() {
            self.head = key;
        } else {
            self.waiters[before].behind = key;
        }
        key
    }

    /// Dismisses all who stand here now, whom [`settle_head`](Self::settle_head) will come upon. Who is dismissed already stands before
    /// all others.
    pub(super) fn dismiss_all(&mut self) {
        let mut next = if self.is_empty() { NONE } else { self.tail };
        while let Some(waiter) = self.waiters.get_mut(next)
            && waiter.need != DISMISSED
        {
            waiter.need = DISMISSED;
            next = if next == self.head { NONE } else { waiter.before };
        }
    }

    /// Settles the head: as dismissed if it is, as granted if `admits` says yes to what it needs.
    #[inline]
    pub(super) fn settle_head(&mut self, admits: impl FnOnce(usize) -> bool) -> Option<Waker> {
        let waiter = self.waiters.get_mut(self.head)?;
        let outcome = match waiter.need {
            DISMISSED => Outcome::Dismissed,
            need if admits(need) => Outcome::Granted,
            _ => return None,
        };
        self.head = waiter.behind;
        Some(waiter.settle(outcome))
    }

    /// Settles the tail as granted.
    pub(super) fn settle_tail(&mut self) -> Option<Waker> {
        if self.is_empty() {
            return None;
        }
        let waker = self.waiters[self.tail].settle(Outcome::Granted);
        self.unlink(self.tail);
        Some(waker)
    }

    /// Looks at a waiter for its own future, and removes it if it is settled.
    pub(super) fn look(&mut self, key: usize, waker: &Waker) -> Look {
        match &self.waiters[key].state {
            State::Waiting(current) if current.will_wake(waker) => Look::Current,
            State::Waiting(_) => Look::Stale,
            State::Settled(outcome) => {
                let outcome = *outcome;
                self.vacate(key);
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
        let state = mem::replace(&mut self.waiters[key].state, State::Settled(Outcome::Dismissed));
        if let State::Waiting(_) = state {
            self.unlink(key);
        }
        self.vacate(key);
        state
    }

    fn unlink(&mut self, key: usize) {
        let Waiter { before, behind, .. } = self.waiters[key];
        if key == self.head {
            self.head = behind;
        } else {
            self.waiters[before].behind = behind;
        }
        if key == self.tail {
            self.tail = before;
        } else {
            self.waiters[behind].before = before;
        }
    }

    /// Gives back the place of a waiter that stands in the line no longer, and has no waker.
    fn vacate(&mut self, key: usize) {
        self.waiters[key].behind = mem::replace(&mut self.free, key);
        self.taken -= 1;
        if self.taken == 0 && self.waiters.capacity() > KEPT_ENTRIES {
            (self.waiters, self.free) = (Vec::new(), NONE);
        }
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
