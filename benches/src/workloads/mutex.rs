//! A mutex: nobody waits for it, or nearly everybody does.

use std::hint::black_box;
use std::rc::Rc;

use super::{LockWorkload, WakeSelf, join};
use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkit::Locks;

/// The lock always is free.
#[derive(Debug)]
pub(crate) struct Uncontended;

impl LockWorkload for Uncontended {
    async fn drive<R: Runtime, K: Locks>(bencher: &mut Bencher) {
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
pub(crate) struct Contended;

impl LockWorkload for Contended {
    async fn drive<R: Runtime, K: Locks>(bencher: &mut Bencher) {
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
                join::<R, _>(tasks).await;
                locked += operations;
            })
            .await;
        let mutex = Rc::get_mut(&mut mutex).expect("the tasks have ended");
        assert_eq!(K::total(mutex), locked);
    }
}
