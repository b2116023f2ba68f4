//! Cleanups: when they run, in which order, what cuts them, what becomes of their panics.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use futures::FutureExt;
use handcar_structured::{
    CancelScope, DeferGuard, cancelled, defer, is_cancelled, move_on_after, scope_of, spawn, timeout, yield_now,
};

mod common;
use common::{Log, OnDrop, Reports, for_ever, panic_of, s, seconds, secs, slow, test_run, text, watchdog};

/// A cleanup that notes `what` and then hangs.
fn hangs(log: &Log, what: &'static str) -> DeferGuard<impl Future<Output = ()> + use<>> {
    let log = log.clone();
    defer(async move {
        log.at(what);
        for_ever().await;
    })
}

#[test]
fn cleanups_are_awaited_however_a_scope_is_left() {
    test_run(async {
        let log = Log::new();
        let value = scope_of(async {
            let _guard = slow(&log, "after a value");
            7
        });
        assert_eq!(value.await.unwrap(), 7);
        let error: Result<(), &str> = scope_of(async {
            let _guard = slow(&log, "after an error");
            Err("no")?;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(error, Err("no"));
        let cancelled = timeout(s(1), async {
            let _guard = slow(&log, "after a cancel");
            for_ever().await;
        });
        assert!(cancelled.await.is_err());
        let panicked = scope_of(async {
            let _guard = slow(&log, "after a panic");
            panic!("oh");
        });
        assert!(AssertUnwindSafe(panicked).catch_unwind().await.is_err());
        assert_eq!(log.take(), ["1 after a value", "2 after an error", "4 after a cancel", "5 after a panic"]);
    });
}

#[test]
fn they_run_one_at_a_time_the_newest_first_by_creation() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            let first = slow(&log, "first");
            let second = slow(&log, "second");
            let third = slow(&log, "third");
            drop((second, third, first)); // not by drop
        })
        .await;
        assert_eq!(log.take(), ["1 third", "2 second", "3 first"]);
    });
}

#[test]
fn a_cleanup_starts_at_once_beside_the_body() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            drop(slow(&log, "cleanup"));
            secs(3).await;
            log.at("body");
        })
        .await;
        assert_eq!(log.take(), ["1 cleanup", "3 body"]);
    });
}

#[test]
fn a_task_drains_before_its_handle_returns() {
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = spawn(async move {
            let _guard = slow(&in_task, "cleanup");
            for_ever().await;
        });
        yield_now().await;
        assert!(task.cancel_and_wait().await.unwrap_err().is_cancelled());
        log.at("joined");
        assert_eq!(log.take(), ["1 cleanup", "1 joined"]);
    });
}

#[test]
fn a_guard_may_be_disarmed_or_run_in_line() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            drop(slow(&log, "disarmed").disarm());
            slow(&log, "in line").run().await;
            log.at("after it");
        })
        .await;
        assert_eq!(log.take(), ["1 in line", "1 after it"]);
    });
}

#[test]
fn a_cleanup_run_in_line_is_shielded() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let result = timeout(s(1), async move {
            let guard = defer({
                let log = in_body.clone();
                async move {
                    secs(3).await;
                    log.at(is_cancelled());
                }
            });
            guard.run().await;
            in_body.at("after it");
            yield_now().await;
            in_body.note("never");
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["3 false", "3 after it"]);
    });
}

#[test]
fn a_cleanup_in_line_that_is_dropped_half_run_is_run_on_by_the_scope() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            let in_line = Box::pin(slow(&log, "done").run());
            futures::future::select(in_line, Box::pin(yield_now())).await;
            log.at("dropped");
        })
        .await;
        assert_eq!(log.take(), ["0 dropped", "1 done"]);
    });
}

