//! Permits: nobody waits for one, or nearly everybody does.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

use super::{SyncWorkload, WakeSelf, join, least};
use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkit::Toolkit;

/// There is always a permit.
#[derive(Debug)]
pub(crate) struct Uncontended;

impl SyncWorkload for Uncontended {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let semaphore = K::semaphore(10);
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    drop(black_box(K::acquire(&semaphore).await));
                }
            })
            .await;
    }
}

/// Counts permits and nothing else.
pub(crate) fn counter(bencher: &mut Bencher) {
    let permits = Cell::new(10);
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            black_box(&permits).set(permits.get() - 1);
            black_box(&permits).set(permits.get() + 1);
        }
    });
}

/// A thousand tasks want one of ten permits, and keep it while they suspend once.
#[derive(Debug)]
pub(crate) struct Contended;

impl SyncWorkload for Contended {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        contend::<R, K>(bencher, 1000, 10).await;
    }
}

/// As many tasks as the row says want the one permit.
#[derive(Debug)]
pub(crate) struct Waiters;

impl SyncWorkload for Waiters {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let tasks = bencher.size();
        contend::<R, K>(bencher, tasks, 1).await;
    }
}

async fn contend<R: Runtime, K: Toolkit>(bencher: &mut Bencher, tasks: u64, permits: usize) {
    let semaphore = Rc::new(K::semaphore(permits));
    bencher
        .measure_least(least(tasks), async |operations| {
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let semaphore = Rc::clone(&semaphore);
                    R::spawn(async move {
                        for _ in 0..operations / tasks {
                            let permit = K::acquire(&semaphore).await;
                            WakeSelf(1).await;
                            drop(permit);
                        }
                    })
                })
                .collect();
            join::<R, _>(tasks).await;
        })
        .await;
}
