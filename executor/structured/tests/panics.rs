//! What a task panics with is never lost, and its cleanups come first.

mod common;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{Log, OnDrop, Reports, panic_of, simulated, text, watchdog};
use handcar_structured::{
    Builder, Clock, JoinError, JoinHandle, Report, Runtime, defer, gather, scope, scope_of, sleep, spawn, timeout,
    yield_now,
};

async fn panic_in<T>(task: JoinHandle<T>) -> String {
    match task.await {
        Err(JoinError::Panicked(payload)) => text(&*payload.into_inner()),
        Err(JoinError::Cancelled(reason)) => panic!("cancelled: {reason}"),
        Ok(_) => panic!("it has a value"),
    }
}

/// Notes what is cleaned up a second later.
fn cleanup(log: &Log, what: &'static str) -> impl Future<Output = ()> + 'static {
    let log = log.clone();
    async move {
        sleep(Duration::from_secs(1)).await;
        log.at(what);
    }
}

#[test]
fn a_cleanup_that_was_made_in_the_poll_that_panics_is_awaited() {
    let _watchdog = watchdog();
    let log = Log::new();
    simulated().block_on(async {
        let inside = log.clone();
        let task = spawn(async move {
            let _guard = defer(cleanup(&inside, "cleaned up"));
            panic!("in the first poll");
        });
        assert_eq!(panic_in(task).await, "in the first poll");
        log.at("joined");
    });
    assert_eq!(log.take(), ["1 cleaned up", "1 joined"]);
}

#[test]
fn so_is_one_that_was_made_in_an_earlier_poll() {
    let _watchdog = watchdog();
    let log = Log::new();
    simulated().block_on(async {
        let inside = log.clone();
        let task = spawn(async move {
            let _guard = defer(cleanup(&inside, "cleaned up"));
            yield_now().await;
            panic!("in the second poll");
        });
        assert_eq!(panic_in(task).await, "in the second poll");
    });
    assert_eq!(log.take(), ["1 cleaned up"]);
}

#[test]
fn so_is_one_that_only_a_destructor_makes_on_the_way_out() {
    let _watchdog = watchdog();
    let log = Log::new();
    simulated().block_on(async {
        let inside = log.clone();
        let task = spawn(async move {
            let _late = OnDrop::new(move || drop(defer(cleanup(&inside, "cleaned up"))));
            panic!("with a destructor that defers");
        });
        assert_eq!(panic_in(task).await, "with a destructor that defers");
        log.at("joined");
    });
    assert_eq!(log.take(), ["1 cleaned up", "1 joined"]);
}

#[test]
fn inside_a_scope_the_cleanups_of_the_scope_come_before_the_code_around_it_unwinds() {
    let _watchdog = watchdog();
    let log = Log::new();
    simulated().block_on(async {
        let inside = log.clone();
        let task = spawn(async move {
            let outer = inside.clone();
            let _unwound = OnDrop::new(move || outer.at("unwound"));
            let body = async {
                let _guard = defer(cleanup(&inside, "cleaned up"));
                panic!("deep inside");
            };
            let _ = timeout(Duration::from_secs(9), body).await;
        });
        assert_eq!(panic_in(task).await, "deep inside");
    });
    assert_eq!(log.take(), ["1 cleaned up", "1 unwound"]);
}

#[test]
fn a_panic_beside_a_cancel_is_a_panic() {
    let _watchdog = watchdog();
    simulated().block_on(async {
        let task = spawn(async {
            yield_now().await;
            panic!("in the one more poll");
        });
        yield_now().await;
        task.cancel();
        assert_eq!(panic_in(task).await, "in the one more poll");
        let own: Rc<Cell<Option<handcar_structured::AbortHandle>>> = Rc::default();
        let handle = Rc::clone(&own);
        let task = spawn(async move {
            handle.take().unwrap().cancel();
            panic!("after it has cancelled itself");
        });
        own.set(Some(task.abort_handle()));
        assert_eq!(panic_in(task).await, "after it has cancelled itself");
    });
}

/// A future written by hand that panics when it is polled, and again when it is dropped.
struct Twice(&'static str);

impl Future for Twice {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        panic!("{}: polled", self.0);
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("{}: dropped", self.0);
    }
}

#[test]
fn the_first_of_two_panics_is_the_tasks_end_and_the_second_is_reported() {
    let _watchdog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        assert_eq!(panic_in(spawn(Twice("plain"))).await, "plain: polled");
        assert_eq!(reports.take(), ["panicked: plain: dropped"]);
        assert_eq!(panic_in(spawn(scope_of(Twice("scope")))).await, "scope: polled");
        assert_eq!(reports.take(), ["panicked: scope: dropped"]);
    });
}

#[test]
fn what_a_report_of_the_second_defers_is_awaited_by_the_task() {
    let _watchdog = watchdog();
    let log = Log::new();
    let of_hook = log.clone();
    let hook = move |_| drop(defer(cleanup(&of_hook, "of the hook")));
    let runtime = Builder::new().clock(Clock::simulated()).on_report(hook).build().unwrap();
    runtime.block_on(async {
        let task = spawn(async {
            drop(defer(async { panic!("beside the body") }));
            let _panics = OnDrop::new(|| panic!("dropped"));
            pending::<()>().await;
        });
        assert_eq!(panic_in(task).await, "beside the body");
        log.at("joined");
    });
    assert_eq!(log.take(), ["1 of the hook", "1 joined"]);
}

