//! Timeouts: a future, and a time after which it is given up.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::machine::budget;
use crate::question;
use crate::time::clock::Instant;
use crate::time::sleep::Alarm;
use crate::unpolled::Unpolled;

/// Waits for `future`, for `duration` at the most; then the future is dropped when this one is.
///
/// The future is polled first: what is ready at once wins even against a timeout of zero. One that suspends under a timeout
/// of zero has lost.
///
/// ```
/// # use handcar_executor::{run, sleep, timeout};
/// # use std::time::Duration;
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
    let unpolled = Unpolled::new(&"timeout");
    Timeout { future: future.into_future(), alarm: Alarm::after(duration), ended: false, unpolled }
}

/// As [`timeout`], until a point in time.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let unpolled = Unpolled::new(&"timeout_at");
    Timeout { future: future.into_future(), alarm: Alarm::at(deadline), ended: false, unpolled }
}

pin_project! {
    /// Waits for a future, up to a point in time. Made by [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        alarm: Alarm,
        ended: bool,
        unpolled: Unpolled,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.unpolled.forget();
        assert!(!*this.ended, "`Timeout` polled after it had ended");
        // Before the future: one that suspends only because the budget is used up has not lost.
        ready!(question::poll_around(cx));
        let result = match this.future.poll(cx) {
            Poll::Ready(value) => Ok(value),
            Poll::Pending => {
                ready!(this.alarm.poll(cx));
                budget::spend();
                Err(Elapsed)
            }
        };
        *this.ended = true;
        this.alarm.disarm();
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeout")
    }
}

/// The time was up before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
