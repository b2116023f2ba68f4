//! Tasks: their futures stay where they are, and whatever their type, they are dropped once.

use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use handcar_executor::{JoinHandle, run, sleep, spawn, yield_now};

mod common;
use common::{Call, Drops, Log, OnDrop, calling, simulated, test_run, watchdog};

/// A future that must not move, with an alignment of its own.
#[repr(align(128))]
struct Stubborn {
    polls: u32,
    lies_at: usize,
    log: Log,
    _pinned: PhantomPinned,
}

impl Stubborn {
    fn check(&self) {
        let here = std::ptr::from_ref(self).addr();
        assert_eq!(here % 128, 0);
        assert!(self.lies_at == 0 || self.lies_at == here, "it has moved");
    }
}

impl Future for Stubborn {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        self.check();
        // SAFETY: nothing is moved out of the reference; a number and an address are changed in place.
        let this = unsafe { self.get_unchecked_mut() };
        this.lies_at = std::ptr::from_ref(this).addr();
        this.polls -= 1;
        if this.polls == 0 {
            return Poll::Ready(7);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        self.check();
        self.log.note("dropped where it was");
    }
}

#[test]
fn a_future_never_moves_from_its_first_poll_to_its_drop() {
    let _dog = watchdog();
    let log = Log::new();
    let stubborn = |polls| Stubborn { polls, lies_at: 0, log: log.clone(), _pinned: PhantomPinned };
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let ends = spawn(stubborn(5));
        let cancelled = spawn(stubborn(u32::MAX));
        spawn(stubborn(u32::MAX)).detach_ignoring(); // until the runtime's end
        assert_eq!(ends.await.unwrap(), 7);
        drop(cancelled);
        yield_now().await;
    });
    assert_eq!(log.take().len(), 2);
    drop(runtime);
    assert_eq!(log.take().len(), 1);
    assert_eq!(test_run(stubborn(5)), 7, "main does not move either");
}

#[test]
#[allow(clippy::large_stack_arrays, clippy::async_yields_async)] // on purpose
fn futures_and_outputs_of_any_size_work() {
    #[repr(align(64))]
    struct Aligned(u8);
    let _dog = watchdog();
    test_run(async {
        spawn(async {}).await.unwrap();
        let big = [7_u8; 100_000];
        let task: JoinHandle<[u8; 100_000]> = spawn(async move {
            yield_now().await;
            big
        });
        assert_eq!(task.await.unwrap()[99_999], 7);
        let task = spawn(async { Aligned(7) });
        let aligned = task.await.unwrap();
        assert_eq!((std::ptr::from_ref(&aligned).addr() % 64, aligned.0), (0, 7));
        let nested = spawn(async { spawn(async { spawn(async { 7 }) }) });
        assert_eq!(nested.await.unwrap().await.unwrap().await.unwrap(), 7);
        let boxed: Pin<Box<dyn Future<Output = &'static str>>> = Box::pin(async { "boxed" });
        assert_eq!(spawn(boxed).await.unwrap(), "boxed");
    });
}

#[test]
fn a_hundred_thousand_tasks_sleep_at_once() {
    let _dog = watchdog();
    let drops = Drops::new();
    test_run(async {
        let tasks: Vec<_> = (0..100_000_u64)
            .map(|number| {
                let token = drops.token();
                spawn(async move {
                    let _token = token;
                    sleep(Duration::from_millis(number % 100)).await;
                    number
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, 100_000 * 99_999 / 2);
    });
    assert_eq!(drops.count(), 100_000);
}

#[test]
fn a_future_may_spawn_join_and_cancel_in_its_own_drop() {
    let _dog = watchdog();
    let log = Log::new();
    test_run(async {
        let inner = spawn(common::for_ever());
        let (at_drop, abort) = (log.clone(), inner.abort_handle());
        let task = spawn(async move {
            let _guard = OnDrop::new(move || {
                abort.cancel();
                let in_task = at_drop.clone();
                spawn(async move { in_task.note("spawned while dropped") }).detach();
                drop(inner);
            });
            common::for_ever().await;
        });
        yield_now().await;
        assert!(task.cancel_and_wait().await.is_err());
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(log.take(), ["spawned while dropped"]);
}

#[test]
fn a_value_may_hold_the_last_reference_to_much_else() {
    let _dog = watchdog();
    test_run(async {
        let shared = Rc::new(());
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let shared = Rc::clone(&shared);
                spawn(async move { shared })
            })
            .collect();
        yield_now().await;
        assert_eq!(Rc::strong_count(&shared), 11);
        drop(tasks);
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn a_task_that_ends_inside_the_clone_of_its_joiners_waker_is_not_lost() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let runtime = Rc::new(runtime);
    let woken = Rc::new(std::cell::Cell::new(false));
    let (inner, heard) = (Rc::clone(&runtime), Rc::clone(&woken));
    let waker = calling(move |call| match call {
        Call::Clone => while inner.turn().unwrap() == handcar_executor::Turn::More {},
        Call::Wake | Call::WakeByRef => heard.set(true),
        Call::Drop => {}
    });
    let mut task = runtime.spawn(async { 7 });
    let ready = runtime.enter(|| waker.poll(&mut task)).is_ready();
    assert!(ready || woken.get(), "ready, or woken to look again");
}

#[test]
fn main_may_be_anything_that_turns_into_a_future() {
    struct Later(u32);
    impl IntoFuture for Later {
        type Output = u32;
        type IntoFuture = std::future::Ready<u32>;
        fn into_future(self) -> Self::IntoFuture {
            std::future::ready(self.0)
        }
    }
    let _dog = watchdog();
    assert_eq!(run(Later(7)), 7);
}
