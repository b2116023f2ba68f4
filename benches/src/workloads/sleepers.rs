//! A hundred thousand sleeping tasks: what waiting costs when it is not the cache that one measures.

use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::{TimedWorkload, join, now};
use crate::bencher::Bencher;
use crate::runtime::Timers;

/// So many at once; a counted run takes fewer.
const TASKS: u64 = 100_000;

/// Spawns tasks that sleep between 1 and 100 ms, and joins them.
#[derive(Debug)]
pub(crate) struct Sleepers;

impl TimedWorkload for Sleepers {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        bencher
            .measure_cpu(TASKS, async |operations| {
                let tasks: Vec<_> = (0..operations).map(|number| R::spawn(R::sleep(nap(number)))).collect();
                join::<R, _>(tasks).await;
            })
            .await;
    }
}

/// Durations in no order, spread evenly.
fn nap(number: u64) -> Duration {
    Duration::from_millis(1 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100)
}

/// Keeps the deadlines in a heap and sleeps on the earliest.
pub(crate) fn heap(bencher: &mut Bencher) {
    let batch = async |operations| {
        let mut deadlines: BinaryHeap<_> =
            (0..operations).map(|number| std::cmp::Reverse((Instant::now() + nap(number), Box::new(number)))).collect();
        while let Some(std::cmp::Reverse((deadline, _))) = deadlines.peek() {
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            while deadlines.peek().is_some_and(|std::cmp::Reverse((deadline, _))| *deadline <= now) {
                drop(deadlines.pop());
            }
        }
    };
    now(bencher.measure_cpu(TASKS, batch));
}
