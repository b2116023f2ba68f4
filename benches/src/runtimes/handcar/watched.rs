//! Handcar with what watches it and is off by default, so that its price stands in the tables as well.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::Future;
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Duration;

use handcar::{Builder, JoinError, JoinHandle};

use super::Handcar;
use crate::runtime::Runtime;

/// Handcar, watched by `W`.
#[derive(Debug)]
pub(crate) struct Watched<W>(PhantomData<W>);

/// What watches.
pub(crate) trait Watcher: Debug + 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// Switches it on.
    fn switch_on(builder: Builder) -> Builder;
}

/// Reports polls that took long.
#[derive(Debug)]
pub(crate) struct SlowPoll;

impl Watcher for SlowPoll {
    const NAME: &'static str = "handcar with slow_poll";

    fn switch_on(builder: Builder) -> Builder {
        builder.slow_poll(Duration::from_secs(1))
    }
}

/// Reports polls that do not end, from a thread of its own.
#[derive(Debug)]
pub(crate) struct Watchdog;

impl Watcher for Watchdog {
    const NAME: &'static str = "handcar with watchdog";

    fn switch_on(builder: Builder) -> Builder {
        builder.watchdog(Duration::from_secs(1))
    }
}

/// Reports futures that were never awaited.
#[derive(Debug)]
pub(crate) struct ReportUnpolled;

impl Watcher for ReportUnpolled {
    const NAME: &'static str = "handcar with report_unpolled";

    fn switch_on(builder: Builder) -> Builder {
        builder.report_unpolled(true)
    }
}

/// Is told each step of the machine, and counts them.
#[derive(Debug)]
pub(crate) struct Observed;

impl Watcher for Observed {
    const NAME: &'static str = "handcar with an observer";

    fn switch_on(builder: Builder) -> Builder {
        let steps = Cell::new(0_u64);
        builder.observe(move |event| {
            black_box(event);
            steps.set(steps.get() + 1);
        })
    }
}

impl<W: Watcher> Runtime for Watched<W> {
    const NAME: &'static str = W::NAME;

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        W::switch_on(Builder::new()).build().expect("there is room for a runtime").block_on(future)
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
