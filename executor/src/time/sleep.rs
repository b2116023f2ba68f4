//! Sleeping, and the alarm under everything that waits for time.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::kept::keep;
use crate::machine::timers::Timers;
use crate::machine::{budget, context};
use crate::question;
use crate::time::clock::{Instant, saturating_nanos};
use crate::unpolled;

/// A timer of one runtime, armed at its first poll: what [`Sleep`], [`Interval`](crate::Interval) and
/// [`Timeout`](crate::Timeout) are made of.
pub struct Alarm {
    due: Due,
    key: u32,
    /// Where it is armed.
    timers: Option<Rc<Timers>>,
}

#[derive(Clone, Copy)]
enum Due {
    /// Nanoseconds after the look that follows the first poll.
    After(u64),
    At(Instant),
}

impl Alarm {
    /// One that is due `duration` after the look that follows its first poll.
    pub fn after(duration: Duration) -> Alarm {
        Alarm { due: Due::After(saturating_nanos(duration)), key: 0, timers: None }
    }

    /// One that is due at `deadline`.
    pub fn at(deadline: Instant) -> Alarm {
        Alarm { due: Due::At(deadline), key: 0, timers: None }
    }

    /// Whether the time has come. What is due when it is first polled is never armed.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timers) = &self.timers else { return self.arm(cx) };
        if let Poll::Ready(at) = timers.poll(self.key, cx) {
            self.due = Due::At(at);
            return Poll::Ready(());
        }
        // Seldom: another runtime polls on, whose loop would never fire this timer.
        if is_elsewhere(timers) {
            return self.move_here(cx);
        }
        Poll::Pending
    }

    fn arm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_armed = context::with_current(|core| self.arm_fast(&core.timers, cx)) == Some(true);
        if is_armed { Poll::Pending } else { self.arm_rarely(cx) }
    }

    /// Mostly it is relative, and a task's.
    #[inline]
    fn arm_fast(&mut self, timers: &Rc<Timers>, cx: &Context<'_>) -> bool {
        let Due::After(nanos @ 1..) = self.due else { return false };
        let Some(key) = timers.arm_fast(nanos, cx.waker()) else { return false };
        self.key = key;
        mem::forget(self.timers.replace(Rc::clone(timers))); // there was none
        true
    }

    #[inline(never)]
    fn arm_rarely(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(armed) = context::with_current(|core| self.arm_with(&core.timers, cx)) else {
            panic!("a timer was polled outside a runtime: await it inside `handcar::run` or `Runtime::block_on`")
        };
        armed
    }

    fn arm_with(&mut self, timers: &Rc<Timers>, cx: &Context<'_>) -> Poll<()> {
        self.key = match self.due {
            Due::After(0) => {
                self.due = Due::At(timers.looked_at());
                return Poll::Ready(());
            }
            Due::At(deadline) if deadline <= timers.looked_at() => return Poll::Ready(()),
            Due::After(nanos) => timers.arm_after(nanos, keep(cx.waker())),
            Due::At(deadline) => timers.arm_at(deadline, keep(cx.waker())),
        };
        self.timers = Some(Rc::clone(timers));
        Poll::Pending
    }

    /// The two runtimes' clocks started at different times: what is left counts.
    #[cold]
    fn move_here(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timers) = &self.timers {
            self.due = self.left(timers);
        }
        self.disarm();
        self.arm(cx)
    }

    /// What is left of it where it is armed.
    fn left(&self, timers: &Timers) -> Due {
        match timers.deadline(self.key) {
            Instant::NEVER => Due::At(Instant::NEVER),
            deadline => Due::After(saturating_nanos(deadline - timers.clock.now())),
        }
    }

    /// Moves the deadline, of the current runtime's clock; whoever waits goes on waiting. False if nobody does.
    pub(crate) fn rearm(&mut self, deadline: Instant) -> bool {
        self.due = Due::At(deadline);
        let Some(timers) = self.timers.take() else { return false };
        let here = context::with_current(|core| Rc::clone(&core.timers)).unwrap_or_else(|| Rc::clone(&timers));
        if Rc::ptr_eq(&here, &timers) {
            let armed = timers.rearm(self.key, deadline);
            self.timers = Some(timers);
            return armed;
        }
        let Some(waiting) = timers.take(self.key) else { return false };
        self.key = here.arm_at(deadline, waiting);
        self.timers = Some(here);
        true
    }

    /// The deadline, by the clock of the runtime where it is armed; settles it if it is relative. One that is not armed counts from now.
    ///
    /// # Panics
    ///
    /// If it is relative and not armed, outside a runtime.
    #[track_caller]
    pub fn deadline(&self) -> Instant {
        match (self.due, &self.timers) {
            (Due::At(deadline), _) => deadline,
            (Due::After(_), Some(timers)) => timers.deadline(self.key),
            (Due::After(nanos), None) => Instant::now() + Duration::from_nanos(nanos),
        }
    }

    /// As [`deadline`](Alarm::deadline), by the current runtime's clock, to which the next poll moves it.
    ///
    /// # Panics
    ///
    /// If it is relative and not armed, outside a runtime.
    #[track_caller]
    pub fn deadline_here(&self) -> Instant {
        match self.timers.as_ref().filter(|timers| is_elsewhere(timers)).map(|timers| self.left(timers)) {
            Some(Due::After(nanos)) => Instant::now() + Duration::from_nanos(nanos),
            Some(Due::At(deadline)) => deadline,
            None => self.deadline(),
        }
    }

    /// Whether it had come at the loop's last look: then it fires before what is polled now is polled again.
    pub fn has_come(&self) -> bool {
        context::with_current(|core| match (self.due, &self.timers) {
            (_, Some(timers)) if !Rc::ptr_eq(timers, &core.timers) => timers.has_fired(self.key),
            (Due::At(deadline), _) => deadline <= core.timers.looked_at(),
            (Due::After(_), Some(timers)) => timers.has_fired(self.key),
            (Due::After(nanos), None) => nanos == 0,
        }) == Some(true)
    }

    /// Forgets the timer; the next poll arms it anew.
    #[inline(never)] // one copy
    pub fn disarm(&mut self) {
        #[cold]
        #[inline(never)]
        #[allow(clippy::needless_pass_by_value)] // as the last thing, and so without a frame
        fn disarm_rarely(timers: Rc<Timers>, key: u32) {
            timers.disarm(key);
        }
        if let Some(timers) = self.timers.take()
            && !timers.disarm_fast(self.key)
        {
            disarm_rarely(timers, self.key);
        }
    }
}

