//! Local tasks: tasks that their owner polls, and not the loop.
//!
//! The children of a borrowing scope are tasks like any other, with a name, a handle and a cancel flag; only, they live no longer
//! than what they borrow, so the run queue cannot have them. Their owner polls each under the number of a [delegate](crate::Delegates).
//!
//! ```text
//!     Local::new(future) --- split ---> LocalTask    for a Host, which polls it; its drop drops the future in place, finished or not
//!                                '----> JoinHandle   cancels it, waits for its result, drops that at once; never touches the future
//! ```
//!
//! A handle without a lifetime may outlive what the future borrowed. It keeps the memory, in which there is no future any
//! more by then; or, if the [`LocalTask`] was forgotten, one that nobody will ever touch again.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::cells;
use crate::layer::{self, Ending};
use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::delegate::Delegates;
use crate::machine::header::{HasHeader, Header};
use crate::machine::join::JoinHandle;
use crate::machine::task::{Join, Progress, Run, TaskCell};
use crate::machine::waker::TaskId;
use crate::question;

/// A new local task, which borrows for `'a`: both halves of it.
pub struct Local<'a, T> {
    run: Rc<dyn Run + 'a>,
    join: Rc<dyn Join<T> + 'a>,
}

impl<'a, T> Local<'a, T> {
    /// Puts what `future` makes into a task that nobody polls yet. It runs no program's code.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new<F>(
        future: impl FnOnce() -> F,
        ending: Ending,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
    ) -> Local<'a, T>
    where
        F: Future<Output = T> + 'a,
        T: 'a,
    {
        let core = context::current("a child that borrows");
        let task = TaskCell::new(future, Header::new(at, name, ending, core.address.incarnation), &core.cells);
        task.header().borrows.set(true);
        Local { run: Rc::clone(&task) as Rc<dyn Run + 'a>, join: task }
    }
}

impl<T> Local<'static, T> {
    /// Takes the halves apart.
    pub fn split(self) -> (LocalTask, JoinHandle<T>) {
        (LocalTask { run: self.run }, JoinHandle::new(self.join))
    }
}

impl<T> fmt::Debug for Local<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({})", self.run.header().info())
    }
}

/// A local task, which a [`Host`] polls. Dropping it ends the task: the future is dropped in place, and the handle is told.
pub struct LocalTask {
    run: Rc<dyn Run>,
}

impl LocalTask {
    /// Answers a poll that only asks, if somebody waits for the task's end.
    pub fn tell(&self) {
        let header = self.run.header();
        if header.joiner.get() != TaskId::NONE && !header.is_finished() {
            question::answer(format!("the end of {}", header.info()));
        }
    }
}

impl Drop for LocalTask {
    #[inline]
    fn drop(&mut self) {
        if !self.run.header().is_finished() {
            cut(&self.run);
        }
    }
}

#[cold]
fn cut(task: &Rc<dyn Run>) {
    let Some(core) = context::with_current(Rc::clone) else { return task.cut() };
    let before = core.hosted.replace(Some(Rc::clone(task))); // whose destructors these are
    let attention = layer::attention(); // of who drops it: the task may cancel itself yet
    task.cut();
    layer::set_attention(attention);
    let cut = core.hosted.replace(before);
    drop(cut);
}

impl fmt::Debug for LocalTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalTask({})", self.run.header().info())
    }
}

/// Polls local tasks inside the poll of the task around them. While it lives, the one that it polls, or polled last, counts as the one
/// that runs.
pub struct Host {
    core: Rc<Core>,
    before: Option<Rc<dyn Run>>,
    attention: u8,
}

impl Host {
    /// For the tasks of one owner, polled one after the other.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn enter() -> Host {
        let core = context::current("a scope");
        let before = core.hosted.take();
        Host { core, before, attention: layer::attention() }
    }

    /// Polls `task`, which is the delegate `child`. Ready when it has ended: then its future is gone.
    #[inline]
    pub fn poll(&self, task: &LocalTask, delegates: &Delegates, child: usize) -> Poll<()> {
        let id = delegates.id_of_next(child);
        task.run.header().id.set(id);
        self.change_to(Some(Rc::clone(&task.run)));
        layer::set_attention(0);
        match task.run.poll(id) {
            Progress::Pending => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

impl Host {
    /// Another task runs. The last one may have ended, and this may be the last that holds it.
    #[inline]
    fn change_to(&self, task: Option<Rc<dyn Run>>) {
        if let Some(last) = self.core.hosted.replace(task)
            && Rc::strong_count(&last) == 1
        {
            cells::let_go(last);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        layer::set_attention(self.attention);
        let before = self.before.take();
        self.change_to(before);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
