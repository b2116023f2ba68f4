//! `gather` and its kin.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures::{FutureExt, StreamExt};
use handcar_structured::{
    CancelKind, CancelScope, Failure, as_completed, cancelled, defer, gather, gather_results, race, shield, spawn,
    timeout, try_gather, yield_now,
};

mod common;
use common::{Log, for_ever, notes_drop, panic_of, s, seconds, secs, slow, test_run, text};

#[test]
fn values_come_in_the_order_of_the_futures() {
    test_run(async {
        let values = gather([3, 1, 2].map(|n| async move {
            secs(n).await;
            n
        }));
        assert_eq!(values.await, [3, 1, 2]);
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn of_nothing_they_are_ready_at_once() {
    test_run(async {
        let none: [std::future::Ready<()>; 0] = [];
        assert_eq!(gather(none.clone()).await, []);
        assert_eq!(race(none.clone()).await, None);
        assert_eq!(as_completed(none).next().await, None);
    });
}

#[test]
fn they_may_borrow_also_mutably() {
    test_run(async {
        let mut counts = [0; 4];
        gather(counts.iter_mut().enumerate().map(async |(n, count)| {
            yield_now().await;
            *count = n * n;
        }))
        .await;
        assert_eq!(counts, [0, 1, 4, 9]);
    });
}

#[test]
fn ten_thousand_are_polled_only_when_they_are_woken() {
    test_run(async {
        let polls = Cell::new(0);
        let values = gather((0..10_000).map(|n| {
            let polls = &polls;
            async move {
                polls.set(polls.get() + 1);
                yield_now().await;
                polls.set(polls.get() + 1);
                n
            }
        }))
        .await;
        assert!(values.into_iter().eq(0..10_000));
        assert_eq!(polls.get(), 20_000);
    });
}

#[test]
fn the_limit_bounds_how_many_run() {
    test_run(async {
        for limit in [1, 3] {
            let (running, most) = (Cell::new(0), Cell::new(0));
            let values = gather((0..10).map(|n| {
                let (running, most) = (&running, &most);
                async move {
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    secs(1).await;
                    running.set(running.get() - 1);
                    n
                }
            }))
            .limit(limit);
            assert!(values.await.into_iter().eq(0..10));
            assert_eq!(most.get(), limit);
        }
        assert!(panic_of(|| gather([async {}]).limit(0)).contains("a limit of zero"));
    });
}

#[test]
fn the_first_error_cancels_the_others_and_waits_for_their_cleanups() {
    test_run(async {
        let log = Log::new();
        let branches = [true, false].map(|fails| {
            let log = log.clone();
            async move {
                if fails {
                    secs(1).await;
                    return Err("failed");
                }
                let _guard = slow(&log, "cleanup");
                for_ever().await;
                Ok(())
            }
        });
        assert_eq!(try_gather(branches).await, Err("failed"));
        assert_eq!(log.take(), ["2 cleanup"]);
    });
}

#[test]
fn an_error_before_the_limit_lets_the_others_never_begin() {
    test_run(async {
        let begun = Cell::new(0);
        let branches = (0..9).map(|_| async {
            begun.set(begun.get() + 1);
            Err::<(), _>("failed")
        });
        assert_eq!(try_gather(branches).limit(2).await, Err("failed"));
        assert!(begun.get() <= 2);
    });
}

#[test]
fn a_cancelled_branch_is_told_why() {
    test_run(async {
        let seen = RefCell::new(Vec::new());
        let branch = |first: bool| {
            let seen = &seen;
            async move {
                if first {
                    yield_now().await;
                } else {
                    let kind = cancelled().await.kind().clone();
                    seen.borrow_mut().push(kind);
                }
                Err::<(), _>(())
            }
        };
        let _ = try_gather([branch(false), branch(true)]).await;
        let _ = race([branch(false), branch(true)]).await;
        let seen = seen.take();
        assert!(matches!(seen[0], CancelKind::SiblingFailed(_)), "{seen:?}");
        assert!(matches!(seen[1], CancelKind::RaceLost), "{seen:?}");
    });
}

#[test]
fn a_panic_goes_on_when_the_others_have_ended() {
    test_run(async {
        let log = Log::new();
        let branches = [true, false].map(|panics| {
            let log = log.clone();
            async move {
                let _guard = slow(&log, "cleanup");
                yield_now().await;
                assert!(!panics, "oh");
                for_ever().await;
            }
        });
        let panic = AssertUnwindSafe(gather(branches)).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "oh");
        assert_eq!(log.take().len(), 2);
    });
}

#[test]
fn gather_results_keeps_errors_and_panics_in_their_places() {
    test_run(async {
        let results = gather_results([0, 1, 2].map(|n| async move {
            assert!(n != 2, "oh");
            if n == 1 { Err("failed") } else { Ok(n) }
        }))
        .await;
        assert!(matches!(results[0], Ok(0)));
        assert!(matches!(results[1], Err(Failure::Failed("failed"))));
        assert_eq!(results[2].as_ref().unwrap_err().to_string(), "panicked: oh");
    });
}

#[test]
fn cancelled_in_the_middle_the_branches_are_dropped_one_by_one_beside_a_shielded_one() {
    test_run(async {
        let log = Log::new();
        let result = timeout(s(1), async {
            let branches = [true, false].map(|shielded| {
                let log = log.clone();
                async move {
                    let _guard = notes_drop(&log, if shielded { "shielded" } else { "plain" });
                    if shielded {
                        shield(secs(3)).await;
                        yield_now().await;
                        log.note("never");
                    }
                    secs(2).await;
                    log.note("never either");
                }
            });
            gather(branches).await;
        });
        assert!(result.await.is_err());
        assert_eq!(seconds(), 3);
        assert_eq!(log.take(), ["plain", "shielded"]);
    });
}

#[test]
fn a_race_waits_for_its_losers_shield_and_cleanups() {
    test_run(async {
        let log = Log::new();
        let branches = [1, 2].map(|n| {
            let log = log.clone();
            async move {
                if n == 1 {
                    secs(1).await;
                    return n;
                }
                let _guard = slow(&log, "loser's cleanup");
                shield(secs(3)).await;
                log.at("loser's shield");
                for_ever().await;
                n
            }
        });
        assert_eq!(race(branches).await, Some((0, 1)));
        assert_eq!(log.take(), ["3 loser's shield", "4 loser's cleanup"]);
    });
}

#[test]
fn as_completed_yields_values_as_they_come() {
    test_run(async {
        let mut values = as_completed([3, 1, 2].map(|n| async move {
            secs(n).await;
            n
        }))
        .limit(2);
        assert_eq!(values.next().await, Some((1, 1)));
        assert_eq!(seconds(), 1);
        assert!(timeout(s(1), values.next()).await.is_err(), "nothing is lost by leaving");
        assert_eq!(values.by_ref().collect::<Vec<_>>().await, [(0, 3), (2, 2)]);
    });
}

#[test]
fn a_gather_dropped_at_any_poll_leaves_nothing_behind() {
    test_run(async {
        for polls in 0..6 {
            let log = Log::new();
            let dropped = Rc::new(Cell::new(0));
            let branches = (0..3).map(|n| {
                let (log, dropped) = (log.clone(), Rc::clone(&dropped));
                async move {
                    let _guard = common::OnDrop::new(move || dropped.set(dropped.get() + 1));
                    for _ in 0..=n {
                        let _cleanup = defer({
                            let log = log.clone();
                            async move { log.note("cleanup") }
                        });
                        yield_now().await;
                    }
                }
            });
            let mut gathered = Box::pin(gather(branches));
            for _ in 0..polls {
                if futures::poll!(gathered.as_mut()).is_ready() {
                    break;
                }
                yield_now().await;
            }
            drop(gathered);
            yield_now().await;
            assert_eq!(dropped.get(), if polls == 0 { 0 } else { 3 }, "{polls}");
        }
    });
}

#[test]
fn a_scope_around_ends_a_gather_of_ten_thousand() {
    test_run(async {
        let scope = CancelScope::new();
        let canceller = scope.clone();
        spawn(async move {
            secs(1).await;
            canceller.cancel();
        })
        .detach();
        assert!(scope.run(gather((0..10_000).map(|_| for_ever()))).await.is_err());
        assert_eq!(seconds(), 1);
    });
}

#[test]
fn outside_a_runtime_the_remedy_is_named() {
    let panic = panic_of(|| futures::executor::block_on(gather([async {}])));
    assert!(panic.contains("a combinator needs a runtime"), "{panic}");
}
