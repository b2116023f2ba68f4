//! Reports: what happened and has nobody waiting for it.
//!
//! A panic in a task whose handle is gone, an error in a task that was detached with `detach_reporting`, a destructor that
//! panicked: the program goes on, but somebody has to hear of it. Everything of that kind goes through one hook,
//! [`Builder::on_report`](crate::Builder::on_report), once; without a hook it is written to stderr, or to the `log` crate.
//!
//! A report says what happened and where. What to do about it is the [`advice`](Report::advice), which the alternate form
//! (`{:#}`) and the default append.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::job::JobInfo;
use crate::join_error::PanicPayload;
pub(crate) use crate::reporter::{Reporter, deliver, wake, wake_one};
use crate::task_info::TaskInfo;

/// Something that went wrong where nobody waits for the result.
///
/// ```
/// use handcar_executor::{Builder, Report, Reports, spawn, yield_now};
///
/// let reports = Reports::new();
/// let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
/// runtime.block_on(async {
///     spawn(async { panic!("unheard") }).detach();
///     yield_now().await;
/// });
/// let [Report::Panicked { payload, .. }] = &reports.take()[..] else { panic!("one panic was to be reported") };
/// assert_eq!(payload.to_string(), "unheard");
/// ```
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
    /// A waker that did not come from this runtime panicked when it was woken, or dropped.
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
        /// What it is: "a cleanup", "a shielded future".
        what: &'static str,
        /// The line that made it.
        at: &'static Location<'static>,
    },
    /// A shielded future was dropped before it had ended, by what polled it: a shield holds off cancels, and nothing else.
    ShieldDropped {
        /// The line that shielded it.
        at: &'static Location<'static>,
    },
    /// A blocking job was running when the grace period was over, or when something else dropped its future. It runs on.
    JobAbandoned {
        /// Which job.
        job: JobInfo,
    },
    /// A cleanup or a destructor panicked where a panic or an error goes on already.
    CleanupPanicked {
        /// The line that made the cleanup, or the scope.
        at: &'static Location<'static>,
        /// What it panicked with.
        payload: PanicPayload,
    },
    /// The destructor of a value that nobody gets panicked, where a panic or an error goes on already.
    DropPanicked {
        /// The line that made what the value belongs to.
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
    /// A cleanup came when its runtime had ended, and there was no other to run it.
    CleanupLeft {
        /// The line that made the cleanup.
        at: &'static Location<'static>,
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
    /// The runtime ended while these tasks were still ending, and dropped them after the grace period.
    TasksCut {
        /// Which tasks.
        tasks: Vec<TaskInfo>,
    },
    /// The runtime ended although destructors kept spawning tasks, and forgot these.
    TasksLeft {
        /// Which tasks.
        tasks: Vec<TaskInfo>,
    },
}

impl Report {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Report::Panicked { .. } => {
                "nobody waits for this task: keep its handle and await it, to get the panic there"
            }
            Report::Failed { .. } => {
                "it was detached with `detach_reporting`: handle the error in the task, or with `detach_with`"
            }
            Report::WakerPanicked { .. } => "the waker belongs to another executor or library: the fault is there",
            Report::JobPanicked { .. } => "its caller had gone: await the job to get the panic there",
            Report::JobsLeft { .. } => {
                "a thread cannot be stopped: have the job look at a flag, or give the runtime a longer grace period"
            }
            Report::CutShort { .. } => {
                "make it shorter, bound it by a timeout of its own, or give the scope a longer grace period"
            }
            Report::ShieldDropped { .. } => {
                "a shield holds off cancels only: poll it to its end, or put what must happen into `defer`"
            }
            Report::JobAbandoned { .. } => {
                "it runs on and nobody gets its result: give the scope a longer grace period, or say `abandon_on_cancel`"
            }
            Report::CleanupPanicked { .. } | Report::DropPanicked { .. } => {
                "a panic or an error goes on already, which says what came first"
            }
            Report::CleanupFailed { .. } => "nobody was left to return it to: handle the error in the cleanup",
            Report::CleanupLeft { .. } => "drop its guard, or what holds that, before the runtime",
            Report::GroupCut { .. } => {
                "an outer cancel wins over errors: handle them in the children if they matter even then"
            }
            Report::FutureUnpolled { .. } => "a future does nothing until it is polled: add `.await`",
            Report::TaskUnpolled { .. } => "await its handle; dropping that, or ending at once, cancels the task",
            Report::SlowPoll { .. } => {
                "move what blocks into `to_thread`, and `yield_now().await` within long computations"
            }
            Report::Stuck { .. } => {
                "everything else on its thread waits: a debugger shows where it is; what blocks belongs into `to_thread`"
            }
            Report::TasksCut { .. } => {
                "their cleanups do not end: bound them by a timeout, or give the runtime a longer grace period"
            }
            Report::TasksLeft { .. } => {
                "a destructor that spawns a task must not do so again in that task's destructor"
            }
        }
    }

    /// Whether the program may well go on as it is.
    #[cfg(feature = "log")]
    pub(crate) fn is_warning(&self) -> bool {
        matches!(
            self,
            Report::FutureUnpolled { .. }
                | Report::TaskUnpolled { .. }
                | Report::SlowPoll { .. }
                | Report::JobAbandoned { .. }
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f)?;
        if f.alternate() { write!(f, "\n  help: {}", self.advice()) } else { Ok(()) }
    }
}