/// Whether the current runtime, if there is one, is another than theirs.
fn is_elsewhere(timers: &Rc<Timers>) -> bool {
    context::with_current(|core| !Rc::ptr_eq(&core.timers, timers)) == Some(true)
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

impl Drop for Alarm {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Waits for `duration`. It counts from the loop's next look after the first poll: never early.
///
/// Zero yields exactly once; [`Duration::MAX`] is for ever.
///
/// ```
/// # use handcar_executor::{run, sleep};
/// # use std::time::Duration;
/// run(async {
///     sleep(Duration::from_millis(1)).await;
/// });
/// ```
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping it removes its timer. A new `sleep` starts anew; to wait on for the rest, keep the [`Sleep`] and poll it by
/// reference.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(Alarm::after(duration))
}

/// Waits until `deadline`. If that has passed, it yields once.
///
/// # Panics
///
/// When it is polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping it removes its timer, and one made anew for the same deadline has lost nothing.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Alarm::at(deadline))
}

/// Waits for a point in time. Made by [`sleep`] and [`sleep_until`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    alarm: Alarm,
    stage: Stage,
    made_at: &'static Location<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    /// As new, but it was polled before: it was reset then, or nothing was left of the budget.
    Again,
    Waiting,
    /// The deadline had passed at the first poll: it has woken itself.
    Yielded,
    Done,
}

impl Sleep {
    #[track_caller]
    fn new(alarm: Alarm) -> Sleep {
        Sleep { alarm, stage: Stage::New, made_at: Location::caller() }
    }

    /// When it ends. A relative one that has not been polled yet counts from now.
    ///
    /// # Panics
    ///
    /// If it has not been polled and this is outside a runtime.
    #[track_caller]
    pub fn deadline(&self) -> Instant {
        self.alarm.deadline()
    }

    /// Moves the deadline, also after it has passed; the future can then be awaited again. A task that waits goes on waiting.
    ///
    /// ```
    /// # use handcar_executor::{Builder, Clock, Instant, sleep};
    /// # use std::time::Duration;
    /// # Builder::new().clock(Clock::simulated()).build().unwrap().block_on(async {
    /// let mut idle = sleep(Duration::from_secs(10));
    /// idle.reset(Instant::now() + Duration::from_secs(60)); // something happened
    /// idle.await;
    /// assert_eq!(Instant::now().since_start(), Duration::from_secs(60));
    /// # });
    /// ```
    pub fn reset(&mut self, deadline: Instant) {
        if !self.alarm.rearm(deadline) {
            self.alarm = Alarm::at(deadline);
            self.stage = if self.stage == Stage::New { Stage::New } else { Stage::Again };
        }
    }

    #[cold]
    fn suspend(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Stage::New = self.stage {
            self.stage = Stage::Again;
        }
        question::suspend_telling(cx, || format!("the sleep made at {}", self.made_at))
    }

    /// Makes it one that may be dropped before it is polled, as far as [`Builder::report_unpolled`](crate::Builder::report_unpolled)
    /// is concerned: for who may turn out not to need it.
    pub fn unreported(mut self) -> Sleep {
        if let Stage::New = self.stage {
            self.stage = Stage::Again;
        }
        self
    }

    /// Whether it has ended.
    pub fn is_elapsed(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The line that made it.
    pub fn made_at(&self) -> &'static Location<'static> {
        self.made_at
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !question::has_left() {
            return self.suspend(cx);
        }
        match self.stage {
            Stage::New | Stage::Again | Stage::Waiting => {
                let due = self.alarm.poll(cx);
                if due.is_pending() || self.stage != Stage::Waiting {
                    let passed = due.is_ready();
                    self.stage = if passed { Stage::Yielded } else { Stage::Waiting };
                    if passed {
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
            }
            Stage::Yielded => {}
            Stage::Done => panic!("`Sleep` polled after it had ended; it was made at {}", self.made_at),
        }
        budget::spend();
        self.stage = Stage::Done;
        self.alarm.disarm();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        if let Stage::New = self.stage {
            unpolled::report("sleep", self.made_at);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep({:?}, made at {})", self.stage, self.made_at)
    }
}
