//! Spawning: what a program says to have something run beside it.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use futures_task::{LocalFutureObj, LocalSpawn, SpawnError};
use handcar_executor as kernel;
use handcar_executor::layer::{self, Ending};

use crate::join::JoinHandle;
use crate::task::{Task, inherit};

/// Spawns a task on the current runtime. It is polled first when its turn comes, never inside this call.
///
/// The task is a cancel scope of its own: its cleanups are awaited before it ends.
///
/// ```
/// handcar_structured::run(async {
///     let task = handcar_structured::spawn(async { "done" });
///     assert_eq!(task.await.unwrap(), "done");
/// });
/// ```
///
/// # Panics
///
/// Outside a runtime; if the runtime holds as many tasks as it can.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(future, None, Location::caller())
}

/// As [`spawn`], with a name for reports, events and errors.
///
/// # Panics
///
/// As [`spawn`].
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Arc<str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(future, Some(name.into()), Location::caller())
}

#[track_caller]
pub(crate) fn spawn_at<F>(future: F, name: Option<Arc<str>>, at: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let task = layer::spawn(|| Task::new(future), Ending::Own, name, at);
    inherit(&task);
    JoinHandle::new(task)
}

/// Spawns on one runtime from wherever that is not the current one. Made by [`Runtime::spawner`](crate::Runtime::spawner);
/// it does not keep the runtime alive.
///
/// It is also a [`LocalSpawn`], so that crates of the `futures` family can spawn:
///
/// ```
/// use futures::task::LocalSpawnExt;
/// use handcar_structured::Runtime;
///
/// let runtime = Runtime::new().unwrap();
/// let spawner = runtime.spawner();
/// let task = spawner.spawn_local_with_handle(async { 7 }).unwrap();
/// assert_eq!(runtime.block_on(task), 7);
/// ```
#[derive(Clone)]
pub struct Spawner {
    kernel: kernel::Spawner,
}

impl Spawner {
    pub(crate) fn new(kernel: kernel::Spawner) -> Spawner {
        Spawner { kernel }
    }

    /// The current runtime's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Spawner {
        Spawner::new(kernel::Spawner::current())
    }

    /// Spawns a task.
    ///
    /// # Panics
    ///
    /// If the runtime has ended, or holds as many tasks as it can.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let Some(task) = self.try_spawn(future, Location::caller()) else {
            panic!("the runtime of this spawner has ended: spawn while it lives")
        };
        task
    }

    #[track_caller]
    fn try_spawn<F>(&self, future: F, at: &'static Location<'static>) -> Option<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // Where it is refused, it is dropped as it is, and what its destructor defers belongs to the scope here.
        let task = layer::spawn_on(&self.kernel, || Task::new(future), Ending::Own, at)?;
        inherit(&task);
        Some(JoinHandle::new(task))
    }
}

impl LocalSpawn for Spawner {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.try_spawn(future, Location::caller()).map(JoinHandle::detach).ok_or_else(SpawnError::shutdown)
    }

    fn status_local(&self) -> Result<(), SpawnError> {
        self.kernel.status_local()
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
