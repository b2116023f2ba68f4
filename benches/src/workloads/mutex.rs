//! A mutex: nobody waits for it, or nearly everybody does.

use std::future::Future;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ops::DerefMut;
use std::rc::Rc;

use super::{WakeSelf, Workload};
use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkits::{HandcarSync, TokioSync};

/// A family of channels and locks that has a mutex.
pub(crate) trait Locks: 'static {
    /// Guards a number.
    type Mutex: 'static;

    /// A mutex.
    fn mutex() -> Self::Mutex;
    /// Waits for the lock.
    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>>;
    /// What the number is in the end.
    fn total(mutex: &mut Self::Mutex) -> u64;
}

impl Locks for HandcarSync {
    type Mutex = handcar::sync::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        handcar::sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>> {
        mutex.lock()
    }

    fn total(mutex: &mut Self::Mutex) -> u64 {
        *mutex.get_mut()
    }
}

impl Locks for TokioSync {
    type Mutex = tokio::sync::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        tokio::sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>> {
        mutex.lock()
    }

    fn total(mutex: &mut Self::Mutex) -> u64 {
        *mutex.get_mut()
    }
}

/// The lock always is free.
#[derive(Debug)]
pub(crate) struct Uncontended<K>(PhantomData<K>);

impl<K: Locks> Workload for Uncontended<K> {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let mut mutex = K::mutex();
        let mut locked = 0;
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    **black_box(&mut K::lock(&mutex).await) += 1;
                }
                locked += operations;
            })
            .await;
        assert_eq!(K::total(&mut mutex), locked);
    }
}

/// A hundred tasks want it, and keep it while they suspend once.
#[derive(Debug)]
pub(crate) struct Contended<K>(PhantomData<K>);

impl<K: Locks> Workload for Contended<K> {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let mut mutex = Rc::new(K::mutex());
        let mut locked = 0;
        bencher
            .measure(async |operations| {
                let tasks: Vec<_> = (0..100)
                    .map(|_| {
                        let mutex = Rc::clone(&mutex);
                        R::spawn(async move {
                            for _ in 0..operations / 100 {
                                let mut guard = K::lock(&mutex).await;
                                WakeSelf(1).await;
                                *guard += 1;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("it neither panics nor is cancelled");
                }
                locked += operations;
            })
            .await;
        let mutex = Rc::get_mut(&mut mutex).expect("the tasks have ended");
        assert_eq!(K::total(mutex), locked);
    }
}
