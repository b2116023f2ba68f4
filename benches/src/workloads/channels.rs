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

/// As many tasks as the row says send into one channel that holds a hundred.
#[derive(Debug)]
pub(crate) struct Producers;

impl SyncWorkload for Producers {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let producers = bencher.size();
        bencher
            .measure(async |operations| {
                let (sender, mut receiver) = K::channel::<u64>(100);
                for _ in 0..producers {
                    let sender = sender.clone();
                    R::spawn_detached(async move {
                        for number in 0..operations / producers {
                            assert!(K::send(&sender, number).await);
                        }
                    });
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

/// As many messages as the row says are sent into an unbounded channel, and then all are received.
#[derive(Debug)]
pub(crate) struct Unbounded;

impl SyncWorkload for Unbounded {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let queued = bencher.size();
        let (sender, mut receiver) = K::unbounded::<u64>();
        bencher
            .measure_least(queued.max(STEP), async |operations| {
                for _ in 0..operations / queued {
                    for number in 0..queued {
                        assert!(K::send_unbounded(&sender, number));
                    }
                    for number in 0..queued {
                        assert_eq!(K::receive_unbounded(&mut receiver).await, Some(number));
                    }
                }
            })
            .await;
    }
}

/// As many at a time through a queue without waiters.
pub(crate) fn queue(bencher: &mut Bencher) {
    let queued = bencher.size();
    let mut queue = VecDeque::new();
    bencher.measure_outside_least(queued.max(STEP), |operations| {
        for _ in 0..operations / queued {
            for number in 0..queued {
                queue.push_back(black_box(number));
            }
            for number in 0..queued {
                assert_eq!(black_box(&mut queue).pop_front(), Some(number));
            }
        }
    });
}
