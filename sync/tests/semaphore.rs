//! The semaphore, through its public API.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Poll, Waker};

use common::{Hand, Once, Spite, YieldOnce, now, panic_message, poll_once, poll_with, spiteful};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use handcar_sync::{Permit, Semaphore, TryAcquireError};

#[test]
fn permits_are_taken_and_come_back_when_dropped() {
    let semaphore = Semaphore::new(2);
    let one = now(semaphore.acquire()).unwrap();
    let other = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    drop(one);
    assert_eq!(semaphore.available_permits(), 1);
    drop(other);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn waiters_are_served_in_order_and_woken_once() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire().unwrap();
    let mut first = Hand::new(semaphore.acquire());
    let mut second = Hand::new(semaphore.acquire());
    assert!(first.is_pending() && second.is_pending());
    drop(permit);
    assert_eq!((first.woken(), second.woken()), (1, 0));
    assert!(second.is_pending());
    drop(first.ready());
    assert_eq!(second.woken(), 1);
    second.ready().unwrap().forget();
}

#[test]
fn a_newcomer_never_overtakes_a_waiter() {
    let semaphore = Semaphore::new(2);
    let mut big = Hand::new(semaphore.acquire_many(3));
    assert!(big.is_pending());
    assert_eq!(semaphore.available_permits(), 2);
    assert!(Hand::new(semaphore.acquire()).is_pending());
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    semaphore.add_permits(1);
    assert_eq!(big.ready().unwrap().num_permits(), 3);
}

