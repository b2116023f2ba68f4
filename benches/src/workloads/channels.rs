//! Channels of many messages.

use std::collections::VecDeque;
use std::hint::black_box;

use super::SyncWorkload;
use crate::bencher::{Bencher, STEP};
use crate::runtime::Runtime;
use crate::toolkit::Toolkit;

/// A message there and one back, over two channels that hold one.
#[derive(Debug)]
pub(crate) struct PingPong;

impl SyncWorkload for PingPong {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let (serve, mut served) = K::channel::<u64>(1);
        let (answer, mut answers) = K::channel::<u64>(1);
        let echo = R::spawn(async move {
            while let Some(number) = K::receive(&mut served).await {
                assert!(K::send(&answer, number).await);
            }
        });
        bencher
            .measure(async |operations| {
                for number in 0..operations {
                    assert!(K::send(&serve, number).await);
                    assert_eq!(K::receive(&mut answers).await, Some(number));
                }
            })
            .await;
        drop(serve);
        echo.await.expect("it neither panics nor is cancelled");
    }
}

/// So many tasks send into one channel that holds a hundred.
#[derive(Debug)]
pub(crate) struct Producers<const PRODUCERS: u64>;

impl<const PRODUCERS: u64> SyncWorkload for Producers<PRODUCERS> {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                let (sender, mut receiver) = K::channel::<u64>(100);
                for _ in 0..PRODUCERS {
                    let sender = sender.clone();
                    R::detach(R::spawn(async move {
                        for number in 0..operations / PRODUCERS {
                            assert!(K::send(&sender, number).await);
                        }
                    }));
                }
                drop(sender);
                let mut messages = 0;
                while let Some(number) = K::receive(&mut receiver).await {
                    black_box(number);
                    messages += 1;
                }
                assert_eq!(messages, operations);
            })
            .await;
    }
}

/// So many messages are sent into an unbounded channel, and then all are received.
#[derive(Debug)]
pub(crate) struct Unbounded<const QUEUED: u64>;

impl<const QUEUED: u64> SyncWorkload for Unbounded<QUEUED> {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let (sender, mut receiver) = K::unbounded::<u64>();
        bencher
            .measure_least(QUEUED.max(STEP), async |operations| {
                for _ in 0..operations / QUEUED {
                    for number in 0..QUEUED {
                        assert!(K::send_unbounded(&sender, number));
                    }
                    for number in 0..QUEUED {
                        assert_eq!(K::receive_unbounded(&mut receiver).await, Some(number));
                    }
                }
            })
            .await;
    }
}

/// So many at a time through a queue without waiters.
pub(crate) fn queue<const QUEUED: u64>(bencher: &mut Bencher) {
    let mut queue = VecDeque::new();
    bencher.measure_outside_least(QUEUED.max(STEP), |operations| {
        for _ in 0..operations / QUEUED {
            for number in 0..QUEUED {
                queue.push_back(black_box(number));
            }
            for number in 0..QUEUED {
                assert_eq!(black_box(&mut queue).pop_front(), Some(number));
            }
        }
    });
}
