//! The pace: how many polls are made between two looks.
//!
//! A look costs a clock read and, once a source waits, a system call: after every poll that would
//! be more than the polls themselves. After very many, timers and sockets would be late. So the interval adapts: each look
//! measures how long the polls since the last one took, and aims at [`LOOK_EVERY_NANOS`]. Cheap polls come to [`MAX_INTERVAL`] per
//! look; with polls of 200 us each there is a look after every one.
//!
//! Where some tasks have cheap polls and others slow ones, a number of polls says nothing of their time: cheap ones lengthen the
//! interval, and slow ones fill it. So when a round took too long, its last task is noted in its slot, for it may have been that one. Its
//! next poll is timed, and is the last of its round; and so on, as long as it is slow. What such a round took before is judged apart, or
//! others might become slow unnoticed.

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
    /// Set if the last poll of the round is that of a slow task.
    early: Cell<Option<Early>>,
    /// The clock at the end of the last look, if that look read it, or at the beginning of such a poll.
    since: Cell<Option<Instant>>,
}

/// A round that ends early.
#[derive(Clone, Copy)]
struct Early {
    /// How many polls are not made.
    skipped: u32,
    /// The interval of the next round, by what this one took before its last poll.
    interval: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval: Cell::new(1), left: Cell::new(1), early: Cell::new(None), since: Cell::new(None) }
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
        let mut early = self.early.get().unwrap_or(Early { skipped: 0, interval: self.interval.get() });
        let made = self.polls();
        if let Some(took) = self.took(now)
            && made > 0
        {
            early.interval = early.interval.min(fitting(made, took));
        }
        early.skipped += self.left.get().saturating_sub(1);
        self.early.set(Some(early));
        self.left.set(1);
    }

    /// How many polls were made in this round.
    pub(crate) fn polls(&self) -> u32 {
        self.interval.get() - self.left.get() - self.early.get().map_or(0, |early| early.skipped)
    }

    /// How long the polls since the last look took, or since the last time that this was asked.
    fn took(&self, now: Instant) -> Option<u64> {
        self.since.replace(Some(now)).map(|since| now.nanos().saturating_sub(since.nanos()).max(1))
    }

    /// The loop has looked because it had nothing to run, and did not read the clock.
    pub(crate) fn idled(&self) {
        self.since.set(None);
        self.early.set(None);
        self.left.set(self.interval.get());
    }

    /// The loop has looked, at `now`. Only the time of polls tells anything about the interval, not that of sleep. True if the last poll
    /// was slow.
    pub(crate) fn looked(&self, now: Instant, slept: bool) -> bool {
        let took = self.took(now).filter(|_| !slept);
        let (interval, limit) = match (self.early.take(), took) {
            (Some(early), _) => (early.interval, LOOK_EVERY_NANOS),
            (None, None) => (self.interval.get(), 0),
            (None, Some(took)) => {
                let interval = self.interval.get();
                (fitting(interval, took).min(interval * 2), LOOK_EVERY_NANOS * 3 / 2)
            }
        };
        self.interval.set(interval);
        self.left.set(interval);
        took.is_some_and(|took| took > limit)
    }
}

/// How many polls fit into the time between two looks, if `polls` took so long.
#[allow(clippy::cast_possible_truncation)] // at most MAX_INTERVAL
fn fitting(polls: u32, took: u64) -> u32 {
    (u64::from(polls) * LOOK_EVERY_NANOS / took).clamp(1, u64::from(MAX_INTERVAL)) as u32
}
