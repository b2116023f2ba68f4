//! Together: a few futures of different types in one, each a scope, all polled with the caller's own waker.
//!
//! ```text
//!     gather!(a, b, c)  ->  Arm(a, Arm(b, Arm(c, End)))
//!
//!     a poll:  1. a run over those without a node, under one frame and one `catch_unwind`; where something attaches to the
//!                 frame, or panics, it stops, that branch gets what is its own, and the run goes on after it
//!              2. those with a node, by the rule (scoped.rs); when a value ends the others, these are all that have not ended
//! ```
//!
//! For two or three futures it is cheaper to poll all of them than to find out which was woken. A list of two-element cells
//! needs one implementation for every number of futures; only the way from a tuple to it, and back, is written out by number.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{PanicPayload, layer, unpolled};
use pin_project_lite::pin_project;

use crate::branch::{self, Branch, BranchView};
use crate::node::Node;
use crate::polls::{self, Flag, Link};
use crate::scoped::{Outcome, Stage, StageView, discard, keep_first};

/// What a value means to the other futures.
pub trait Judge<T> {
    #[doc(hidden)]
    fn ends_others(value: &T) -> bool;
}

/// Every value is awaited.
#[derive(Debug)]
pub struct All(Infallible);

impl<T> Judge<T> for All {
    fn ends_others(_: &T) -> bool {
        false
    }
}

/// An error ends the others.
#[derive(Debug)]
pub struct AllOk(Infallible);

impl<T, E> Judge<Result<T, E>> for AllOk {
    fn ends_others(value: &Result<T, E>) -> bool {
        value.is_err()
    }
}

/// Any value ends the others.
#[derive(Debug)]
pub struct First(Infallible);

impl<T> Judge<T> for First {
    fn ends_others(_: &T) -> bool {
        true
    }
}

/// What the futures share.
pub struct Round {
    at: &'static Location<'static>,
    /// Why those that are ended by another's value are cancelled.
    flag: Flag,
    /// The future that is being polled, and the first one to poll in this run.
    index: usize,
    from: usize,
    /// Whose value, or panic, ends the others.
    decided: Option<usize>,
    has_begun: bool,
    /// Some branch has a node.
    has_nodes: bool,
    panic: Option<PanicPayload>,
}

/// How a run of light branches ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ran {
    /// With the last one, and none is left of those that it did not pass over.
    Done,
    /// With the last one.
    Through,
    /// Early: one has got a node, or has panicked.
    Attached,
    /// Early: a value ends the others.
    Decided,
}

/// Why a run stopped at a branch: it has got a node, or it has panicked, or both.
pub struct Stopped {
    node: Option<Rc<Node>>,
    panic: Option<Box<dyn Any + Send>>,
}

/// The futures, from here on.
pub trait Arms<J> {
    #[doc(hidden)]
    type Values;

    /// Polls those that have no node, from `round.from` on.
    #[doc(hidden)]
    fn run(self: Pin<&mut Self>, index: usize, round: &mut Round, link: &Link<'_>, cx: &mut Context<'_>) -> Ran;

