//! `gather!`, `try_gather!` and `race` over a few futures of different types.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::Poll;

use futures::FutureExt;
use handcar_structured::{
    CancelKind, CancelScope, DeferGuard, OneOf, cancelled, defer, gather, is_cancelled, race, scope, shield, spawn,
    timeout, try_gather, yield_now,
};

mod common;
use common::{Log, OnDrop, for_ever, notes_drop, panic_of, s, seconds, secs, test_run, text};

/// A cleanup that takes a second and notes `what` at its end.
fn slow(log: &Log, what: &'static str) -> DeferGuard<impl Future<Output = ()> + use<>> {
    let log = log.clone();
    defer(async move {
        secs(1).await;
        log.at(what);
    })
}

#[test]
fn values_come_in_the_order_of_the_futures_whatever_their_types() {
    test_run(async {
        let name = String::from("handcar");
        let mut count = 0;
        let (a, b, ()) = gather!(
            async {
                secs(2).await;
                name.len()
            },
            async {
                yield_now().await;
                name.as_str()
            },
            async { count += 1 },
        )
        .await;
        assert_eq!((a, b, count), (7, "handcar", 1));
        let all =
            gather!(ready(1), ready('2'), ready("3"), ready(4.0), ready(Some(5)), ready([6]), ready(()), ready(8_u8));
        assert_eq!(all.await, (1, '2', "3", 4.0, Some(5), [6], (), 8));
        assert_eq!(gather!(ready(1)).await, (1,));
    });
}

#[test]
fn try_gather_returns_all_values_or_the_first_error_after_the_others_cleanups() {
    test_run(async {
        let both = try_gather!(async { Ok::<_, String>(1) }, async { Ok("two") });
        assert_eq!(both.await, Ok((1, "two")));
        let log = Log::new();
        let failed = try_gather!(
            async {
                let _guard = slow(&log, "first's cleanup");
                for_ever().await;
                Ok::<_, &str>(1)
            },
            async {
                secs(1).await;
                Err::<(), _>("failed")
            },
            async {
                let _guard = slow(&log, "third's cleanup");
                let reason = cancelled().await;
                assert!(matches!(reason.kind(), CancelKind::SiblingFailed(_)), "{reason}");
                Err::<(), _>("later")
            },
        );
        assert_eq!(failed.await, Err("failed"), "the first error counts, not the first in the list");
        assert_eq!(log.take(), ["2 first's cleanup", "2 third's cleanup"]);
    });
}

#[test]
fn a_race_says_which_was_first_and_waits_for_the_losers() {
    test_run(async {
        let log = Log::new();
        let first = race((
            async {
                let _guard = slow(&log, "loser's cleanup");
                shield(secs(3)).await;
                log.at("loser's shield");
                for_ever().await;
                "never"
            },
            async {
                secs(1).await;
                7
            },
        ));
        match first.await {
            OneOf::First(_) => panic!("it waits for ever"),
            OneOf::Second(value) => assert_eq!(value, 7),
        }
        assert_eq!(log.take(), ["3 loser's shield", "4 loser's cleanup"]);
        assert_eq!(race((ready(1), ready(2), ready(3))).await, OneOf::First(1));
        assert_eq!(race((for_ever(), for_ever(), yield_now(), for_ever())).await, OneOf::Third(()));
        assert_eq!(race(vec![ready(1), ready(2)]).await, Some((0, 1)), "and of what can be iterated");
    });
}

#[test]
fn a_loser_is_polled_once_more_and_told_why() {
    test_run(async {
        let told = RefCell::new(Vec::new());
        let loser = || async {
            let reason = cancelled().await;
            told.borrow_mut().push(matches!(reason.kind(), CancelKind::RaceLost));
            for_ever().await;
        };
        assert_eq!(race((loser(), secs(1), loser())).await, OneOf::Second(()));
        assert_eq!(told.take(), [true, true]);
    });
}

#[test]
fn a_panic_goes_on_when_the_others_have_ended() {
    test_run(async {
        for panics in 0..3 {
            let log = Log::new();
            let branch = |n: u32| {
                let log = log.clone();
                async move {
                    let _guard = slow(&log, "cleanup");
                    yield_now().await;
                    assert!(n != panics, "oh");
                    for_ever().await;
                }
            };
            let gathered = gather!(branch(0), branch(1), branch(2));
            let panic = AssertUnwindSafe(gathered).catch_unwind().await.unwrap_err();
            assert_eq!(text(&*panic), "oh");
            assert_eq!(log.take().len(), 3);
        }
    });
}

#[test]
fn a_panic_in_the_destructor_of_a_future_that_is_ready_ends_the_others_too() {
    test_run(async {
        struct Explodes;
        impl Future for Explodes {
            type Output = String;
            fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<String> {
                Poll::Ready("value".to_owned())
            }
        }
        impl Drop for Explodes {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let log = Log::new();
        let other = async {
            let _guard = slow(&log, "cleanup");
            for_ever().await;
        };
        let panic = AssertUnwindSafe(gather!(other, Explodes)).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "in drop");
        assert_eq!(log.take().len(), 1);
        let panic = AssertUnwindSafe(handcar_structured::gather([Explodes])).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "in drop");
    });
}

#[test]
fn each_is_a_scope_whose_cleanups_end_before_all_return() {
    test_run(async {
        let log = Log::new();
        let ((), ()) = gather!(
            async {
                let _guard = slow(&log, "first");
            },
            async {
                yield_now().await;
                let _guard = slow(&log, "second");
                secs(1).await;
            },
        )
        .await;
        assert_eq!(log.take(), ["1 first", "2 second"]);
        assert_eq!(seconds(), 2);
    });
}

