//! Timeouts as scopes.

use handcar_structured::{
    CancelScope, Clock, Instant, Runtime, defer, sleep, sleep_until, spawn, timeout, timeout_at, timeout_scope,
    yield_now,
};

mod common;
use common::{Log, for_ever, s, seconds, secs, test_run, watchdog};

fn simulated() -> (Runtime, Clock) {
    let clock = Clock::simulated();
    (handcar_structured::Builder::new().clock(clock.clone()).build().unwrap(), clock)
}

#[test]
fn zero_around_what_is_ready_returns_it_and_around_one_yield_times_out() {
    test_run(async {
        assert_eq!(timeout(s(0), async { 7 }).await, Ok(7));
        assert!(timeout(s(0), yield_now()).await.is_err());
    });
}

#[test]
fn a_deadline_in_the_past_lets_a_ready_body_win_and_no_other() {
    test_run(async {
        secs(5).await;
        assert_eq!(timeout_at(Instant::START + s(1), async { 7 }).await, Ok(7));
        assert!(timeout_at(Instant::START + s(1), yield_now()).await.is_err());
        let scope = CancelScope::with_deadline(Instant::START + s(1));
        assert!(scope.run(yield_now()).await.is_err());
        assert_eq!(seconds(), 5);
    });
}

#[test]
fn the_deadline_moves_earlier_later_and_to_never() {
    test_run(async {
        let at = |n| Instant::START + s(n);
        let earlier = timeout_scope(s(100), async |deadline| {
            deadline.reschedule(at(2));
            for_ever().await;
        });
        assert!(earlier.await.is_err());
        assert_eq!(seconds(), 2);
        let later = timeout_scope(s(2), async |deadline| {
            secs(1).await;
            deadline.reschedule(at(10));
            assert_eq!(deadline.when(), at(10));
            for_ever().await;
        });
        assert!(later.await.is_err());
        assert_eq!(seconds(), 10);
        let never = timeout_scope(s(2), async |deadline| {
            deadline.reschedule(Instant::NEVER);
            secs(3600).await;
            7
        });
        assert_eq!(never.await, Ok(7));
    });
}

#[test]
fn after_its_expiry_a_deadline_moves_no_more() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let result = timeout_scope(s(1), async |deadline| {
            let _guard = defer(async move {
                secs(1).await;
                deadline.reschedule(Instant::START + s(100));
                in_body.at(deadline.is_expired());
            });
            for_ever().await;
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["2 true"]);
    });
}

#[test]
fn another_task_may_move_the_deadline_of_a_scope() {
    test_run(async {
        let scope = CancelScope::with_deadline(Instant::START + s(100));
        let mover = scope.clone();
        spawn(async move {
            secs(1).await;
            mover.set_deadline(Some(Instant::START + s(3)));
        })
        .detach();
        assert!(scope.run(for_ever()).await.is_err());
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn of_equal_nested_deadlines_the_outer_one_reports() {
    test_run(async {
        for with_cleanups in [false, true] {
            let log = Log::new();
            let outer = timeout(s(2), async {
                let _guard = with_cleanups.then(|| defer(async {}));
                let inner = timeout(s(2), async {
                    let _guard = with_cleanups.then(|| defer(async {}));
                    for_ever().await;
                });
                let _ = inner.await;
                log.note("the inner one reported");
            });
            assert!(outer.await.is_err());
            assert_eq!(log.take(), [""; 0]);
        }
    });
}

#[test]
fn zero_inside_zero_goes_to_the_outer_one() {
    test_run(async {
        let log = Log::new();
        let outer = timeout(s(0), async {
            let _ = timeout(s(0), for_ever()).await;
            log.note("the inner one reported");
        });
        assert!(outer.await.is_err());
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn a_loop_that_was_blocked_past_both_deadlines_goes_to_the_outer_one() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let log = Log::new();
        let outer = timeout(s(3), async {
            let inner = timeout(s(2), async {
                yield_now().await;
                clock.advance(s(10)); // as a poll that blocks does
                for_ever().await;
            });
            let _ = inner.await;
            log.note("the inner one reported");
        });
        assert!(outer.await.is_err());
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn an_inner_deadline_that_comes_first_reports_and_the_body_goes_on() {
    test_run(async {
        let outer = timeout(s(3), async {
            assert!(timeout(s(2), for_ever()).await.is_err());
            7
        });
        assert_eq!(outer.await, Ok(7));
    });
}

#[test]
fn the_bodys_own_error_wins_over_expiry() {
    test_run(async {
        let result = timeout(s(2), async {
            sleep_until(Instant::START + s(2)).await;
            Err::<(), _>("own")
        });
        assert_eq!(result.await, Ok(Err("own")));
    });
}

#[test]
fn a_timeout_that_is_dropped_leaves_no_timer() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let _ = timeout(s(100), yield_now()).await;
        drop(Box::pin(timeout(s(100), for_ever())));
        futures::future::select(Box::pin(timeout(s(100), for_ever())), Box::pin(yield_now())).await;
        let _ = timeout(s(100), async {
            let _guard = defer(async {});
            yield_now().await;
        })
        .await;
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_timeout_without_end_never_fires() {
    test_run(async {
        let result = timeout(std::time::Duration::MAX, sleep(s(1_000_000_000)));
        assert_eq!(result.await, Ok(()));
    });
}