#[test]
fn a_foreign_select_in_a_loop_with_a_defer_each_turn_loses_none() {
    test_run(async {
        let log = Log::new();
        let _ = scope_of(async {
            for name in ["a", "b", "c"] {
                let turn = async {
                    let _guard = slow(&log, name);
                    for_ever().await;
                };
                futures::future::select(Box::pin(turn), Box::pin(yield_now())).await;
            }
        })
        .await;
        // The first begins at once and is run to its end; of those that then wait, the newest is first.
        assert_eq!(log.take(), ["1 a", "2 c", "3 b"]);
    });
}

#[test]
fn a_second_cancel_neither_hastens_nor_restarts_a_cleanup() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let scope = CancelScope::new();
        let canceller = scope.clone();
        spawn(async move {
            for _ in 0..4 {
                secs(1).await;
                canceller.cancel();
            }
        })
        .detach();
        let result = scope.run(async move {
            let _guard = defer(async move {
                in_body.at("begins");
                secs(4).await;
                in_body.at("ends");
            });
            for_ever().await;
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["1 begins", "5 ends"]);
    });
}

#[test]
fn a_cleanup_sees_nothing_of_the_cancel_and_everything_works_in_it() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let result = timeout(s(1), async move {
            let _guard = defer(async move {
                let _inner = slow(&in_body, "its own cleanup");
                assert!(!is_cancelled());
                assert_eq!(move_on_after(s(1), for_ever()).await, None);
                in_body.at("its own timeout");
                let waits = futures::future::select(Box::pin(cancelled()), Box::pin(secs(1)));
                assert!(matches!(waits.await, futures::future::Either::Right(_)));
            });
            for_ever().await;
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["2 its own timeout", "4 its own cleanup"]);
    });
}

#[test]
fn the_grace_period_cuts_what_hangs_and_the_older_ones_still_get_one_poll() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().grace(Some(s(5))).build().unwrap();
    let log = Log::new();
    runtime.block_on(async {
        let result = timeout(s(1), async {
            let _ready = {
                let log = log.clone();
                defer(async move { log.at("oldest, ready at once") })
            };
            let _older = hangs(&log, "older");
            let _newest = hangs(&log, "newest");
            for_ever().await;
        });
        assert!(result.await.is_err());
        log.at("out");
    });
    assert_eq!(log.take(), ["1 newest", "6 older", "6 oldest, ready at once", "6 out"]);
    assert_eq!(reports.take(), ["cut short: a cleanup", "cut short: a cleanup"]);
}

#[test]
fn cleanups_that_defer_cleanups_without_end_are_cut_too_and_the_older_ones_get_their_poll() {
    /// Hangs, and when it is dropped, another one takes its place.
    fn without_end(begun: &Rc<Cell<u32>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let begun = Rc::clone(begun);
        Box::pin(async move {
            begun.set(begun.get() + 1);
            let _next = defer(without_end(&begun));
            for_ever().await;
        })
    }
    let _dog = watchdog();
    let (log, reports, begun) = (Log::new(), Reports::default(), Rc::default());
    reports.builder().build().unwrap().block_on(async {
        let body = async {
            let in_cleanup = log.clone();
            let _older = defer(async move { in_cleanup.note("older") });
            let _newest = defer(without_end(&begun));
            for_ever().await;
        };
        assert_eq!(move_on_after(s(1), body).await, None);
        assert_eq!(seconds(), 6, "the grace period is five seconds");
    });
    assert_eq!(log.take(), ["older"]);
    assert!(begun.get() > 1);
    assert!(reports.take().iter().all(|report| report == "cut short: a cleanup"));
}

#[test]
fn a_value_returned_then_a_cleanup_that_hangs_then_a_deadline_leaves_the_value() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().grace(Some(s(5))).build().unwrap();
    let log = Log::new();
    runtime.block_on(async {
        let result = timeout(s(10), async {
            let _guard = hangs(&log, "begins");
            7
        });
        assert_eq!(result.await, Ok(7));
        log.at("out");
    });
    assert_eq!(log.take(), ["0 begins", "15 out"]);
    assert_eq!(reports.take(), ["cut short: a cleanup"]);
}

