//! Switching: tasks that have nothing to do but to let the others go first.

use std::pin::Pin;

use super::{WakeSelf, Workload, join, least};
use crate::bencher::Bencher;
use crate::runtime::Runtime;

/// As many tasks as the row says, each of which wakes itself and suspends, over and over.
///
/// This and not `yield_now` is the measure of a switch: a runtime may look outside at each `yield_now` of a lone task (tokio
/// does, for one system call), and that is policy.
#[derive(Debug)]
pub(crate) struct SelfWake;

impl Workload for SelfWake {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let tasks = bencher.size();
        bencher
            .measure_least(least(tasks), async |operations| {
                let tasks: Vec<_> = (0..tasks).map(|_| R::spawn(WakeSelf(operations / tasks))).collect();
                join::<R, _>(tasks).await;
            })
            .await;
    }
}

/// Polls so many futures in turn.
pub(crate) fn poll_in_turn(bencher: &mut Bencher) {
    let tasks = bencher.size();
    bencher.measure_outside(|operations| {
        super::poll_in_turn((0..tasks).map(|_| Box::pin(WakeSelf(operations / tasks)) as Pin<Box<_>>).collect());
    });
}

/// A thousand tasks that call the runtime's own `yield_now`.
#[derive(Debug)]
pub(crate) struct Yield;

impl Workload for Yield {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                let yields = operations / 1000;
                let spin = move || async move {
                    for _ in 0..yields {
                        R::yield_now().await;
                    }
                };
                let tasks: Vec<_> = (0..1000).map(|_| R::spawn(spin())).collect();
                join::<R, _>(tasks).await;
            })
            .await;
    }
}
