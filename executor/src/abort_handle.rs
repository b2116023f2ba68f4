//! Abort handles: cancelling a task from afar.

use std::fmt;
use std::rc::Rc;

use crate::join_error::{CancelKind, CancelReason};
use crate::machine::header::HasHeader;
use crate::machine::join;
use crate::machine::task::Run;
use crate::machine::waker::TaskId;
use crate::task_info::TaskInfo;

/// Cancels a task without waiting for it. Made by [`JoinHandle::abort_handle`](crate::JoinHandle::abort_handle).
#[derive(Clone)]
pub struct AbortHandle {
    pub(crate) task: Rc<dyn Run>,
}

impl AbortHandle {
    /// As [`JoinHandle::cancel`](crate::JoinHandle::cancel).
    #[track_caller]
    pub fn cancel(&self) -> bool {
        join::cancel(self.task.header(), CancelReason::new(CancelKind::Explicit))
    }

    /// Who the task is.
    pub fn info(&self) -> TaskInfo {
        self.task.header().info()
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.header().is_finished()
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        self.task.header().id.get()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbortHandle({})", self.task.header().info())
    }
}
