//! Where reports go: to the runtime's hook, else to stderr.
//!
//! Each comes once, also while a runtime is being dropped, and after it: what has no runtime any more takes the default. With the
//! feature `log` the default is the `log` crate, if the program has set a logger.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::join_error::PanicPayload;
use crate::machine::context;
use crate::machine::header::Header;
use crate::machine::mailbox::{self, Address};
use crate::report::Report;
use crate::task_info::TaskInfo;
use crate::watch::OnStuck;

/// The environment variable that makes the default abort the process, if it is "abort": so that a program or its tests fail
/// where anything is reported.
const ON_REPORT: &str = "HANDCAR_ON_REPORT";

/// Collects reports, for tests. Clones are the same collection; it may be shared with other threads.
///
/// ```
/// use handcar_executor::{Builder, Reports};
///
/// let reports = Reports::new();
/// let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
/// runtime.block_on(async { /* what is tested */ });
/// drop(runtime); // which may have something to report too
/// assert!(reports.take().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reports {
    collected: Arc<Mutex<Vec<Report>>>,
}

impl Reports {
    /// None yet.
    pub fn new() -> Reports {
        Reports::default()
    }

    /// What collects: for [`Builder::on_report`](crate::Builder::on_report) and
    /// [`Builder::on_stuck`](crate::Builder::on_stuck).
    pub fn hook(&self) -> impl Fn(Report) + Send + Sync + use<> {
        let collected = Arc::clone(&self.collected);
        move |report| collected.lock().unwrap_or_else(PoisonError::into_inner).push(report)
    }

    /// Takes out what was collected, in the order in which it came.
    pub fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *self.collected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Hook = Rc<dyn Fn(Report)>;

/// The first panic that nobody waits for.
#[derive(Default)]
struct Fatal {
    panic: RefCell<Option<(TaskInfo, PanicPayload)>>,
    /// Nobody will resume one any more.
    over: Cell<bool>,
}

/// Where a runtime's reports go.
#[derive(Clone, Default)]
pub(crate) struct Reporter {
    hook: Option<Hook>,
    /// With `OnPanic::Shutdown`: the first panic, which `block_on` resumes.
    fatal: Option<Rc<Fatal>>,
}

impl Reporter {
    pub(crate) fn new(hook: Option<Hook>, panics_are_fatal: bool) -> Reporter {
        Reporter { hook, fatal: panics_are_fatal.then(Rc::default) }
    }

    /// The current runtime's, or the default where there is none.
    #[cold]
    #[inline(never)]
    pub(crate) fn current() -> Reporter {
        context::with_current(|core| core.reporter.clone()).unwrap_or_default()
    }

    /// Hands a report on. The hook is user code: call this under no borrow.
    #[cold]
    pub(crate) fn report(&self, report: Report) {
        match &self.hook {
            Some(hook) => tell(report, |report| hook(report)),
            None => by_default(report),
        }
    }

    /// A panic that no handle will see.
    #[cold]
    pub(crate) fn report_panic(&self, task: TaskInfo, payload: PanicPayload) {
        if let Some(fatal) = &self.fatal
            && !fatal.over.get()
            && !self.is_fatal()
        {
            return *fatal.panic.borrow_mut() = Some((task, payload));
        }
        self.report(Report::Panicked { task, payload });
    }

    /// Hands a report to a hook for other threads, or to the default.
    pub(crate) fn tell_from_outside(hook: Option<&OnStuck>, report: Report) {
        match hook {
            Some(hook) => tell(report, hook),
            None => by_default(report),
        }
    }

    /// The panic that `block_on` is to resume.
    #[inline]
    pub(crate) fn take_fatal(&self) -> Option<(TaskInfo, PanicPayload)> {
        self.fatal.as_ref()?.panic.take()
    }

    /// The runtime ends: from now on every panic is reported at once. Returns the one that `block_on` has not resumed.
    pub(crate) fn end_fatal(&self) -> Option<(TaskInfo, PanicPayload)> {
        let fatal = self.fatal.as_ref()?;
        fatal.over.set(true);
        fatal.panic.take()
    }

    /// Whether a panic waits for `block_on` to resume it.
    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal.as_ref().is_some_and(|fatal| fatal.panic.borrow().is_some())
    }
}

/// Has a runtime report: at once where it is the current one, through its mailbox from elsewhere, by the default after its
/// end.
#[cold]
pub(crate) fn deliver(to: Address, report: Report) {
    let here = context::with_current(|core| (core.address == to).then(|| core.reporter.clone())).flatten();
    match (here, mailbox::at(to)) {
        (Some(reporter), _) => reporter.report(report),
        (None, Some(mailbox)) => mailbox.report(report),
        (None, None) => Reporter::default().report(report),
    }
}

/// Wakes somebody: maybe a child, whose parent's waker is a stranger's. A panic of that is no end of whoever wakes: the current
/// runtime reports it.
#[inline]
pub(crate) fn wake(wake: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(wake)) {
        Reporter::current().report(Report::WakerPanicked { payload: PanicPayload::new(payload) });
    }
}

/// As [`wake`], in one copy: most who wake somebody through this find that there is nobody, and need no frame then.
#[inline(never)]
pub(crate) fn wake_one(waker: Waker) {
    wake(|| waker.wake());
}

/// The panic that a finished task ended with, or that its result's destructor did, when nobody takes the result any more.
#[cold]
pub(crate) fn report_discarded(header: &Header, payload: PanicPayload) {
    match header.reporter() {
        Some(reporter) => reporter.report_panic(header.info(), payload),
        None => deliver(header.address(), Report::Panicked { task: header.info(), payload }),
    }
}

/// Tells `hook`. If that panics, stderr gets the report: without its error's own words, which may be what panicked.
fn tell(report: Report, hook: impl FnOnce(Report)) {
    let what = format!("{report:-}");
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(report))) {
        say(format_args!("{what}; telling so panicked: {}", PanicPayload::new(payload)));
    }
}

/// What becomes of a report without a hook.
fn by_default(report: Report) {
    tell(report, |report| {
        #[cfg(feature = "log")]
        if log::max_level() != log::LevelFilter::Off {
            let level = if report.is_warning() { log::Level::Warn } else { log::Level::Error };
            return log::log!(target: "handcar", level, "{report:#}");
        }
        say(format_args!("{report:#}"));
    });
    if std::env::var_os(ON_REPORT).is_some_and(|wish| wish == "abort") {
        std::process::abort();
    }
}

/// Not `eprintln!`, which panics when nobody reads stderr any more: a program that was started with `2>&1 | head` goes on.
fn say(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "handcar: {what}");
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.hook.is_some() { "Reporter(hook)" } else { "Reporter(stderr)" })
    }
}
