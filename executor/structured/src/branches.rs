//! Branches: the futures of a combinator, each a scope of its own, polled only when they were woken.
//!
//! Under `gather`, `try_gather`, `race` and the others stands this one thing: a fixed slice of scopes, and
//! [`Delegates`] that say which of them was woken. They lie in one allocation, and borrow what they like.
//!
//! ```text
//!     light   no node. A run of light branches is polled under one frame of the poll stack and one `catch_unwind`;
//!       |     it stops where something attaches to the frame, which is then that branch's node
//!       v
//!     with a node: the rule (scoped.rs)
//! ```
//!
//! A combinator that has what it wants *cancels* the rest, and waits until it has ended: shields and cleanups of a branch that
//! lost are not cut off. When something around the combinator is cancelled and one branch is shielded, every branch is polled
//! once, so that the others end by the rule. Both give every branch a node.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{Delegates, PanicPayload, budget};

use crate::branch::{self, Branch, BranchView};
use crate::node::{self, Node};
use crate::polls::{self, Flag, Link};
use crate::scoped::{Outcome, Stage, StageView, keep_first};

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
    slice: PinnedSlice<Branch<F>>,
    /// Those that have begun have the same places here.
    delegates: Delegates,
    at: &'static Location<'static>,
    limit: usize,
    running: usize,
    ending: Option<Flag>,
    /// A cancel from outside has been passed on, and the combinator was not carried out of it.
    was_flagged: bool,
    panic: Option<PanicPayload>,
}

/// What a combinator wants when one of its branches has ended.
pub(crate) enum Then {
    GoOn,
    /// Cancel the rest, for this reason.
    End(Flag),
}

/// All branches have ended, and a value is missing. Either something around has ended them, and will drop this; or it has done so
/// to a combinator that it polled by reference, and nobody will ever get a value.
#[cold]
pub(crate) fn without_value<T>(what: &str) -> Poll<T> {
    assert!(
        polls::is_flagged(),
        "`{what}` has no value: it was polled after it had ended, or a cancelled scope that polled it by reference has \
         ended its branches; give that scope the combinator itself"
    );
    Poll::Pending
}

/// Where a run of light branches stopped.
enum Stop<T> {
    /// Nobody else was woken, or the budget is spent.
    Over,
    /// This one has a node already.
    Heavy(usize),
    /// This one has got a node, or has panicked; it may have a value.
    At(usize, Option<T>),
    /// The others are to be cancelled.
    End(Flag),
}

impl<F: Future> Branches<F> {
    pub(crate) fn new(futures: impl Iterator<Item = F>, at: &'static Location<'static>) -> Branches<F> {
        Branches {
            slice: PinnedSlice::new(futures.map(Branch::new)),
            delegates: Delegates::new(),
            at,
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
        self.slice.len()
    }

    fn begun(&self) -> usize {
        self.delegates.len()
    }

    fn begin_some(&mut self) {
        if self.ending.is_none() {
            let n = (self.limit - self.running).min(self.len() - self.begun());
            for _ in 0..n {
                self.delegates.insert();
            }
            self.running += n;
        }
    }

    /// Polls what was woken; `ended` hears of each branch that has ended with a value. Ready when none is left; with a
    /// panic of a branch, it goes on then.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, mut ended: impl FnMut(usize, F::Output) -> Then) -> Poll<()> {
        self.begin_some();
        self.delegates.begin(cx);
        let is_held = polls::is_held();
        let is_carried_out = self.was_flagged && !polls::is_flagged();
        if is_carried_out || (is_held && !self.was_flagged) {
            self.was_flagged = is_held;
            self.poll_all(&mut ended);
        }
        let mut any = false;
        loop {
            let (stop, node, panic) = self.run(&mut any, &mut ended);
            match stop {
                Stop::Over => break,
                Stop::Heavy(index) => self.poll_heavy(index, &mut ended),
                Stop::End(flag) => self.end(flag, &mut ended),
                Stop::At(index, value) => self.stopped_at(index, value, node, panic, &mut ended),
            }
        }
        if self.delegates.has_woken() && budget::is_spent() {
            node::wake_by_ref(cx.waker());
        }
        if self.running > 0 || (self.ending.is_none() && self.begun() < self.len()) {
            return Poll::Pending;
        }
        if let Some(panic) = self.panic.take() {
            panic.resume();
        }
        Poll::Ready(())
    }

