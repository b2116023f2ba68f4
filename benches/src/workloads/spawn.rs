//! Spawning: a thousand tasks that are ready at once, joined in order, or detached and counted.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Workload;
use crate::bencher::{Bencher, STEP};
use crate::runtime::Runtime;

/// Spawns a thousand tasks, then joins them.
#[derive(Debug)]
pub(crate) struct SpawnJoin;

impl Workload for SpawnJoin {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let mut tasks = Vec::with_capacity(1000);
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    for number in 0..STEP {
                        tasks.push(R::spawn(async move { black_box(number) }));
                    }
                    let mut sum = 0;
                    for task in tasks.drain(..) {
                        sum += task.await.expect("it neither panics nor is cancelled");
                    }
                    assert_eq!(sum, STEP * (STEP - 1) / 2);
                }
            })
            .await;
    }
}

/// Boxes a thousand futures, then polls and drops each once.
pub(crate) fn boxes(bencher: &mut Bencher) {
    let mut futures: Vec<Pin<Box<dyn Future<Output = u64>>>> = Vec::with_capacity(1000);
    let mut cx = Context::from_waker(Waker::noop());
    bencher.measure_outside(|operations| {
        for _ in 0..operations / STEP {
            for number in 0..STEP {
                futures.push(Box::pin(async move { black_box(number) }));
            }
            let mut sum = 0;
            for mut future in futures.drain(..) {
                let Poll::Ready(number) = future.as_mut().poll(&mut cx) else { unreachable!("it awaits nothing") };
                sum += number;
            }
            assert_eq!(sum, STEP * (STEP - 1) / 2);
        }
    });
}

/// Spawns as many tasks as the row says, which nobody joins, and is woken by the last of them.
#[derive(Debug)]
pub(crate) struct SpawnDetached;

impl Workload for SpawnDetached {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let tasks = bencher.size();
        let crowd = Rc::new(Crowd { left: Cell::new(0), waiting: Cell::new(None) });
        bencher
            .measure(async |operations| {
                for _ in 0..operations / tasks {
                    crowd.left.set(tasks);
                    for _ in 0..tasks {
                        let crowd = Rc::clone(&crowd);
                        R::spawn_detached(async move { crowd.leave() });
                    }
                    crowd.gone().await;
                }
            })
            .await;
    }
}

/// Counts those who have not ended, and knows who waits for that.
struct Crowd {
    left: Cell<u64>,
    waiting: Cell<Option<Waker>>,
}

impl Crowd {
    fn leave(&self) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0
            && let Some(waker) = self.waiting.take()
        {
            waker.wake();
        }
    }

    async fn gone(&self) {
        poll_fn(|cx| {
            if self.left.get() == 0 {
                return Poll::Ready(());
            }
            self.waiting.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
