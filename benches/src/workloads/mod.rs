//! The workloads: one source each, for every runtime.
//!
//! Each asserts that its operations did what they should: a runtime that skips work would otherwise look fast. Where it says
//! something, a workload has a bare twin without tasks or wakers: what is left to win.

pub(crate) mod channels;
pub(crate) mod connections;
pub(crate) mod echo;
#[cfg(feature = "peers")]
pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod mutex;
pub(crate) mod oneshot;
pub(crate) mod open_loop;
#[cfg(feature = "peers")]
pub(crate) mod ring;
pub(crate) mod semaphore;
pub(crate) mod several;
pub(crate) mod sleepers;
pub(crate) mod spawn;
pub(crate) mod start;
pub(crate) mod switch;
pub(crate) mod tails;
pub(crate) mod tcp;
pub(crate) mod theirs;
pub(crate) mod thread_job;
pub(crate) mod thread_wake;
pub(crate) mod timeout;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use crate::bencher::{Bencher, STEP};
use crate::runtime::{Net, Runtime, Several, Timers};
use crate::toolkit::{Locks, Toolkit};

/// What one operation is.
pub(crate) trait Workload: 'static {
    /// Sets up, measures, and ends; inside a spawned task of `R`.
    fn drive<R: Runtime>(bencher: &mut Bencher) -> impl Future<Output = ()>;
}

/// What one operation is, where it takes time.
pub(crate) trait TimedWorkload: 'static {
    /// As [`Workload::drive`].
    fn drive<R: Timers>(bencher: &mut Bencher) -> impl Future<Output = ()>;
}

/// What one operation is, where it goes through channels or locks.
pub(crate) trait SyncWorkload: 'static {
    /// As [`Workload::drive`], with the channels and locks of `K`.
    fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) -> impl Future<Output = ()>;
}

/// What one operation is, where a lock is taken for it.
pub(crate) trait LockWorkload: 'static {
    /// As [`Workload::drive`], with the locks of `K`.
    fn drive<R: Runtime, K: Locks>(bencher: &mut Bencher) -> impl Future<Output = ()>;
}

/// What one operation is, where it goes through sockets.
pub(crate) trait NetWorkload: 'static {
    /// As [`Workload::drive`]; an error of the system ends the measurement.
    fn drive<R: Net>(bencher: &mut Bencher) -> impl Future<Output = io::Result<()>>;
}

/// What one operation is, where several things are waited for.
pub(crate) trait SeveralWorkload: 'static {
    /// As [`Workload::drive`].
    fn drive<R: Several>(bencher: &mut Bencher) -> impl Future<Output = ()>;
}

/// `W` with the channels and locks of `K`.
pub(crate) struct With<W, K>(PhantomData<(W, K)>);

impl<W: SyncWorkload, K: Toolkit> Workload for With<W, K> {
    fn drive<R: Runtime>(bencher: &mut Bencher) -> impl Future<Output = ()> {
        W::drive::<R, K>(bencher)
    }
}

/// `W` with the locks of `K`.
pub(crate) struct Locked<W, K>(PhantomData<(W, K)>);

impl<W: LockWorkload, K: Locks> Workload for Locked<W, K> {
    fn drive<R: Runtime>(bencher: &mut Bencher) -> impl Future<Output = ()> {
        W::drive::<R, K>(bencher)
    }
}

/// Wakes its own task and suspends, so many times.
struct WakeSelf(u64);

impl Future for WakeSelf {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(()) };
        self.0 = left;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Joins tasks in order.
async fn join<R: Runtime, T: 'static>(tasks: impl IntoIterator<Item = R::JoinHandle<T>>) {
    for task in tasks {
        task.await.expect("it neither panics nor is cancelled");
    }
}

/// Lets every task that was spawned so far be polled once: the last one to come is polled last. A `yield_now` would not do, since
/// monoio polls a task that wakes itself before all others.
async fn settle<R: Runtime>() {
    R::spawn(async {}).await.expect("it neither panics nor is cancelled");
}

/// The least number of operations that so many tasks can share evenly. Many tasks do several each, so that what is measured is
/// not their beginning and end; but a million of them take seconds for that.
fn least(tasks: u64) -> u64 {
    match tasks {
        few if few <= STEP => STEP,
        many if many <= 100 * STEP => 10 * many,
        many => 3 * many,
    }
}

/// Polls `futures` in turn until all are ready: what a runtime does, without the runtime.
fn poll_in_turn(futures: Vec<Pin<Box<dyn Future<Output = ()>>>>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut queue = VecDeque::from(futures);
    while let Some(mut future) = queue.pop_front() {
        if future.as_mut().poll(&mut cx).is_pending() {
            queue.push_back(future);
        }
    }
}

/// The value of a future that awaits nothing.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing is awaited in it"),
    }
}
