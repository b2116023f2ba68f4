//! Reports: what happened and has nobody waiting for it.
//!
//! A panic in a task whose handle is gone, an error in a task that was detached with `detach_reporting`, a destructor that
//! panicked: the program goes on, but somebody has to hear of it. Everything of that kind goes through one hook,
//! [`Builder::on_report`](crate::Builder::on_report), once; without a hook it is one line on stderr.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::job::JobInfo;
use crate::join_error::PanicPayload;
use crate::machine::context;
use crate::machine::mailbox::{self, Address};
use crate::machine::task::TaskInfo;
use crate::watch::OnStuck;

/// Something that went wrong where nobody waits for the result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// A task panicked, or a destructor of its future or result did, and nobody waits for it.
    Panicked {
        /// Which task.
        task: TaskInfo,
        /// What it panicked with.
        payload: PanicPayload,
    },
    /// A task that was detached with `detach_reporting` returned an error.
    Failed {
        /// Which task.
        task: TaskInfo,
        /// What it returned.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// A waker that did not come from this runtime panicked when it was woken.
    WakerPanicked {
        /// What it panicked with.
        payload: PanicPayload,
    },
    /// A blocking job panicked after its caller had gone.
    JobPanicked {
        /// Which job.
        job: JobInfo,
        /// What it panicked with.
        payload: PanicPayload,
    },
    /// The runtime ended while blocking jobs were still running, and left them behind after the grace period.
    JobsLeft {
        /// Which jobs.
        jobs: Vec<JobInfo>,
    },
    /// The grace period was over, and this was dropped before it had ended.
    CutShort {
        /// What it is: "a cleanup", "a shielded body".
        what: &'static str,
        /// The line that made it.
        at: &'static Location<'static>,
    },
    /// A shielded future was dropped before it had ended, by what polled it: a shield holds off cancels, and nothing else.
    ShieldDropped {
        /// The line that shielded it.
        at: &'static Location<'static>,
    },
    /// A blocking job was running when the grace period was over, or when a combinator dropped its future. It runs on.
    JobAbandoned {
        /// Which job.
        job: JobInfo,
    },
    /// A cleanup or a destructor panicked where another panic goes on already.
    CleanupPanicked {
        /// The line that made the cleanup, or the scope that was dropped.
        at: &'static Location<'static>,
        /// What it panicked with.
        payload: PanicPayload,
    },
    /// A cleanup failed where nobody waits for its error.
    CleanupFailed {
        /// The line that made the cleanup.
        at: &'static Location<'static>,
        /// What it returned.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// A group was cut off by an enclosing cancel before it could return these errors.
    GroupCut {
        /// The errors, as the group would have returned them.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// A future of Handcar's was dropped and had never been polled, so it has done nothing: see
    /// [`Builder::report_unpolled`](crate::Builder::report_unpolled).
    FutureUnpolled {
        /// The function that made it.
        what: &'static str,
        /// The line that called it.
        at: &'static Location<'static>,
        /// The task that dropped it.
        task: Option<TaskInfo>,
    },
    /// A task was dropped before its first poll, so it has done nothing: see
    /// [`Builder::report_unpolled`](crate::Builder::report_unpolled).
    TaskUnpolled {
        /// Which task.
        task: TaskInfo,
    },
    /// A poll took too long, and is over: see [`Builder::slow_poll`](crate::Builder::slow_poll).
    SlowPoll {
        /// Which task.
        task: TaskInfo,
        /// How long its poll took.
        took: Duration,
        /// What was allowed.
        limit: Duration,
    },
    /// A poll takes too long, and goes on: see [`Builder::watchdog`](crate::Builder::watchdog).
    Stuck {
        /// Which task.
        task: TaskInfo,
        /// How long it has been polled, at the least.
        stuck_for: Duration,
    },
    /// The runtime ended although destructors kept spawning tasks, and forgot these.
    TasksLeft {
        /// Which tasks.
        tasks: Vec<TaskInfo>,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Panicked { task, payload } => write!(f, "{task} panicked: {payload}"),
            Report::Failed { task, error } => write!(f, "{task} failed: {error}"),
            Report::WakerPanicked { payload } => write!(f, "a foreign waker panicked: {payload}"),
            Report::JobPanicked { job, payload } => write!(f, "the abandoned {job} panicked: {payload}"),
            Report::CutShort { what, at } => {
                write!(f, "the grace period was over: {what}, made at {at}, was dropped before it had ended")
            }
            Report::ShieldDropped { at } => write!(
                f,
                "the future shielded at {at} was dropped before it had ended, by what polled it: a shield holds off cancels only; poll it to \
                 its end, or put what must happen into `defer`"
            ),
            Report::JobAbandoned { job } => write!(
                f,
                "the {job} outlasted whoever waited for it: it runs on, and nobody gets what it returns; give it a longer grace period, \
                 or say `abandon_on_cancel`"
            ),
            Report::CleanupPanicked { at, payload } => write!(f, "the cleanup made at {at} panicked: {payload}"),
            Report::CleanupFailed { at, error } => write!(f, "the cleanup made at {at} failed: {error}"),
            Report::GroupCut { error } => write!(f, "a group was cancelled from outside: {error}"),
            Report::JobsLeft { jobs } => {
                write!(f, "{} blocking jobs outlived the grace period and were left behind:", jobs.len())?;
                jobs.iter().try_for_each(|job| write!(f, "\n  {job}"))
            }
            Report::FutureUnpolled { what, at, task } => {
                write!(f, "the `{what}` made at {at} was dropped and never awaited, so it did nothing: add `.await`")?;
                task.as_ref().map_or(Ok(()), |task| write!(f, " (in {task})"))
            }
            Report::TaskUnpolled { task } => write!(
                f,
                "{task} was dropped before it ran at all: await its handle, or detach it, and do not end before it has had a turn"
            ),
            Report::SlowPoll { task, took, limit } => write!(
                f,
                "{task} held its thread for {took:.1?} in one poll, {limit:?} are allowed: move what blocks into `to_thread`, and let long \
                 computations `yield_now().await` in between"
            ),
            Report::Stuck { task, stuck_for } => write!(
                f,
                "{task} has held its thread for {stuck_for:.1?} in one poll that goes on, and everything else there waits: look with a \
                 debugger where it is; what blocks belongs into `to_thread`"
            ),
            Report::TasksLeft { tasks } => {
                write!(
                    f,
                    "{} tasks were spawned by destructors again and again at shutdown, and forgotten",
                    tasks.len()
                )
            }
        }
    }
}

type Hook = Rc<dyn Fn(Report)>;
type Fatal = Rc<RefCell<Option<(TaskInfo, PanicPayload)>>>;

/// Where a runtime's reports go.
#[derive(Clone, Default)]
pub(crate) struct Reporter {
    hook: Option<Hook>,
    /// With `OnPanic::Shutdown`: the first panic, which `block_on` resumes.
    fatal: Option<Fatal>,
}

impl Reporter {
    pub(crate) fn new(hook: Option<Hook>, panics_are_fatal: bool) -> Reporter {
        Reporter { hook, fatal: panics_are_fatal.then(Rc::default) }
    }

    /// Hands a report on. The hook is user code: call this under no borrow.
    #[cold]
    pub(crate) fn report(&self, report: Report) {
        let told = catch_unwind(AssertUnwindSafe(|| match &self.hook {
            Some(hook) => hook(report),
            None => say(format_args!("{report}")),
        }));
        if let Err(payload) = told {
            say(format_args!("the report hook panicked: {}", PanicPayload::new(payload)));
        }
    }

    /// Hands a report to a hook for other threads, or to the default.
    pub(crate) fn tell_from_outside(hook: Option<&OnStuck>, report: Report) {
        let told = catch_unwind(AssertUnwindSafe(|| match hook {
            Some(hook) => hook(report),
            None => say(format_args!("{report}")),
        }));
        if let Err(payload) = told {
            say(format_args!("the hook for a stuck loop panicked: {}", PanicPayload::new(payload)));
        }
    }

    /// Whether a panic waits for `block_on` to resume it.
    pub(crate) fn take_fatal(&self) -> Option<(TaskInfo, PanicPayload)> {
        self.fatal.as_ref()?.take()
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal.as_ref().is_some_and(|fatal| fatal.borrow().is_some())
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

/// Runs a stranger's code; a panic is reported to the current runtime, as what `into_report` makes of it.
pub(crate) fn catch(into_report: impl FnOnce(PanicPayload) -> Report, strange: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(strange)) {
        let reporter = context::with_current(|core| core.reporter.clone()).unwrap_or_default();
        reporter.report(into_report(PanicPayload::new(payload)));
    }
}

/// A panic that no handle will see.
#[cold]
pub(crate) fn report_panic(reporter: &Reporter, task: TaskInfo, payload: PanicPayload) {
    if let Some(fatal) = &reporter.fatal
        && !reporter.is_fatal()
    {
        return *fatal.borrow_mut() = Some((task, payload));
    }
    reporter.report(Report::Panicked { task, payload });
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
