//! A blocking job, seen from the task that awaits it and from the thread that runs it.
//!
//! ```text
//!    the loop's thread                                 a pool thread
//!    -----------------                                 -------------
//!    to_thread(f)  1. job into the queue        --->   2. takes it, marks it as started, runs it
//!    polls it      4. takes the result          <---   3. leaves the result, wakes the task through the mailbox
//!    withdraws it  not started: it waits to be polled again, and is queued again then
//!    ends          not started: it is closed, wakes the task, which may be another runtime's, and never runs
//!    drops it      not started: it never runs
//!                  started: it runs to its end, the result is dropped there
//! ```
//!
//! A job that panics takes nobody along: the panic goes on in the awaiting task, or to a report.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use crate::join_error::PanicPayload;
use crate::kept::let_go;
use crate::machine::mailbox::{Address, Mailbox};
use crate::machine::{budget, context};
use crate::pool::Threads;
use crate::question;
use crate::report::Report;
use crate::reporter;
use crate::time::clock::{ClockHold, Holder};
use crate::unpolled::Unpolled;

/// Runs `f`, which may block, on a thread of the runtime's pool.
///
/// The job is queued at once, not at the first poll. A panic of `f` goes on in the task that awaits it.
///
/// ```
/// handcar_executor::run(async {
///     let text = handcar_executor::to_thread(|| std::fs::read_to_string("Cargo.toml")).await;
///     assert!(text.is_ok());
/// });
/// ```
///
/// # Panics
///
/// Outside a runtime; if the system gives no thread and there is none yet: see [`try_to_thread`]. The future, if the runtime of the call has
/// ended before a thread began with the job.
///
/// # Cancel safety
///
/// A job whose future is dropped before it has started never runs. One that has started runs to its end, and its result is
/// dropped on its thread.
#[track_caller]
pub fn to_thread<T, F>(f: F) -> ToThread<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match try_to_thread(f) {
        Ok(job) => job,
        Err(error) => panic!("no thread could be started for a blocking job: {error}"),
    }
}

/// As [`to_thread`], with an error in place of a panic.
///
/// # Errors
///
/// The system's, if it gives no thread and there is none yet.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn try_to_thread<T, F>(f: F) -> io::Result<ToThread<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let core = context::current("to_thread");
    let holder = core.timers.clock.holder();
    let stage = Stage::Waiting { work: Box::new(f), waker: None, hold: holder.hold() };
    let job = Arc::new(Job {
        at: Location::caller(),
        threads: Arc::clone(core.pool.threads()),
        holder,
        mailbox: Arc::clone(&core.mailbox),
        state: Mutex::new(State { name: None, stage }),
    });
    job.threads.submit(Arc::clone(&job) as Arc<dyn Queued>)?;
    Ok(ToThread { job, runtime: core.address, unpolled: Unpolled::new(&"to_thread") })
}

/// Who a blocking job is: in reports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobInfo {
    /// The name that [`ToThread::named`] gave it.
    pub name: Option<Arc<str>>,
    /// The line that called [`to_thread`].
    pub at: &'static Location<'static>,
}

impl fmt::Display for JobInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "blocking job `{name}`, made at {}", self.at),
            None => write!(f, "blocking job made at {}", self.at),
        }
    }
}

/// What the pool sees of a job.
pub(crate) trait Queued: Send + Sync {
    /// Runs it, unless its future is gone or has withdrawn it. Never panics.
    fn run(&self);

    /// It will not be run any more. Never panics.
    fn close(&self);

    fn info(&self) -> JobInfo;
}

type Work<T> = Box<dyn FnOnce() -> T + Send>;

struct Job<T> {
    at: &'static Location<'static>,
    threads: Arc<Threads>,
    holder: Holder,
    mailbox: Arc<Mailbox>,
    state: Mutex<State<T>>,
}

struct State<T> {
    name: Option<Arc<str>>,
    stage: Stage<T>,
}

