//! Wakers: numbers that anybody may clone, wake and drop, whenever.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use handcar_executor::{Runtime, TaskId, run, spawn, yield_now};

mod common;
use common::{for_ever, simulated, test_run, watchdog};

fn own_waker() -> impl Future<Output = Waker> {
    poll_fn(|cx| Poll::Ready(cx.waker().clone()))
}

/// A task that counts its polls and never ends; its waker and the count.
async fn counted() -> (handcar_executor::JoinHandle<()>, Waker, Rc<Cell<u32>>) {
    let polls = Rc::new(Cell::new(0));
    let waker = Rc::new(Cell::new(None));
    let (count, slot) = (Rc::clone(&polls), Rc::clone(&waker));
    let task = spawn(poll_fn(move |cx| {
        count.set(count.get() + 1);
        slot.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    }));
    yield_now().await;
    assert_eq!(polls.get(), 1);
    (task, waker.take().unwrap(), polls)
}

#[test]
fn wakers_of_one_task_are_the_same_and_of_two_are_not() {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Waker>();
    let _dog = watchdog();
    test_run(async {
        let mine = own_waker().await;
        yield_now().await;
        assert!(mine.will_wake(&own_waker().await));
        assert!(mine.clone().will_wake(&mine));
        let other = spawn(own_waker()).await.unwrap();
        assert!(!mine.will_wake(&other));
    });
}

#[test]
fn many_wakes_before_the_next_turn_are_one_poll() {
    let _dog = watchdog();
    test_run(async {
        let (task, waker, polls) = counted().await;
        for _ in 0..100 {
            waker.wake_by_ref();
            let clone = waker.clone();
            clone.wake();
        }
        assert_eq!(polls.get(), 1, "waking never polls");
        yield_now().await;
        yield_now().await;
        assert_eq!(polls.get(), 2);
        drop(task);
    });
}

#[test]
fn a_waker_of_a_task_that_ended_does_nothing_to_the_next_tenant_of_its_slot() {
    let _dog = watchdog();
    test_run(async {
        let (task, stale, _) = counted().await;
        let id = task.id();
        task.cancel();
        assert!(task.await.is_err());
        let (task, fresh, polls) = counted().await;
        let slot = |id: handcar_executor::TaskId| id.to_string().split('.').next().map(str::to_owned);
        assert_eq!(slot(task.id()), slot(id), "the same slot");
        assert_ne!(task.id(), id, "another generation");
        stale.wake_by_ref();
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(polls.get(), 1);
        fresh.wake();
        yield_now().await;
        assert_eq!(polls.get(), 2);
        stale.wake();
    });
}

#[test]
fn a_waker_that_outlives_its_runtime_is_inert() {
    let _dog = watchdog();
    let waker = run(own_waker());
    waker.wake_by_ref();
    let clone = waker.clone();
    drop(waker);
    test_run(async {
        clone.wake_by_ref();
        yield_now().await;
    });
    std::thread::spawn(move || clone.wake()).join().unwrap();
}

#[test]
fn a_waker_works_outside_its_runtime_and_inside_another() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, _) = simulated();
    let (task, waker, polls) = a.block_on(counted());
    waker.wake_by_ref();
    a.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    let after = polls.get();
    assert!(after >= 2, "woken outside");
    b.block_on(async { waker.wake() });
    a.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(polls.get(), after + 1, "woken inside another");
    drop(task);
}

#[test]
fn a_main_that_is_woken_late_bears_a_spurious_poll() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let waker = runtime.block_on(own_waker());
    waker.wake_by_ref();
    let _ = runtime.turn().unwrap();
    waker.wake();
    let mut polls = 0;
    runtime.block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }));
    assert_eq!(polls, 2);
}

#[test]
fn generations_wrap_without_harm() {
    let _dog = watchdog();
    test_run(async {
        let (task, stale, polls) = counted().await;
        for number in 0..70_000_u32 {
            assert_eq!(spawn(async move { number }).await.unwrap(), number);
        }
        stale.wake();
        yield_now().await;
        assert_eq!(polls.get(), 2, "the waker of a living task goes on working");
        drop(task);
    });
}

