//! What the tests share: a watchdog, an event log, drop counters, a collector of reports, and wakers that call back.
#![allow(dead_code)] // each test binary uses its own part

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use handcar_executor::{Builder, Clock, Report, Runtime};

mod calling;

#[allow(unused_imports)]
pub(crate) use calling::{Call, CallingWaker, calling};

/// What a test may take before it counts as hung. Generous: a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the process with the test's name if the guard is not dropped in time: a hang becomes a failure.
#[must_use]
pub(crate) fn watchdog() -> Watchdog {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (fed, hungry) = channel::<()>();
    thread::spawn(move || {
        if hungry.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`: what a test prints is captured, and would be lost with the process.
            let _ = writeln!(std::io::stderr(), "watchdog: `{name}` has not ended within {PATIENCE:?}");
            std::process::abort();
        }
    });
    Watchdog { _fed: fed }
}

/// Made by [`watchdog`].
pub(crate) struct Watchdog {
    _fed: Sender<()>,
}

/// A runtime whose time is simulated, and its clock.
pub(crate) fn simulated() -> (Runtime, Clock) {
    let clock = Clock::simulated();
    (Builder::new().clock(clock.clone()).build().unwrap(), clock)
}

/// Runs `future` under a simulated clock.
pub(crate) fn test_run<F: Future>(future: F) -> F::Output {
    simulated().0.block_on(future)
}

/// What happened, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Log {
        Log::default()
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        self.0.borrow_mut().push(what.to_string());
    }

    /// Everything noted since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Counts how many of its tokens were dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn new() -> Drops {
        Drops::default()
    }

    /// To be moved to where something ought to be dropped.
    pub(crate) fn token(&self) -> Token {
        Token(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Made by [`Drops::token`].
pub(crate) struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Calls a function when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> OnDrop<F> {
        OnDrop(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A value whose destructor panics with `message`.
pub(crate) fn panics_when_dropped(message: &'static str) -> OnDrop<impl FnOnce() + Send> {
    OnDrop::new(move || panic!("{message}"))
}

/// The reports of a runtime, as their `Display` without ids and lines.
#[derive(Clone, Default)]
pub(crate) struct Reports(Rc<RefCell<Vec<Report>>>);

impl Reports {
    pub(crate) fn new() -> Reports {
        Reports::default()
    }

    /// For [`Builder::on_report`].
    pub(crate) fn hook(&self) -> impl Fn(Report) + 'static {
        let reports = self.clone();
        move |report| reports.0.borrow_mut().push(report)
    }

    /// A builder with a simulated clock that reports here.
    pub(crate) fn builder(&self) -> Builder {
        Builder::new().clock(Clock::simulated()).on_report(self.hook())
    }

    /// What was reported since the last call, each in a few words.
    pub(crate) fn take(&self) -> Vec<String> {
        let taken = self.0.take();
        taken.iter().map(in_short).collect()
    }

    pub(crate) fn take_all(&self) -> Vec<Report> {
        self.0.take()
    }
}

fn in_short(report: &Report) -> String {
    match report {
        Report::Panicked { payload, .. } => format!("panicked: {payload}"),
        Report::Failed { error, .. } => format!("failed: {error}"),
        Report::WakerPanicked { payload } => format!("waker panicked: {payload}"),
        Report::JobPanicked { payload, .. } => format!("job panicked: {payload}"),
        Report::JobsLeft { jobs } => format!("jobs left: {}", jobs.len()),
        Report::TasksLeft { tasks } => format!("tasks left: {}", !tasks.is_empty()),
        other => format!("{other}"),
    }
}

/// Polls `future` once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The text of a panic's payload.
pub(crate) fn text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// Calls `f` and returns the text of its panic; fails if it does not panic.
pub(crate) fn panic_of(f: impl FnOnce()) -> String {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(()) => panic!("this ought to have panicked"),
        Err(payload) => text(&*payload),
    }
}

/// A future that is pending for ever, and says so by its type.
pub(crate) fn for_ever() -> std::future::Pending<()> {
    std::future::pending()
}

/// Waits until `flag` is set, on a thread of the system's, without burning it.
pub(crate) fn wait_until(flag: impl Fn() -> bool) {
    while !flag() {
        thread::yield_now();
    }
}
