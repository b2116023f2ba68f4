//! Handcar's kernel by itself: tasks that are no cancel scopes. What lies between it and Handcar is the rule of scopes.

use std::future::Future;

use handcar_executor::{JoinError, JoinHandle};

use crate::runtime::Runtime;

/// The package `handcar-executor`.
#[derive(Debug)]
pub(crate) struct Kernel;

impl Runtime for Kernel {
    const NAME: &'static str = "handcar's kernel";

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        handcar_executor::run(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        handcar_executor::spawn(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        task.detach_ignoring();
    }

    fn yield_now() -> impl Future<Output = ()> {
        handcar_executor::yield_now()
    }
}
