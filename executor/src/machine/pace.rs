//! The pace: how many polls are made between two looks.
//!
//! A look costs a clock read and, once a source waits, a system call: after every poll that would
//! be more than the polls themselves. After very many, timers and sockets would be late. So the interval adapts: each look
//! measures how long the polls since the last one took, and aims at [`LOOK_EVERY_NANOS`]. Cheap polls come to [`MAX_INTERVAL`] per
//! look; with polls of 200 us each there is a look after every one.
//!
//! Where some tasks have cheap polls and others slow ones, a number of polls says nothing of their time: cheap ones lengthen the
//! interval, and slow ones fill it. So a task with which a round became too long is noted in its slot. Its next poll is timed, and is
//! the last of its round; and so on, as long as it is slow.

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
    /// How many of them are not made, since a slow one ends the round.
    skipped: Cell<Option<u32>>,
    /// The clock at the end of the last look, if that look read it.
    since: Cell<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval: Cell::new(1), left: Cell::new(1), skipped: Cell::new(None), since: Cell::new(None) }
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

    /// The next poll begins at `now`, and is the last one before a look.
    #[cold]
    pub(crate) fn end_with_next(&self, now: Instant) {
        self.since.set(Some(now));
        self.skipped.set(Some(self.skipped.get().unwrap_or(0) + self.left.get().saturating_sub(1)));
        self.left.set(1);
    }

    pub(crate) fn polls(&self) -> u32 {
        self.interval.get() - self.left.get() - self.skipped.get().unwrap_or(0)
    }

    /// The loop has looked because it had nothing to run, and did not read the clock.
    pub(crate) fn idled(&self) {
        self.since.set(None);
        self.skipped.set(None);
        self.left.set(self.interval.get());
    }

    /// The loop has looked, at `now`. Only the time of polls tells anything about the interval, not that of sleep. Returns whether the
    /// last poll counts as slow from now on, where that is known.
    #[allow(clippy::cast_possible_truncation)] // at most MAX_INTERVAL
    pub(crate) fn looked(&self, now: Instant, slept: bool) -> Option<bool> {
        let (interval, ended_early) = (self.interval.get(), self.skipped.take().is_some());
        let took = self.since.replace(Some(now)).map(|since| now.nanos().saturating_sub(since.nanos()).max(1));
        let took = took.filter(|_| !slept);
        if let (Some(took), false) = (took, ended_early) {
            let fitting = u64::from(interval) * LOOK_EVERY_NANOS / took;
            self.interval.set(fitting.clamp(1, u64::from(MAX_INTERVAL.min(interval * 2))) as u32);
        }
        self.left.set(self.interval.get());
        let limit = if ended_early { LOOK_EVERY_NANOS } else { LOOK_EVERY_NANOS * 3 / 2 };
        let is_slow = took? > limit;
        (ended_early || is_slow).then_some(is_slow)
    }
}
