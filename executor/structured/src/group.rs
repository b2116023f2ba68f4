//! Task groups: children that cannot outlive the block that spawned them.
//!
//! ```text
//!     1. body runs, spawns ----> children on the run queue, each a task of its own, linked in the group's node
//!     |                                |
//!     |    2. an error, of a child or the body: the group is cancelled, so are siblings and body
//!     v                                v
//!     3. the body has ended      each child ends by the rule of scopes, cleanups included
//!              \                      /
//!               '--- 4. both are so -'---> 5. all errors together; or, if something around is cancelled,
//!                                               wait to be dropped, and report them
//! ```
//!
//! asyncio's `TaskGroup` and trio's nursery. Rust adds one way to leave: the group's future may be dropped in the middle. Then
//! nobody waits; the children are cancelled, end by the rule, and what they return is reported.
//!
//! A child is one allocation: the group's own state of it is a seat in a table, given back when the child ends. So a group that
//! stays open for long keeps nothing of the children that have ended.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use handcar_executor::layer::{self, Ending};
use handcar_executor::unpolled::Unpolled;

use crate::crew::Crew;
use crate::group_builder::GroupBuilder;
use crate::group_child::Child;
use crate::group_error::GroupError;
use crate::group_handle::GroupHandle;
use crate::group_run::RunGroup;
use crate::group_start::{Start, Started, begin};

/// Runs `body`, and waits for every task that was spawned into the group.
///
/// A child that fails cancels its siblings and the body. When all of them have ended, cleanups included, every error comes out,
/// in the order in which they happened.
///
/// ```
/// use handcar_structured::{run, sleep, task_group};
/// use std::time::Duration;
///
/// let pages = run(task_group(async |g| {
///     let first = g.spawn(async { Ok::<_, std::io::Error>("first") });
///     let second = g.spawn(async {
///         sleep(Duration::from_millis(1)).await;
///         Ok("second")
///     });
///     Ok([first.await.unwrap(), second.await.unwrap()])
/// }));
/// assert_eq!(pages.unwrap(), ["first", "second"]);
/// ```
///
/// # Errors
///
/// If a child or the body failed; or, without errors in it, if [`TaskGroup::cancel`] ended the body.
///
/// # Panics
///
/// With the first panic of a child or the body, when all have ended. When a child of the group polls this.
///
/// # Cancel safety
///
/// Cancelled from outside, it cancels its children and waits for them before it is dropped. Where a foreign combinator drops it,
/// its children are cancelled and end by themselves; their errors are reported.
#[track_caller]
pub fn task_group<T, E, B>(body: B) -> impl Future<Output = Result<T, GroupError<E>>>
where
    B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
    E: fmt::Display + 'static,
{
    run(Unpolled::new(&"task_group"), GroupBuilder::default(), body, Location::caller())
}

pub(crate) async fn run<T, E, B>(
    mut unpolled: Unpolled,
    settings: GroupBuilder,
    body: B,
    at: &'static Location<'static>,
) -> Result<T, GroupError<E>>
where
    B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
    E: fmt::Display + 'static,
{
    unpolled.forget();
    let crew = Crew::new(settings, at);
    let body = body(TaskGroup { crew: Rc::clone(&crew) });
    RunGroup::new(crew, body, ()).await
}

/// Spawns into a group. The body of [`task_group`] gets one; clones are the same group, and may go into its children.
pub struct TaskGroup<E> {
    crew: Rc<Crew<E>>,
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup { crew: Rc::clone(&self.crew) }
    }
}

impl TaskGroup<std::convert::Infallible> {
    /// Settings for a group, or a [`scope`](crate::scope).
    ///
    /// ```
    /// use handcar_structured::{OnError, TaskGroup, run};
    ///
    /// let group = TaskGroup::builder().name("fetch").on_error(OnError::Continue);
    /// let result = run(group.run(async |g| {
    ///     g.spawn(async { Err::<(), _>("one") });
    ///     g.spawn(async { Err::<(), _>("two") });
    ///     Ok(())
    /// }));
    /// assert_eq!(result.unwrap_err().flatten(), ["one", "two"]);
    /// ```
    pub fn builder() -> GroupBuilder {
        GroupBuilder::default()
    }
}

