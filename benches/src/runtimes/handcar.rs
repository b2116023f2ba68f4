//! Handcar, as a program gets it by default: budgets and panic capture are on.

use std::future::Future;
use std::time::Duration;

use handcar::{JoinError, JoinHandle};

use crate::runtime::Runtime;

/// Handcar.
#[derive(Debug)]
pub(crate) struct Handcar;

impl Runtime for Handcar {
    const NAME: &'static str = "handcar";

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        handcar::run(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        handcar::spawn(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        task.detach_ignoring();
    }

    fn yield_now() -> impl Future<Output = ()> {
        handcar::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        handcar::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        handcar::timeout(duration, future).await.ok()
    }
}
