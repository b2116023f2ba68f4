//! Calls that block, on threads: awaited to their end, in the caller's context.
//!
//! ```text
//!     the scope around is cancelled:   not started -> taken back, and dropped with the body: it never runs
//!                                      running     -> held like a shield, until the thread is done or the grace period ends
//! ```
//!
//! A thread cannot be stopped. So either the scope waits for it, or it runs on behind the program's back and writes, perhaps, into
//! what the next attempt is reading. asyncio's `to_thread` does the second without a word. Here the first is the rule, and the
//! second has a name: [`abandon_on_cancel`](ToThread::abandon_on_cancel).

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use handcar_executor::{self as kernel, JobInfo, Report};

use crate::context;
use crate::node::{Kind, Node};
use crate::observe::WaitCancelled;
use crate::polls;

/// Runs `f`, which may block, on a thread of the runtime's pool.
///
/// The job is queued at once, not at the first poll. It has the context variables of the caller, but for those that are `local`.
/// A panic of `f` goes on in the task that awaits it.
///
/// ```
/// handcar_structured::run(async {
///     let text = handcar_structured::to_thread(|| std::fs::read_to_string("Cargo.toml")).named("read").await;
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
/// When a scope around it is cancelled, a job that has not started never runs. One that has started is awaited, for the grace
/// period at the most; what it returns counts, if the body ends with it. At the end of the grace period, or where
/// something else drops the future, the job runs on by itself: that is reported.
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
    let context = context::portable();
    let job = kernel::try_to_thread(move || context.enter(f))?;
    Ok(ToThread { job, mode: Mode::Outlasts, hold: Hold { shield: None }, cancel: WaitCancelled::new() })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The scope around waits for the thread.
    Outlasts,
    /// It does not.
    Abandons,
    Over,
}

/// Waits for the result of a job. Made by [`to_thread`].
#[must_use = "a job whose future is dropped before it has started never runs"]
pub struct ToThread<T> {
    job: kernel::ToThread<T>,
    mode: Mode,
    hold: Hold,
    /// Polled so that a cancel reaches this also within a combinator that polls only what was woken.
    cancel: WaitCancelled,
}

impl<T> ToThread<T> {
    /// Gives the job a name, for reports.
    pub fn named(self, name: impl Into<Arc<str>>) -> ToThread<T> {
        self.job.set_name(name);
        self
    }

    /// Does not wait for a running job when the scope around is cancelled: it runs on by itself, and what it returns is dropped on
    /// its thread.
    pub fn abandon_on_cancel(mut self) -> ToThread<T> {
        self.mode = Mode::Abandons;
        self.hold.release();
        self
    }

    /// Who the job is.
    pub fn info(&self) -> JobInfo {
        self.job.info()
    }
}

impl<T: Send + 'static> Future for ToThread<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let outlasts = this.mode == Mode::Outlasts;
        if outlasts && Pin::new(&mut this.cancel).poll(cx).is_ready() && this.job.withdraw() {
            this.hold.release();
            return Poll::Pending; // to be dropped; if it is not, its next poll outside the cancel queues it again
        }
        let polled = Pin::new(&mut this.job).poll(cx);
        if polled.is_ready() {
            this.mode = Mode::Over;
            this.hold.release();
        } else if outlasts {
            this.hold.keep(this.job.info().at);
        }
        polled
    }
}

impl<T> Drop for ToThread<T> {
    fn drop(&mut self) {
        if self.mode == Mode::Outlasts && self.job.has_started() && !self.job.is_finished() {
            self.job.withdraw(); // in vain; but what is told now is not told again as never awaited
            self.job.report(Report::JobAbandoned { job: self.job.info() });
        }
    }
}

impl<T> fmt::Debug for ToThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.fmt(f)
    }
}

/// Keeps the scopes around from dropping what they run.
struct Hold {
    shield: Option<Rc<Node>>,
}

impl Hold {
    /// Holds whatever is around now.
    fn keep(&mut self, at: &'static Location<'static>) {
        let parent = polls::attach();
        if let Some(shield) = &self.shield {
            return shield.reparent(parent.as_ref());
        }
        let shield = Node::new(Kind::Shield, at, parent, None);
        shield.hold_parent();
        self.shield = Some(shield);
    }

    fn release(&mut self) {
        if let Some(shield) = self.shield.take() {
            shield.close();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}
