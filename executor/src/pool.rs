//! The blocking pool: threads for calls that block.
//!
//! No thread is started before the first job. A thread that finds no job for [`IDLE`] ends. Jobs start in the order in which
//! they came. Where the system gives no more threads, those that there are come to it later. What a job is, `job.rs` says.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::job::{JobInfo, Queued};

/// How long a thread waits for another job before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// The most threads when the [`Builder`](crate::Builder) says nothing else: enough to keep disks and resolvers busy, few
/// enough for a small machine.
pub(crate) const DEFAULT_THREADS: usize = 64;

pub(crate) struct Pool {
    limit: usize,
    /// Made by the first job.
    threads: OnceCell<Arc<Threads>>,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Pool {
        Pool { limit, threads: OnceCell::new() }
    }

    pub(crate) fn threads(&self) -> &Arc<Threads> {
        self.threads.get_or_init(|| Arc::new(Threads::new(self.limit)))
    }

    /// Whether there ever was a job.
    pub(crate) fn was_used(&self) -> bool {
        self.threads.get().is_some()
    }

    /// Drops the jobs that have not started and waits for the others, for `grace` at the most. Returns those that are left.
    pub(crate) fn shut_down(&self, grace: Option<Duration>) -> Vec<JobInfo> {
        self.threads.get().map_or_else(Vec::new, |threads| threads.shut_down(grace))
    }
}

/// What the loop and the pool's threads share.
pub(crate) struct Threads {
    limit: usize,
    state: Mutex<State>,
    /// A job has come, or the pool closes.
    job: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<dyn Queued>>,
    running: Slab<Arc<dyn Queued>>,
    /// Threads that have not left [`work`].
    threads: usize,
    /// All that were started, but for those that were seen to have ended.
    handles: Vec<thread::JoinHandle<()>>,
    idle: usize,
    closed: bool,
}

impl Threads {
    fn new(limit: usize) -> Threads {
        Threads { limit, state: Mutex::default(), job: Condvar::new(), ended: Condvar::new() }
    }

    #[inline(never)]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, and starts a thread for it if none is idle and one more may be.
    pub(crate) fn submit(self: &Arc<Threads>, job: Arc<dyn Queued>) -> io::Result<()> {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            job.close(); // the runtime ends: like every job that has not started, it never runs
            return Ok(());
        }
        if state.idle < state.jobs.len() + 1 && state.threads < self.limit {
            let threads = Arc::clone(self);
            let started = thread::Builder::new().name("handcar-blocking".to_owned()).spawn(move || work(&threads));
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
        self.job.notify_one();
        Ok(())
    }

    fn shut_down(&self, grace: Option<Duration>) -> Vec<JobInfo> {
        let mut state = self.lock();
        state.closed = true;
        let unstarted = std::mem::take(&mut state.jobs);
        self.job.notify_all();
        drop(state);
        for job in &unstarted {
            job.close();
        }
        drop(unstarted);
        let end = grace.and_then(|grace| Instant::now().checked_add(grace));
        let mut state = self.lock();
        while state.threads > 0 {
            let Some(end) = end else {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let all_ended = state.threads == 0;
        let left: Vec<_> = state.running.iter().map(|(_, job)| Arc::clone(job)).collect();
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        for handle in handles {
            if all_ended || handle.is_finished() {
                let _ = handle.join(); // jobs catch their panics
            }
        }
        left.iter().map(|job| job.info()).collect()
    }
}

/// A pool thread's life.
fn work(threads: &Threads) {
    let mut state = threads.lock();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            let key = state.running.insert(Arc::clone(&job));
            drop(state);
            job.run(); // catches its own panics
            state = threads.lock();
            let listed = state.running.remove(key);
            drop(state);
            drop((job, listed)); // what is in them is a stranger's
            state = threads.lock();
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let (woken, timed_out) = threads.job.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if timed_out.timed_out() && state.jobs.is_empty() {
            break;
        }
    }
    state.threads -= 1;
    threads.ended.notify_all();
}
