//! What the tests share: a watchdog, simulated time, an event log, a collector of reports.
#![allow(dead_code)] // each test binary uses its own part

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use futures::Stream;
use handcar_structured::{
    Builder, CancelScope, Clock, DeferGuard, Instant, Report, Runtime, defer, generate, sleep, spawn,
};

#[path = "../../../tests/common/calling.rs"]
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

/// Runs a test under a simulated clock, with a watchdog, and ends the runtime.
pub(crate) fn test_run<F: Future>(future: F) -> F::Output {
    let _dog = watchdog();
    simulated().block_on(future)
}

pub(crate) fn simulated() -> Runtime {
    Builder::new().clock(Clock::simulated()).build().unwrap()
}

/// Runs this very test again, alone in a process of its own, where this returns `None`; elsewhere what that process wrote to
/// stderr. Fails if the process does.
pub(crate) fn in_a_child() -> Option<String> {
    const CHILD: &str = "HANDCAR_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let test = thread::current().name().expect("the harness names its threads after the tests").to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1").env("RUST_BACKTRACE", "0");
    child.env_remove("HANDCAR_ON_REPORT"); // what it reports is what is looked at
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {told}", output.status);
    Some(told)
}

/// What happened, line by line; with the virtual second at which it did where that was asked for.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Log {
        Log::default()
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        self.0.borrow_mut().push(what.to_string());
    }

    /// With the time.
    pub(crate) fn at(&self, what: impl fmt::Display) {
        self.note(format_args!("{} {what}", seconds()));
    }

    /// Everything noted since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// The virtual second.
pub(crate) fn seconds() -> u64 {
    Instant::now().since_start().as_secs()
}

pub(crate) async fn secs(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

pub(crate) const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Pending for ever.
pub(crate) fn for_ever() -> std::future::Pending<()> {
    std::future::pending()
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

/// Notes `what` when it is dropped.
pub(crate) fn notes_drop(log: &Log, what: &'static str) -> OnDrop<impl FnOnce() + use<>> {
    let log = log.clone();
    OnDrop::new(move || log.note(what))
}

/// The reports of a runtime, in a few words each.
#[derive(Clone, Default)]
pub(crate) struct Reports(Rc<RefCell<Vec<String>>>);

impl Reports {
    /// A builder with a simulated clock that reports here.
    pub(crate) fn builder(&self) -> Builder {
        let reports = self.clone();
        Builder::new().clock(Clock::simulated()).on_report(move |report| reports.0.borrow_mut().push(in_short(&report)))
    }

    /// What was reported since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Runs a test in which a waker panics with "spite": that is reported, and no more.
pub(crate) fn run_with_a_panic_of_a_waker<F: Future>(future: F) -> F::Output {
    let _dog = watchdog();
    let reports = Reports::default();
    let value = reports.builder().build().unwrap().block_on(future);
    assert!(reports.take().concat().contains("spite"), "it was not reported");
    value
}

fn in_short(report: &Report) -> String {
    match report {
        Report::Panicked { payload, .. } => format!("panicked: {payload}"),
        Report::Failed { error, .. } => format!("failed: {error}"),
        Report::CutShort { what, .. } => format!("cut short: {what}"),
        Report::CleanupLeft { .. } => "cleanup left".to_owned(),
        Report::CleanupPanicked { payload, .. } => format!("cleanup panicked: {payload}"),
        Report::DropPanicked { payload, .. } => format!("drop panicked: {payload}"),
        Report::ShieldDropped { .. } => "shield dropped".to_owned(),
        Report::JobAbandoned { job } => format!("job abandoned: {}", job.name.as_deref().unwrap_or("-")),
        Report::JobPanicked { payload, .. } => format!("job panicked: {payload}"),
        other => format!("{other}"),
    }
}

/// The text of a panic's payload.
pub(crate) fn text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// Calls `f` and returns the text of its panic; fails if it does not panic.
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("this ought to have panicked"),
        Err(payload) => text(&*payload),
    }
}

/// A cleanup that takes a second and notes `what` at its end.
pub(crate) fn slow(log: &Log, what: &'static str) -> DeferGuard<impl Future<Output = ()> + use<>> {
    let log = log.clone();
    defer(async move {
        secs(1).await;
        log.at(what);
    })
}

/// Counts to three; notes each step, and has a cleanup for each number and one for the whole.
pub(crate) fn three(log: &Log) -> impl Stream<Item = u32> + use<> {
    let log = log.clone();
    generate(async move |y| {
        let whole = log.clone();
        let _whole = defer(async move {
            secs(1).await;
            whole.at("cleanup of the whole");
        });
        for n in 1..=3 {
            let each = log.clone();
            let _each = defer(async move { each.at(format_args!("cleanup of {n}")) });
            y.yield_(n).await;
        }
    })
}

/// A child that panics.
pub(crate) fn panics() -> Result<(), String> {
    panic!("oh")
}

/// Cancels `scope` after `n` virtual seconds.
pub(crate) fn cancel_after(n: u64, scope: &CancelScope) {
    let scope = scope.clone();
    spawn(async move {
        secs(n).await;
        scope.cancel();
    })
    .detach();
}
