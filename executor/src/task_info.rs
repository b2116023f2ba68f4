//! Who a task is, for people to read.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::machine::core::Core;
use crate::machine::header::{HasHeader, Header};
use crate::machine::task::Run;
use crate::machine::waker::{COUNTS, TaskId};

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

/// Slot and generation: `#7.2` is the second tenant of slot 7. A child of a combinator has a block and a place: `#3/17.5`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_child() {
            let (block, place) = self.block_and_place();
            return write!(f, "#{block}/{place}.{}", self.generation());
        }
        write!(f, "#{}.{}", self.slot(), self.generation())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self} of executor {})", self.executor() & !COUNTS)
    }
}

impl Core {
    /// Who a task is; `block_on`'s own is called "main".
    pub(crate) fn info(&self, task: &Rc<dyn Run>) -> TaskInfo {
        let mut info = task.header().info();
        if info.id == self.main.get() {
            info.name = Some(Arc::from("main"));
            info.spawned_at = self.main_at.get().unwrap_or(info.spawned_at);
        }
        info
    }

    /// The task that is being polled, if one is.
    pub(crate) fn running_task(&self) -> Option<Rc<dyn Run>> {
        let hosted = self.hosted.take();
        self.hosted.set(hosted.clone());
        hosted.or_else(|| self.slots.task(self.running.get()))
    }

    pub(crate) fn running(&self) -> Option<TaskInfo> {
        self.running_task().map(|task| self.info(&task))
    }

    pub(crate) fn of_running<R>(&self, ask: impl FnOnce(&Header) -> R) -> Option<R> {
        self.running_task().map(|task| ask(task.header()))
    }
}
