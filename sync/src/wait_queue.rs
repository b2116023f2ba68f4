//! The wait queue: the one piece under every primitive of this crate.
//!
//! Whoever cannot go on joins at the tail, under a number of its own; whoever has something to hand out settles waiters from the
//! head. A settled waiter leaves the line at once, and its own future finds out when it asks for its number:
//!
//! ```text
//!           (1) join                (2) settle                    (3) poll
//!   New ----------------> Waiting ----------------> Settled ------------------> Spent
//!                            |                         |
//!                            | (4) leave               | (5) leave: what was granted is handed on
//!                            v                         v
//!                          Spent                     Spent
//!
//!   (1) join, enable: `enter` found nothing     (3) poll_in_line, by the future that owns the ticket
//!   (2) settle_head, grant_last, dismiss_all    (4) (5) leave, in the `Drop` of that future
//! ```
//!
//! So each number has exactly one owner, the future that holds its [`Ticket`], and means nobody else meanwhile: no reference
//! counts. The usual alternative, nodes inside the futures themselves, saves the ring and costs pinned,
//! self-referential futures and unsafe code in each primitive.
//!
//! Two outcomes are told apart because they differ when the waiter is dropped before it saw them. What was *granted* (a
//! permit, one notification) was taken from others and has to be handed on. A waiter that was *dismissed* (an event was set,
//! the channel closed) got what everybody got, and there is nothing to hand on.
//!
//! A waker is foreign code: its clone, wake and drop may call straight back into the primitive. None of the three ever runs
//! under a borrow, and after a clone everything is looked at again. (A waker of our tasks is not cloned: its number is copied.)

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll, Waker};

use handcar_executor::{budget, keep, question, unpolled};

mod line;
mod sparse;

use line::{Line, Look};

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
    // First, so that what there is left to do for a ticket is one compare with zero away.
    Spent,
    /// It has no place yet. The line is where its future was made, until that is polled.
    New(Option<&'static Location<'static>>),
    /// It stands in the line under this number.
    Waiting(u64),
    /// The wait is over, but the poll that would say so has not returned.
    Settled(Outcome),
}

impl Ticket {
    /// Of a future that the caller makes.
    #[inline]
    #[track_caller]
    pub(crate) const fn new() -> Ticket {
        Ticket::New(Some(Location::caller()))
    }

    /// The future was polled, although it could not do anything.
    #[cold]
    pub(crate) fn is_polled(&mut self) {
        if let Ticket::New(made_at) = self {
            *made_at = None;
        }
    }

    /// A newcomer asks for what there can never be: it is sent away before it has joined.
    pub(crate) fn refuse(&mut self) {
        if let Ticket::New(_) = self {
            *self = Ticket::Settled(Outcome::Dismissed);
        }
    }

    /// The future that `what` makes is dropped.
    pub(crate) fn tell_if_unpolled(&self, what: &'static str) {
        if let Ticket::New(Some(made_at)) = *self {
            unpolled::report(what, made_at);
        }
    }
}

/// What a ticket was worth when its future gave it up.
#[derive(Debug)]
pub(crate) enum State {
    /// With a waker that is foreign code when it is dropped.
    Waiting(#[expect(dead_code, reason = "it is there to be dropped")] Waker),
    Settled(Outcome),
}

/// What a future is called, and what it waits for, in words.
#[derive(Debug)]
pub struct Wait {
    /// The future's name.
    pub(crate) future: &'static str,
    /// The call that made it.
    pub(crate) call: &'static str,
    /// What it was called on.
    on: &'static str,
    /// How that is, for as long as it waits.
    pub(crate) state: &'static str,
}

impl Wait {
    pub(crate) const fn new(future: &'static str, call: &'static str, on: &'static str, state: &'static str) -> Self {
        Self { future, call, on, state }
    }

    /// For a deadlock report.
    pub(crate) fn told(&self, made_at: &'static Location<'static>) -> String {
        let Self { call, on, state, .. } = self;
        format!("`{call}` on the {on} made at {made_at}{state}")
    }
}

/// A first-in, first-out line of wakers.
pub(crate) struct WaitQueue {
    line: Line,
    /// The line that made what this is the queue of.
    made_at: &'static Location<'static>,
}

impl WaitQueue {
    #[track_caller]
    pub(crate) const fn new() -> Self {
        Self::new_at(Location::caller())
    }