enum Stage<T> {
    /// In the queue; the simulated clock is held.
    Waiting {
        work: Work<T>,
        waker: Option<Waker>,
        hold: ClockHold,
    },
    /// It would wait, but for its future, which has taken it back.
    Withdrawn(Work<T>),
    Running(Option<Waker>),
    Done(thread::Result<T>),
    /// The runtime ended before it had started.
    Closed,
    /// The result was taken, or its future dropped.
    Gone,
}

impl<T> Job<T> {
    #[inline(never)]
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks it as started, if it waits.
    fn start(&self) -> Option<(Work<T>, ClockHold)> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.stage, Stage::Running(None)) {
            Stage::Waiting { work, waker, hold } => {
                state.stage = Stage::Running(waker);
                Some((work, hold))
            }
            other => {
                state.stage = other;
                None
            }
        }
    }

    fn finish(&self, result: thread::Result<T>) {
        let mut state = self.lock();
        let Stage::Running(waker) = &mut state.stage else {
            drop(state);
            return self.unwanted(result);
        };
        let waker = waker.take();
        state.stage = Stage::Done(result);
        drop(state);
        wake(&self.mailbox, waker);
    }

    /// Drops the result of a job whose future is gone.
    fn unwanted(&self, result: thread::Result<T>) {
        if let Err(payload) = result.and_then(|value| catch_unwind(AssertUnwindSafe(|| drop(value)))) {
            self.mailbox.report(self.panicked(payload));
        }
    }

    fn panicked(&self, payload: Box<dyn std::any::Any + Send>) -> Report {
        Report::JobPanicked { job: self.who(), payload: PanicPayload::new(payload) }
    }

    #[cold]
    #[inline(never)]
    fn who(&self) -> JobInfo {
        JobInfo { name: self.lock().name.clone(), at: self.at }
    }
}

impl<T: Send> Queued for Job<T> {
    fn run(&self) {
        let Some((work, hold)) = self.start() else { return };
        self.finish(catch_unwind(AssertUnwindSafe(work)));
        drop(hold); // after the wake: the clock must not jump in between
    }

    fn close(&self) {
        let mut state = self.lock();
        let (work, waker, hold) = match std::mem::replace(&mut state.stage, Stage::Closed) {
            Stage::Waiting { work, waker, hold } => (work, waker, hold),
            other => {
                state.stage = other;
                return;
            }
        };
        drop(state);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(work))) {
            self.mailbox.report(self.panicked(payload));
        }
        wake(&self.mailbox, waker);
        drop(hold);
    }

    fn info(&self) -> JobInfo {
        self.who()
    }
}

/// Wakes who awaits a job of the mailbox's runtime.
fn wake(mailbox: &Mailbox, waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        mailbox.report(Report::WakerPanicked { payload: PanicPayload::new(payload) });
    }
}

#[cold]
fn never_ran(job: &JobInfo) -> ! {
    panic!("the runtime of the {job} ended before a thread began with it: await it while that lives")
}

/// Waits for the result of a job. Made by [`to_thread`].
#[must_use = "a job whose future is dropped before it has started never runs"]
pub struct ToThread<T> {
    job: Arc<Job<T>>,
    runtime: Address,
    unpolled: Unpolled,
}

impl<T> ToThread<T> {
    /// Gives the job a name, for reports.
    pub fn named(self, name: impl Into<Arc<str>>) -> ToThread<T> {
        self.set_name(name);
        self
    }

