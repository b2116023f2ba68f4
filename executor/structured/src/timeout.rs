//! Timeouts: scopes whose cancel comes from the clock.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub use handcar_executor::Elapsed;
use handcar_executor::layer::Alarm;
use handcar_executor::unpolled::{self, Unpolled};
use handcar_executor::{Instant, budget, question};
use pin_project_lite::pin_project;

use crate::node::{Kind, Node};
use crate::scoped::{Outcome, Scoped};

/// Waits for `future`, for `duration` at the most: then its scope is cancelled.
///
/// What is ready at once wins even against a timeout of zero. The timeout ends when the cleanups of `future` have; so it may
/// take longer, up to the grace period. If a timeout around it ends at the same time, that one reports.
///
/// ```
/// use handcar_structured::{run, sleep, timeout};
/// use std::time::Duration;
///
/// run(async {
///     assert_eq!(timeout(Duration::from_secs(5), async { 7 }).await, Ok(7));
///     assert!(timeout(Duration::from_millis(1), sleep(Duration::MAX)).await.is_err());
/// });
/// ```
///
/// # Panics
///
/// When it has to wait and is polled outside a runtime.
///
/// # Cancel safety
///
/// As that of `future`, which is dropped with it.
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    let at = Location::caller();
    Timeout { made_at: Some(at), scoped: scope(Alarm::after(duration), future, at) }
}

/// As [`timeout`], until a point in time.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let at = Location::caller();
    Timeout { made_at: Some(at), scoped: scope(Alarm::at(deadline), future, at) }
}

/// As [`timeout`], with an option in place of a result.
///
/// ```
/// use handcar_structured::{move_on_after, run, sleep};
/// use std::time::Duration;
///
/// run(async {
///     assert_eq!(move_on_after(Duration::from_millis(1), sleep(Duration::MAX)).await, None);
/// });
/// ```
#[track_caller]
pub fn move_on_after<F: IntoFuture>(duration: Duration, future: F) -> MoveOn<F::IntoFuture> {
    let scoped = scope(Alarm::after(duration), future, Location::caller());
    MoveOn { unpolled: Unpolled::new(&"move_on_after"), scoped }
}

/// A timeout whose body can move the deadline.
///
/// ```
/// use handcar_structured::{Instant, run, sleep, timeout_scope};
/// use std::time::Duration;
///
/// run(async {
///     let result = timeout_scope(Duration::from_secs(5), async |deadline| {
///         for _ in 0..3 {
///             sleep(Duration::from_millis(1)).await; // work that goes well
///             deadline.reschedule(Instant::now() + Duration::from_secs(5));
///         }
///     });
///     assert!(result.await.is_ok());
/// });
/// ```
///
/// # Errors
///
/// [`Elapsed`], if the deadline passed before the body ended.
///
/// # Cancel safety
///
/// As that of the body.
#[track_caller]
pub fn timeout_scope<T, B>(duration: Duration, body: B) -> impl Future<Output = Result<T, Elapsed>>
where
    B: AsyncFnOnce(Deadline) -> T,
{
    let at = Location::caller();
    let mut unpolled = Unpolled::at(&"timeout_scope", at);
    async move {
        unpolled.forget();
        let node = Node::new(Kind::Scope, at, None, Some(Alarm::after(duration)));
        let deadline = Deadline { node: Rc::clone(&node) };
        Timeout { made_at: None, scoped: Scoped::heavy(node, body(deadline)) }.await
    }
}

/// Polls what a timeout is around; nothing if the time was up.
#[inline]
fn limited<F: Future>(scoped: Pin<&mut Scoped<F>>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
    // Before the body: one that suspends only because the budget is used up has not lost.
    ready!(question::poll_around(cx));
    Poll::Ready(match ready!(scoped.poll(cx)) {
        Outcome::Value(value) => Some(value),
        Outcome::Cancelled(_) => {
            budget::spend();
            None
        }
        Outcome::Panicked(panic) => panic.resume(),
    })
}

fn scope<F: IntoFuture>(alarm: Alarm, future: F, at: &'static Location<'static>) -> Scoped<F::IntoFuture> {
    Scoped::light(Kind::Scope, at, Some(alarm), future.into_future())
}

/// The deadline of a [`timeout_scope`]. Clones are the same one.
#[derive(Clone)]
pub struct Deadline {
    node: Rc<Node>,
}

impl Deadline {
    /// Moves it, earlier or later; [`Instant::NEVER`] is never. Too late once it has passed.
    pub fn reschedule(&self, deadline: Instant) {
        self.node.set_deadline(Some(deadline));
    }

    /// When it is.
    pub fn when(&self) -> Instant {
        self.node.deadline()
    }

    /// Whether it has passed.
    pub fn is_expired(&self) -> bool {
        self.node.is_cancelled_itself()
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline(expired: {})", self.is_expired())
    }
}

pin_project! {
    /// Waits for a future, up to a point in time. Made by [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F: Future> {
        // Until it is polled: half of what an `Unpolled` takes.
        pub(crate) made_at: Option<&'static Location<'static>>,
        #[pin]
        scoped: Scoped<F>,
    }

    impl<F: Future> PinnedDrop for Timeout<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(made_at) = this.made_at {
                unpolled::report("timeout", made_at);
            }
        }
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        *this.made_at = None;
        limited(this.scoped, cx).map(|value| value.ok_or(Elapsed))
    }
}

impl<F: Future> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeout")
    }
}

pin_project! {
    /// Waits for a future, up to a point in time. Made by [`move_on_after`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct MoveOn<F: Future> {
        unpolled: Unpolled,
        #[pin]
        scoped: Scoped<F>,
    }
}

impl<F: Future> Future for MoveOn<F> {
    type Output = Option<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.unpolled.forget();
        limited(this.scoped, cx)
    }
}

impl<F: Future> fmt::Debug for MoveOn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MoveOn")
    }
}
