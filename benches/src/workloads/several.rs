//! Waiting for several things: futures in one task, and children that a block waits for.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
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

/// The same with futures' `join`, which knows nothing of the runtime.
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

/// [`Gather`] with futures' `join_all`, which knows nothing of the runtime.
#[derive(Debug)]
pub(crate) struct JoinAll;

impl Workload for JoinAll {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    let values = futures::future::join_all((0..STEP).map(|_| yield_once())).await;
                    assert_eq!(values.iter().sum::<u64>(), STEP);
                }
            })
            .await;
    }
}

/// A group for those who have none: spawns the children, and awaits their handles in turn.
pub(crate) async fn in_turn<R: Runtime>(children: u64) -> u64 {
    let tasks: Vec<_> = (0..children).map(|number| R::spawn(async move { black_box(number) })).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("it neither panics nor is cancelled");
    }
    sum
}

/// A scope for those who have none: the children share the counter by `Rc`.
pub(crate) async fn counted_in_turn<R: Runtime>(children: u64) -> u64 {
    let count = Rc::new(Cell::new(0));
    let add = |count: Rc<Cell<u64>>| async move {
        let one = yield_once().await;
        count.set(count.get() + one);
    };
    let tasks: Vec<_> = (0..children).map(|_| R::spawn(add(Rc::clone(&count)))).collect();
    for task in tasks {
        task.await.expect("it neither panics nor is cancelled");
    }
    count.get()
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