#[test]
fn a_number_whose_slot_is_empty_and_waits_for_a_tenant_of_that_number_queues_nobody_and_loses_no_slot() {
    async fn slots_of_a_hundred() -> (BTreeSet<String>, Waker, TaskId) {
        let tasks: Vec<_> = (0..100).map(|_| spawn(own_waker())).collect();
        let slots = tasks.iter().map(|task| task.id().to_string().split('.').next().unwrap().to_owned()).collect();
        let last = tasks.last().unwrap().id();
        let mut waker = None;
        for task in tasks {
            waker = Some(task.await.unwrap());
        }
        (slots, waker.unwrap(), last)
    }
    let _dog = watchdog();
    test_run(async {
        let (slots, stale, id) = slots_of_a_hundred().await;
        for _ in 1..65_536 {
            let task = spawn(async {}); // into the slot that was left last
            assert_ne!(task.id(), id);
            task.await.unwrap();
        }
        stale.wake_by_ref();
        yield_now().await;
        stale.wake();
        assert_eq!(slots_of_a_hundred().await.0, slots);
    });
}

#[test]
fn executor_numbers_are_used_again() {
    let _dog = watchdog();
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut stale: Vec<Waker> = Vec::new();
    for number in 0..count {
        let runtime = Runtime::new().unwrap();
        let waker = runtime.block_on(async {
            let task = spawn(async { 7 });
            assert_eq!(task.await.unwrap(), 7);
            own_waker().await
        });
        if number % 1000 == 0 {
            stale.push(waker);
        }
        if number % 1000 == 500 {
            stale.iter().for_each(Waker::wake_by_ref);
        }
    }
}

#[test]
fn a_task_polled_by_a_stranger_with_its_waker_is_woken_by_it() {
    let _dog = watchdog();
    // The future of a spawned task polls another one with a waker of its own making: futures' `FuturesUnordered`.
    test_run(async {
        let mut all: futures::stream::FuturesUnordered<_> = (0..100)
            .map(|number| async move {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                number
            })
            .collect();
        let mut sum = 0;
        while let Some(number) = all.next().await {
            sum += number;
        }
        assert_eq!(sum, 4950);
    });
}

#[test]
fn a_future_of_ours_works_on_another_executor_when_it_needs_no_runtime() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let task = runtime.spawn(async {
        yield_now().await;
        7
    });
    // The join handle is awaited by futures' executor on this thread, while this thread turns the loop.
    let joined = futures::executor::block_on(async {
        let mut task = task;
        poll_fn(|cx| {
            let joined = Pin::new(&mut task).poll(cx);
            while runtime.turn().unwrap() == handcar_executor::Turn::More {}
            joined
        })
        .await
    });
    assert_eq!(joined.unwrap(), 7);
}

#[test]
fn a_waker_may_be_woken_while_a_threads_locals_are_destroyed() {
    struct Late(Cell<Option<Waker>>);
    impl Drop for Late {
        fn drop(&mut self) {
            if let Some(waker) = self.0.take() {
                waker.wake();
            }
        }
    }
    thread_local!(static LATE: Late = const { Late(Cell::new(None)) });
    let _dog = watchdog();
    std::thread::spawn(|| {
        LATE.with(|_| {});
        let waker = run(own_waker());
        LATE.with(|late| late.0.set(Some(waker)));
    })
    .join()
    .unwrap();
}

#[test]
fn waking_inside_a_waker_of_another_kind_is_fine() {
    let _dog = watchdog();
    test_run(async {
        let (task, waker, polls) = counted().await;
        let nested = common::calling(move |_| {
            waker.wake_by_ref();
            drop(waker.clone());
        });
        let mut handle = spawn(for_ever());
        let mut cx = Context::from_waker(&nested.waker);
        assert!(Pin::new(&mut handle).poll(&mut cx).is_pending());
        drop(handle);
        yield_now().await;
        assert_eq!(polls.get(), 2);
        drop(task);
    });
}
