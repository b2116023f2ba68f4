//! What of tokio polls the tasks, and by which of its clocks they wait.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Instant;

use super::ways::{Anywhere, Locally, Way};

/// A way of starting tokio.
pub(crate) trait Host: Debug + 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// How it is given tasks.
    type Way: Way;

    /// Whether it waits for the handles of many tasks one after the other, and not for a `JoinSet`.
    const IN_TURN: bool = false;

    /// As [`Runtime::block_on`](crate::runtime::Runtime::block_on).
    fn block_on<F: Future>(future: F) -> F::Output;

    /// As [`Timers::sleep`](crate::runtime::Timers::sleep).
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(duration)
    }

    /// As [`Timers::timeout`](crate::runtime::Timers::timeout).
    fn timeout<F: Future>(duration: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        async move { tokio::time::timeout(duration, future).await.ok() }
    }
}

/// A `LocalSet` on a current-thread runtime: what most programs use.
#[derive(Debug)]
pub(crate) struct LocalSet;

impl Host for LocalSet {
    const NAME: &'static str = "tokio LocalSet";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_all().build().expect("tokio starts");
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }
}

/// The same, where a program gives up what a `JoinSet` adds to its handles.
#[derive(Debug)]
pub(crate) struct InTurn;

impl Host for InTurn {
    const NAME: &'static str = "tokio LocalSet, handles in turn";

    type Way = Locally;

    const IN_TURN: bool = true;

    fn block_on<F: Future>(future: F) -> F::Output {
        LocalSet::block_on(future)
    }
}

/// `LocalRuntime`, whose own tasks need not be `Send`.
#[derive(Debug)]
pub(crate) struct LocalRuntime;

impl Host for LocalRuntime {
    const NAME: &'static str = "tokio LocalRuntime";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `spawn` on a current-thread runtime: for futures that are `Send`, which a program of one thread has to be made of then.
#[derive(Debug)]
pub(crate) struct Spawn;

impl Host for Spawn {
    const NAME: &'static str = "tokio spawn";

    type Way = Anywhere;

    fn block_on<F: Future>(future: F) -> F::Output {
        Builder::new_current_thread().enable_all().build().expect("tokio starts").block_on(future)
    }
}

/// The multi-thread runtime with one worker: what tokio's own default costs on one core.
#[derive(Debug)]
pub(crate) struct MultiThread;

impl Host for MultiThread {
    const NAME: &'static str = "tokio multi-thread, 1 worker";

    type Way = Anywhere;

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = Builder::new_multi_thread();
        // As large a stack as the main thread has, on which everybody else runs.
        let runtime = builder.worker_threads(1).thread_stack_size(8 << 20).enable_all().build();
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `LocalRuntime` without I/O and time. It opens no descriptor and parks on a condition variable, as Handcar does before its
/// first socket; shown where that decides.
#[derive(Debug)]
pub(crate) struct NoDrivers;

impl Host for NoDrivers {
    const NAME: &'static str = "tokio without drivers";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default());
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `LocalRuntime` that looks at its drivers after each poll, and not after every sixty-first.
#[derive(Debug)]
pub(crate) struct LooksOften;

impl Host for LooksOften {
    const NAME: &'static str = "tokio, event_interval 1";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_all().event_interval(1).build_local(LocalOptions::default());
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `LocalRuntime` where a deadline is at hand, so that a timeout need not read the clock.
#[derive(Debug)]
pub(crate) struct TimeoutAt;

thread_local! {
    static DEADLINE: Instant = Instant::now() + Duration::from_secs(3600);
}

impl Host for TimeoutAt {
    const NAME: &'static str = "tokio timeout_at";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        LocalRuntime::block_on(future)
    }

    async fn timeout<F: Future>(_: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(DEADLINE.with(|deadline| *deadline), future).await.ok()
    }
}

/// `LocalRuntime` with the timeouts of pingora: they come on ticks of 10 ms, from a thread of their own.
#[cfg(feature = "peers")]
#[derive(Debug)]
pub(crate) struct Pingora;

#[cfg(feature = "peers")]
impl Host for Pingora {
    const NAME: &'static str = "pingora-timeout on tokio";

    type Way = Locally;

    fn block_on<F: Future>(future: F) -> F::Output {
        LocalRuntime::block_on(future)
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        pingora_timeout::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        pingora_timeout::timeout(duration, future).await.ok()
    }
}
