//! Branches: the futures of a combinator, each a scope of its own, polled only when they were woken.
//!
//! Under `gather`, `try_gather`, `race` and the others stands this one thing: a fixed slice of scopes, and
//! [`Delegates`] that say which of them was woken. They lie in one allocation, and borrow what they like.
//!
//! A combinator that has what it wants *cancels* the rest, and waits until it has ended: shields and cleanups of a branch that
//! lost are not cut off. When something around the combinator is cancelled and one branch is shielded, every branch is polled
//! once, so that the others end by the rule.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::{Delegates, PanicPayload, budget};

use crate::node::Kind;
use crate::polls::{self, Flag};
use crate::scoped::{Outcome, Scoped};

/// What lies still, and can be reached one by one.
struct PinnedSlice<T>(Pin<Box<[T]>>);

impl<T> PinnedSlice<T> {
    fn new(items: impl Iterator<Item = T>) -> PinnedSlice<T> {
        PinnedSlice(Box::into_pin(items.collect::<Box<[T]>>()))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    #[allow(unsafe_code)]
    fn get(&mut self, index: usize) -> Pin<&mut T> {
        // SAFETY: `map_unchecked_mut` asks that the item does not move while the slice does not, and that nobody moves it
        // out of the reference. An item of a slice lies where the slice does, the slice is boxed and pinned from its making
        // to its drop, and this, the only access, hands out nothing but pinned references.
        unsafe { self.0.as_mut().map_unchecked_mut(|items| &mut items[index]) }
    }
}

/// The futures of a combinator.
pub(crate) struct Branches<F: Future> {
    // Before the delegates: a branch that is dropped may still wake.
    scopes: PinnedSlice<Scoped<F>>,
    delegates: Delegates,
    /// Which branch has which seat among the delegates. Those that have ended have none, nor those that wait for the limit.
    seats: Vec<Option<usize>>,
    next: usize,
    limit: usize,
    running: usize,
    ending: Option<Flag>,
    /// A cancel from outside has been passed on.
    was_flagged: bool,
    panic: Option<PanicPayload>,
}

/// What a combinator wants when one of its branches has ended.
pub(crate) enum Then {
    GoOn,
    /// Cancel the rest, for this reason.
    End(Flag),
}

impl<F: Future> Branches<F> {
    pub(crate) fn new(futures: impl Iterator<Item = F>, at: &'static Location<'static>) -> Branches<F> {
        Branches {
            scopes: PinnedSlice::new(futures.map(|future| Scoped::light(Kind::Scope, at, None, future))),
            delegates: Delegates::new(),
            seats: Vec::new(),
            next: 0,
            limit: usize::MAX,
            running: 0,
            ending: None,
            was_flagged: false,
            panic: None,
        }
    }

    #[track_caller]
    pub(crate) fn set_limit(&mut self, limit: usize) {
        assert!(limit > 0, "with a limit of zero no future would ever run: allow at least one");
        self.limit = limit;
    }

    pub(crate) fn len(&self) -> usize {
        self.scopes.len()
    }

    fn start_some(&mut self) {
        while self.running < self.limit && self.next < self.scopes.len() && self.ending.is_none() {
            let seat = self.delegates.insert();
            if seat == self.seats.len() {
                self.seats.push(None);
            }
            self.seats[seat] = Some(self.next);
            self.next += 1;
            self.running += 1;
        }
    }

    /// Polls what was woken; `ended` hears of each branch that has ended with a value. Ready when none is left; with a
    /// panic of a branch, it goes on then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut ended: impl FnMut(usize, F::Output) -> Then) -> Poll<()> {
        self.start_some();
        self.delegates.begin(cx);
        if !self.was_flagged && polls::is_held() {
            self.was_flagged = true;
            self.poll_all(&mut ended);
        }
        while let Some(seat) = self.delegates.next() {
            self.poll_one(seat, &mut ended);
            if budget::is_spent() && self.delegates.has_woken() {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if self.running > 0 || (self.ending.is_none() && self.next < self.scopes.len()) {
            return Poll::Pending;
        }
        if let Some(panic) = self.panic.take() {
            panic.resume();
        }
        Poll::Ready(())
    }

    fn poll_one(&mut self, seat: usize, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        let Some(index) = self.seats[seat] else { return };
        let waker = self.delegates.waker(seat);
        let Poll::Ready(outcome) = self.scopes.get(index).poll(&mut Context::from_waker(&waker)) else { return };
        self.delegates.remove(seat);
        self.seats[seat] = None;
        self.running -= 1;
        let then = match outcome {
            Outcome::Value(value) => ended(index, value),
            Outcome::Panicked(panic) => {
                self.panic.get_or_insert(panic);
                Then::End(Flag::SiblingFailed)
            }
            Outcome::Cancelled(_) => Then::GoOn,
        };
        match then {
            Then::End(flag) if self.ending.is_none() => {
                self.ending = Some(flag);
                self.cancel_rest(flag, ended);
            }
            Then::End(_) => {}
            Then::GoOn => self.start_some(),
        }
    }

    fn cancel_rest(&mut self, flag: Flag, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        for index in self.seats.iter().flatten() {
            self.scopes.get(*index).cancel(flag);
        }
        self.poll_all(ended);
    }

    /// Polls every branch that runs; one may end another's life meanwhile.
    fn poll_all(&mut self, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        for seat in 0..self.seats.len() {
            self.poll_one(seat, ended);
        }
    }
}