    /// As [`named`](ToThread::named), of one that stays where it is.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        let before = self.job.lock().name.replace(name.into());
        drop(before);
    }

    /// Who the job is.
    pub fn info(&self) -> JobInfo {
        self.job.who()
    }

    /// Whether a thread has begun with it.
    pub fn has_started(&self) -> bool {
        matches!(self.job.lock().stage, Stage::Running(_) | Stage::Done(_))
    }

    /// Whether it has ended, and the result waits here to be taken.
    pub fn is_finished(&self) -> bool {
        matches!(self.job.lock().stage, Stage::Done(_))
    }

    /// Whether it will never run: its runtime has ended before a thread began with it.
    pub fn is_closed(&self) -> bool {
        matches!(self.job.lock().stage, Stage::Closed)
    }

    /// Has the job's runtime report something, wherever this is called.
    pub fn report(&self, report: Report) {
        reporter::deliver(self.runtime, report);
    }

    /// Takes the job back, if it has not started: no thread begins with it until this is polled again. False if it has started.
    ///
    /// Who calls this waits for the job, and only may not at the moment: it counts as polled.
    pub fn withdraw(&mut self) -> bool {
        self.unpolled.forget();
        let mut state = self.job.lock();
        let (hold, waker) = match std::mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Waiting { work, waker, hold } => {
                state.stage = Stage::Withdrawn(work);
                (hold, waker)
            }
            other => {
                let withdrawn = matches!(other, Stage::Withdrawn(_) | Stage::Closed);
                state.stage = other;
                return withdrawn;
            }
        };
        drop(state);
        let_go(waker);
        drop(hold);
        true
    }
}

impl<T: Send + 'static> ToThread<T> {
    /// As the future itself, but nothing, rather than a panic, if the job [never runs](ToThread::is_closed).
    ///
    /// # Panics
    ///
    /// As the future for any other reason.
    pub fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.unpolled.forget();
        ready!(question::poll_telling(cx, || format!("the {}", self.info())));
        let new = cx.waker().clone(); // a stranger's code: before the lock
        let mut state = self.job.lock();
        let old = match &mut state.stage {
            Stage::Waiting { waker, .. } | Stage::Running(waker) => waker.replace(new),
            Stage::Withdrawn(_) => {
                if let Stage::Withdrawn(work) = std::mem::replace(&mut state.stage, Stage::Gone) {
                    state.stage = Stage::Waiting { work, waker: Some(new), hold: self.job.holder.hold() };
                }
                drop(state);
                self.queue_again();
                return Poll::Pending;
            }
            Stage::Done(_) => {
                drop(state);
                drop(new); // while the result is still there, should this panic
                let Stage::Done(result) = std::mem::replace(&mut self.job.lock().stage, Stage::Gone) else {
                    unreachable!("only this takes it out")
                };
                budget::spend();
                return Poll::Ready(Some(result.unwrap_or_else(|payload| PanicPayload::new(payload).resume())));
            }
            Stage::Closed => return Poll::Ready(None),
            Stage::Gone => panic!("`ToThread` polled after it had returned the result"),
        };
        drop(state);
        drop(old);
        Poll::Pending
    }

    #[cold]
    fn queue_again(&mut self) {
        if let Err(error) = self.job.threads.submit(Arc::clone(&self.job) as Arc<dyn Queued>) {
            self.withdraw();
            panic!("no thread could be started for a blocking job: {error}");
        }
    }
}

impl<T: Send + 'static> Future for ToThread<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let result = ready!(self.poll_result(cx));
        Poll::Ready(result.unwrap_or_else(|| never_ran(&self.info())))
    }
}

impl<T> Drop for ToThread<T> {
    fn drop(&mut self) {
        let mut stage = std::mem::replace(&mut self.job.lock().stage, Stage::Gone);
        if let Stage::Waiting { waker, .. } | Stage::Running(waker) = &mut stage {
            let_go(waker.take());
        }
        let panicked = match stage {
            Stage::Done(Err(payload)) => Some(payload),
            // What a job that never runs had captured is a stranger's, as on the job's thread.
            Stage::Waiting { .. } | Stage::Withdrawn(_) => catch_unwind(AssertUnwindSafe(|| drop(stage))).err(),
            _ => None,
        };
        if let Some(payload) = panicked {
            reporter::deliver(self.runtime, self.job.panicked(payload));
        }
    }
}

impl<T> fmt::Debug for ToThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToThread({})", self.job.who())
    }
}
