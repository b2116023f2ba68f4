//! Together: a few futures of different types in one, each a scope, all polled with the caller's own waker.
//!
//! ```text
//!     gather!(a, b, c)  ->  Arm(a, Arm(b, Arm(c, End)))  ->  a round polls each that has not ended
//!                                                            a value may end the others: then another round at once
//! ```
//!
//! For two or three futures it is cheaper to poll all of them than to find out which was woken. A list of two-element cells
//! needs one implementation for every number of futures; only the way from a tuple to it, and back, is written out by number.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::PanicPayload;
use pin_project_lite::pin_project;

use crate::branch::Branch;
use crate::polls::{self, Flag};
use crate::scoped::Outcome;

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

/// What a round knows.
pub struct Round {
    at: &'static Location<'static>,
    flag: Flag,
    index: usize,
    /// Whose value, or panic, ends the others.
    decided: Option<usize>,
    /// Every branch needs a node: something around holds them back.
    is_held: bool,
    panic: Option<PanicPayload>,
}

/// The futures, from here on.
pub trait Arms<J> {
    #[doc(hidden)]
    type Values;

    /// Polls each; returns how many run still.
    #[doc(hidden)]
    fn poll(self: Pin<&mut Self>, round: &mut Round, cx: &mut Context<'_>) -> usize;

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
    fn poll(self: Pin<&mut Self>, _: &mut Round, _: &mut Context<'_>) -> usize {
        0
    }

    fn take(self: Pin<&mut Self>) {}
}

impl<J: Judge<F::Output>, F: Future, R: Arms<J>> Arms<J> for Arm<F, R> {
    type Values = (Option<F::Output>, R::Values);

    #[inline]
    fn poll(self: Pin<&mut Self>, round: &mut Round, cx: &mut Context<'_>) -> usize {
        let mut this = self.project();
        let mut running = 0;
        if !this.branch.has_ended() {
            if round.decided.is_some() {
                this.branch.as_mut().cancel(round.flag, round.at);
            } else if round.is_held {
                this.branch.as_mut().node(round.at);
            }
            match this.branch.poll(round.at, cx) {
                Poll::Pending => running = 1,
                Poll::Ready(Outcome::Value(value)) => {
                    if J::ends_others(&value) {
                        round.decided.get_or_insert(round.index);
                    }
                    *this.value = Some(value);
                }
                Poll::Ready(Outcome::Panicked(panic)) => {
                    round.decided.get_or_insert(round.index);
                    round.panic.get_or_insert(panic);
                }
                Poll::Ready(Outcome::Cancelled(_)) => {}
            }
        }
        round.index += 1;
        running + this.rest.poll(round, cx)
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
    }
}

impl<A> Together<A> {
    pub(crate) fn new(arms: A, flag: Flag, at: &'static Location<'static>) -> Together<A> {
        let round = Round { at, flag, index: 0, decided: None, is_held: false, panic: None };
        Together { arms, round }
    }

    /// The values, and which of them ended the others. Panics as the first one that did.
    #[inline]
    pub(crate) fn poll<J>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(A::Values, Option<usize>)>
    where
        A: Arms<J>,
    {
        let mut this = self.project();
        let round = this.round;
        loop {
            let was_decided = round.decided.is_some();
            round.index = 0;
            round.is_held = polls::is_held();
            let running = this.arms.as_mut().poll(round, cx);
            if running == 0 {
                break;
            }
            if was_decided || round.decided.is_none() {
                return Poll::Pending;
            }
        }
        if let Some(panic) = round.panic.take() {
            panic.resume();
        }
        Poll::Ready((this.arms.take(), round.decided))
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
                match index {
                    $($index => $value.map(OneOf::$variant),)+
                    _ => None,
                }
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
                match failed {
                    $(Some($index) => Some(Err($value?.err()?)),)+
                    _ => Some(Ok(($($value?.ok()?,)+))),
                }
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
