//! Intervals: ticks at a fixed distance.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::machine::{budget, context};
use crate::time::clock::Instant;
use crate::time::sleep::Alarm;
use crate::unpolled::Unpolled;

/// A tick that comes later than this was missed, and the [`MissedTickBehavior`] decides about the next; up to it, lateness
/// is the ordinary lateness of timers. tokio's figure.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Ticks every `period`; the first tick comes at once.
///
/// ```
/// # use handcar_executor::{Builder, Clock, Instant, interval};
/// # use std::time::Duration;
/// # Builder::new().clock(Clock::simulated()).build().unwrap().block_on(async {
/// let mut seconds = interval(Duration::from_secs(1));
/// for second in 0..3 {
///     let tick = seconds.tick().await;
///     assert_eq!(tick.since_start(), Duration::from_secs(second));
/// }
/// # });
/// ```
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(context::current("interval").timers.clock.now(), period)
}

/// Ticks every `period`; the first tick comes at `start`.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero; to yield once, use `yield_now`");
    Interval {
        period,
        next: start,
        alarm: Alarm::at(start),
        missed: MissedTickBehavior::default(),
        made_at: Location::caller(),
    }
}

/// What an interval does about ticks that nobody waited for in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The missed ticks come one after the other, at once, until the schedule is caught up with.
    #[default]
    Burst,
    /// The schedule starts anew from the late tick.
    Delay,
    /// The missed ticks are left out; the next one comes when it would have come anyway.
    Skip,
}

impl MissedTickBehavior {
    fn next(self, missed: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => missed + period,
            MissedTickBehavior::Delay => now + period,
            MissedTickBehavior::Skip => {
                let period_nanos = period.as_nanos();
                let into = (now - missed).as_nanos() % period_nanos;
                let left = u64::try_from(period_nanos - into).map_or(Duration::MAX, Duration::from_nanos);
                now + left
            }
        }
    }
}

/// Ticks at a fixed distance. Made by [`interval`] and [`interval_at`].
pub struct Interval {
    period: Duration,
    next: Instant,
    alarm: Alarm,
    missed: MissedTickBehavior,
    made_at: &'static Location<'static>,
}

impl Interval {
    /// Waits for the next tick and returns when it was due.
    ///
    /// # Cancel safety
    ///
    /// No tick is lost: the next call waits for the same one.
    #[track_caller]
    pub fn tick(&mut self) -> Tick<'_> {
        Tick { interval: self, unpolled: Unpolled::new(&"tick") }
    }

    /// Polls for the next tick.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(budget::poll(cx));
        ready!(self.alarm.poll(cx));
        budget::spend();
        let tick = self.next;
        let now = context::current("Interval::tick").timers.clock.now();
        self.next = if now > tick + TOLERANCE { self.missed.next(tick, now, self.period) } else { tick + self.period };
        self.alarm = Alarm::at(self.next);
        Poll::Ready(tick)
    }

    /// What to do about missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// What is done about missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// The distance between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The next tick comes one period from now. A task that waits for it goes on waiting.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn reset(&mut self) {
        self.next = context::current("Interval::reset").timers.clock.now() + self.period;
        if !self.alarm.rearm(self.next) {
            self.alarm = Alarm::at(self.next);
        }
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interval(every {:?}, next {:?}, made at {})", self.period, self.next, self.made_at)
    }
}

/// Waits for a tick. Made by [`Interval::tick`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Tick<'a> {
    interval: &'a mut Interval,
    unpolled: Unpolled,
}

impl Future for Tick<'_> {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        self.unpolled.forget();
        self.interval.poll_tick(cx)
    }
}