#[test]
fn of_two_futures_that_panic_together_the_first_goes_on_and_the_second_is_reported() {
    let _watchdog = watchdog();
    let reports = Reports::default();
    let panics = async |what: &str| {
        yield_now().await;
        assert!(what.is_empty(), "{what}");
    };
    reports.builder().build().unwrap().block_on(async {
        let many = spawn(gather([panics("first"), panics("second")]));
        assert_eq!(panic_in(many).await, "first");
        assert_eq!(reports.take(), ["panicked: second"]);
        let two = spawn(async move { gather!(panics("first"), panics("second")).await });
        assert_eq!(panic_in(two).await, "first");
        assert_eq!(reports.take(), ["panicked: second"]);
    });
}

/// Ready at once; the destructor does what it is told.
struct Done<F: FnMut() + Unpin>(F);

impl<F: FnMut() + Unpin> Future for Done<F> {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        Poll::Ready(7)
    }
}

impl<F: FnMut() + Unpin> Drop for Done<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_destructor_that_panics_after_the_value_is_reported_and_the_value_stays() {
    let _watchdog = watchdog();
    let reports = Rc::new(Cell::new(0));
    let counter = Rc::clone(&reports);
    let runtime = Builder::new()
        .clock(Clock::simulated())
        .on_report(move |report| {
            assert!(matches!(&report, Report::Panicked { payload, .. } if payload.to_string() == "late"), "{report}");
            counter.set(counter.get() + 1);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(spawn(Done(|| panic!("late"))).await.unwrap(), 7);
    });
    drop(runtime);
    assert_eq!(reports.get(), 1);
}

#[test]
fn a_destructor_that_defers_after_the_value_has_its_cleanup_awaited_before_the_runtime_ends() {
    let _watchdog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    runtime.block_on(async {
        let inside = log.clone();
        assert_eq!(spawn(Done(move || drop(defer(cleanup(&inside, "cleaned up"))))).await.unwrap(), 7);
    });
    drop(runtime);
    assert_eq!(log.take(), ["1 cleaned up"]);
}

#[test]
fn so_has_one_that_defers_and_panics_and_the_next_task_is_none_the_worse() {
    let _watchdog = watchdog();
    let (log, reports) = (Log::new(), Reports::default());
    let runtime = reports.builder().build().unwrap();
    runtime.block_on(async {
        let inside = log.clone();
        let defers_and_panics = move || {
            drop(defer(cleanup(&inside, "the first's")));
            panic!("late");
        };
        assert_eq!(spawn(Done(defers_and_panics)).await.unwrap(), 7);
        let inside = log.clone();
        let next = spawn(async move {
            let _guard = defer(cleanup(&inside, "the next one's"));
        });
        next.await.unwrap();
        log.at("joined");
    });
    drop(runtime);
    assert_eq!(log.take(), ["1 the first's", "1 the next one's", "1 joined"]);
    assert_eq!(reports.take(), ["panicked: late"]);
}

#[test]
fn so_has_that_of_a_child_whose_scope_is_dropped() {
    let _watchdog = watchdog();
    let (log, reports) = (Log::new(), Reports::default());
    reports.builder().build().unwrap().block_on(async {
        let body = async {
            let inside = log.clone();
            let mut dropped = Box::pin(scope(async |s| {
                s.spawn(async {
                    let _late = OnDrop::new(move || {
                        drop(defer(cleanup(&inside, "the child's")));
                        panic!("in drop");
                    });
                    pending::<Result<(), String>>().await
                });
                Ok(())
            }));
            assert!(futures::poll!(dropped.as_mut()).is_pending());
            drop(dropped);
        };
        scope_of(body).await.unwrap();
        log.at("left");
    });
    assert_eq!(log.take(), ["1 the child's", "1 left"]);
    assert_eq!(reports.take(), ["panicked: in drop"]);
}

#[test]
fn a_panic_while_a_runtime_is_dropped_inside_the_poll_goes_to_the_task_that_panicked() {
    let _watchdog = watchdog();
    simulated().block_on(async {
        let task = spawn(async {
            let inner = Runtime::new().unwrap();
            let stuck = inner.spawn(async {
                let _guard = defer(async { yield_now().await });
                pending::<()>().await;
            });
            inner.enter(|| drop(spawn(async { panic!("of the inner runtime") })));
            drop(stuck);
            let _end = OnDrop::new(move || drop(inner));
            poll_fn(|_| -> Poll<()> { panic!("of the outer runtime") }).await;
        });
        assert_eq!(panic_in(task).await, "of the outer runtime");
    });
}

#[test]
fn a_million_polls_after_a_panic_nothing_of_it_is_left() {
    let _watchdog = watchdog();
    simulated().block_on(async {
        for round in 0..100 {
            let task = spawn(async move {
                for _ in 0..round {
                    yield_now().await;
                }
                panic!("round {round}");
            });
            let well = spawn(async move {
                for _ in 0..round * 2 {
                    yield_now().await;
                }
                round
            });
            assert_eq!(panic_in(task).await, format!("round {round}"));
            assert_eq!(well.await.unwrap(), round);
        }
    });
    assert_eq!(panic_of(|| simulated().block_on(async { panic!("main") })), "main");
}
