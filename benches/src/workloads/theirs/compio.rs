//! compio's: `schedule`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use crate::bencher::{Bencher, STEP};
use crate::runtime::Runtime;
use crate::workloads::{WakeSelf, Workload};

/// `local_wake`: a task that wakes itself so many times, spawned and joined.
#[derive(Debug)]
pub(crate) struct LocalWake;

impl Workload for LocalWake {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let wakes = bencher.size();
        bencher
            .measure_least(wakes.max(STEP), async |operations| {
                for _ in 0..operations / wakes {
                    R::spawn(WakeSelf(wakes)).await.expect("it neither panics nor is cancelled");
                }
            })
            .await;
    }
}

/// `remote_wake`: a task that is woken so many times, each time by a new thread.
#[derive(Debug)]
pub(crate) struct RemoteWake;

impl Workload for RemoteWake {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let wakes = bencher.size();
        bencher
            .measure_least(wakes, async |operations| {
                for _ in 0..operations / wakes {
                    R::spawn(WakeFromThread(wakes)).await.expect("it neither panics nor is cancelled");
                }
            })
            .await;
    }
}

struct WakeFromThread(u64);

impl Future for WakeFromThread {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(()) };
        self.0 = left;
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    }
}
