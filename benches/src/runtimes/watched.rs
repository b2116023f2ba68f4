//! Handcar with one of its watchers on, none of which has anything to tell: what each of them costs a switch.

use std::fmt::Debug;
use std::future::Future;
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Duration;

use handcar::{Builder, JoinError, JoinHandle};

use super::Handcar;
use crate::runtime::Runtime;

/// Longer than any poll.
const LONG: Duration = Duration::from_secs(3600);

/// Handcar with the watcher `W`.
#[derive(Debug)]
pub(crate) struct Watched<W>(PhantomData<W>);

pub(crate) trait Watcher: Debug + 'static {
    const NAME: &'static str;

    fn on(builder: Builder) -> Builder;
}

/// The clock is read around each poll.
#[derive(Debug)]
pub(crate) struct SlowPoll;

impl Watcher for SlowPoll {
    const NAME: &'static str = "slow_poll";

    fn on(builder: Builder) -> Builder {
        builder.slow_poll(LONG)
    }
}

/// Another thread looks on.
#[derive(Debug)]
pub(crate) struct Watchdog;

impl Watcher for Watchdog {
    const NAME: &'static str = "watchdog";

    fn on(builder: Builder) -> Builder {
        builder.watchdog(LONG)
    }
}

/// Futures that were never awaited are reported.
#[derive(Debug)]
pub(crate) struct ReportUnpolled;

impl Watcher for ReportUnpolled {
    const NAME: &'static str = "report_unpolled";

    fn on(builder: Builder) -> Builder {
        builder.report_unpolled(true)
    }
}

/// An observer that looks at each event and does nothing with it.
#[derive(Debug)]
pub(crate) struct Observe;

impl Watcher for Observe {
    const NAME: &'static str = "observe";

    fn on(builder: Builder) -> Builder {
        builder.observe(|event| {
            black_box(event);
        })
    }
}

impl<W: Watcher> Runtime for Watched<W> {
    const NAME: &'static str = W::NAME;

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        W::on(Builder::new()).build().expect("there is room for a runtime").block_on(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Handcar::spawn(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        Handcar::detach(task);
    }

    fn yield_now() -> impl Future<Output = ()> {
        Handcar::yield_now()
    }
}
