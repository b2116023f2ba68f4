//! The rate limiter: so many per second, and a little more at once.
//!
//! This is the generic cell rate algorithm (GCRA), the leaky bucket of telephone networks, which needs one instant for its state:
//! when the next one would be due if all kept to the rate. One may go ahead of that by as much as the burst allows. Nothing
//! has to be refilled by a timer, and the sleep of the first in line is the only one there is: the others wait for their turn.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use handcar_executor::Instant;
use handcar_executor::layer::Alarm;

use crate::semaphore::Semaphore;
use crate::wait_queue::{Ticket, Wait};

static ACQUIRE: Wait = Wait::new("RateAcquire", "acquire", "rate limiter", ", where it is another's turn");

/// Lets `n` through in each `per`, evenly spaced, after up to `burst` at once.
///
/// ```
/// # use handcar_executor::{Builder, Clock, Instant};
/// # use handcar_sync::RateLimiter;
/// # use std::time::Duration;
/// # Builder::new().clock(Clock::simulated()).build().unwrap().block_on(async {
/// let requests = RateLimiter::new(10, Duration::from_secs(1), 3);
/// let start = Instant::now();
/// for _ in 0..5 {
///     requests.acquire().await;
/// }
/// // Three at once, and then one in each tenth of a second.
/// assert_eq!(start.elapsed(), Duration::from_millis(200));
/// # });
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    /// The time between two at the rate.
    step: Duration,
    /// How far ahead of the rate one may go.
    slack: Duration,
    /// When the next one is due at the rate, counted from the clock's start. Not an `Instant`, which saturates after 584 years: less
    /// a slack of as much, such an end of time would be now.
    due: Cell<Duration>,
    /// Held by the first in line, who sleeps.
    turn: Semaphore,
}

impl RateLimiter {
    /// Creates a limiter with its full burst to spend.
    ///
    /// # Panics
    ///
    /// Panics if `n` or `burst` is 0.
    #[track_caller]
    pub fn new(n: u32, per: Duration, burst: u32) -> Self {
        assert!(n > 0, "a rate of 0 would let nobody through, ever; use an `Event` to hold everybody up");
        assert!(burst > 0, "a burst of 0 would let nobody through; give it 1 for evenly spaced ones");
        // Rounded up: in no period is there one too many. Of what no clock will live to see, the least is enough.
        let step = Duration::from_nanos(per.as_nanos().div_ceil(u128::from(n)).try_into().unwrap_or(u64::MAX));
        let slack = step.saturating_mul(burst - 1);
        Self { step, slack, due: Cell::new(Duration::ZERO), turn: Semaphore::new(1) }
    }

    /// Waits for the turn of this call, in the order of asking.
    ///
    /// # Panics
    ///
    /// The future panics when it is polled outside a runtime of Handcar, since it needs the runtime's clock.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and uses nothing up.
    #[track_caller]
    pub fn acquire(&self) -> RateAcquire<'_> {
        RateAcquire { limiter: self, stage: Stage::Waiting(Ticket::new()) }
    }

    /// Goes ahead if that is possible now and nobody waits; says whether it did.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime of Handcar.
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        // Before the turn is taken, since it panics outside a runtime.
        let now = Instant::now();
        if self.turn.try_take(1).is_err() {
            return false;
        }
        let is_free = self.use_up(now);
        self.turn.release(1);
        is_free
    }

    /// Counts one, if it may go now.
    fn use_up(&self, now: Instant) -> bool {
        let now = now.since_start();
        // Nobody is ever further ahead than the limit, but for who was so by the clock of an earlier runtime.
        let limit = now.saturating_add(self.slack).saturating_add(self.step);
        let due = self.due.get().clamp(now, limit);
        let is_free = due.saturating_sub(self.slack) <= now;
        self.due.set(if is_free { due.saturating_add(self.step) } else { due });
        is_free
    }

    fn free_at(&self) -> Instant {
        Instant::START + self.due.get().saturating_sub(self.slack)
    }
}

/// The future of [`RateLimiter::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct RateAcquire<'a> {
    limiter: &'a RateLimiter,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// For the turn.
    Waiting(Ticket),
    /// First in line.
    Sleeping(Alarm),
    Done,
}

impl Future for RateAcquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { limiter, stage } = &mut *self;
        if let Stage::Waiting(ticket) = stage {
            let turn = ready!(limiter.turn.poll_acquire(ticket, 1, cx, &ACQUIRE));
            debug_assert!(turn.is_ok(), "nobody closes the semaphore of a limiter");
            *stage = Stage::Sleeping(Alarm::at(Instant::NEVER));
        }
        let Stage::Sleeping(alarm) = stage else { crate::wait_queue::polled_after_ready(ACQUIRE.future) };
        while !limiter.use_up(Instant::now()) {
            *alarm = Alarm::at(limiter.free_at());
            ready!(alarm.poll(cx));
        }
        *stage = Stage::Done;
        limiter.turn.release(1);
        Poll::Ready(())
    }
}

impl Drop for RateAcquire<'_> {
    fn drop(&mut self) {
        match &mut self.stage {
            Stage::Waiting(ticket) => self.limiter.turn.leave(ticket, 1, "acquire"),
            Stage::Sleeping(_) => self.limiter.turn.release(1),
            Stage::Done => {}
        }
    }
}