    /// As if `made_at` had made it.
    pub(crate) const fn new_at(made_at: &'static Location<'static>) -> Self {
        Self { line: Line::new(), made_at }
    }

    pub(crate) fn made_at(&self) -> &'static Location<'static> {
        self.made_at
    }

    #[inline]
    pub(crate) fn gate(&self) -> Gate {
        self.line.gate()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gate() == Gate::Closed
    }

    /// Polls the wait behind `ticket`. A newcomer need not wait if `enter` has an outcome for it.
    ///
    /// # Panics
    ///
    /// Panics with the future's name if that future has returned `Ready` before.
    #[inline]
    pub(crate) fn poll(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        wait: &'static Wait,
        enter: impl Fn() -> Option<Outcome>,
    ) -> Poll<Outcome> {
        if !question::has_left() {
            return self.suspend(ticket, cx, wait);
        }
        if let Ticket::New(_) = ticket {
            return match enter() {
                Some(outcome) => spend(ticket, outcome),
                None => self.join(ticket, 0, cx, enter),
            };
        }
        self.poll_in_line(ticket, cx, wait)
    }

    #[cold]
    fn suspend<T>(&self, ticket: &mut Ticket, cx: &mut Context<'_>, wait: &'static Wait) -> Poll<T> {
        ticket.is_polled();
        question::suspend_telling(cx, || wait.told(self.made_at))
    }

    /// [`poll`](Self::poll) for a caller that has looked at the budget by itself, and is no newcomer.
    #[inline(never)] // in one piece with its callers, these would not be inlined themselves
    pub(crate) fn poll_in_line(&self, ticket: &mut Ticket, cx: &mut Context<'_>, wait: &'static Wait) -> Poll<Outcome> {
        match *ticket {
            Ticket::Waiting(number) if self.line.is_granted(number) => spend(ticket, Outcome::Granted),
            _ => self.look_in_line(ticket, cx, wait),
        }
    }

    #[inline(never)]
    fn look_in_line(&self, ticket: &mut Ticket, cx: &mut Context<'_>, wait: &'static Wait) -> Poll<Outcome> {
        let Ticket::Waiting(number) = *ticket else { return Self::poll_off_line(ticket, wait) };
        match self.line.look(number, cx.waker()) {
            Look::Settled(outcome) => spend(ticket, outcome),
            Look::Current => Poll::Pending,
            Look::Stale => self.renew(ticket, number, cx),
        }
    }

    #[cold]
    fn poll_off_line(ticket: &mut Ticket, wait: &'static Wait) -> Poll<Outcome> {
        let Ticket::Settled(outcome) = *ticket else { polled_after_ready(wait.future) };
        spend(ticket, outcome)
    }

    /// Settles the head as granted, if `admits` says yes to what it needs, perhaps when it is asked again. Says whether it did.
    #[inline]
    pub(crate) fn settle_head(&self, admits: impl Fn(usize) -> bool) -> bool {
        match self.line.try_settle_head(&admits) {
            Some(waker) => self.settled(waker),
            None => self.settle_first(admits),
        }
    }

    #[cold]
    #[inline(never)]
    fn settle_first(&self, admits: impl Fn(usize) -> bool) -> bool {
        self.line.settle_first(admits).is_some_and(|waker| self.settled(waker))
    }

    /// The waker is of one who has been settled.
    #[inline]
    fn settled(&self, waker: Waker) -> bool {
        wake(waker);
        self.trim();
        true
    }

    /// Settles the head as granted, and says whether somebody waited.
    pub(crate) fn grant_one(&self) -> bool {
        self.settle_head(|_| true)
    }

    /// Settles the tail as granted, and says whether somebody waited.
    pub(crate) fn grant_last(&self) -> bool {
        self.line.settle_last().is_some_and(|waker| self.settled(waker))
    }

