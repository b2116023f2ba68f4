//! Clocks: the system's, and one that jumps.
//!
//! A runtime has one [`Clock`], and its own [`Instant`]s: nanoseconds since that clock started. With the simulated clock no
//! time passes while anything can run. When nothing can, it jumps to the next deadline, so a test of an hour's timers takes
//! microseconds and gives the same result each time.
//!
//! The clock must not jump while something outside may still wake a task: the timeout of a blocking job would fire before the
//! job had a chance. So whatever works outside declares itself with [`Clock::hold`]. Blocking jobs do it by themselves. A run that looks
//! for deadlocks takes a hold for somebody who may wake a task, whatever its clock.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::kept::{Detector, Kept};
use crate::machine::context;
use crate::machine::mailbox::Mailbox;

/// A point in time of the current runtime's clock, in nanoseconds since the clock's start. All arithmetic saturates.
///
/// ```
/// # use handcar_executor::{Builder, Clock, Instant, sleep};
/// # use std::time::Duration;
/// # Builder::new().clock(Clock::simulated()).build().unwrap().block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_secs(3600)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(3600));
/// # });
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// When the clock started.
    pub const START: Instant = Instant(0);

    /// Later than everything: a deadline that never comes.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The current runtime's time.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn now() -> Instant {
        context::current("Instant::now").timers.clock.now()
    }

    /// How long ago this was; zero if it is still to come.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn elapsed(self) -> Duration {
        Instant::now() - self
    }

    /// The time since the clock's start.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time since `earlier`; zero if that is later.
    pub fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same point as one of `std`'s instants, counted from the moment when the current runtime's clock was made.
    /// [`NEVER`](Instant::NEVER) comes out centuries ahead.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn into_std(self) -> std::time::Instant {
        let epoch = context::current("Instant::into_std").timers.clock.0.epoch;
        epoch.checked_add(self.since_start()).unwrap_or(epoch + Duration::from_secs(1 << 31))
    }

    /// The point of the current runtime's clock that is one of `std`'s instants.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(instant: std::time::Instant) -> Instant {
        Instant::START + instant.saturating_duration_since(context::current("Instant::from_std").timers.clock.0.epoch)
    }

    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }
}

/// A duration as the timers count: a deadline further off than 584 years is never.
#[allow(clippy::cast_possible_truncation)] // compared first
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    duration.as_nanos().min(u128::from(u64::MAX)) as u64
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(saturating_nanos(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instant::NEVER => f.write_str("never"),
            at => write!(f, "start + {:?}", at.since_start()),
        }
    }
}

/// Where a runtime's time comes from. Clones are the same clock.
///
/// ```
/// use handcar_executor::{Builder, Clock, sleep};
/// use std::time::Duration;
///
/// let clock = Clock::simulated();
/// let runtime = Builder::new().clock(clock.clone()).build().unwrap();
/// runtime.block_on(sleep(Duration::from_secs(86_400)));
/// assert_eq!(clock.now().since_start(), Duration::from_secs(86_400));
/// ```
#[derive(Clone)]
pub struct Clock(Rc<State>);

struct State {
    epoch: std::time::Instant,
    /// The time, if that is simulated.
    simulated: Option<Cell<Instant>>,
    /// None if it is of no consequence who holds the clock.
    holds: OnceCell<Arc<Holds>>,
    /// Under a simulated clock a deadlock is an error.
    detector: Option<Detector>,
}

#[derive(Default)]
struct Holds {
    count: AtomicUsize,
    /// The runtimes that wait for the last hold to go; of the system's clock there may be several.
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
}

impl Clock {
    /// The system's monotonic clock.
    pub fn system() -> Clock {
        let clock = Clock::unheld();
        clock.holds(); // a runtime that looks for deadlocks may get it when it is held already
        clock
    }

    /// The system's, of one runtime only: nobody counts who holds it before that wants to know.
    pub(crate) fn unheld() -> Clock {
        let epoch = std::time::Instant::now();
        Clock(Rc::new(State { epoch, simulated: None, holds: OnceCell::new(), detector: None }))
    }

