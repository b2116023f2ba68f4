//! Who a task is, for people to read.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::machine::waker::TaskId;

/// Who a task is: in reports, events and errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, unique among the living tasks of the process.
    pub id: TaskId,
    /// The name it was spawned with.
    pub name: Option<Arc<str>>,
    /// The line that spawned it.
    pub spawned_at: &'static Location<'static>,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "task `{name}` {}, spawned at {}", self.id, self.spawned_at),
            None => write!(f, "task {}, spawned at {}", self.id, self.spawned_at),
        }
    }
}
