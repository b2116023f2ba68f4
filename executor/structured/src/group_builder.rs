//! Settings of a group, and of a borrowing scope.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use handcar_executor::unpolled::Unpolled;

use crate::borrowing::{self, Scope};
use crate::group::{self, TaskGroup};
use crate::group_error::GroupError;
use crate::times::Grace;

/// What becomes of the others when a child fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// They are cancelled, and so is the body.
    #[default]
    CancelSiblings,
    /// They run on; the errors come out at the end.
    Continue,
}

/// What becomes of a child's panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChildPanic {
    /// The others are cancelled, and the panic goes on when they have ended.
    #[default]
    Propagate,
    /// It is one of the group's errors.
    Collect,
}

/// Sets up a group, or a scope. Made by [`TaskGroup::builder`].
#[derive(Clone, Debug, Default)]
pub struct GroupBuilder {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) limit: Option<usize>,
    pub(crate) on_error: OnError,
    pub(crate) on_panic: OnChildPanic,
    pub(crate) grace: Grace,
}

impl GroupBuilder {
    /// The prefix of its children's names: `name/0`, `name/1`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> GroupBuilder {
        self.name = Some(name.into());
        self
    }

    /// Runs at most `n` children at a time. The others have not begun; they come in the order in which they were spawned.
    ///
    /// ```
    /// use handcar_structured::{TaskGroup, run, sleep};
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    ///
    /// let running = Rc::new(Cell::new(0));
    /// run(TaskGroup::builder().limit(2).run(async |g| {
    ///     for _ in 0..6 {
    ///         let running = Rc::clone(&running);
    ///         g.spawn(async move {
    ///             running.set(running.get() + 1);
    ///             assert!(running.get() <= 2);
    ///             sleep(Duration::from_millis(1)).await;
    ///             running.set(running.get() - 1);
    ///             Ok::<_, String>(())
    ///         });
    ///     }
    ///     Ok(())
    /// }))
    /// .unwrap();
    /// ```
    ///
    /// A child that waits for another that has not begun waits for ever.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn limit(mut self, n: usize) -> GroupBuilder {
        assert!(n > 0, "with a limit of zero no child would ever run: allow at least one");
        self.limit = Some(n);
        self
    }

    /// What becomes of the others when a child fails.
    pub fn on_error(mut self, on_error: OnError) -> GroupBuilder {
        self.on_error = on_error;
        self
    }

    /// What becomes of a child's panic.
    pub fn on_panic(mut self, on_panic: OnChildPanic) -> GroupBuilder {
        self.on_panic = on_panic;
        self
    }

    /// How long cleanups and what is shielded may take once the group is cancelled; `None`: without bound.
    pub fn grace(mut self, grace: impl Into<Option<Duration>>) -> GroupBuilder {
        self.grace = Grace::Set(grace.into());
        self
    }

    /// As [`task_group`](crate::task_group), with these settings.
    ///
    /// # Errors
    ///
    /// As [`task_group`](crate::task_group).
    #[track_caller]
    pub fn run<T, E, B>(self, body: B) -> impl Future<Output = Result<T, GroupError<E>>>
    where
        B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
        E: fmt::Display + 'static,
    {
        group::run(Unpolled::new(&"GroupBuilder::run"), self, body, Location::caller())
    }

    /// As [`scope`](crate::scope), with these settings.
    ///
    /// ```
    /// use handcar_structured::{TaskGroup, run};
    ///
    /// let words = ["of", "all", "trades"];
    /// let lengths = run(TaskGroup::builder().limit(1).scope(async |s| {
    ///     let handles = words.each_ref().map(|word| s.spawn(async { Ok::<_, String>(word.len()) }));
    ///     let mut lengths = Vec::new();
    ///     for handle in handles {
    ///         lengths.push(handle.await.unwrap());
    ///     }
    ///     Ok(lengths)
    /// }));
    /// assert_eq!(lengths.unwrap(), [2, 3, 6]);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`task_group`](crate::task_group).
    #[track_caller]
    pub fn scope<'env, T, E, B>(self, body: B) -> impl Future<Output = Result<T, GroupError<E>>>
    where
        B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
        E: fmt::Display + 'static,
    {
        borrowing::run(Unpolled::new(&"GroupBuilder::scope"), self, body, Location::caller())
    }
}
