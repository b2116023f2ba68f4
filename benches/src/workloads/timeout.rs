//! A timeout that does not come: armed, overtaken by its future, and dropped, beside other timers that stay armed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{TimedWorkload, WakeSelf, settle};
use crate::bencher::Bencher;
use crate::runtime::Timers;

/// Timeouts around a future that yields once, with as many other timers armed as the row says.
#[derive(Debug)]
pub(crate) struct Timeout;

impl TimedWorkload for Timeout {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        arm::<R>(bencher.size()).await;
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

/// Lets so many tasks sleep for one to two hours, in no order.
async fn arm<R: Timers>(timers: u64) {
    for number in 0..timers {
        let away = Duration::from_secs(3600) + Duration::from_millis(number * 7919 % timers * 3_600_000 / timers);
        R::spawn_detached(R::sleep(away));
    }
    settle::<R>().await;
}

/// A sleep that is polled once and dropped: what arming a timer and forgetting it takes, without a second future.
#[derive(Debug)]
pub(crate) struct ArmAndDrop;

impl TimedWorkload for ArmAndDrop {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    let mut sleep = pin!(R::sleep(Duration::from_secs(60)));
                    let polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await;
                    assert!(polled.is_pending(), "a minute is not over");
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