#[test]
fn dropping_the_head_lets_those_behind_it_go() {
    let semaphore = Semaphore::new(2);
    let mut big = Hand::new(semaphore.acquire_many(3));
    let mut small = Hand::new(semaphore.acquire());
    let mut other = Hand::new(semaphore.acquire());
    assert!(big.is_pending() && small.is_pending() && other.is_pending());
    drop(big);
    assert_eq!((small.woken(), other.woken()), (1, 1));
    let _permits = (small.ready().unwrap(), other.ready().unwrap());
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn a_grant_that_is_dropped_goes_to_the_next() {
    let semaphore = Semaphore::new(0);
    let mut first = Hand::new(semaphore.acquire());
    let mut second = Hand::new(semaphore.acquire());
    assert!(first.is_pending() && second.is_pending());
    semaphore.add_permits(1);
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(first);
    assert_eq!(second.woken(), 1);
    drop(second);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn close_wakes_everybody_and_leaves_grants_valid() {
    let semaphore = Semaphore::new(0);
    let mut granted = Hand::new(semaphore.acquire());
    let mut waiting = Hand::new(semaphore.acquire());
    assert!(granted.is_pending() && waiting.is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    assert_eq!(waiting.woken(), 1);
    assert!(waiting.ready().is_err());
    assert!(now(semaphore.acquire()).is_err());
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    let permit = granted.ready().unwrap();
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn the_waker_of_the_last_poll_counts() {
    let semaphore = Semaphore::new(0);
    let mut waiter = semaphore.acquire();
    assert!(poll_once(&mut waiter).is_pending());
    let mut waiter = Hand::new(waiter);
    assert!(waiter.is_pending());
    semaphore.add_permits(1);
    assert_eq!(waiter.woken(), 1);
    assert!(waiter.ready().is_ok());
}

#[test]
fn who_asks_for_no_permit_does_not_wait_behind_others() {
    let semaphore = Semaphore::new(0);
    let mut waiter = Hand::new(semaphore.acquire());
    assert!(waiter.is_pending());
    assert_eq!(now(semaphore.acquire_many(0)).unwrap().num_permits(), 0);
    assert!(semaphore.try_acquire_many(0).is_ok());
    assert_eq!(waiter.woken(), 0);
    semaphore.close();
    assert!(now(semaphore.acquire_many(0)).is_err());
    assert!(semaphore.try_acquire_many(0).is_err());
}

#[test]
fn permits_split_merge_and_are_forgotten() {
    let semaphore = Rc::new(Semaphore::new(5));
    let mut four = now(semaphore.clone().acquire_many_owned(4)).unwrap();
    assert!(four.split(5).is_none());
    let mut one = four.split(1).unwrap();
    one.merge(four.split(2).unwrap());
    assert_eq!((one.num_permits(), four.num_permits()), (3, 1));
    one.forget();
    drop(four);
    assert_eq!(semaphore.available_permits(), 2);
    assert_eq!(semaphore.forget_permits(9), 2);
    assert_eq!(semaphore.available_permits(), 0);
    assert!(semaphore.clone().try_acquire_owned().is_err());
    assert_eq!(now(semaphore.acquire_many(0)).unwrap().num_permits(), 0);
}

#[test]
fn misuse_panics_with_the_remedy() {
    let message = panic_message(|| Semaphore::new(Semaphore::MAX_PERMITS + 1));
    assert!(message.contains("MAX_PERMITS"), "{message}");

    let full = Semaphore::new(Semaphore::MAX_PERMITS);
    let held = full.try_acquire().unwrap();
    for n in [1, usize::MAX] {
        let message = panic_message(|| full.add_permits(n));
        assert!(message.contains("dropping a permit"), "{message}");
    }
    drop(held);
    assert_eq!(full.available_permits(), Semaphore::MAX_PERMITS);

    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    let mut permit = one.try_acquire().unwrap();
    let message = panic_message(|| permit.merge(other.try_acquire().unwrap()));
    assert!(message.contains("two"), "{message}");
    assert_eq!(other.available_permits(), 1);

    let mut done = other.acquire();
    assert!(poll_once(&mut done).is_ready());
    let message = panic_message(|| poll_once(&mut done));
    assert!(message.contains("`Acquire` was polled after"), "{message}");
}

#[test]
fn a_waker_may_use_the_semaphore_it_waits_for() {
    for moment in ["clone", "wake", "drop"] {
        let semaphore = Rc::new(Semaphore::new(0));
        let ran = Rc::new(Cell::new(false));
        let waker = {
            let (semaphore, ran) = (semaphore.clone(), ran.clone());
            Once::at(moment, move || {
                semaphore.add_permits(1);
                drop(semaphore.try_acquire());
                let mut waiter = semaphore.acquire();
                let _ = poll_once(&mut waiter);
                drop(waiter);
                ran.set(true);
            })
        };
        let mut first = semaphore.acquire();
        let mut second = Hand::new(semaphore.acquire());
        // At the clone, the permit comes while this poll is on its way into the queue.
        let at_once = poll_with(&mut first, &waker).is_ready();
        assert_eq!(at_once, moment == "clone");
        let _ = second.poll();
        semaphore.add_permits(2);
        if !at_once {
            drop(poll_with(&mut first, Waker::noop()));
        }
        drop(first);
        drop(second);
        drop(waker);
        assert!(ran.get(), "{moment}");
        assert_eq!(semaphore.available_permits(), 3, "{moment}");
    }
}

#[test]
fn a_waker_that_panics_loses_no_grant() {
    struct Panic(&'static str);
    impl Spite for Panic {
        fn on_clone(&self) {
            assert_ne!(self.0, "clone");
        }
        fn on_wake(&self) {
            assert_ne!(self.0, "wake");
        }
        fn on_drop(&self) {
            assert_ne!(self.0, "drop");
        }
    }
    for moment in ["clone", "wake", "drop"] {
        let semaphore = Semaphore::new(0);
        let mut bad = semaphore.acquire();
        let waker = spiteful(Panic(moment));
        let polled =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_with(&mut bad, &waker).is_pending()));
        assert_eq!(polled.is_err(), moment == "clone");
        let mut good = Hand::new(semaphore.acquire());
        assert!(good.is_pending());
        semaphore.add_permits(2);
        assert_eq!(good.woken(), 1, "{moment}");
        drop((good, bad));
        assert_eq!(semaphore.available_permits(), 2, "{moment}");
        std::mem::forget(waker);
    }
}

#[test]
fn a_million_waiters_come_and_go_in_any_order() {
    let semaphore = Semaphore::new(0);
    let mut waiters: Vec<_> = (0..1_000_000).map(|_| Some(semaphore.acquire())).collect();
    for waiter in waiters.iter_mut().flatten() {
        assert!(poll_once(waiter).is_pending());
    }
    // Those in the middle leave first.
    for waiter in waiters.iter_mut().step_by(2) {
        *waiter = None;
    }
    semaphore.add_permits(400_000);
    let mut served = vec![];
    for waiter in waiters.iter_mut().flatten() {
        if let Poll::Ready(permit) = poll_once(waiter) {
            served.push(permit.unwrap());
        }
    }
    assert_eq!(served.len(), 400_000);
    served.into_iter().for_each(Permit::forget);
    semaphore.close();
    drop(waiters);
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn it_limits_how_many_run_on_a_foreign_executor() {
    let semaphore = Rc::new(Semaphore::new(3));
    let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut pool = LocalPool::new();
    for _ in 0..20 {
        let (semaphore, running, most) = (semaphore.clone(), running.clone(), most.clone());
        let task = async move {
            let _permit = semaphore.acquire().await.unwrap();
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            YieldOnce(false).await;
            running.set(running.get() - 1);
        };
        pool.spawner().spawn_local(task).unwrap();
    }
    pool.run();
    assert_eq!((most.get(), running.get()), (3, 0));
}
