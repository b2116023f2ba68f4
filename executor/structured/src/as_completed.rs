//! Values in the order in which they come.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::branches::{Branches, Then, without_value};

/// The values in the order in which they come, each with the place of its future.
///
/// ```
/// use futures::StreamExt;
/// use handcar_structured::{as_completed, run, sleep};
/// use std::time::Duration;
///
/// let order: Vec<_> = run(as_completed([3, 1, 2].map(async |n| sleep(Duration::from_millis(n)).await)).collect());
/// assert_eq!(order, [(1, ()), (2, ()), (0, ())]);
/// ```
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping what `next` returns loses nothing. Dropping the stream drops the futures that are left.
#[track_caller]
pub fn as_completed<I>(futures: I) -> AsCompleted<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator<Item: IntoFuture>,
{
    let futures = futures.into_iter().map(IntoFuture::into_future);
    AsCompleted { branches: Branches::new(futures, Location::caller()), come: VecDeque::new(), came: 0 }
}

/// Values as they come. Made by [`as_completed`].
#[must_use = "streams do nothing unless they are polled"]
pub struct AsCompleted<F: Future> {
    branches: Branches<F>,
    come: VecDeque<(usize, F::Output)>,
    /// How many have come so far.
    came: usize,
}

// The branches are pinned where they lie, which is not in here.
impl<F: Future> Unpin for AsCompleted<F> {}

impl<F: Future> AsCompleted<F> {
    /// Runs at most `n` of the futures at a time; the others have not begun.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn limit(mut self, n: usize) -> Self {
        self.branches.set_limit(n);
        self
    }
}

impl<F: Future> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsCompleted")
    }
}

impl<F: Future> Stream for AsCompleted<F> {
    type Item = (usize, F::Output);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let AsCompleted { branches, come, came } = &mut *self;
        if come.is_empty() {
            let polled = branches.poll(cx, |index, value| {
                come.push_back((index, value));
                *came += 1;
                Then::GoOn
            });
            if polled.is_ready() && come.is_empty() {
                return if *came == branches.len() { Poll::Ready(None) } else { without_value("AsCompleted") };
            }
        }
        come.pop_front().map_or(Poll::Pending, |value| Poll::Ready(Some(value)))
    }
}