#[test]
fn an_outer_cancel_in_the_middle_of_a_drain_takes_the_rest_over() {
    test_run(async {
        let log = Log::new();
        let outer = timeout(s(3), async {
            let inner = timeout(s(1), async {
                let _second = slow(&log, "second");
                let _first = defer({
                    let log = log.clone();
                    async move {
                        secs(3).await;
                        log.at("first");
                    }
                });
                for_ever().await;
            });
            let _ = inner.await;
            log.note("never: the outer one reports");
        });
        assert!(outer.await.is_err());
        log.at("out");
        assert_eq!(log.take(), ["4 first", "5 second", "5 out"]);
    });
}

#[test]
fn there_is_no_second_grace_period() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().grace(Some(s(5))).build().unwrap();
    runtime.block_on(async {
        let outer = timeout(s(3), async {
            let _ = timeout(s(1), async {
                let _guard = defer(for_ever());
                for_ever().await;
            })
            .await;
        });
        // Cancelled at 1, so cut at 6; the outer cancel at 3 has a grace period of its own, which would end at 8.
        let result = outer.await;
        assert!(result.is_err());
        assert!(seconds() <= 8, "{}", seconds());
    });
}

#[test]
fn a_panic_in_a_cleanup_does_not_stop_the_others_and_beats_cancelled() {
    let _dog = watchdog();
    let reports = Reports::default();
    let log = Log::new();
    reports.builder().build().unwrap().block_on(async {
        let body = timeout(s(1), async {
            let _third = slow(&log, "third");
            let _second = defer(async { panic!("second") });
            let _first = defer(async { panic!("first") });
            for_ever().await;
        });
        let panic = AssertUnwindSafe(body).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "first");
    });
    assert_eq!(log.take(), ["2 third"]);
    assert_eq!(reports.take(), ["cleanup panicked: second"]);
}

#[test]
fn a_destructor_that_panics_while_cleanups_wait_stops_none() {
    test_run(async {
        let log = Log::new();
        let body = timeout(s(1), async {
            let _cleanup = slow(&log, "cleanup");
            let _bomb = OnDrop::new(|| panic!("in drop"));
            for_ever().await;
        });
        let panic = AssertUnwindSafe(body).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "in drop");
        assert_eq!(log.take(), ["2 cleanup"]);
    });
}

#[test]
fn a_destructor_may_defer() {
    test_run(async {
        let log = Log::new();
        for cancelled in [false, true] {
            let at_drop = log.clone();
            let _ = timeout(s(1), async move {
                let _guard = OnDrop::new(move || drop(slow(&at_drop, "deferred in a destructor")));
                if cancelled {
                    for_ever().await;
                }
            })
            .await;
        }
        let at_drop = log.clone();
        let task = spawn(async move {
            let _guard = OnDrop::new(move || drop(slow(&at_drop, "in a task")));
            for_ever().await;
        });
        yield_now().await;
        let _ = task.cancel_and_wait().await;
        log.at("joined");
        assert_eq!(log.take(), ["1 deferred in a destructor", "3 deferred in a destructor", "4 in a task", "4 joined"]);
    });
}

#[test]
fn the_captures_of_a_task_that_was_never_polled_may_defer() {
    test_run(async {
        let log = Log::new();
        let at_drop = log.clone();
        let captured = OnDrop::new(move || drop(slow(&at_drop, "cleanup")));
        let task = spawn(async move {
            let _captured = captured;
            panic!("never polled");
        });
        assert!(task.cancel_and_wait().await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["1 cleanup"]);
    });
}

#[test]
fn a_timeout_inside_the_cleanup_of_a_timed_out_block_works() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let result = timeout(s(1), async move {
            let _guard = defer(async move {
                let inner = timeout(s(2), for_ever()).await;
                in_body.at(inner.is_err());
            });
            for_ever().await;
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["3 true"]);
    });
}

#[test]
fn defer_outside_a_runtime_panics_with_the_remedy() {
    let panic = panic_of(|| defer(async {}));
    assert!(panic.contains("defer needs a runtime"), "{panic}");
}