    /// A clock that starts at exactly zero and jumps to the next deadline at the moment when nothing is runnable and
    /// nothing outside is awaited. If there is no deadline either, that is a deadlock, and the run ends with
    /// [`RunError::Deadlock`](crate::RunError::Deadlock).
    ///
    /// Use one for one runtime.
    pub fn simulated() -> Clock {
        let (epoch, simulated) = (std::time::Instant::now(), Some(Cell::new(Instant::START)));
        let holds = OnceCell::from(Arc::default());
        Clock(Rc::new(State { epoch, simulated, holds, detector: Some(Kept::detector) }))
    }

    /// The clock of the thread's current runtime; none outside a runtime.
    ///
    /// It is how something that another thread will wake a task for can [hold](Clock::hold) the clock without being handed one.
    ///
    /// ```
    /// # use handcar_executor::{Clock, run};
    /// assert!(Clock::current().is_none());
    /// assert!(!run(async { Clock::current().unwrap().is_simulated() }));
    /// ```
    pub fn current() -> Option<Clock> {
        context::with_current(|core| core.timers.clock.clone())
    }

    /// The time.
    #[inline(never)] // one copy: a runtime's end alone would have eight
    pub fn now(&self) -> Instant {
        match &self.0.simulated {
            Some(now) => now.get(),
            None => Instant::START + self.0.epoch.elapsed(),
        }
    }

    /// Moves the simulated clock ahead; timers that are due then fire at the loop's next look.
    ///
    /// # Panics
    ///
    /// If this is the system's clock.
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        let Some(now) = &self.0.simulated else {
            panic!("the system's clock cannot be advanced: give the runtime a `Clock::simulated()`");
        };
        now.set(now.get() + by);
    }

    /// Declares that something outside the runtime is at work that may wake a task: until the guard is dropped, on any
    /// thread, the simulated clock does not jump, and there is no deadlock. The system's clock goes on.
    ///
    /// A thread that has a task's waker needs no hold to be no deadlock; only to keep the simulated clock from jumping before
    /// it wakes.
    pub fn hold(&self) -> ClockHold {
        self.holder().hold()
    }

    /// What can hold it from another thread.
    pub(crate) fn holder(&self) -> Holder {
        Holder(self.0.holds.get().cloned())
    }

    /// Whether this clock is simulated.
    pub fn is_simulated(&self) -> bool {
        self.0.simulated.is_some()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.holds.get().is_some_and(|holds| holds.count.load(Ordering::Acquire) > 0)
    }

    pub(crate) fn detector(&self) -> Option<Detector> {
        self.0.detector
    }

    /// Whoever lets go of it last notifies `mailbox`, if that wants to know.
    pub(crate) fn belongs_to(&self, mailbox: &Arc<Mailbox>) {
        if mailbox.detector.is_none() {
            return;
        }
        let mut mailboxes = self.holds().lock();
        mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        mailboxes.push(Arc::downgrade(mailbox));
    }

    fn holds(&self) -> &Arc<Holds> {
        self.0.holds.get_or_init(Arc::default)
    }
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_simulated() { "simulated" } else { "system" };
        write!(f, "Clock({kind}, {:?})", self.now())
    }
}

/// The half of a clock that may leave its thread.
pub(crate) struct Holder(Option<Arc<Holds>>);

impl Holder {
    pub(crate) fn hold(&self) -> ClockHold {
        if let Some(holds) = &self.0 {
            holds.count.fetch_add(1, Ordering::Relaxed);
        }
        ClockHold(self.0.clone())
    }
}

/// Keeps the simulated clock from jumping, and a run from being called a deadlock. Made by [`Clock::hold`].
#[must_use = "the clock is held only until the guard is dropped"]
pub struct ClockHold(Option<Arc<Holds>>);

impl Drop for ClockHold {
    fn drop(&mut self) {
        let Some(holds) = &self.0 else { return };
        if holds.count.fetch_sub(1, Ordering::Release) == 1 {
            let mailboxes: Vec<_> = holds.lock().iter().filter_map(Weak::upgrade).collect();
            for mailbox in mailboxes {
                mailbox.notify();
            }
        }
    }
}

impl fmt::Debug for ClockHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockHold")
    }
}
