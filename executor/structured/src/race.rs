//! Races: the first value wins, and the losers have ended when it is returned.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;
use pin_project_lite::pin_project;

use crate::branches::{Branches, Then, without_value};
use crate::polls::Flag;
use crate::together::{First, Together, Tuple};

/// Waits for the first future; the others are cancelled, and it returns when they have ended.
///
/// Of a tuple of two to eight futures, of any types: which one was first, with its value.
///
/// ```
/// use handcar_structured::{OneOf, race, run, sleep};
/// use std::time::Duration;
///
/// let answer = async { sleep(Duration::from_millis(1)).await; "an answer" };
/// let patience = sleep(Duration::from_millis(9));
/// match run(race((answer, patience))) {
///     OneOf::First(answer) => assert_eq!(answer, "an answer"),
///     OneOf::Second(()) => panic!("the answer comes first"),
/// }
/// ```
///
/// Of anything that can be iterated: the place of the first one, and its value; `None` of no futures.
///
/// ```
/// use handcar_structured::{race, run, sleep};
/// use std::time::Duration;
///
/// let first = run(race([9, 1].map(async |n| {
///     sleep(Duration::from_millis(n)).await;
///     n
/// })));
/// assert_eq!(first, Some((1, 1)));
/// ```
///
/// # Panics
///
/// If a future does, when the others have ended; when it is polled outside a runtime.
///
/// # Cancel safety
///
/// As [`gather`](crate::gather()).
#[track_caller]
pub fn race<R: Racers<M>, M>(futures: R) -> R::Race {
    futures.race(Location::caller())
}

/// What can [`race`]: a tuple of futures, or anything that can be iterated and yields futures of one type.
///
/// `M` only says which of the two it is, and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a tuple of two to eight futures nor an iterator of futures"
)]
pub trait Racers<M> {
    /// Waits for the first.
    type Race: Future;

    #[doc(hidden)]
    fn race(self, at: &'static Location<'static>) -> Self::Race;
}

/// Futures of one type race.
#[derive(Debug)]
pub struct OfOneType(());

/// Futures of different types race.
#[derive(Debug)]
pub struct OfAnyTypes(());

impl<I: IntoIterator<Item: IntoFuture>> Racers<OfOneType> for I {
    type Race = Race<<I::Item as IntoFuture>::IntoFuture>;

    fn race(self, at: &'static Location<'static>) -> Self::Race {
        let futures = self.into_iter().map(IntoFuture::into_future);
        Race { unpolled: Unpolled::at(&"race", at), branches: Branches::new(futures, at), first: None }
    }
}

impl<T: Tuple> Racers<OfAnyTypes> for T {
    type Race = RaceTuple<T>;

    fn race(self, at: &'static Location<'static>) -> RaceTuple<T> {
        RaceTuple { arms: Together::new(&"race", self.arms(), Flag::RaceLost, at) }
    }
}

/// Waits for the first. Made by [`race`] of something iterated.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Race<F: Future> {
    unpolled: Unpolled,
    branches: Branches<F>,
    first: Option<(usize, F::Output)>,
}

// The branches are pinned where they lie, which is not in here.
impl<F: Future> Unpin for Race<F> {}

impl<F: Future> Future for Race<F> {
    type Output = Option<(usize, F::Output)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Race { unpolled, branches, first } = &mut *self;
        unpolled.forget();
        let is_empty = branches.len() == 0;
        ready!(branches.poll(cx, |index, value| {
            first.get_or_insert((index, value));
            Then::End(Flag::RaceLost)
        }));
        if is_empty || self.first.is_some() { Poll::Ready(self.first.take()) } else { without_value("Race") }
    }
}

impl<F: Future> fmt::Debug for Race<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Race")
    }
}

pin_project! {
    /// Waits for the first. Made by [`race`] of a tuple.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct RaceTuple<T: Tuple> {
        #[pin]
        arms: Together<T::Arms>,
    }
}

impl<T: Tuple> Future for RaceTuple<T> {
    type Output = T::Value;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Value> {
        let (nested, first) = ready!(self.project().arms.poll::<First>(cx));
        first.and_then(|first| T::value(nested, first)).map_or_else(|| without_value("RaceTuple"), Poll::Ready)
    }
}

impl<T: Tuple> fmt::Debug for RaceTuple<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RaceTuple")
    }
}
