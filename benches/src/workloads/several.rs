//! Waiting for several things: futures in one task, and children that a block waits for.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{SeveralWorkload, Workload};
use crate::bencher::{Bencher, STEP};
use crate::runtime::{Runtime, Several};

/// Suspends once, woken at once.
pub(crate) struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(black_box(1));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One future that yields once.
pub(crate) fn yield_once() -> YieldOnce {
    YieldOnce(false)
}

/// Waits for a thousand futures that yield once.
#[derive(Debug)]
pub(crate) struct Gather;

impl SeveralWorkload for Gather {
    async fn drive<R: Several>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    let values = R::all((0..STEP).map(|_| yield_once())).await;
                    assert_eq!(values.iter().sum::<u64>(), STEP);
                }
            })
            .await;
    }
}

/// Waits for two futures that yield once.
#[derive(Debug)]
pub(crate) struct GatherTwo;

impl SeveralWorkload for GatherTwo {
    async fn drive<R: Several>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    assert_eq!(R::two(yield_once(), yield_once()).await, (1, 1));
                }
            })
            .await;
    }
}

/// The same with futures' join, which knows nothing of the runtime.
#[derive(Debug)]
pub(crate) struct JoinTwo;

impl Workload for JoinTwo {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    assert_eq!(futures::future::join(yield_once(), yield_once()).await, (1, 1));
                }
            })
            .await;
    }
}

/// Spawns a thousand children, and waits for their values.
#[derive(Debug)]
pub(crate) struct Group;

impl SeveralWorkload for Group {
    async fn drive<R: Several>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    let sum = R::group(STEP).await;
                    assert_eq!(sum, STEP * (STEP - 1) / 2);
                }
            })
            .await;
    }
}

/// Spawns a thousand children that count in the same place, and waits for them.
#[derive(Debug)]
pub(crate) struct Scope;

impl SeveralWorkload for Scope {
    async fn drive<R: Several>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    assert_eq!(R::counted(STEP).await, STEP);
                }
            })
            .await;
    }
}
