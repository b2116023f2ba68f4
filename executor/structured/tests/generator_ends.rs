//! How generators end: by a panic, by a drop, with their consumer or their runtime.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt};
use handcar_structured::{defer, generate, scope_of, sleep, spawn, yield_now};

mod common;
use common::{
    Log, OnDrop, Reports, for_ever, in_a_child, notes_drop, panic_of, s, secs, simulated, test_run, text, three,
    watchdog,
};

#[test]
fn dropped_at_any_yield_the_consumer_awaits_its_cleanups() {
    for taken in 0..=3 {
        test_run(async move {
            let log = Log::new();
            let (inside, body) = (log.clone(), log.clone());
            scope_of(async move {
                let mut numbers = Box::pin(three(&inside));
                for _ in 0..taken {
                    numbers.next().await.unwrap();
                }
                inside.take();
                drop(numbers);
                inside.at("dropped");
                secs(5).await;
                inside.at("body over");
            })
            .await
            .unwrap();
            body.at("scope over");
            let expected = match taken {
                0 => vec!["0 dropped".into(), "5 body over".into(), "5 scope over".into()],
                n => vec![
                    "0 dropped".to_owned(),
                    format!("0 cleanup of {n}"),
                    "1 cleanup of the whole".into(),
                    "5 body over".into(),
                    "5 scope over".into(),
                ],
            };
            assert_eq!(log.take(), expected);
        });
    }
}

#[test]
fn a_generator_that_outlives_its_consumer_has_its_cleanups_awaited_at_the_end_of_the_runtime() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_main = log.clone();
    runtime.block_on(async move {
        let task = spawn(async move {
            let mut numbers = Box::pin(three(&in_main));
            numbers.next().await.unwrap();
            numbers
        });
        let numbers = task.await.unwrap();
        spawn(async move { drop(numbers) }).detach();
    });
    drop(runtime);
    let mut noted = log.take();
    noted.sort(); // two tasks at the root: both at once
    assert_eq!(noted, ["0 cleanup of 1", "1 cleanup of the whole"]);
}

#[test]
fn a_panic_of_the_body_goes_to_the_consumer_after_the_cleanups_and_ends_the_stream() {
    test_run(async {
        let log = Log::new();
        let mut bad = pin!(generate(async |y| {
            let in_cleanup = log.clone();
            let _guard = defer(async move {
                secs(1).await;
                in_cleanup.at("cleanup");
            });
            y.yield_(1).await;
            panic!("no two");
        }));
        assert_eq!(bad.next().await, Some(1));
        let payload = AssertUnwindSafe(bad.next()).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "no two");
        assert_eq!(log.take(), ["1 cleanup"]);
        assert!(bad.is_terminated());
        assert_eq!(bad.next().await, None);
    });
}

#[test]
fn a_panic_of_a_cleanup_ends_the_stream_and_does_not_take_the_item_along() {
    test_run(async {
        let log = Log::new();
        let mut bad = pin!(generate(async |y| {
            let _dropped = notes_drop(&log, "body dropped");
            drop(defer(async { panic!("cleanup") }));
            y.yield_(1).await;
            y.yield_(2).await;
        }));
        assert_eq!(bad.next().await, Some(1));
        assert_eq!(log.take(), ["body dropped"]);
        let payload = AssertUnwindSafe(bad.next()).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "cleanup");
        assert_eq!(bad.next().await, None);
    });
}

#[test]
fn a_panic_that_no_consumer_came_back_for_is_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let mut bad = Box::pin(generate(async |y| {
            drop(defer(async { panic!("cleanup") }));
            y.yield_(1).await;
        }));
        assert_eq!(bad.next().await, Some(1));
    });
    assert_eq!(reports.take(), ["cleanup panicked: cleanup"]);
}

#[test]
fn a_destructor_of_the_body_may_leave_a_cleanup() {
    test_run(async {
        let log = Log::new();
        let in_drop = log.clone();
        scope_of(async move {
            let mut late = Box::pin(generate(async |y| {
                let _late = OnDrop::new(|| {
                    let log = in_drop.clone();
                    drop(defer(async move { log.note("late cleanup") }));
                });
                y.yield_(()).await;
            }));
            late.next().await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["late cleanup"]);
    });
}

#[test]
fn a_destructor_that_panics_reaches_whoever_drops_the_generator() {
    test_run(async {
        let mut bad = Box::pin(generate(async |y| {
            let _guard = OnDrop::new(|| panic!("in the destructor"));
            y.yield_(()).await;
        }));
        bad.next().await.unwrap();
        assert_eq!(panic_of(|| drop(bad)), "in the destructor");
    });
}

#[test]
fn a_destructor_that_panics_beside_another_panic_is_reported_and_takes_nobody_along() {
    let _dog = watchdog();
    if in_a_child().is_some() {
        return;
    }
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    for has_cleanup in [false, true] {
        let consumer = runtime.spawn(async move {
            let mut bad = Box::pin(generate(async |y| {
                let _bad = OnDrop::new(|| panic!("in the destructor"));
                let _guard = has_cleanup.then(|| defer(async {}));
                y.yield_(()).await;
            }));
            bad.next().await.unwrap();
            panic!("in the consumer");
        });
        assert!(runtime.block_on(consumer).unwrap_err().to_string().contains("in the consumer"));
        assert_eq!(reports.take(), ["drop panicked: in the destructor"]);
    }
}

#[test]
fn every_item_is_dropped_once_wherever_the_stream_is_dropped() {
    struct Counted(Rc<Cell<i32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    for polls in 0..8 {
        test_run(async move {
            let living = Rc::new(Cell::new(0));
            let made = Rc::clone(&living);
            let mut stream = Box::pin(generate(async move |y| {
                for _ in 0..3 {
                    made.set(made.get() + 1);
                    let item = Counted(Rc::clone(&made));
                    yield_now().await;
                    y.yield_(item).await;
                }
            }));
            let kept = RefCell::new(Vec::new());
            for _ in 0..polls {
                let polled = poll_fn(|cx| Poll::Ready(stream.as_mut().poll_next(cx))).await;
                if let Poll::Ready(Some(item)) = polled {
                    kept.borrow_mut().push(item);
                }
                sleep(s(0)).await;
            }
            drop(stream);
            assert_eq!(usize::try_from(living.get()), Ok(kept.borrow().len()));
            drop(kept);
            assert_eq!(living.get(), 0);
        });
    }
}

#[test]
fn a_generator_is_dropped_with_its_runtime() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_task = log.clone();
    runtime
        .spawn(async move {
            let mut numbers = pin!(three(&in_task));
            numbers.next().await.unwrap();
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(log.take(), ["0 cleanup of 1", "1 cleanup of the whole"]);
}
