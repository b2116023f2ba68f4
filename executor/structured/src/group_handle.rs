//! The handle of a group's child, and how a child ends that has no value.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::{self as kernel, AbortHandle, TaskId, layer};

use crate::reason::CancelReason;

/// Why a child has no value. Its error itself belongs to the group.
#[derive(Clone, Debug)]
pub enum TaskEnd {
    /// It was cancelled.
    Cancelled(CancelReason),
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskEnd::Cancelled(reason) => write!(f, "the task was cancelled: {reason}"),
            TaskEnd::Failed => f.write_str("the task failed; its group has the error"),
            TaskEnd::Panicked => f.write_str("the task panicked"),
        }
    }
}

impl Error for TaskEnd {}

/// Waits for a child of a group or of a scope. Dropping it does nothing: the group waits.
///
/// # Cancel safety
///
/// Polling it and leaving it loses nothing: `(&mut handle).await` may be dropped and begun again.
pub struct GroupHandle<T> {
    task: kernel::JoinHandle<Result<T, TaskEnd>>,
}

impl<T> GroupHandle<T> {
    pub(crate) fn new(task: kernel::JoinHandle<Result<T, TaskEnd>>) -> GroupHandle<T> {
        GroupHandle { task }
    }

    /// The child's result, once, after it has ended.
    ///
    /// ```
    /// use handcar_structured::{run, task_group};
    ///
    /// let tasks = run(task_group(async |g| Ok([1, 2].map(|n| g.spawn(async move { Ok::<_, String>(n * n) })))));
    /// let squares = tasks.unwrap().map(|mut task| task.result().unwrap().unwrap()); // [t.result() for t in tasks]
    /// assert_eq!(squares, [1, 4]);
    /// ```
    pub fn result(&mut self) -> Option<Result<T, TaskEnd>> {
        self.task.try_take().map(flat)
    }

    /// Cancels the child: that is no error of the group. False if it has ended or was cancelled before.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The child's number. A scope's child has one from its first poll on.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The child's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.task.name()
    }

    /// The line that spawned the child.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task.spawned_at()
    }

    /// A handle that can cancel the child.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }
}

#[inline]
fn flat<T>(result: Result<Result<T, TaskEnd>, kernel::JoinError>) -> Result<T, TaskEnd> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(end)) => Err(end),
        Err(error) => Err(unseen(error)),
    }
}

/// The child's wrapper has not seen how it ended.
#[cold]
#[allow(clippy::needless_pass_by_value)] // a result of which a part is lent lies in memory
fn unseen(error: kernel::JoinError) -> TaskEnd {
    match error {
        kernel::JoinError::Cancelled(reason) => TaskEnd::Cancelled(CancelReason::from_kernel(reason)),
        kernel::JoinError::Panicked(_) => TaskEnd::Panicked,
    }
}

impl<T> Future for GroupHandle<T> {
    type Output = Result<T, TaskEnd>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.task).poll(cx).map(flat);
        assert!(
            polled.is_ready() || !layer::is_running(&self.task),
            "a child of a group awaits its own handle, and would wait for ever: return instead, or await a sibling's"
        );
        polled
    }
}

impl<T> fmt::Debug for GroupHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupHandle({:?})", self.task)
    }
}