impl Report {
    fn tell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Panicked { task, payload } => write!(f, "{task} panicked: {payload}"),
            Report::Failed { task, error } => because(f, format_args!("{task} failed"), error),
            Report::WakerPanicked { payload } => write!(f, "a foreign waker panicked: {payload}"),
            Report::JobPanicked { job, payload } => write!(f, "the abandoned {job} panicked: {payload}"),
            Report::JobsLeft { jobs } => {
                write!(f, "the runtime ended, and its grace period, before these did:")?;
                list(f, jobs)
            }
            Report::CutShort { what, at } => {
                write!(f, "the grace period was over: {what}, made at {at}, was dropped before it had ended")
            }
            Report::ShieldDropped { at } => {
                write!(f, "the future shielded at {at} was dropped before it had ended, by what polled it")
            }
            Report::JobAbandoned { job } => write!(f, "the {job} outlasted whoever waited for it"),
            Report::CleanupPanicked { at, payload } | Report::DropPanicked { at, payload } => {
                let is_cleanup = matches!(self, Report::CleanupPanicked { .. });
                let what = if is_cleanup { "the cleanup" } else { "a destructor of what was" };
                write!(f, "{what} made at {at} panicked: {payload}")
            }
            Report::CleanupFailed { at, error } => because(f, format_args!("the cleanup made at {at} failed"), error),
            Report::CleanupLeft { at } => {
                write!(f, "the cleanup made at {at} was handed over after the end of its runtime, and dropped")
            }
            Report::GroupCut { error } => because(f, format_args!("a group was cancelled from outside"), error),
            Report::FutureUnpolled { what, at, task: None } => {
                write!(f, "the `{what}` made at {at} was dropped and never awaited")
            }
            Report::FutureUnpolled { what, at, task: Some(task) } => {
                write!(f, "the `{what}` made at {at} was dropped and never awaited, in {task}")
            }
            Report::TaskUnpolled { task } => write!(f, "{task} was dropped before it ran at all"),
            Report::SlowPoll { task, took, limit } => {
                write!(f, "{task} held its thread for {took:.1?} in one poll, where {limit:?} are allowed")
            }
            Report::Stuck { task, stuck_for } => {
                write!(f, "{task} has held its thread for {stuck_for:.1?} in one poll, and still does")
            }
            Report::TasksCut { tasks } => {
                write!(f, "the runtime ended, and its grace period, before these did, and dropped them:")?;
                list(f, tasks)
            }
            Report::TasksLeft { tasks } => {
                write!(f, "these were spawned by destructors again and again at the runtime's end, and forgotten:")?;
                list(f, tasks)
            }
        }
    }
}

/// What happened, and the error's own words: not where `{:-}` asks for what runs no stranger's code.
fn because(f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>, error: &dyn Error) -> fmt::Result {
    if f.sign_minus() { write!(f, "{what}") } else { write!(f, "{what}: {error}") }
}

/// How many of a list are told by name.
const LISTED: usize = 20;

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    items.iter().take(LISTED).try_for_each(|item| write!(f, "\n  {item}"))?;
    match items.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more"),
    }
}

impl Error for Report {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Report::Failed { error, .. } | Report::CleanupFailed { error, .. } | Report::GroupCut { error } => {
                Some(&**error)
            }
            _ => None,
        }
    }
}
