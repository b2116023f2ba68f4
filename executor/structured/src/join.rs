//! Join handles: the kernel's, of a task that ends by the rule of scopes.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use handcar_executor::layer;
use handcar_executor::{self as kernel, AbortHandle, PanicPayload, Report, TaskId, TaskInfo};

use crate::reason::CancelReason;
use crate::task::Ended;

/// Waits for a task, and cancels it when dropped.
///
/// A cancelled task ends by the rule of scopes: it is polled once more, then its body is dropped, unless it is shielded, then its
/// cleanups are awaited. It does all of that also when nobody waits for it any more, and the runtime's end waits for it.
///
/// ```
/// handcar_structured::run(async {
///     let sum = handcar_structured::spawn(async { 1 + 1 });
///     assert_eq!(sum.await.unwrap(), 2);
/// });
/// ```
///
/// # Cancel safety
///
/// Polling it and leaving it loses nothing: `(&mut handle).await` may be dropped and begun again.
#[must_use = "dropping a JoinHandle cancels its task: await it, or `detach` it"]
pub struct JoinHandle<T> {
    task: kernel::JoinHandle<Ended<T>>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: kernel::JoinHandle<Ended<T>>) -> JoinHandle<T> {
        JoinHandle { task }
    }

    /// Cancels the task. False if it has ended or was cancelled before.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// Cancels the task and waits until it has ended, cleanups included; or for its value, if it ended first.
    #[track_caller]
    pub fn cancel_and_wait(self) -> JoinHandle<T> {
        self.cancel();
        self
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The result of a task that has ended, once and without waiting.
    pub fn try_take(&mut self) -> Option<Result<T, JoinError>> {
        self.task.try_take().map(joined)
    }

    /// Who the task is.
    pub fn info(&self) -> TaskInfo {
        self.task.info()
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The task's name, if it was spawned with one.
    pub fn name(&self) -> Option<&str> {
        self.task.name()
    }

    /// The line that spawned the task.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task.spawned_at()
    }

    /// A handle that can cancel the task but not wait for it, and whose drop does nothing.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Lets the task run on and drops what it returns. A panic is still reported.
    #[inline(always)]
    #[allow(clippy::inline_always)] // into `detach`, which says why
    pub fn detach_ignoring(self) {
        self.task.detach_ignoring();
    }
}

impl JoinHandle<()> {
    /// Lets the task run on by itself. A panic is reported.
    #[inline(always)]
    #[allow(clippy::inline_always)] // two stores where the task was just spawned: 7 % of a detached task
    pub fn detach(self) {
        self.detach_ignoring();
    }
}

impl<T: 'static, E: 'static> JoinHandle<Result<T, E>> {
    /// Lets the task run on; if it returns an error, that goes to the runtime's `on_report`, as a panic does.
    pub fn detach_reporting(self)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let task = self.abort_handle();
        self.detach_with(move |error| {
            layer::report_of(&task, Report::Failed { task: task.info(), error: Arc::from(error.into()) });
        });
    }

    /// Lets the task run on; if it returns an error, `on_error` gets it.
    pub fn detach_with(self, on_error: impl FnOnce(E) + 'static) {
        self.task.detach_telling(|ended| {
            if let Ok(Err(error)) = ended {
                on_error(error);
            }
        });
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx).map(joined)
    }
}

#[inline]
fn joined<T>(result: Result<Ended<T>, kernel::JoinError>) -> Result<T, JoinError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(reason)) => Err(JoinError::Cancelled(reason)),
        Err(kernel::JoinError::Cancelled(reason)) => Err(JoinError::Cancelled(CancelReason::from_kernel(reason))),
        Err(kernel::JoinError::Panicked(payload)) => Err(JoinError::Panicked(payload)),
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

/// Why a task has no value.
#[derive(Debug)]
pub enum JoinError {
    /// It was cancelled before it ended.
    Cancelled(CancelReason),
    /// It panicked.
    Panicked(PanicPayload),
}

impl JoinError {
    /// Whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled(_))
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Cancelled(reason) => write!(f, "task was cancelled: {reason}"),
            JoinError::Panicked(payload) => write!(f, "task panicked: {payload}"),
        }
    }
}

impl Error for JoinError {}
