//! Shields and grace periods: what puts a cancel off, and for how long.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use handcar_structured::{
    Builder, CancelScope, Instant, cancelled, effective_deadline, is_cancelled, shield, shield_for, timeout, yield_now,
};

mod common;
use common::{Log, Reports, cancel_after, for_ever, s, seconds, secs, test_run, watchdog};

#[test]
fn with_a_shield_between_the_inner_one_reports_too() {
    test_run(async {
        let log = Log::new();
        let (outer, inner) = (CancelScope::new(), CancelScope::new());
        outer.cancel();
        inner.cancel();
        let result = outer
            .run(async {
                shield(async {
                    assert!(inner.run(for_ever()).await.is_err());
                    log.note("the inner one reported");
                    yield_now().await;
                    log.note("and the shield went on");
                })
                .await;
                yield_now().await;
                log.note("never");
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["the inner one reported", "and the shield went on"]);
    });
}

#[test]
fn a_shield_puts_a_cancel_off_and_the_code_after_it_runs_to_the_next_suspension() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let result = scope
            .run(async {
                shield(async {
                    secs(3).await;
                    assert!(!is_cancelled(), "invisible inside");
                    log.at("shield done");
                })
                .await;
                assert!(is_cancelled());
                log.at("after it");
                yield_now().await;
                log.note("never");
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["3 shield done", "3 after it"]);
    });
}

#[test]
fn the_grace_period_cuts_a_shield_that_hangs_and_reports_it() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().grace(Some(s(5))).build().unwrap();
    runtime.block_on(async {
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        assert!(scope.run(shield(for_ever())).await.is_err());
        assert_eq!(seconds(), 6);
    });
    assert_eq!(reports.take(), ["cut short: a shielded future"]);
}

#[test]
fn a_scope_may_set_its_own_grace_period() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let scope = CancelScope::new().grace(Some(s(2)));
        cancel_after(1, &scope);
        assert!(scope.run(shield(for_ever())).await.is_err());
        assert_eq!(seconds(), 3);
        let scope = CancelScope::new().grace(None);
        cancel_after(1, &scope);
        assert!(scope.run(shield(secs(3600))).await.is_ok());
        assert_eq!(seconds(), 3603);
    });
}

#[test]
fn the_earliest_grace_period_among_cancelled_scopes_holds() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let (outer, inner) = (CancelScope::new().grace(Some(s(2))), CancelScope::new().grace(Some(s(60))));
        cancel_after(1, &outer);
        cancel_after(1, &inner);
        let result = outer.run(async { inner.run(shield(for_ever())).await }).await;
        assert!(result.is_err());
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn a_shield_does_not_hold_against_its_own_deadline() {
    test_run(async {
        let result = timeout(s(60), shield_for(s(2), for_ever())).await;
        assert_eq!(result.unwrap().map_err(|_| ()), Err(()));
        assert_eq!(seconds(), 2);
    });
}

#[test]
fn a_timeout_around_a_shield_returns_its_value() {
    test_run(async {
        let result = timeout(
            s(1),
            shield(async {
                secs(3).await;
                7
            }),
        )
        .await;
        assert_eq!(result, Ok(7));
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn a_shielded_branch_of_a_foreign_combinator_protects_although_it_is_not_polled() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let result = scope
            .run(async {
                let branches = FuturesUnordered::new();
                let (in_shield, in_plain) = (log.clone(), log.clone());
                branches.push(
                    async move {
                        shield(secs(3)).await;
                        in_shield.at("shielded branch");
                    }
                    .boxed_local(),
                );
                branches.push(
                    async move {
                        secs(2).await;
                        in_plain.at("plain branch beside it");
                    }
                    .boxed_local(),
                );
                branches.collect::<Vec<_>>().await;
            })
            .await;
        // The value counts: both branches had ended when the body was polled for the last time.
        assert!(result.is_ok());
        assert_eq!(log.take(), ["2 plain branch beside it", "3 shielded branch"]);
    });
}

#[test]
fn a_select_that_drops_a_shield_ends_its_protection() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let scope = CancelScope::new();
        cancel_after(2, &scope);
        let result = scope
            .run(async {
                futures::future::select(Box::pin(shield(for_ever())), Box::pin(secs(1))).await;
                for_ever().await;
            })
            .await;
        assert!(result.is_err());
        assert_eq!(seconds(), 2);
    });
    assert_eq!(reports.take(), ["shield dropped"]);
}

#[test]
fn an_observer_within_a_shield_waits_until_that_is_over() {
    test_run(async {
        let scope = CancelScope::new();
        scope.cancel();
        let result = scope.run(shield(futures::future::select(Box::pin(cancelled()), Box::pin(secs(1))))).await;
        assert!(matches!(result.unwrap(), futures::future::Either::Right(_)));
    });
}

#[test]
fn the_deadline_that_holds_is_the_earliest_up_to_the_next_shield() {
    test_run(async {
        assert_eq!(effective_deadline(), Instant::NEVER);
        let at = |n| Instant::START + s(n);
        timeout(s(9), async {
            assert_eq!(effective_deadline(), at(9));
            timeout(s(3), async {
                assert_eq!(effective_deadline(), at(3));
                yield_now().await;
                assert_eq!(effective_deadline(), at(3));
                shield(async { assert_eq!(effective_deadline(), Instant::NEVER) }).await;
                let inner = CancelScope::with_deadline(at(5));
                inner.run(async { assert_eq!(effective_deadline(), at(3)) }).await.unwrap();
            })
            .await
            .unwrap();
            assert_eq!(effective_deadline(), at(9));
        })
        .await
        .unwrap();
        let scope = CancelScope::new();
        scope.cancel();
        scope.run(async { assert_eq!(effective_deadline(), Instant::START) }).await.unwrap();
    });
}

#[test]
fn a_shield_that_a_combinator_drops_is_reported_once_and_names_its_line() {
    let _dog = watchdog();
    let told = Rc::new(RefCell::new(Vec::new()));
    let hook = Rc::clone(&told);
    let runtime =
        Builder::new().on_report(move |report| hook.borrow_mut().push(format!("{report:#}"))).build().unwrap();
    let line = line!() + 2;
    runtime.block_on(async {
        let shielded = Box::pin(shield(for_ever()));
        futures::future::select(shielded, Box::pin(yield_now())).await;
        drop(Box::pin(shield(for_ever()))); // never polled: nothing was cut
        shield(yield_now()).await;
        let panics = AssertUnwindSafe(shield(async {
            yield_now().await;
            panic!("oh");
        }));
        assert!(panics.catch_unwind().await.is_err());
    });
    drop(runtime);
    let told = told.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("shields.rs:{line}:")), "{told:?}");
    assert!(told[0].contains("put what must happen into `defer`"), "{told:?}");
}
