//! What became of the pages, and how it is told.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

/// What became of one page.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ok,
    /// In a few words, the same for the same cause.
    Failed(String),
    TimedOut,
}

/// Counts outcomes. They exclude each other, so their sum is the number of pages.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ok: usize,
    failed: BTreeMap<String, usize>,
    timed_out: usize,
    in_flight: usize,
    max_in_flight: usize,
    times: Vec<Duration>,
}

/// The summary as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    requests: usize,
    ok: usize,
    failed: usize,
    timed_out: usize,
    max_in_flight: usize,
    elapsed_ms: u64,
    /// `None` where the system does not tell.
    threads: Option<usize>,
}

impl Tally {
    pub(crate) fn begin(&mut self) {
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
    }

    pub(crate) fn end(&mut self, outcome: Outcome, took: Duration) {
        self.in_flight -= 1;
        self.times.push(took);
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Failed(why) => *self.failed.entry(why).or_default() += 1,
            Outcome::TimedOut => self.timed_out += 1,
        }
    }

    /// `ok, failed, timed out`, for the progress bar.
    pub(crate) fn in_short(&self) -> String {
        format!("{} ok, {} failed, {} timed out", self.ok, self.failures(), self.timed_out)
    }

    pub(crate) fn ok(&self) -> usize {
        self.ok
    }

    fn failures(&self) -> usize {
        self.failed.values().sum()
    }

    pub(crate) fn summary(&self, elapsed: Duration) -> Summary {
        Summary {
            requests: self.times.len(),
            ok: self.ok,
            failed: self.failures(),
            timed_out: self.timed_out,
            max_in_flight: self.max_in_flight,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            threads: threads(),
        }
    }

    /// The same for people, with more in it.
    pub(crate) fn report(&mut self, elapsed: Duration) -> String {
        self.times.sort_unstable();
        let summary = self.summary(elapsed);
        #[allow(clippy::cast_precision_loss)] // fewer than 2^52 pages
        let rate = summary.requests as f64 / elapsed.as_secs_f64();
        let threads = match summary.threads {
            Some(1) => ", on one thread".to_owned(),
            Some(n) => format!(", on {n} threads"),
            None => String::new(),
        };
        let mut report = format!(
            "{} pages in {:.2} s, {rate:.0} a second, at most {} in flight{threads}\n",
            summary.requests,
            elapsed.as_secs_f64(),
            summary.max_in_flight,
        );
        let _ = write!(report, "  ok        {:6}\n  failed    {:6}", summary.ok, summary.failed);
        for (why, count) in &self.failed {
            let _ = write!(report, "   {count} x {why}");
        }
        let _ = write!(report, "\n  timed out {:6}\n", summary.timed_out);
        let _ = write!(
            report,
            "  half of the pages within {}, 99 of 100 within {}",
            self.percentile(50),
            self.percentile(99)
        );
        report
    }

    /// The time within which `percent` of the pages were there; the times are sorted.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(rank).map_or_else(|| "no time".to_owned(), |time| format!("{time:.1?}"))
    }
}

/// How many threads this process has, where the system tells.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
