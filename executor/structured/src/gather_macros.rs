//! `gather!` and `try_gather!`: a few futures of different types, without an allocation.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::branches::without_value;
use crate::polls::Flag;
use crate::together::{All, AllOk, Together, TryTuple, Tuple};

/// Waits for up to eight futures of any types, and returns a tuple of their values.
///
/// It is [`gather`](crate::gather()) for mixed types: each future is a scope, and a panic of one cancels the others, waits for their
/// cleanups, and goes on. All of them are polled when one is woken.
///
/// ```
/// use handcar_structured::{gather, run, yield_now};
///
/// run(async {
///     let name = String::from("handcar");
///     let (length, first, ()) = gather!(async { name.len() }, async { name.chars().next() }, yield_now()).await;
///     assert_eq!((length, first), (7, Some('h')));
/// });
/// ```
#[macro_export]
macro_rules! gather {
    ($($future:expr),+ $(,)?) => { $crate::macros::gather(($($future,)+)) };
}

/// Waits for up to eight futures of any types with one type of error, or for the first error.
///
/// It is [`try_gather`](crate::try_gather()) for mixed types: an error cancels the others, and comes out when they have ended.
///
/// ```
/// use handcar_structured::{run, try_gather};
///
/// let parsed = run(async { try_gather!(async { "4".parse::<u32>() }, async { "x".parse::<i8>() }).await });
/// assert!(parsed.is_err());
/// ```
#[macro_export]
macro_rules! try_gather {
    ($($future:expr),+ $(,)?) => { $crate::macros::try_gather(($($future,)+)) };
}

#[doc(hidden)]
#[track_caller]
pub fn gather<T: Tuple>(futures: T) -> GatherTuple<T> {
    GatherTuple { arms: Together::new(&"gather!", futures.arms(), Flag::SiblingFailed, Location::caller()) }
}

#[doc(hidden)]
#[track_caller]
pub fn try_gather<T: TryTuple<E>, E>(futures: T) -> TryGatherTuple<T, E> {
    let arms = Together::new(&"try_gather!", futures.arms(), Flag::SiblingFailed, Location::caller());
    TryGatherTuple { arms, error: std::marker::PhantomData }
}

pin_project! {
    /// Waits for all. Made by [`gather!`](crate::gather!).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GatherTuple<T: Tuple> {
        #[pin]
        arms: Together<T::Arms>,
    }
}

impl<T: Tuple> Future for GatherTuple<T> {
    type Output = T::Values;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Values> {
        let (nested, _) = ready!(self.project().arms.poll::<All>(cx));
        T::values(nested).map_or_else(|| without_value("GatherTuple"), Poll::Ready)
    }
}

impl<T: Tuple> fmt::Debug for GatherTuple<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatherTuple")
    }
}

pin_project! {
    /// Waits for all, or the first error. Made by [`try_gather!`](crate::try_gather!).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct TryGatherTuple<T: Tuple, E> {
        #[pin]
        arms: Together<T::Arms>,
        error: std::marker::PhantomData<fn() -> E>,
    }
}

impl<T: TryTuple<E>, E> Future for TryGatherTuple<T, E> {
    type Output = Result<T::Oks, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (nested, failed) = ready!(self.project().arms.poll::<AllOk>(cx));
        T::oks(nested, failed).map_or_else(|| without_value("TryGatherTuple"), Poll::Ready)
    }
}

impl<T: Tuple, E> fmt::Debug for TryGatherTuple<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryGatherTuple")
    }
}
