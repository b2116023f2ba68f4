//! The stopwatch that a workload is handed.
//!
//! A workload says what happens before the measurement, what one batch of n operations is, and what happens after; the
//! stopwatch decides how many batches of which size are run. In a timed run it doubles the batch until one takes long enough
//! for the clock, which warms the caches up at the same time, and then times some more. In a counted run it runs one batch
//! of exactly the size it was told, so that two runs that differ in nothing but this number differ in nothing but its
//! operations: so instructions are counted.

use std::time::{Duration, Instant};

use crate::machine::thread_cpu_time;
use crate::stats::{Spread, quantile};
use crate::workloads::now;

/// Batches are multiples of this, so that a workload can share its operations out evenly among up to a thousand tasks.
pub const STEP: u64 = 1000;

/// Where the bins of a histogram of latencies meet, in nanoseconds: three for each power of ten.
pub const EDGES: [f64; 19] =
    [1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub enum Effort {
    /// Batches of at least this duration, this many of them.
    Timed {
        /// The least duration of a batch.
        batch: Duration,
        /// How many batches are timed.
        batches: usize,
    },
    /// One batch of this many operations, in multiples of [`STEP`], or of what the workload needs.
    Counted(u64),
}

/// Percentiles with their names, as shares of one.
pub type Quantiles = &'static [(&'static str, f64)];

/// Measures one workload on one runtime.
#[derive(Debug)]
pub struct Bencher {
    effort: Effort,
    samples: Vec<f64>,
    quantiles: Vec<f64>,
    histogram: Vec<u64>,
    operations: u64,
    size: u64,
}

impl Bencher {
    /// One that has measured nothing yet.
    pub fn new(effort: Effort) -> Bencher {
        Bencher { effort, samples: Vec::new(), quantiles: Vec::new(), histogram: Vec::new(), operations: 0, size: 0 }
    }

    /// Tells the workload how many of them there are to be, or how large, where rows differ in that alone.
    pub fn with_size(self, size: u64) -> Bencher {
        Bencher { size, ..self }
    }

    /// How many of them there are to be, or how large.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether little is to be done: operations are counted, not timed.
    pub fn is_counted(&self) -> bool {
        matches!(self.effort, Effort::Counted(_))
    }

    /// What was measured: the cost of one operation in each batch, in the row's unit.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// The result: the median of what was measured, or the percentiles of the latencies.
    pub fn figures(&self) -> Vec<f64> {
        if self.quantiles.is_empty() { vec![Spread::of(&self.samples).median] } else { self.quantiles.clone() }
    }

    /// How many latencies lay between each two of [`EDGES`], with those below the first and above the last.
    pub fn histogram(&self) -> &[u64] {
        &self.histogram
    }

    /// How many operations the last batch had.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Measures nanoseconds by the wall's clock. `batch` does as many operations as it is told, always a multiple of [`STEP`].
    pub async fn measure(&mut self, batch: impl AsyncFnMut(u64)) {
        self.measure_least(STEP, batch).await;
    }

    /// As [`measure`](Bencher::measure), in multiples of `step`.
    pub async fn measure_least(&mut self, step: u64, mut batch: impl AsyncFnMut(u64)) {
        let (least, batches) = match self.effort {
            Effort::Counted(operations) => return self.time(operations.next_multiple_of(step), &mut batch).await,
            Effort::Timed { batch, batches } => (batch, batches),
        };
        let mut operations = step;
        // A step of millions takes long by itself.
        let batches = if step > 100 * STEP { batches.div_ceil(5) } else { batches };
        loop {
            let start = Instant::now();
            batch(operations).await;
            if start.elapsed() >= least {
                break;
            }
            operations *= 2;
        }
        for _ in 0..batches {
            self.time(operations, &mut batch).await;
        }
    }

    async fn time(&mut self, operations: u64, batch: &mut impl AsyncFnMut(u64)) {
        let start = Instant::now();
        batch(operations).await;
        self.record(start.elapsed(), operations);
    }

