//! Results that nobody wants: each is dropped once, in its task's last poll, after the future, and whatever its destructor does.
//!
//! Each test runs twice: a plain task drops the result where it comes, one with a name, as all of which there is more to tell, later.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{AbortHandle, JoinHandle, spawn, spawn_named, yield_now};

mod common;
use common::{Log, OnDrop, Reports, panics_when_dropped, watchdog};

/// Calls `test` with each way to spawn; then this must have been reported.
fn each_way<F: Future + 'static>(expected: &[&str], test: &impl AsyncFn(&dyn Fn(F) -> JoinHandle<F::Output>))
where
    F::Output: 'static,
{
    let _dog = watchdog();
    let ways: [&dyn Fn(F) -> JoinHandle<F::Output>; 2] =
        [&|future| spawn(future), &|future| spawn_named("named", future)];
    for way in ways {
        let reports = Reports::new();
        reports.builder().build().unwrap().block_on(async {
            test(way).await;
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(reports.take(), expected);
    }
}

/// Returns its value at once; its own destructor comes before that of the value.
struct Gives<T>(Option<T>, #[allow(dead_code)] OnDrop<Box<dyn FnOnce()>>);

impl<T: Unpin> Future for Gives<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        Poll::Ready(self.0.take().unwrap())
    }
}

fn on_drop(f: impl FnOnce() + 'static) -> OnDrop<Box<dyn FnOnce()>> {
    OnDrop::new(Box::new(f))
}

#[test]
fn it_is_dropped_after_the_future_and_before_the_next_task_runs() {
    each_way(&[], &async |spawn_it| {
        let log = Log::new();
        let say = |what| {
            let log = log.clone();
            on_drop(move || log.note(what))
        };
        spawn_it(Gives(Some(say("value")), say("future"))).detach_ignoring();
        let next = log.clone();
        spawn(async move { next.note("next") }).detach();
        yield_now().await;
        assert_eq!(log.take(), ["future", "value", "next"]);
    });
}

#[test]
fn a_panic_of_its_destructor_is_reported_once() {
    each_way(&["panicked: the value"], &async |spawn_it| {
        spawn_it(Gives(Some(panics_when_dropped("the value")), on_drop(|| ()))).detach_ignoring();
        yield_now().await;
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn a_panic_of_the_futures_destructor_and_one_of_its_own_are_both_reported() {
    each_way(&["panicked: the future", "panicked: the value"], &async |spawn_it| {
        let value = panics_when_dropped("the value");
        spawn_it(Gives(Some(value), on_drop(|| panic!("the future")))).detach_ignoring();
    });
}

#[test]
fn its_destructor_finds_the_task_finished_and_may_cancel_and_wake_it() {
    each_way(&[], &async |spawn_it| {
        let dropped = Rc::new(Cell::new(0));
        let task = Rc::new(RefCell::new(None::<AbortHandle>));
        let (counted, itself) = (Rc::clone(&dropped), Rc::clone(&task));
        let spawned = spawn_it(async move {
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            on_drop(move || {
                counted.set(counted.get() + 1);
                let task = itself.take().unwrap();
                assert!(task.is_finished() && !task.cancel());
                waker.wake();
            })
        });
        task.replace(Some(spawned.abort_handle()));
        spawned.detach_ignoring();
        yield_now().await;
        yield_now().await;
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn its_task_may_drop_its_own_handle_in_the_last_poll() {
    each_way(&[], &async |spawn_it| {
        let dropped = Rc::new(Cell::new(0));
        let handle = Rc::new(RefCell::new(None::<Box<dyn Any>>));
        let (counted, own) = (Rc::clone(&dropped), Rc::clone(&handle));
        handle.replace(Some(Box::new(spawn_it(async move {
            drop(own.take());
            on_drop(move || counted.set(counted.get() + 1))
        }))));
        yield_now().await;
        assert_eq!(dropped.get(), 1);
    });
}
