//! The blocking pool: threads for calls that block.
//!
//! ```text
//!    the loop's thread                                 a pool thread
//!    -----------------                                 -------------
//!    to_thread(f)  1. job into the queue        --->   2. takes it, marks it as started, runs it
//!    polls it      4. takes the result          <---   3. leaves the result, wakes the task through the mailbox
//!    dropped       not started: it never runs
//!                  started: it runs to its end, the result is dropped there
//! ```
//!
//! No thread is started before the first job. A thread that finds no job for [`IDLE`] ends. Jobs start in the order in which
//! they came. A job that panics takes nobody along: the panic goes on in the awaiting task, or to a report.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::join::PanicPayload;
use crate::machine::mailbox::{Address, Mailbox};
use crate::machine::{budget, context};
use crate::report::{self, Report};

/// How long a thread waits for another job before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// The most threads when the [`Builder`](crate::Builder) says nothing else: enough to keep disks and resolvers busy, few
/// enough for a small machine.
pub(crate) const DEFAULT_THREADS: usize = 64;

pub(crate) struct Pool {
    limit: usize,
    mailbox: Arc<Mailbox>,
    /// Made by the first job.
    shared: OnceCell<Arc<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A job has come, or the pool closes.
    job: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn FnOnce() + Send>>,
    /// Threads that have not left [`work`].
    threads: usize,
    /// All that were started, but for those that were seen to have ended.
    handles: Vec<thread::JoinHandle<()>>,
    idle: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(limit: usize, mailbox: Arc<Mailbox>) -> Pool {
        Pool { limit, mailbox, shared: OnceCell::new() }
    }

    /// Queues a job, and starts a thread for it if none is idle and one more may be.
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let shared = self.shared.get_or_init(Arc::default);
        let mut state = shared.lock();
        if state.closed {
            return Ok(()); // the runtime ends: like every job that has not started, it never runs
        }
        if state.idle < state.jobs.len() + 1 && state.threads < self.limit {
            let shared = Arc::clone(shared);
            let started = thread::Builder::new().name("handcar-blocking".to_owned()).spawn(move || work(&shared));
            match started {
                Ok(handle) => {
                    state.threads += 1;
                    state.handles.retain(|handle| !handle.is_finished());
                    state.handles.push(handle);
                }
                // The threads that there are will come to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        state.jobs.push_back(job);
        shared.job.notify_one();
        Ok(())
    }

    /// Drops the jobs that have not started and waits for the others, for `grace` at the most. Returns how many threads are
    /// left.
    pub(crate) fn shut_down(&self, grace: Option<Duration>) -> usize {
        let Some(shared) = self.shared.get() else { return 0 };
        let mut state = shared.lock();
        state.closed = true;
        let unstarted = std::mem::take(&mut state.jobs);
        shared.job.notify_all();
        drop(state);
        for job in unstarted {
            // What a job captured is a stranger's.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(job))) {
                self.mailbox.report(Report::JobPanicked { payload: PanicPayload::new(payload) });
            }
        }
        let end = grace.and_then(|grace| Instant::now().checked_add(grace));
        let mut state = shared.lock();
        while state.threads > 0 {
            let Some(end) = end else {
                state = shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = shared.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = state.threads;
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        for handle in handles {
            if left == 0 || handle.is_finished() {
                let _ = handle.join(); // jobs catch their panics
            }
        }
        left
    }
}

/// A pool thread's life.
fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job(); // catches its own panics
            state = shared.lock();
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let (woken, timed_out) = shared.job.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if timed_out.timed_out() && state.jobs.is_empty() {
            break;
        }
    }
    state.threads -= 1;
    shared.ended.notify_all();
}

/// A job, seen from both sides.
enum Job<T> {
    Waiting(Option<Waker>),
    Running(Option<Waker>),
    Done(thread::Result<T>),
    /// The result was taken, or its future dropped.
    Gone,
}

fn lock<T>(job: &Mutex<Job<T>>) -> MutexGuard<'_, Job<T>> {
    job.lock().unwrap_or_else(PoisonError::into_inner)
}

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
/// Outside a runtime; if the system gives no thread and there is none yet: see [`try_to_thread`].
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
    let job = Arc::new(Mutex::new(Job::Waiting(None)));
    let on_thread = Arc::clone(&job);
    let mailbox = Arc::clone(&core.mailbox);
    let hold = core.timers.clock.hold();
    core.pool.submit(Box::new(move || {
        // Nothing of a job may end the thread, nor the destructor of what it captured.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| run_job(f, &on_thread, &mailbox))) {
            mailbox.report(Report::JobPanicked { payload: PanicPayload::new(payload) });
        }
        drop(hold); // after the wake: the clock must not jump in between
    }))?;
    Ok(ToThread { job, runtime: core.address })
}

fn run_job<T>(f: impl FnOnce() -> T, job: &Mutex<Job<T>>, mailbox: &Mailbox) {
    {
        let mut job = lock(job);
        let Job::Waiting(waker) = &mut *job else { return }; // its future is gone
        *job = Job::Running(waker.take());
    }
    let result = catch_unwind(AssertUnwindSafe(f));
    let mut state = lock(job);
    if let Job::Running(waker) = &mut *state {
        let waker = waker.take();
        *state = Job::Done(result);
        drop(state);
        let Some(waker) = waker else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            mailbox.report(Report::WakerPanicked { payload: PanicPayload::new(payload) });
        }
    } else {
        drop(state);
        if let Err(payload) = result {
            mailbox.report(Report::JobPanicked { payload: PanicPayload::new(payload) });
        }
    }
}

/// Waits for the result of a job. Made by [`to_thread`].
#[must_use = "a job whose future is dropped before it has started never runs"]
pub struct ToThread<T> {
    job: Arc<Mutex<Job<T>>>,
    runtime: Address,
}

impl<T> Future for ToThread<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        ready!(budget::poll(cx));
        let new = cx.waker().clone(); // a stranger's code: before the lock
        let mut job = lock(&self.job);
        let old = match &mut *job {
            Job::Waiting(waker) | Job::Running(waker) => waker.replace(new),
            Job::Done(_) => {
                let Job::Done(result) = std::mem::replace(&mut *job, Job::Gone) else { unreachable!("matched above") };
                drop(job);
                budget::spend();
                return Poll::Ready(result.unwrap_or_else(|payload| PanicPayload::new(payload).resume()));
            }
            Job::Gone => panic!("`ToThread` polled after it had returned the result"),
        };
        drop(job);
        drop(old);
        Poll::Pending
    }
}

impl<T> Drop for ToThread<T> {
    fn drop(&mut self) {
        let job = std::mem::replace(&mut *lock(&self.job), Job::Gone);
        if let Job::Done(Err(payload)) = job {
            report::deliver(self.runtime, Report::JobPanicked { payload: PanicPayload::new(payload) });
        }
    }
}

impl<T> fmt::Debug for ToThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToThread")
    }
}