#[test]
fn cancelled_in_the_middle_a_plain_one_ends_beside_a_shielded_one() {
    test_run(async {
        let log = Log::new();
        let result = timeout(s(1), async {
            gather!(
                async {
                    let _guard = notes_drop(&log, "plain");
                    secs(2).await;
                    log.note("never");
                },
                async {
                    let _guard = notes_drop(&log, "shielded");
                    shield(secs(3)).await;
                    yield_now().await;
                    log.note("never either");
                },
            )
            .await;
        });
        assert!(result.await.is_err());
        assert_eq!(seconds(), 3);
        assert_eq!(log.take(), ["plain", "shielded"]);
    });
}

#[test]
fn a_cancel_from_outside_is_seen_in_all_and_a_value_that_is_ready_counts() {
    test_run(async {
        let scope = CancelScope::new();
        let canceller = scope.clone();
        spawn(async move {
            secs(1).await;
            canceller.cancel();
        })
        .detach();
        let value = scope.run(async {
            let both = gather!(async { cancelled().await.root().kind().clone() }, async {
                cancelled().await;
                is_cancelled()
            });
            both.await
        });
        assert_eq!(value.await.unwrap(), (CancelKind::Explicit, true));
    });
}

#[test]
fn one_of_those_with_a_node_may_decide_while_the_others_have_none() {
    test_run(async {
        // Each of the three comes first once, with a cleanup (a node) or without, beside others with and without.
        for first in 0..3_u64 {
            for mask in 0..8_u32 {
                let log = Log::new();
                let branch = |n: u64| {
                    let log = log.clone();
                    async move {
                        let _guard = (mask >> n & 1 == 1).then(|| slow(&log, "cleanup"));
                        yield_now().await;
                        if n == first {
                            return n;
                        }
                        for_ever().await;
                        unreachable!()
                    }
                };
                let won = race((branch(0), branch(1), branch(2))).await;
                let won = match won {
                    OneOf::First(n) | OneOf::Second(n) | OneOf::Third(n) => n,
                };
                assert_eq!(won, first);
                assert_eq!(log.take().len(), mask.count_ones() as usize, "{first} {mask}");
            }
        }
    });
}

#[test]
fn dropped_at_any_poll_each_future_is_dropped_once_and_each_cleanup_runs_once() {
    test_run(async {
        for polls in 0..8 {
            for kind in 0..3 {
                let (dropped, log) = (Cell::new(0), Log::new());
                let branch = |n: u32| {
                    let (dropped, log) = (&dropped, log.clone());
                    async move {
                        let _guard = OnDrop::new(|| dropped.set(dropped.get() + 1));
                        let _cleanup = defer(async move { log.note("cleanup") });
                        for _ in 0..=n {
                            yield_now().await;
                        }
                        Ok::<_, ()>(n)
                    }
                };
                let mut combined: Pin<Box<dyn Future<Output = ()>>> = match kind {
                    0 => Box::pin(gather!(branch(0), branch(1), branch(4)).map(drop)),
                    1 => Box::pin(try_gather!(branch(0), branch(1), branch(4)).map(drop)),
                    _ => Box::pin(race((branch(4), branch(1), branch(2))).map(drop)),
                };
                for _ in 0..polls {
                    if futures::poll!(combined.as_mut()).is_ready() {
                        break;
                    }
                    yield_now().await;
                }
                drop(combined);
                secs(1).await; // the cleanups of what was dropped run in main's scope, beside this
                let expected = if polls == 0 { 0 } else { 3 };
                assert_eq!((dropped.get(), log.take().len()), (expected, expected), "{polls} {kind}");
            }
        }
    });
}

#[test]
fn they_nest_in_each_other_and_in_scopes() {
    test_run(async {
        let total = Cell::new(0);
        let add = |n: u32| {
            let total = &total;
            async move {
                yield_now().await;
                total.set(total.get() + n);
                n
            }
        };
        let nested = gather!(gather!(add(1), add(2)), race((add(4), for_ever())), async {
            let sum = scope(async |s| {
                let child = s.spawn(async { Ok::<_, String>(try_gather!(async { Ok::<_, ()>(add(8).await) }).await) });
                Ok(child.await.unwrap().unwrap().0)
            });
            sum.await.unwrap()
        });
        let ((a, b), c, d) = nested.await;
        assert_eq!((a, b, c, d, total.get()), (1, 2, OneOf::First(4), 8, 15));
    });
}

#[test]
fn outside_a_runtime_the_remedy_is_named() {
    let gathered = || futures::executor::block_on(async { gather!(async { 1 }, async { 2 }).await });
    let raced = || futures::executor::block_on(race((async { 1 }, for_ever())));
    for panic in [panic_of(gathered), panic_of(raced)] {
        assert!(panic.contains("a combinator needs a runtime"), "{panic}");
    }
}

#[test]
fn spurious_polls_change_nothing() {
    test_run(async {
        let mut gathered = Box::pin(gather!(secs(1), secs(2)));
        let mut left = 5;
        let spurious = poll_fn(|cx| {
            left -= 1;
            assert!(gathered.as_mut().poll(cx).is_pending());
            cx.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        spurious.await;
        gathered.await;
        assert_eq!(seconds(), 2);
    });
}

#[test]
fn a_run_that_went_on_after_a_branch_which_attached_and_ended_does_not_pass_over_a_light_one_before_it() {
    let cleaned_up = async {
        drop(defer(async {})); // attaches, and has ended with its poll
        2
    };
    let slow = async {
        yield_now().await;
        1
    };
    let values = test_run(async { gather!(slow, cleaned_up, async { 3 }).await });
    assert_eq!(values, (1, 2, 3));
}
