//! async-executor's: `executor`.

use std::future::Future;
use std::pin::Pin;

use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkit::Toolkit;
use crate::workloads::{SyncWorkload, Workload, join};

const TASKS: u64 = 300;
const STEPS: u64 = 300;
const LIGHT_TASKS: u64 = 25_000;

/// `create`: a new executor for one task. Not a [`Workload`]: it cannot run inside a task.
#[derive(Debug)]
pub(crate) struct Create;

impl Create {
    /// Measures it.
    pub(crate) fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher.measure_outside_least(10, |operations| (0..operations).for_each(|_| R::run(async {})));
    }
}

/// `spawn_one`.
#[derive(Debug)]
pub(crate) struct SpawnOne;

impl Workload for SpawnOne {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    R::spawn(async {}).await.expect("it neither panics nor is cancelled");
                }
            })
            .await;
    }
}

/// `spawn_many_local`: 25,000 tasks, joined in order.
#[derive(Debug)]
pub(crate) struct SpawnManyLocal;

impl Workload for SpawnManyLocal {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure_least(LIGHT_TASKS, async |operations| {
                for _ in 0..operations / LIGHT_TASKS {
                    let tasks: Vec<_> = (0..LIGHT_TASKS).map(|_| R::spawn(async {})).collect();
                    join::<R, _>(tasks).await;
                }
            })
            .await;
    }
}

/// `spawn_recursively`: 300 tasks, each of which spawns a task and awaits it, which does the same, 300 deep.
#[derive(Debug)]
pub(crate) struct SpawnRecursively;

impl Workload for SpawnRecursively {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure_least(TASKS * (STEPS + 1), async |operations| {
                for _ in 0..operations / (TASKS * (STEPS + 1)) {
                    let tasks: Vec<_> = (0..TASKS).map(|_| R::spawn(go::<R>(STEPS))).collect();
                    let mut deep = 0;
                    for task in tasks {
                        deep += task.await.expect("it neither panics nor is cancelled");
                    }
                    assert_eq!(deep, TASKS * STEPS);
                }
            })
            .await;
    }
}

/// How deep it went.
fn go<R: Runtime>(steps: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if steps == 0 {
            return 0;
        }
        1 + R::spawn(go::<R>(steps - 1)).await.expect("it neither panics nor is cancelled")
    })
}

/// `yield_now`: 300 tasks that yield, 300 times in the original.
#[derive(Debug)]
pub(crate) struct YieldNow;

impl Workload for YieldNow {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure_least(TASKS * STEPS, async |operations| {
                let spin = || async move {
                    for _ in 0..operations / TASKS {
                        R::yield_now().await;
                    }
                };
                let tasks: Vec<_> = (0..TASKS).map(|_| R::spawn(spin())).collect();
                join::<R, _>(tasks).await;
            })
            .await;
    }
}

/// `channels`: a message goes from task to task through 301 channels for one, 300 times in the original.
#[derive(Debug)]
pub(crate) struct Channels;

impl SyncWorkload for Channels {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure_least(TASKS * STEPS, async |operations| {
                let steps = operations / TASKS;
                let (first, mut last) = K::channel::<u64>(1);
                let mut tasks = Vec::new();
                for _ in 0..TASKS {
                    let (next, receiver) = K::channel::<u64>(1);
                    let mut current = std::mem::replace(&mut last, receiver);
                    tasks.push(R::spawn(async move {
                        for _ in 0..steps {
                            let number = K::receive(&mut current).await.expect("not all has come");
                            assert!(K::send(&next, number + 1).await);
                        }
                    }));
                }
                for number in 0..steps {
                    assert!(K::send(&first, number).await);
                    assert_eq!(K::receive(&mut last).await, Some(number + TASKS));
                }
                join::<R, _>(tasks).await;
            })
            .await;
    }
}
