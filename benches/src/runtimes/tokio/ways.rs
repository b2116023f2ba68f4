//! How tokio is given tasks: such that stay on their thread, or such that could leave it.
//!
//! The workloads are those of a program of one thread: they share by `Rc` and are not `Send`. tokio's `spawn` asks for that all the
//! same, and so that it can be measured with the same source, it is told so. Nothing is moved: the runtimes that are
//! started for it have one thread that polls.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task::{JoinError, JoinHandle, JoinSet};

/// How a task is spawned.
pub(crate) trait Way: 'static {
    /// Waits for it.
    type Handle<T: 'static>: Future<Output = Result<T, JoinError>> + Unpin;

    /// As [`Runtime::spawn`](crate::runtime::Runtime::spawn).
    fn spawn<F>(future: F) -> Self::Handle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;

    /// What a set of tasks hands out.
    type Kept<T: 'static>: 'static;

    /// Spawns a task into a set.
    fn spawn_into<F>(set: &mut JoinSet<Self::Kept<F::Output>>, future: F)
    where
        F: Future + 'static,
        F::Output: 'static;

    /// The value in it.
    fn value<T: 'static>(kept: Self::Kept<T>) -> T;
}

/// By `spawn_local`.
#[derive(Debug)]
pub(crate) struct Locally;

impl Way for Locally {
    type Handle<T: 'static> = JoinHandle<T>;

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        tokio::task::spawn_local(future)
    }

    type Kept<T: 'static> = T;

    fn spawn_into<F>(set: &mut JoinSet<F::Output>, future: F)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        set.spawn_local(future);
    }

    fn value<T: 'static>(kept: T) -> T {
        kept
    }
}

/// By `spawn`.
#[derive(Debug)]
pub(crate) struct Anywhere;

impl Way for Anywhere {
    type Handle<T: 'static> = Unwrapped<T>;

    fn spawn<F>(future: F) -> Unwrapped<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Unwrapped(tokio::spawn(Stays { value: future }))
    }

    type Kept<T: 'static> = Stays<T>;

    fn spawn_into<F>(set: &mut JoinSet<Stays<F::Output>>, future: F)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        set.spawn(Stays { value: future });
    }

    fn value<T: 'static>(kept: Stays<T>) -> T {
        kept.value
    }
}

pin_project! {
    /// What could go to another thread while it is in use, and does not.
    #[derive(Debug)]
    pub(crate) struct Stays<T> {
        #[pin]
        value: T,
    }
}

// SAFETY: only `Anywhere` makes one, for the runtimes `Spawn` and `MultiThread`. Both have one thread that polls tasks, and all tasks
// but the first are spawned by tasks: so whatever they share is used by this one thread. The first is made of the workload's own
// state, nothing of which anybody else holds when it goes to the worker of `MultiThread`, nor when its value comes back through
// the handle, since it has ended by then. What the worker leaves undone is dropped after the worker has ended, by the thread that
// joined it.
unsafe impl<T> Send for Stays<T> {}

impl<F: Future> Future for Stays<F> {
    type Output = Stays<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().value.poll(cx).map(|value| Stays { value })
    }
}

/// The handle of such a task.
#[derive(Debug)]
pub(crate) struct Unwrapped<T>(JoinHandle<Stays<T>>);

impl<T> Future for Unwrapped<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.map(|stayed| stayed.value))
    }
}
