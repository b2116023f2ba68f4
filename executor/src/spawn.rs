//! Spawning and yielding: what a task says to the runtime it is on.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_task::{LocalFutureObj, LocalSpawn, SpawnError};

use crate::layer::Ending;
use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::join::JoinHandle;

/// Spawns a task on the current runtime. It is polled first when its turn comes, never inside this call.
///
/// ```
/// handcar_executor::run(async {
///     let task = handcar_executor::spawn(async { "done" });
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
    context::current("spawn").spawn(|| future, Ending::Dropped, None, Location::caller())
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
    context::current("spawn_named").spawn(|| future, Ending::Dropped, Some(name.into()), Location::caller())
}

/// Spawns on one runtime from wherever that is not the current one. Made by [`Runtime::spawner`](crate::Runtime::spawner);
/// it does not keep the runtime alive.
///
/// It is also a [`LocalSpawn`], so that crates of the `futures` family can spawn:
///
/// ```
/// use futures::task::LocalSpawnExt;
/// use handcar_executor::{Runtime, yield_now};
///
/// let runtime = Runtime::new().unwrap();
/// let spawner = runtime.spawner();
/// let task = spawner.spawn_local_with_handle(async { 7 }).unwrap();
/// assert_eq!(runtime.block_on(task), 7);
/// ```
#[derive(Clone)]
pub struct Spawner {
    core: Weak<Core>,
}

impl Spawner {
    pub(crate) fn new(core: &Rc<Core>) -> Spawner {
        Spawner { core: Rc::downgrade(core) }
    }

    /// The runtime, unless it has ended.
    pub(crate) fn core(&self) -> Option<Rc<Core>> {
        self.core.upgrade()
    }

    /// The current runtime's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Spawner {
        Spawner::new(&context::current("Spawner::current"))
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
        let Some(core) = self.core() else { panic!("the runtime of this spawner has ended") };
        core.spawn(|| future, Ending::Dropped, None, Location::caller())
    }
}

impl LocalSpawn for Spawner {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        let core = self.core().ok_or_else(SpawnError::shutdown)?;
        core.spawn(|| future, Ending::Dropped, None, Location::caller()).detach();
        Ok(())
    }

    fn status_local(&self) -> Result<(), SpawnError> {
        if self.core.strong_count() > 0 { Ok(()) } else { Err(SpawnError::shutdown()) }
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

/// Lets every other runnable task run once.
///
/// ```
/// # handcar_executor::run(async {
/// handcar_executor::yield_now().await;
/// # });
/// ```
///
/// # Cancel safety
///
/// There is nothing to lose.
pub fn yield_now() -> YieldNow {
    YieldNow { polls_left: 2 }
}

/// Suspends once. Made by [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct YieldNow {
    /// The first poll suspends, the second is ready, there is no third.
    polls_left: u8,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(self.polls_left > 0, "`YieldNow` polled after it had ended");
        self.polls_left -= 1;
        if self.polls_left == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
