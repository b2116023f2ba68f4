//! The wait queue: the one piece under every primitive of this crate.
//!
//! Whoever cannot go on joins at the tail; whoever has something to hand out settles waiters from the head. A settled waiter
//! leaves the line at once, so that the next settlement finds the next in line, but its entry stays in the slab until its own
//! future removes it:
//!
//! ```text
//!           (1) join                (2) settle                    (3) poll
//!   New ----------------> Waiting ----------------> Settled ------------------> Spent
//!                            |                         |
//!                            | (4) leave               | (5) leave: what was granted is handed on
//!                            v                         v
//!                          Spent                     Spent
//!
//!   (1) poll, when `enter` finds nothing        (3) poll, by the future that owns the ticket
//!   (2) grant_while, dismiss_all, close         (4) (5) leave, in the `Drop` of that future
//! ```
//!
//! So each entry has exactly one owner, the future that holds its [`Ticket`], and a key can never mean somebody else: no
//! generations, no reference counts. The links of the line run through the slab's entries. The usual alternative, nodes inside
//! the futures themselves, saves the slab and costs pinned, self-referential futures and unsafe code in each primitive.
//!
//! Two outcomes are told apart because they differ when the waiter is dropped before it saw them. What was *granted* (a
//! permit, one notification) was taken from others and has to be handed on. A waiter that was *dismissed* (an event was set,
//! the channel closed) got what everybody got, and there is nothing to hand on.
//!
//! A waker is foreign code: its clone, wake and drop may call straight back into the primitive. None of the three ever runs
//! under a borrow, and after a clone everything is looked at again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll, Waker, ready};

use handcar_executor::{budget, question};
use slab::Slab;

/// The end of the line, on both sides.
const NONE: usize = usize::MAX;

/// An empty slab with more room than this is given back, so that one rush does not cost memory for ever.
const KEPT_ENTRIES: usize = 1024;

/// What a newcomer meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gate {
    /// Nobody waits.
    Open,
    /// Somebody waits, and nobody may overtake.
    Crowded,
    /// Nobody waits, and nobody ever will again.
    Closed,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The waiter got something that another one would have got in its place.
    Granted,
    /// The waiter was sent away together with all the others.
    Dismissed,
}

/// A future's place in a [`WaitQueue`].
#[derive(Debug)]
pub(crate) enum Ticket {
    New,
    /// The entry of this number in the slab.
    Waiting(usize),
    /// The wait is over, but the poll that would say so has not returned.
    Settled(Outcome),
    Spent,
}

/// What a ticket was worth when its future gave it up.
#[derive(Debug)]
pub(crate) enum State {
    Waiting(Waker),
    Settled(Outcome),
}

struct Waiter {
    state: State,
    /// How much it asks for.
    need: usize,
    /// How many had ever joined before it.
    order: u64,
    /// Towards the head.
    before: usize,
    /// Towards the tail.
    behind: usize,
}

/// What a future finds when it looks at its waiter.
enum Look {
    Settled(Outcome),
    /// It waits, with the waker of this poll.
    Current,
    /// It waits, with the waker of an earlier poll.
    Stale,
}

/// A first-in, first-out line of wakers.
pub(crate) struct WaitQueue {
    /// Outside the `RefCell`, so that a fast path is one load and one compare.
    gate: Cell<Gate>,
    line: RefCell<Line>,
    /// The line that made what this is the queue of.
    made_at: &'static Location<'static>,
}

struct Line {
    waiters: Slab<Waiter>,
    head: usize,
    tail: usize,
    /// How many have ever joined.
    joined: u64,
    /// How many of these are dismissed. A waker may come back before all of them have been woken, and what it grants must not
    /// go to one of those; it wakes them first.
    dismissed: u64,
}

impl WaitQueue {
    #[track_caller]
    pub(crate) const fn new() -> Self {
        Self {
            made_at: Location::caller(),
            gate: Cell::new(Gate::Open),
            line: RefCell::new(Line { waiters: Slab::new(), head: NONE, tail: NONE, joined: 0, dismissed: 0 }),
        }
    }

    /// What the future of this name waits for: for a deadlock report.
    pub(crate) fn what_for(&self, name: &str) -> String {
        format!("`{name}` on what was made at {}", self.made_at)
    }

    #[inline]
    pub(crate) fn gate(&self) -> Gate {
        self.gate.get()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.get() == Gate::Closed
    }

    /// Polls the wait behind `ticket`. A newcomer need not wait if `enter` has an outcome for it.
    ///
    /// # Panics
    ///
    /// Panics with `name`, the future's, if that future has returned `Ready` before.
    #[inline]
    pub(crate) fn poll(
        &self,
        ticket: &mut Ticket,
        need: usize,
        cx: &mut Context<'_>,
        name: &str,
        enter: impl FnMut() -> Option<Outcome>,
    ) -> Poll<Outcome> {
        ready!(question::poll_telling(cx, || self.what_for(name)));
        let outcome = match *ticket {
            Ticket::New => ready!(self.enter_or_join(ticket, need, cx.waker(), enter)),
            Ticket::Waiting(key) => ready!(self.poll_waiting(key, cx)),
            Ticket::Settled(outcome) => outcome,
            Ticket::Spent => polled_after_ready(name),
        };
        *ticket = Ticket::Spent;
        budget::spend();
        Poll::Ready(outcome)
    }

    /// Settles waiters from the head as granted, for as long as `admits` says yes to what the next one needs.
    #[inline(never)]
    pub(crate) fn grant_while(&self, mut admits: impl FnMut(usize) -> bool) {
        // One borrow for each waiter: the wake between two of them may come back here.
        while let Some(waker) = self.settle_head(&mut admits) {
            wake(waker);
        }
    }

