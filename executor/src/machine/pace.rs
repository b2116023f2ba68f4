//! The pace: how many polls are made between two looks.
//!
//! A look costs a clock read and, once a source waits, a system call: after every poll that would
//! be more than the polls themselves. After very many, timers and sockets would be late. So the interval adapts: each look
//! measures how long the polls since the last one took, and aims at [`LOOK_EVERY_NANOS`]. Cheap polls come to [`MAX_INTERVAL`] per
//! look; with polls of 200 us each there is a look after every one.

use std::cell::Cell;

use crate::time::clock::Instant;

/// The time between two looks that the interval aims at: what a timer or a socket may wait behind busy tasks.
const LOOK_EVERY_NANOS: u64 = 100_000;

/// The most polls between two looks. A look of about 120 ns after 128 polls of 8 ns is a tenth of their time at the most.
const MAX_INTERVAL: u32 = 128;

/// How many polls are made between two looks.
pub(crate) struct Pace {
    interval: Cell<u32>,
    left: Cell<u32>,
    /// The clock at the end of the last look, if that look read it.
    since: Cell<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval: Cell::new(1), left: Cell::new(1), since: Cell::new(None) }
    }
}

impl Pace {
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    #[inline]
    pub(crate) fn count(&self) {
        self.left.set(self.left.get() - 1);
    }

    pub(crate) fn polls(&self) -> u32 {
        self.interval.get() - self.left.get()
    }

    /// The loop has looked because it had nothing to run, and did not read the clock.
    pub(crate) fn idled(&self) {
        self.since.set(None);
        self.left.set(self.interval.get());
    }

    /// The loop has looked, at `now`. Only the time of polls tells anything about the interval, not that of sleep.
    #[allow(clippy::cast_possible_truncation)] // at most MAX_INTERVAL
    pub(crate) fn looked(&self, now: Instant, slept: bool) {
        let interval = self.interval.get();
        if let (Some(since), false) = (self.since.get(), slept) {
            let took = now.nanos().saturating_sub(since.nanos()).max(1);
            let fitting = u64::from(interval) * LOOK_EVERY_NANOS / took;
            self.interval.set(fitting.clamp(1, u64::from(MAX_INTERVAL.min(interval * 2))) as u32);
        }
        self.since.set(Some(now));
        self.left.set(self.interval.get());
    }
}