    /// Polls light branches that were woken, one after the other: `any` says whether it was one at least.
    #[allow(clippy::type_complexity)]
    fn run(
        &mut self,
        any: &mut bool,
        ended: &mut impl FnMut(usize, F::Output) -> Then,
    ) -> (Stop<F::Output>, Option<Rc<Node>>, Option<Box<dyn Any + Send>>) {
        let at_line = self.at;
        let (mut at, mut value) = (None, None);
        let mut run = |link: &Link<'_>| {
            while !(*any && budget::is_spent())
                && let Some(index) = self.delegates.next()
            {
                *any = true;
                let BranchView { own, mut stage } = self.slice.get(index).project();
                if own.is_some() {
                    return Stop::Heavy(index);
                }
                let StageView::Body { body } = stage.as_mut().project() else { continue }; // it has ended
                let waker = self.delegates.waker(index);
                at = Some(index);
                if let Poll::Ready(ready) = body.poll(&mut Context::from_waker(&waker)) {
                    value = Some(ready);
                    stage.set(Stage::Over);
                }
                if link.has_got_node() {
                    return Stop::At(index, value.take());
                }
                at = None;
                let Some(value) = value.take() else { continue };
                self.running -= 1;
                if let Then::End(flag) = ended(index, value) {
                    return Stop::End(flag);
                }
                self.begin_some();
            }
            Stop::Over
        };
        let (node, run) = branch::under(at_line, |link| catch_unwind(AssertUnwindSafe(|| run(link))));
        match (run, at) {
            (Ok(stop), _) => (stop, node, None),
            (Err(payload), Some(index)) => (Stop::At(index, value), node, Some(payload)),
            (Err(payload), None) => resume_unwind(payload), // of what the combinator does with values
        }
    }

    /// A light branch has got a node, or has panicked.
    #[cold]
    fn stopped_at(
        &mut self,
        index: usize,
        value: Option<F::Output>,
        node: Option<Rc<Node>>,
        panic: Option<Box<dyn Any + Send>>,
        ended: &mut impl FnMut(usize, F::Output) -> Then,
    ) {
        let waker = self.delegates.waker(index);
        let mut branch = self.slice.get(index);
        let outcome = match panic {
            Some(payload) => Some(branch.as_mut().panicked(value, payload, self.at)),
            None => value.map(Outcome::Value),
        };
        let polled = match node {
            Some(node) => branch.attached(node, outcome, &mut Context::from_waker(&waker)),
            None => outcome.map_or(Poll::Pending, Poll::Ready),
        };
        if let Poll::Ready(outcome) = polled {
            self.settle(index, outcome, ended);
        }
    }

    /// Polls a branch that has a node.
    fn poll_heavy(&mut self, index: usize, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        let waker = self.delegates.waker(index);
        let polled = self.slice.get(index).poll_heavy(false, &mut Context::from_waker(&waker));
        if let Poll::Ready(outcome) = polled {
            self.settle(index, outcome, ended);
        }
    }

    /// A branch has ended.
    fn settle(&mut self, index: usize, outcome: Outcome<F::Output>, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        self.running -= 1;
        let then = match outcome {
            Outcome::Value(value) => ended(index, value),
            Outcome::Panicked(panic) => {
                keep_first(&mut self.panic, panic, self.at);
                Then::End(Flag::SiblingFailed)
            }
            Outcome::Cancelled(_) => Then::GoOn,
        };
        match then {
            Then::End(flag) => self.end(flag, ended),
            Then::GoOn => self.begin_some(),
        }
    }

    /// Cancels the branches that run; the others will never begin.
    #[cold]
    fn end(&mut self, flag: Flag, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(flag);
        for index in 0..self.begun() {
            self.slice.get(index).cancel(flag, self.at);
        }
        self.poll_all(ended);
    }

    /// Polls every branch that runs; one may end another's life meanwhile.
    #[cold]
    fn poll_all(&mut self, ended: &mut impl FnMut(usize, F::Output) -> Then) {
        for index in 0..self.begun() {
            self.slice.get(index).node(self.at);
            self.poll_heavy(index, ended);
        }
    }
}