    /// Settles the head as granted, and says whether somebody waited.
    pub(crate) fn grant_one(&self) -> bool {
        let mut left = true;
        self.grant_while(|_| std::mem::take(&mut left));
        !left
    }

    /// Settles all who wait now, and nobody who joins while they are being woken.
    pub(crate) fn dismiss_all(&self) {
        {
            let line = &mut *self.line.borrow_mut();
            line.dismissed = line.joined;
        }
        self.grant_while(|_| false);
    }

    /// Dismisses everybody and lets nobody join again.
    pub(crate) fn close(&self) {
        self.gate.set(Gate::Closed);
        self.dismiss_all();
    }

    /// Gives up `ticket`, and says what it was worth if it was worth anything. The caller drops the answer last: it may hold a
    /// waker.
    #[must_use]
    pub(crate) fn leave(&self, ticket: &mut Ticket) -> Option<State> {
        match std::mem::replace(ticket, Ticket::Spent) {
            Ticket::Waiting(key) => Some(self.remove(key)),
            Ticket::Settled(outcome) => Some(State::Settled(outcome)),
            Ticket::New | Ticket::Spent => None,
        }
    }

    /// Joins at the tail. The caller has cloned the waker, and found nothing to be had since.
    pub(crate) fn join(&self, need: usize, waker: Waker) -> usize {
        debug_assert_ne!(self.gate.get(), Gate::Closed, "joined a closed queue");
        self.gate.set(Gate::Crowded);
        self.line.borrow_mut().push(need, waker)
    }

    fn enter_or_join(
        &self,
        ticket: &mut Ticket,
        need: usize,
        waker: &Waker,
        mut enter: impl FnMut() -> Option<Outcome>,
    ) -> Poll<Outcome> {
        if let Some(outcome) = enter() {
            return Poll::Ready(outcome);
        }
        let waker = waker.clone();
        // The clone was foreign code: look again.
        let Some(outcome) = enter() else {
            *ticket = Ticket::Waiting(self.join(need, waker));
            return Poll::Pending;
        };
        // Should the drop of the waker panic, the ticket still says what has been granted.
        *ticket = Ticket::Settled(outcome);
        drop(waker);
        Poll::Ready(outcome)
    }

    fn poll_waiting(&self, key: usize, cx: &Context<'_>) -> Poll<Outcome> {
        let mut look = self.line.borrow_mut().look(key, cx.waker());
        if let Look::Stale = look {
            let mut waker = cx.waker().clone();
            self.line.borrow_mut().swap_waker(key, &mut waker);
            drop(waker);
            // The clone and the drop were foreign code.
            look = self.line.borrow_mut().look(key, cx.waker());
        }
        match look {
            Look::Settled(outcome) => Poll::Ready(outcome),
            Look::Current | Look::Stale => Poll::Pending,
        }
    }

    fn settle_head(&self, admits: &mut impl FnMut(usize) -> bool) -> Option<Waker> {
        let line = &mut *self.line.borrow_mut();
        let head = line.head;
        let waiter = line.waiters.get_mut(head)?;
        let outcome = if waiter.order < line.dismissed {
            Outcome::Dismissed
        } else if admits(waiter.need) {
            Outcome::Granted
        } else {
            return None;
        };
        let state = std::mem::replace(&mut waiter.state, State::Settled(outcome));
        line.head = waiter.behind;
        match line.waiters.get_mut(line.head) {
            Some(next) => next.before = NONE,
            None => self.empty(line),
        }
        match state {
            State::Waiting(waker) => Some(waker),
            State::Settled(_) => unreachable!("a settled waiter stood in the line"),
        }
    }

    fn remove(&self, key: usize) -> State {
        let line = &mut *self.line.borrow_mut();
        if let State::Waiting(_) = line.waiters[key].state {
            line.unlink(key);
            if line.head == NONE {
                self.empty(line);
            }
        }
        line.forget(key)
    }

    /// The last one has left the line.
    fn empty(&self, line: &mut Line) {
        line.tail = NONE;
        if self.gate.get() == Gate::Crowded {
            self.gate.set(Gate::Open);
        }
    }
}

impl Line {
    fn push(&mut self, need: usize, waker: Waker) -> usize {
        let (order, before) = (self.joined, self.tail);
        let state = State::Waiting(waker);
        let key = self.waiters.insert(Waiter { state, need, order, before, behind: NONE });
        self.joined += 1;
        self.tail = key;
        match self.waiters.get_mut(before) {
            Some(last) => last.behind = key,
            None => self.head = key,
        }
        key
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

    /// Looks at a waiter for its own future, and removes it if it is settled.
    fn look(&mut self, key: usize, waker: &Waker) -> Look {
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

    fn swap_waker(&mut self, key: usize, waker: &mut Waker) {
        if let State::Waiting(current) = &mut self.waiters[key].state {
            std::mem::swap(current, waker);
        }
    }

    /// Removes the entry of a waiter that stands in the line no longer.
    fn forget(&mut self, key: usize) -> State {
        let state = self.waiters.remove(key).state;
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT_ENTRIES {
            self.waiters = Slab::new();
        }
        state
    }
}

/// Wakes, and contains a panic of the waker.
///
/// A waker that panics is a fault of the executor that made it, and the panic hook has reported it. Passed on, the panic would
/// strike whoever happened to release a permit, mostly in a `Drop`, with a value in hand that would be lost, and before
/// the others in line had been woken.
#[inline]
pub(crate) fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Dropping it would be foreign code once more.
        std::mem::forget(payload);
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("gate", &self.gate.get()).finish_non_exhaustive()
    }
}

#[cold]
#[track_caller]
pub(crate) fn polled_after_ready(name: &str) -> ! {
    panic!("`{name}` was polled after it had returned `Ready`; make a new one for each wait")
}
