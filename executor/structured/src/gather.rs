//! Gathering: many futures in the caller's own task, which may borrow, and their results in order.
//!
//! asyncio's `gather`, with two differences. Each branch is a cancel scope. And nothing is left behind: where asyncio lets the
//! other branches run on when one fails, and loses their errors, these cancel them and wait for their cleanups.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::PanicPayload;
use handcar_executor::unpolled::Unpolled;
use pin_project_lite::pin_project;

use crate::branches::{Branches, Then, without_value};
use crate::polls::Flag;

/// Waits for all futures, and returns their values in order.
///
/// If one panics, the others are cancelled, and the panic goes on when they have ended.
///
/// ```
/// use handcar_structured::{gather, run};
///
/// let words = ["wait", "for", "all"];
/// let lengths = run(gather(words.iter().map(async |word| word.len())));
/// assert_eq!(lengths, [4, 3, 3]);
/// ```
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping it drops the futures; their cleanups go to the scope around.
#[track_caller]
pub fn gather<I>(futures: I) -> Gather<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator<Item: IntoFuture>,
{
    Gather(Collect::new(futures, &"gather", Location::caller()))
}

/// Waits for all futures, or for the first error: then the others are cancelled, and it returns when they have ended.
///
/// ```
/// use handcar_structured::{run, try_gather};
///
/// let numbers = run(try_gather(["4", "x", "7"].map(async |text| text.parse::<u32>())));
/// assert!(numbers.is_err());
/// ```
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// As [`gather`].
#[track_caller]
pub fn try_gather<I, T, E>(futures: I) -> TryGather<<I::Item as IntoFuture>::IntoFuture, T, E>
where
    I: IntoIterator<Item: IntoFuture<Output = Result<T, E>>>,
{
    TryGather { all: Collect::new(futures, &"try_gather", Location::caller()), error: None }
}

/// Waits for all futures, whatever becomes of them: asyncio's `gather(return_exceptions=True)`.
///
/// ```
/// use handcar_structured::{gather_results, run};
///
/// let results = run(gather_results(["4", "x"].map(async |text| text.parse::<u32>())));
/// assert!(matches!(results[0], Ok(4)));
/// assert!(results[1].is_err());
/// ```
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// As [`gather`].
#[track_caller]
pub fn gather_results<I, T, E>(futures: I) -> GatherResults<<I::Item as IntoFuture>::IntoFuture, T, E>
where
    I: IntoIterator<Item: IntoFuture<Output = Result<T, E>>>,
{
    let futures = futures.into_iter().map(|future| Catching { future: future.into_future() });
    GatherResults(Collect::new(futures, &"gather_results", Location::caller()))
}

/// Branches, and their values by place.
struct Collect<F: Future, T> {
    unpolled: Unpolled,
    branches: Branches<F>,
    values: Vec<Option<T>>,
}

impl<F: Future, T> Collect<F, T> {
    fn new<I>(futures: I, what: &'static &'static str, at: &'static Location<'static>) -> Collect<F, T>
    where
        I: IntoIterator<Item: IntoFuture<IntoFuture = F>>,
    {
        let branches = Branches::new(futures.into_iter().map(IntoFuture::into_future), at);
        let values = std::iter::repeat_with(|| None).take(branches.len()).collect();
        Collect { unpolled: Unpolled::at(what, at), branches, values }
    }

    /// The values, of which none is missing.
    fn take(&mut self, what: &str) -> Poll<Vec<T>> {
        if self.values.len() < self.branches.len() {
            return without_value(what); // they were taken before
        }
        let values: Option<_> = std::mem::take(&mut self.values).into_iter().collect();
        values.map_or_else(|| without_value(what), Poll::Ready)
    }
}

// The branches of all of these are pinned where they lie, which is not in here.
impl<F: Future> Unpin for Gather<F> {}
impl<F: Future, T, E> Unpin for TryGather<F, T, E> {}
impl<F: Future<Output = Result<T, E>>, T, E> Unpin for GatherResults<F, T, E> {}

/// Waits for all. Made by [`gather`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Gather<F: Future>(Collect<F, F::Output>);

impl<F: Future> Gather<F> {
    /// Runs at most `n` of the futures at a time; the others have not begun.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn limit(mut self, n: usize) -> Self {
        self.0.branches.set_limit(n);
        self
    }
}

impl<F: Future> fmt::Debug for Gather<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gather")
    }
}

impl<F: Future> Future for Gather<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Collect { unpolled, branches, values } = &mut self.0;
        unpolled.forget();
        ready!(branches.poll(cx, |index, value| {
            values[index] = Some(value);
            Then::GoOn
        }));
        self.0.take("Gather")
    }
}

/// Waits for all, or the first error. Made by [`try_gather`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct TryGather<F: Future, T, E> {
    all: Collect<F, T>,
    error: Option<E>,
}

impl<F: Future, T, E> TryGather<F, T, E> {
    /// Runs at most `n` of the futures at a time; the others have not begun.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn limit(mut self, n: usize) -> Self {
        self.all.branches.set_limit(n);
        self
    }
}

impl<F: Future, T, E> fmt::Debug for TryGather<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryGather")
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for TryGather<F, T, E> {
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let TryGather { all: Collect { unpolled, branches, values }, error } = &mut *self;
        unpolled.forget();
        ready!(branches.poll(cx, |index, result| match result {
            Ok(value) => {
                values[index] = Some(value);
                Then::GoOn
            }
            Err(failed) => {
                error.get_or_insert(failed);
                Then::End(Flag::SiblingFailed)
            }
        }));
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        self.all.take("TryGather").map(Ok)
    }
}

pin_project! {
    /// A future whose panic is a result.
    #[derive(Debug)]
    pub struct Catching<F> {
        #[pin]
        future: F,
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for Catching<F> {
    type Output = Result<T, Failure<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        Poll::Ready(match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => ready!(polled).map_err(Failure::Failed),
            Err(payload) => Err(Failure::Panicked(PanicPayload::new(payload))),
        })
    }
}

/// Waits for all, whatever becomes of them. Made by [`gather_results`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct GatherResults<F: Future, T, E>(Collect<Catching<F>, Result<T, Failure<E>>>)
where
    F: Future<Output = Result<T, E>>;

impl<F: Future<Output = Result<T, E>>, T, E> GatherResults<F, T, E> {
    /// Runs at most `n` of the futures at a time; the others have not begun.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn limit(mut self, n: usize) -> Self {
        self.0.branches.set_limit(n);
        self
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> fmt::Debug for GatherResults<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatherResults")
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for GatherResults<F, T, E> {
    type Output = Vec<Result<T, Failure<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Collect { unpolled, branches, values } = &mut self.0;
        unpolled.forget();
        ready!(branches.poll(cx, |index, result| {
            values[index] = Some(result);
            Then::GoOn
        }));
        self.0.take("GatherResults")
    }
}

/// Why a branch of [`gather_results`] has no value.
#[derive(Debug)]
pub enum Failure<E> {
    /// It returned this error.
    Failed(E),
    /// It panicked.
    Panicked(PanicPayload),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(error) => error.fmt(f),
            Failure::Panicked(payload) => write!(f, "panicked: {payload}"),
        }
    }
}

impl<E: Error + 'static> Error for Failure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Failure::Failed(error) => Some(error),
            Failure::Panicked(_) => None,
        }
    }
}