    /// Joins without a waker, to be first to be settled from now on. Says whether the wait is over.
    pub(crate) fn enable(&self, ticket: &mut Ticket, enter: impl Fn() -> Option<Outcome>) -> bool {
        match *ticket {
            Ticket::New(_) => {
                let joined = match enter() {
                    Some(outcome) => Poll::Ready(outcome),
                    None => self.join_with(ticket, 0, Waker::noop(), enter),
                };
                if let Poll::Ready(outcome) = joined {
                    *ticket = Ticket::Settled(outcome);
                }
            }
            Ticket::Waiting(number) => return self.line.is_settled(number),
            Ticket::Settled(_) | Ticket::Spent => {}
        }
        !matches!(ticket, Ticket::Waiting(_))
    }

    /// Settles all who wait now, and nobody who joins while they are being woken.
    #[inline]
    pub(crate) fn dismiss_all(&self) {
        // Mostly nobody waits: a channel that is dropped, an event that is set, a message that is broadcast.
        if !self.line.is_empty() {
            self.dismiss();
        }
    }

    #[inline(never)]
    fn dismiss(&self) {
        self.line.dismiss_all().wake(&self.line, wake);
    }

    /// Dismisses everybody and lets nobody join again.
    pub(crate) fn close(&self) {
        self.line.close();
        self.dismiss_all();
    }

    /// Gives up `ticket`, and says what it was worth if it was worth anything. The caller drops the answer last: it may hold a
    /// waker.
    ///
    /// `what` is the function that made its future.
    #[must_use]
    pub(crate) fn leave(&self, ticket: &mut Ticket, what: &'static str) -> Option<State> {
        ticket.tell_if_unpolled(what);
        match mem::replace(ticket, Ticket::Spent) {
            Ticket::Waiting(number) => {
                let state = self.line.remove(number);
                self.trim();
                Some(state)
            }
            Ticket::Settled(outcome) => Some(State::Settled(outcome)),
            Ticket::New(_) | Ticket::Spent => None,
        }
    }

    /// Joins at the tail, as a newcomer for whom `enter` has just had no outcome.
    #[inline]
    pub(crate) fn join(
        &self,
        ticket: &mut Ticket,
        need: usize,
        cx: &mut Context<'_>,
        enter: impl Fn() -> Option<Outcome>,
    ) -> Poll<Outcome> {
        // Of most wakers a number is copied: nothing foreign has run since `enter` was asked, and nothing is called.
        if let Some(number) = self.line.try_push(need, cx.waker()) {
            *ticket = Ticket::Waiting(number);
            return Poll::Pending;
        }
        self.join_with(ticket, need, cx.waker(), enter)
    }

    #[cold]
    fn join_with(
        &self,
        ticket: &mut Ticket,
        need: usize,
        waker: &Waker,
        enter: impl Fn() -> Option<Outcome>,
    ) -> Poll<Outcome> {
        let waker = keep(waker);
        // The clone was foreign code: look again.
        let Some(outcome) = enter() else {
            *ticket = Ticket::Waiting(self.line.push(need, waker));
            return Poll::Pending;
        };
        // Should the drop of the waker panic, the ticket still says what has been granted.
        *ticket = Ticket::Settled(outcome);
        drop(waker);
        spend(ticket, outcome)
    }

    /// The waker of this poll is another one than the last.
    #[cold]
    fn renew(&self, ticket: &mut Ticket, number: u64, cx: &Context<'_>) -> Poll<Outcome> {
        let mut waker = keep(cx.waker());
        self.line.swap_waker(number, &mut waker);
        drop(waker);
        // The clone and the drop were foreign code.
        let look = self.line.look(number, cx.waker());
        if let Look::Settled(outcome) = look { spend(ticket, outcome) } else { Poll::Pending }
    }

    /// Gives the memory of a rush back. After a waker was woken, so that there is none to be kept over a call.
    #[inline]
    fn trim(&self) {
        if self.line.is_oversized() {
            self.give_back();
        }
    }

    #[cold]
    #[inline(never)]
    fn give_back(&self) {
        self.line.give_back();
    }
}

/// The wait is over.
#[inline]
fn spend(ticket: &mut Ticket, outcome: Outcome) -> Poll<Outcome> {
    budget::spend();
    *ticket = Ticket::Spent;
    Poll::Ready(outcome)
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
        mem::forget(payload);
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("gate", &self.gate()).finish_non_exhaustive()
    }
}

#[cold]
#[track_caller]
pub(crate) fn polled_after_ready(name: &str) -> ! {
    panic!("`{name}` was polled after it had returned `Ready`; make a new one for each wait")
}
