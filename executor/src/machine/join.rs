//! Join handles: a task's result, its cancellation, and what becomes of a result that nobody waits for.
//!
//! Dropping a handle cancels its task. This is where Handcar differs from tokio and asyncio on purpose: a task that nobody
//! can wait for any more is, most often, a task that somebody forgot. To let one run on is a decision, and *detaching* makes it:
//! each way of detaching (`detach.rs`) names what becomes of the result. So no error disappears because nobody looked.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::abort_handle::AbortHandle;
use crate::cells;
use crate::discard::release;
use crate::join_error::{CancelKind, CancelReason, JoinError};
use crate::layer::{self, Ending};
use crate::machine::header::{HasHeader, Header};
use crate::machine::task::{Join, Run};
use crate::machine::waker::TaskId;
use crate::observe::{self, Cause};
use crate::task_info::TaskInfo;

/// Waits for a task, and cancels it when dropped.
///
/// ```
/// handcar_executor::run(async {
///     let sum = handcar_executor::spawn(async { 1 + 1 });
///     assert_eq!(sum.await.unwrap(), 2);
/// });
/// ```
///
/// # Cancel safety
///
/// Polling it and leaving it loses nothing: `(&mut handle).await` may be dropped and begun again.
#[must_use = "dropping a JoinHandle cancels its task: await it, or `detach` it"]
pub struct JoinHandle<T> {
    pub(crate) task: Option<Rc<dyn Join<T>>>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: Rc<dyn Join<T>>) -> JoinHandle<T> {
        JoinHandle { task: Some(task) }
    }

    pub(crate) fn task(&self) -> &Rc<dyn Join<T>> {
        self.task.as_ref().expect("only detaching takes the task out, and it takes the handle too")
    }

    /// Cancels the task: its future is dropped at its next turn. False if it has ended or was cancelled before.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        cancel(self.task().header(), CancelReason::new(CancelKind::Explicit))
    }

    /// Cancels the task and waits until its future has been dropped; or for its value, if it ended first.
    #[track_caller]
    pub fn cancel_and_wait(self) -> JoinHandle<T> {
        self.cancel();
        self
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task().header().is_finished()
    }

    /// The result of a task that has ended, once and without waiting.
    pub fn try_take(&mut self) -> Option<Result<T, JoinError>> {
        if self.is_finished() { self.task().take_any() } else { None }
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.task().header().id.get()
    }

    /// Who the task is.
    pub fn info(&self) -> TaskInfo {
        self.task().header().info()
    }

    /// The task's name, if it was spawned with one.
    pub fn name(&self) -> Option<&str> {
        self.task().header().name().map(|name| &**name)
    }

    /// The line that spawned the task.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task().header().spawned_at
    }

    /// A handle that can cancel the task but not wait for it, and whose drop does nothing.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { task: Rc::clone(self.task()) as Rc<dyn Run> }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.task().poll_join(cx)
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        if task.header().joined.get() { give_up(task) } else { cells::let_go(task) }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", self.task().header().info())
    }
}

/// The handle is dropped, and has not returned the result.
#[inline(never)] // so that the drop of a handle saves nothing for it
fn give_up(task: Rc<dyn Run>) {
    if task.header().ending.get() == Ending::Member {
        release(task);
    } else {
        cancel_and_release(task);
    }
}

#[cold]
fn cancel_and_release(task: Rc<dyn Run>) {
    cancel(task.header(), CancelReason::new(CancelKind::HandleDropped));
    release(task);
}

pub(crate) fn cancel(header: &Header, reason: CancelReason) -> bool {
    let flagged = header.flag(reason);
    if flagged {
        if header.ending.get() != Ending::Dropped && layer::is_running_header(header) {
            layer::raise(); // it has cancelled itself: its wrapper looks when this poll is over
        }
        observe::because(Cause::Cancel, || header.id.get().wake());
    }
    flagged
}
