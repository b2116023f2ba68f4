//! The executor of the crate futures: no timers and no sockets, made to be small.

use std::cell::RefCell;
use std::future::Future;

use futures::FutureExt;
use futures::executor::LocalSpawner;
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt;

use super::Sure;
use crate::runtime::{Runtime, Several};

thread_local! {
    static SPAWNER: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

/// futures' `LocalPool`.
#[derive(Debug)]
pub(crate) struct LocalPool;

impl Runtime for LocalPool {
    const NAME: &'static str = "futures LocalPool";

    type JoinHandle<T: 'static> = Sure<RemoteHandle<T>>;
    type JoinError = std::convert::Infallible;

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut pool = futures::executor::LocalPool::new();
        SPAWNER.set(Some(pool.spawner()));
        let value = pool.run_until(future);
        SPAWNER.set(None);
        value
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        SPAWNER.with_borrow(|spawner| {
            let spawner = spawner.as_ref().expect("tasks spawn tasks");
            Sure(spawner.spawn_local_with_handle(future).expect("the pool lives"))
        })
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        task.0.forget();
    }

    fn spawn_detached<F>(future: F)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        SPAWNER.with_borrow(|spawner| {
            let spawner = spawner.as_ref().expect("tasks spawn tasks");
            spawner.spawn_local(future.map(drop)).expect("the pool lives");
        });
    }

    /// It has none; this is the field's.
    fn yield_now() -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }
}

impl Several for LocalPool {}