    /// As [`measure`](Bencher::measure), for what starts a runtime itself.
    pub fn measure_outside(&mut self, batch: impl FnMut(u64)) {
        self.measure_outside_least(STEP, batch);
    }

    /// As [`measure_outside`](Bencher::measure_outside), in multiples of `step`.
    pub fn measure_outside_least(&mut self, step: u64, mut batch: impl FnMut(u64)) {
        now(self.measure_least(step, async |operations| batch(operations)));
    }

    /// Measures nanoseconds of this thread's own CPU time, for batches that mostly wait. A timed batch does `operations`.
    pub async fn measure_cpu(&mut self, operations: u64, mut batch: impl AsyncFnMut(u64)) {
        let (operations, batches) = match self.effort {
            Effort::Counted(operations) => (operations, 1),
            // Each takes long by itself.
            Effort::Timed { batches, .. } => {
                batch(operations).await;
                (operations, batches.div_ceil(5))
            }
        };
        for _ in 0..batches {
            let start = thread_cpu_time();
            batch(operations).await;
            self.record(thread_cpu_time().saturating_sub(start), operations);
        }
    }

    /// Measures what `things` take of the process's memory, in bytes each, between its state now and after `make`: once,
    /// since memory that was given back looks free but is not fresh.
    pub async fn measure_memory(&mut self, things: u64, meter: fn() -> u64, make: impl AsyncFnOnce(u64)) {
        let things = match self.effort {
            Effort::Counted(operations) => operations,
            Effort::Timed { .. } => things,
        };
        let before = meter();
        make(things).await;
        let bytes = meter().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a mantissa holds more bytes than this machine has")]
        self.samples.push(bytes as f64 / things as f64);
        self.operations = things;
    }

    /// Takes latencies that the workload measured itself, in nanoseconds, in one or several slices of time. Keeps each percentile of the
    /// median slice, and the histogram of all.
    pub fn record_latencies(&mut self, quantiles: Quantiles, slices: &mut [Vec<f64>]) {
        for latencies in &mut *slices {
            latencies.sort_unstable_by(f64::total_cmp);
        }
        let of_median_slice = |share| {
            let of_slices: Vec<_> = slices.iter().map(|latencies| quantile(latencies, share)).collect();
            Spread::of(&of_slices).median
        };
        self.quantiles = quantiles.iter().map(|&(_, share)| of_median_slice(share)).collect();
        self.histogram = vec![0; EDGES.len() + 1];
        for latency in slices.iter().flatten() {
            self.histogram[EDGES.partition_point(|edge| edge <= latency)] += 1;
        }
        self.operations = slices.iter().map(|latencies| latencies.len() as u64).sum();
    }

    /// Takes a time that the workload measured itself, for so many operations.
    #[expect(clippy::cast_precision_loss, reason = "a mantissa holds months of nanoseconds")]
    pub fn record(&mut self, elapsed: Duration, operations: u64) {
        self.samples.push(elapsed.as_nanos() as f64 / operations as f64);
        self.operations = operations;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stalls_one_slice_is_in_the_histogram_and_not_in_the_median() {
        let mut bencher = Bencher::new(Effort::Counted(0));
        let mut slices = [vec![100.0; 50], vec![9e6; 50], vec![200.0; 50]];
        bencher.record_latencies(&[("p50", 0.5), ("p99", 0.99)], &mut slices);
        assert_eq!(bencher.figures(), [200.0, 200.0]);
        assert_eq!(bencher.histogram().iter().sum::<u64>(), 150);
        assert_eq!(bencher.histogram()[EDGES.partition_point(|&edge| edge <= 9e6)], 50);
    }

    #[test]
    fn what_stalls_every_slice_counts() {
        let mut bencher = Bencher::new(Effort::Counted(0));
        let stalled = [vec![100.0; 50], vec![9e6; 50]].concat();
        bencher.record_latencies(&[("p99", 0.99)], &mut vec![stalled; 3]);
        assert_eq!(bencher.figures(), [9e6]);
    }
}
