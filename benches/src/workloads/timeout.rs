//! A timeout that does not come: armed, overtaken by its future, and dropped, beside other timers that stay armed.

use std::time::{Duration, Instant};

use super::{WakeSelf, Workload};
use crate::bencher::Bencher;
use crate::runtime::Runtime;

/// Timeouts around a future that yields once, with so many other timers armed.
#[derive(Debug)]
pub(crate) struct Timeout<const ARMED: u64>;

impl<const ARMED: u64> Workload for Timeout<ARMED> {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        for number in 0..ARMED {
            // Spread over an hour, in no order.
            let away = Duration::from_secs(3600) + Duration::from_micros(number * 7919 % ARMED * 360_000);
            R::detach(R::spawn(R::sleep(away)));
        }
        R::yield_now().await;
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    let yielded = R::timeout(Duration::from_secs(60), WakeSelf(1)).await;
                    assert!(yielded.is_some(), "a minute is enough");
                }
            })
            .await;
    }
}

/// Reads the clock, and remembers and forgets a deadline.
pub(crate) fn deadlines(bencher: &mut Bencher) {
    let mut deadlines = Vec::new();
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            deadlines.push(Instant::now() + Duration::from_secs(60));
            std::hint::black_box(&mut deadlines).pop();
        }
    });
}