    /// In a run the one at `round.index` has got a node, or panicked.
    #[doc(hidden)]
    fn stopped(self: Pin<&mut Self>, index: usize, by: Stopped, round: &mut Round, cx: &mut Context<'_>);

    /// Polls those that have a node; with `all` each gets one. When it is decided, they are cancelled.
    #[doc(hidden)]
    fn poll_nodes(self: Pin<&mut Self>, index: usize, all: bool, round: &mut Round, cx: &mut Context<'_>);

    #[doc(hidden)]
    fn have_ended(&self) -> bool;

    #[doc(hidden)]
    fn take(self: Pin<&mut Self>) -> Self::Values;
}

pin_project! {
    /// One future, and those after it.
    pub struct Arm<F: Future, R> {
        #[pin]
        branch: Branch<F>,
        value: Option<F::Output>,
        #[pin]
        rest: R,
    }
}

/// No more futures.
#[derive(Debug)]
pub struct End;

impl<J> Arms<J> for End {
    type Values = ();

    #[inline]
    fn run(self: Pin<&mut Self>, _: usize, _: &mut Round, _: &Link<'_>, _: &mut Context<'_>) -> Ran {
        Ran::Done
    }

    fn stopped(self: Pin<&mut Self>, _: usize, _: Stopped, _: &mut Round, _: &mut Context<'_>) {}

    fn poll_nodes(self: Pin<&mut Self>, _: usize, _: bool, _: &mut Round, _: &mut Context<'_>) {}

    #[inline]
    fn have_ended(&self) -> bool {
        true
    }

    fn take(self: Pin<&mut Self>) {}
}

impl<F: Future, R> Arm<F, R> {
    /// Its branch has ended.
    fn settle<J: Judge<F::Output>>(
        value: &mut Option<F::Output>,
        index: usize,
        outcome: Outcome<F::Output>,
        round: &mut Round,
    ) {
        match outcome {
            Outcome::Value(ready) => {
                if J::ends_others(&ready) {
                    round.decided.get_or_insert(index);
                }
                *value = Some(ready);
            }
            Outcome::Panicked(panic) => {
                round.decided.get_or_insert(index);
                keep_first(&mut round.panic, panic, round.at);
            }
            Outcome::Cancelled(_) => {}
        }
    }
}

impl<J: Judge<F::Output>, F: Future, R: Arms<J>> Arms<J> for Arm<F, R> {
    type Values = (Option<F::Output>, R::Values);

    #[inline]
    fn run(self: Pin<&mut Self>, index: usize, round: &mut Round, link: &Link<'_>, cx: &mut Context<'_>) -> Ran {
        let this = self.project();
        let BranchView { own, mut stage } = this.branch.project();
        let mut is_left = own.is_some();
        if index >= round.from
            && !is_left
            && let StageView::Body { body } = stage.as_mut().project()
        {
            round.index = index;
            let polled = body.poll(cx);
            let is_ready = polled.is_ready();
            if let Poll::Ready(value) = polled {
                *this.value = Some(value);
                stage.set(Stage::Over);
            }
            if link.has_got_node() {
                return Ran::Attached;
            }
            if is_ready && this.value.as_ref().is_some_and(J::ends_others) {
                round.decided = Some(index);
                return Ran::Decided;
            }
            is_left = !is_ready;
        }
        match this.rest.run(index + 1, round, link, cx) {
            Ran::Done if is_left => Ran::Through,
            ran => ran,
        }
    }

    fn stopped(self: Pin<&mut Self>, index: usize, by: Stopped, round: &mut Round, cx: &mut Context<'_>) {
        let mut this = self.project();
        if index < round.index {
            return this.rest.stopped(index + 1, by, round, cx);
        }
        let value = this.value.take();
        let outcome = match by.panic {
            Some(payload) => Some(this.branch.as_mut().panicked(value, payload, round.at)),
            None => value.map(Outcome::Value),
        };
        let polled = match by.node {
            Some(node) => {
                round.has_nodes = true;
                this.branch.attached(node, outcome, cx)
            }
            None => outcome.map_or(Poll::Pending, Poll::Ready),
        };
        if let Poll::Ready(outcome) = polled {
            Self::settle::<J>(this.value, index, outcome, round);
        }
    }

    fn poll_nodes(self: Pin<&mut Self>, index: usize, all: bool, round: &mut Round, cx: &mut Context<'_>) {
        let mut this = self.project();
        if round.decided.is_some() {
            this.branch.as_mut().cancel(round.flag, round.at);
        } else if all {
            this.branch.as_mut().node(round.at);
        }
        if let Poll::Ready(outcome) = this.branch.poll_heavy(false, cx) {
            Self::settle::<J>(this.value, index, outcome, round);
        }
        this.rest.poll_nodes(index + 1, all, round, cx);
    }

    #[inline]
    fn have_ended(&self) -> bool {
        self.branch.has_ended() && self.rest.have_ended()
    }

    fn take(self: Pin<&mut Self>) -> Self::Values {
        let this = self.project();
        (this.value.take(), this.rest.take())
    }
}

pin_project! {
    /// Polls a few futures to their end.
    pub(crate) struct Together<A> {
        #[pin]
        arms: A,
        round: Round,
        // The function or macro that made it, behind a thin pointer.
        what: &'static &'static str,
    }

    impl<A> PinnedDrop for Together<A> {
        fn drop(this: Pin<&mut Self>) {
            if !this.round.has_begun {
                unpolled::report(this.what, this.round.at);
            }
        }
    }
}

impl<A> Together<A> {
    pub(crate) fn new(what: &'static &'static str, arms: A, flag: Flag, at: &'static Location<'static>) -> Together<A> {
        let round =
            Round { at, flag, index: 0, from: 0, decided: None, has_begun: false, has_nodes: false, panic: None };
        Together { arms, round, what }
    }

    /// The values, and which of them ended the others. Panics as the first one that did.
    #[inline]
    pub(crate) fn poll<J>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(A::Values, Option<usize>)>
    where
        A: Arms<J>,
    {
        let mut this = self.project();
        let (mut arms, round) = (this.arms.as_mut(), this.round);
        if !round.has_begun {
            round.has_begun = true;
            assert!(
                layer::grace().is_some(),
                "a combinator needs a runtime: await it inside `handcar::run` or `Runtime::block_on`"
            );
        }
        if !run_through(arms.as_mut(), round, cx) {
            if round.has_nodes || round.decided.is_some() || polls::is_held() {
                poll_nodes(arms.as_mut(), round, cx);
            }
            if !arms.have_ended() {
                return Poll::Pending;
            }
        }
        if let Some(panic) = round.panic.take() {
            discard(Some(arms.take()), round.at);
            panic.resume();
        }
        Poll::Ready((arms.take(), round.decided))
    }
}

/// Polls the light branches. True if all branches have ended. (A run that goes on passes over those before, whether they have or not.)
#[inline]
fn run_through<J, A: Arms<J>>(mut arms: Pin<&mut A>, round: &mut Round, cx: &mut Context<'_>) -> bool {
    let mut is_done = false;
    while round.decided.is_none() {
        let ran = run(arms.as_mut(), round, cx);
        if ran != Ran::Attached {
            is_done = ran == Ran::Done && round.from == 0;
            break;
        }
        round.from = round.index + 1;
    }
    round.from = 0;
    is_done
}

/// Polls light branches, under one frame, from `round.from` on. One that has panicked stops it as well.
#[inline]
fn run<J, A: Arms<J>>(mut arms: Pin<&mut A>, round: &mut Round, cx: &mut Context<'_>) -> Ran {
    let at = round.at;
    let polls = |link: &Link<'_>| catch_unwind(AssertUnwindSafe(|| arms.as_mut().run(0, round, link, cx)));
    let (node, ran) = branch::under(at, polls);
    let panic = match ran {
        Ok(Ran::Attached) => None,
        Ok(ran) => return ran,
        Err(payload) => Some(payload),
    };
    arms.stopped(0, Stopped { node, panic }, round, cx);
    Ran::Attached
}

/// Polls the branches that have a node; once more, if one of them decides.
#[cold]
fn poll_nodes<J, A: Arms<J>>(mut arms: Pin<&mut A>, round: &mut Round, cx: &mut Context<'_>) {
    let was_decided = round.decided.is_some();
    let is_held = polls::is_held();
    round.has_nodes |= is_held || was_decided;
    arms.as_mut().poll_nodes(0, is_held, round, cx);
    if !was_decided && round.decided.is_some() {
        round.has_nodes = true;
        arms.poll_nodes(0, false, round, cx);
    }
}

/// Which of several futures was first, with its value. Made by [`race`](crate::race) of a tuple.
///
/// Of a pair there are two cases, and so on: the other types are empty, and need no arm in a `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // they are what they are called
pub enum OneOf<A, B, C = Infallible, D = Infallible, E = Infallible, F = Infallible, G = Infallible, H = Infallible> {
    First(A),
    Second(B),
    Third(C),
    Fourth(D),
    Fifth(E),
    Sixth(F),
    Seventh(G),
    Eighth(H),
}

/// A tuple of one to eight futures.
pub trait Tuple {
    #[doc(hidden)]
    type Arms: Arms<All> + Arms<First, Values = <Self::Arms as Arms<All>>::Values>;
    /// The values of all.
    type Values;
    /// The value of one.
    type Value;

    #[doc(hidden)]
    fn arms(self) -> Self::Arms;
    #[doc(hidden)]
    fn values(nested: <Self::Arms as Arms<All>>::Values) -> Option<Self::Values>;
    #[doc(hidden)]
    fn value(nested: <Self::Arms as Arms<All>>::Values, index: usize) -> Option<Self::Value>;
}

/// A tuple of one to eight futures that may fail, with one type of error.
pub trait TryTuple<E>: Tuple<Arms: Arms<AllOk, Values = <Self::Arms as Arms<All>>::Values>> {
    /// The values of all.
    type Oks;

    #[doc(hidden)]
    fn oks(nested: <Self::Arms as Arms<All>>::Values, failed: Option<usize>) -> Option<Result<Self::Oks, E>>;
}

/// `(A, 0)`: a type parameter, its name as a variable, its place, and its variant.
macro_rules! tuples {
    ($(($($type:ident $value:ident $index:literal $variant:ident,)+))+) => { $(
        impl<$($type: IntoFuture),+> Tuple for ($($type,)+) {
            type Arms = tuples!(@type $($type)+);
            type Values = ($($type::Output,)+);
            type Value = tuples!(@one $($type)+);

            fn arms(self) -> Self::Arms {
                let ($($value,)+) = self;
                tuples!(@arms $($value)+)
            }

            fn values(tuples!(@nested $($value)+): <Self::Arms as Arms<All>>::Values) -> Option<Self::Values> {
                Some(($($value?,)+))
            }

            fn value(nested: <Self::Arms as Arms<All>>::Values, index: usize) -> Option<Self::Value> {
                let tuples!(@nested $($value)+) = nested;
                let ($(mut $value,)+) = ($($value,)+);
                let first = match index {
                    $($index => $value.take().map(OneOf::$variant),)+
                    _ => None,
                };
                // Here: should one of these panic, the first one is dropped as well. As the function's value it would leak.
                drop(($($value,)+));
                first
            }
        }

        impl<Err, $($type, $value),+> TryTuple<Err> for ($($type,)+)
        where
            $($type: IntoFuture<Output = Result<$value, Err>>),+
        {
            type Oks = ($($value,)+);

            fn oks(
                nested: <Self::Arms as Arms<All>>::Values,
                failed: Option<usize>,
            ) -> Option<Result<Self::Oks, Err>> {
                let tuples!(@nested $($value)+) = nested;
                let ($(mut $value,)+) = ($($value,)+);
                let error = match failed {
                    $(Some($index) => $value.take()?.err()?,)+
                    _ => return Some(Ok(($($value?.ok()?,)+))),
                };
                drop(($($value,)+)); // as in `value`
                Some(Err(error))
            }
        }
    )+ };
    (@type) => { End };
    (@type $type:ident $($rest:ident)*) => { Arm<$type::IntoFuture, tuples!(@type $($rest)*)> };
    (@one $a:ident) => { OneOf<$a::Output, Infallible> };
    (@one $($type:ident)+) => { OneOf<$($type::Output),+> };
    (@arms) => { End };
    (@arms $value:ident $($rest:ident)*) => {
        Arm { branch: Branch::new($value.into_future()), value: None, rest: tuples!(@arms $($rest)*) }
    };
    (@nested) => { () };
    (@nested $value:ident $($rest:ident)*) => { ($value, tuples!(@nested $($rest)*)) };
}

#[allow(non_camel_case_types, clippy::wildcard_imports)]
mod numbers {
    use super::*;

    tuples! {
        (A a 0 First,)
        (A a 0 First, B b 1 Second,)
        (A a 0 First, B b 1 Second, C c 2 Third,)
        (A a 0 First, B b 1 Second, C c 2 Third, D d 3 Fourth,)
        (A a 0 First, B b 1 Second, C c 2 Third, D d 3 Fourth, E e 4 Fifth,)
        (A a 0 First, B b 1 Second, C c 2 Third, D d 3 Fourth, E e 4 Fifth, F f 5 Sixth,)
        (A a 0 First, B b 1 Second, C c 2 Third, D d 3 Fourth, E e 4 Fifth, F f 5 Sixth, G g 6 Seventh,)
        (A a 0 First, B b 1 Second, C c 2 Third, D d 3 Fourth, E e 4 Fifth, F f 5 Sixth, G g 6 Seventh, H h 7 Eighth,)
    }
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopped")
    }
}

impl fmt::Debug for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Round")
    }
}

impl<F: Future, R> fmt::Debug for Arm<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arm")
    }
}
