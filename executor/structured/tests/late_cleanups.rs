//! Cleanups that come late: at the runtime's end, and of guards that outlive what made them.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_structured::{TaskGroup, defer, scope_of, shield, spawn, timeout, yield_now};

mod common;
use common::{Log, OnDrop, Reports, for_ever, in_a_child, s, secs, simulated, slow, test_run, watchdog};

#[test]
fn a_guard_that_outlives_its_scope_goes_to_the_next_one_that_lives() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            let guard = scope_of(async { slow(&log, "cleanup") }).await.unwrap();
            secs(1).await;
            drop(guard);
            log.at("body");
        })
        .await;
        assert_eq!(log.take(), ["1 body", "2 cleanup"]);
    });
}

#[test]
fn a_guard_that_outlives_its_task_becomes_a_task_that_the_runtimes_end_awaits() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    runtime.block_on(async {
        let in_task = log.clone();
        let guard = spawn(async move { slow(&in_task, "cleanup") }).await.unwrap();
        drop(guard);
        log.at("main ends");
    });
    drop(runtime);
    assert_eq!(log.take().len(), 2, "the cleanup ended after main");
}

#[test]
fn so_does_one_that_is_dropped_while_no_runtime_is_current_or_another_one_is() {
    let _dog = watchdog();
    let (log, reports) = (Log::new(), Reports::default());
    let (runtime, other) = (reports.builder().build().unwrap(), simulated());
    let guards = || runtime.block_on(async { (slow(&log, "between two runs"), slow(&log, "in another runtime")) });
    let (between, elsewhere) = guards();
    drop(between);
    other.block_on(async { drop(elsewhere) });
    assert_eq!(log.take(), [""; 0]);
    runtime.block_on(async { secs(2).await });
    assert_eq!(log.take(), ["1 between two runs", "1 in another runtime"]);
    drop(guards());
    drop(runtime);
    assert_eq!(log.take(), ["3 between two runs", "3 in another runtime"], "its end awaits them too");
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn of_one_that_is_handed_over_after_its_runtimes_end_its_line_is_told() {
    let _dog = watchdog();
    let line = line!() + 3;
    let Some(told) = in_a_child() else {
        let runtime = simulated();
        let guard = runtime.block_on(async { defer(async {}) });
        drop(runtime);
        return drop(guard);
    };
    let place = format!("the cleanup made at executor/structured/tests/late_cleanups.rs:{line}:");
    assert!(told.contains(&place) && told.contains("was handed over after the end of its runtime"), "{told}");
}

#[test]
fn so_does_one_whose_destructor_panics_and_the_panic_is_reported() {
    /// Ready at once.
    struct Bomb;
    impl Future for Bomb {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the cleanup's destructor");
        }
    }
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let guard = spawn(async { defer(Bomb) }).await.unwrap();
        drop(guard);
        secs(1).await;
    });
    assert_eq!(reports.take(), ["panicked: in the cleanup's destructor"]);
}

#[test]
fn the_runtimes_end_awaits_the_cleanups_of_every_task() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_tasks = log.clone();
    runtime.block_on(async move {
        for name in ["a", "b"] {
            let log = in_tasks.clone();
            spawn(async move {
                let _guard = slow(&log, name);
                for_ever().await;
            })
            .detach();
        }
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(log.take().len(), 2);
}

#[test]
fn the_runtimes_end_never_hangs() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    runtime.block_on(async {
        spawn(async {
            let _guard = defer(for_ever());
            shield(for_ever()).await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["cut short: a shielded future", "cut short: a cleanup"]);
}

#[test]
fn a_cleanup_that_comes_when_the_grace_period_is_over_gets_its_one_poll_and_one_that_hangs_is_reported() {
    let _dog = watchdog();
    let (log, reports) = (Log::new(), Reports::default());
    let runtime = reports.builder().build().unwrap();
    runtime.block_on(async {
        let log = log.clone();
        let unbounded = TaskGroup::builder().grace(None).run(async move |group| {
            group.spawn(async move {
                let (quick, begins) = (log.clone(), log.clone());
                let _hangs = defer(async move {
                    begins.note("begins");
                    for_ever().await;
                });
                let _quick = defer(async move { quick.note("quick") });
                shield(for_ever()).await;
                Ok::<_, String>(())
            });
            Ok(())
        });
        spawn(unbounded).detach_ignoring();
        yield_now().await;
    });
    drop(runtime); // it drops the child, whose group would have waited for ever
    assert_eq!(log.take(), ["quick", "begins"]);
    assert_eq!(reports.take().last().unwrap(), "cut short: a cleanup");
}

#[test]
fn what_a_cleanup_spawns_at_the_runtimes_end_is_cancelled_at_birth() {
    let _dog = watchdog();
    let runtime = simulated();
    let ended = Rc::new(RefCell::new(None));
    let to_set = Rc::clone(&ended);
    runtime.block_on(async move {
        spawn(async move {
            let _guard = defer(async move {
                let task = spawn(async { panic!("never polled") });
                *to_set.borrow_mut() = Some(task.await);
            });
            for_ever().await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    assert!(matches!(ended.take(), Some(Err(error)) if error.is_cancelled()));
}

#[test]
fn a_runtime_dropped_inside_a_poll_of_another_drains_too() {
    let _dog = watchdog();
    let log = Log::new();
    let inner = simulated();
    let in_task = log.clone();
    inner.block_on(async move {
        spawn(async move {
            let _guard = slow(&in_task, "inner");
            for_ever().await;
        })
        .detach();
        yield_now().await;
    });
    simulated().block_on(async {
        let _guard = slow(&log, "outer");
        timeout(s(9), async {
            drop(inner);
            log.at("dropped");
        })
        .await
        .unwrap();
    });
    assert_eq!(log.take(), ["1 inner", "0 dropped", "1 outer"]);
}

#[test]
fn defer_in_main_is_awaited_before_block_on_returns() {
    let _dog = watchdog();
    let log = Log::new();
    simulated().block_on(async {
        drop(slow(&log, "cleanup"));
        let _later = slow(&log, "later");
    });
    assert_eq!(log.take(), ["1 later", "2 cleanup"]);
}

#[test]
fn what_only_the_destructor_of_a_dropped_main_defers_begins_with_the_newest_too() {
    let _watchdog = watchdog();
    let log = Log::new();
    for in_task in [false, true] {
        let runtime = simulated();
        let of_drop = log.clone();
        let body = async move {
            let _defers = OnDrop::new(move || {
                for what in ["older", "newer"] {
                    let log = of_drop.clone();
                    drop(defer(async move { log.note(what) }));
                }
            });
            for_ever().await;
        };
        if in_task {
            runtime.spawn(body).detach();
            runtime.block_on(yield_now());
        } else {
            assert!(runtime.try_block_on(body).is_err(), "a deadlock");
        }
        drop(runtime);
        assert_eq!(log.take(), ["newer", "older"]);
    }
}