impl<E: fmt::Display + 'static> TaskGroup<E> {
    /// Spawns a child. In a cancelled group it is never polled.
    ///
    /// # Panics
    ///
    /// If the group has ended; see [`try_spawn`](TaskGroup::try_spawn).
    #[track_caller]
    pub fn spawn<T, F>(&self, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.expect_open();
        self.board(child, self.crew.next_name(), Location::caller())
    }

    /// As [`spawn`](TaskGroup::spawn), with a name for reports and errors.
    ///
    /// # Panics
    ///
    /// If the group has ended.
    #[track_caller]
    pub fn spawn_named<T, F>(&self, name: impl Into<Arc<str>>, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.expect_open();
        self.board(child, Some(name.into()), Location::caller())
    }

    /// As [`spawn`](TaskGroup::spawn), of a group that may have ended.
    ///
    /// # Errors
    ///
    /// The future, if the group has ended.
    #[track_caller]
    pub fn try_spawn<T, F>(&self, child: F) -> Result<GroupHandle<T>, F>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        if !self.crew.is_open() {
            return Err(child);
        }
        Ok(self.board(child, self.crew.next_name(), Location::caller()))
    }

    /// Spawns a child and waits until it says that it has started, with a value: trio's `nursery.start`.
    ///
    /// ```
    /// use handcar_structured::{run, sleep, task_group};
    /// use std::time::Duration;
    ///
    /// let port = run(task_group(async |g| {
    ///     let port = g.start(|started| async move {
    ///         sleep(Duration::from_millis(1)).await; // binds the socket
    ///         started.ready(8080);
    ///         sleep(Duration::from_millis(1)).await; // serves
    ///         Ok::<_, String>(())
    ///     });
    ///     Ok(port.await.expect("it started")) // now clients may connect
    /// }));
    /// assert_eq!(port.unwrap(), 8080);
    /// ```
    ///
    /// Until then the child belongs to whoever waits: its error comes out here, the siblings do not hear of it, and to drop the
    /// future is to cancel the child. From then on it is a child like any other.
    ///
    /// # Errors
    ///
    /// See [`StartError`](crate::StartError).
    ///
    /// # Panics
    ///
    /// If the group has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it has returned the value, it cancels the child.
    #[track_caller]
    pub fn start<V, C, F>(&self, child: C) -> Start<V, E>
    where
        C: FnOnce(Started<V, E>) -> F,
        F: Future<Output = Result<(), E>> + 'static,
        V: 'static,
    {
        self.expect_open();
        let at = Location::caller(); // not in the closure, whose caller is another
        begin(child, |child| self.board(child, self.crew.next_name(), at))
    }

    #[track_caller]
    fn expect_open(&self) {
        assert!(
            self.crew.is_open(),
            "a task was spawned into a group that has ended: use `try_spawn` where that may be"
        );
    }

    #[track_caller]
    fn board<T, F>(&self, child: F, name: Option<Arc<str>>, at: &'static Location<'static>) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let mut number = 0;
        let task = layer::spawn(|| Child::new(child, &self.crew, &mut number), Ending::Member, name, at);
        self.crew.take_on(number, task)
    }

    /// Cancels the group: its children and its body. False if it was cancelled before, or has ended.
    ///
    /// If the body returned a value before, the group returns that.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.crew.cancel()
    }

    /// How many children have not ended.
    pub fn len(&self) -> usize {
        self.crew.living()
    }

    /// Whether every child has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskGroup({} children, made at {})", self.crew.living(), self.crew.node.at)
    }
}
