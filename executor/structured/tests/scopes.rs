//! Cancel scopes: the rule, catching, observing, tokens.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use handcar_structured::{
    AbortHandle, CancelKind, CancelReason, CancelScope, cancellable, cancelled, defer, is_cancelled, move_on_after,
    scope_of, shield, sleep, spawn, timeout, yield_now,
};

mod common;
use common::{Log, cancel_after, for_ever, notes_drop, s, seconds, secs, test_run, watchdog};

#[test]
fn a_scope_that_is_not_cancelled_returns_the_value() {
    test_run(async {
        let scope = CancelScope::new();
        assert_eq!(scope.run(async { 7 }).await.unwrap(), 7);
        assert!(!scope.cancel_called() && !scope.cancelled_caught());
        assert!(!scope.cancel(), "it has ended");
        assert!(!scope.cancel_called());
    });
}

#[test]
fn a_cancelled_scope_drops_its_body_and_says_so() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(3, &scope);
        let result = scope
            .run(async {
                let _guard = notes_drop(&log, "dropped");
                for_ever().await;
                log.note("never");
            })
            .await;
        assert_eq!(seconds(), 3);
        assert!(matches!(result.unwrap_err().reason().kind(), CancelKind::Explicit));
        assert!(scope.cancel_called() && scope.cancelled_caught());
        assert_eq!(log.take(), ["dropped"]);
    });
}

#[test]
fn cancelling_twice_keeps_the_first_reason() {
    test_run(async {
        let scope = CancelScope::new();
        assert!(scope.cancel_with(CancelReason::with_message("first")));
        assert!(!scope.cancel_with(CancelReason::with_message("second")));
        let error = scope.run(for_ever()).await.unwrap_err();
        assert_eq!(error.reason().message(), Some("first"));
        assert!(error.to_string().contains("scopes.rs"), "{error}");
    });
}

#[test]
fn a_scope_cancelled_before_its_use_polls_its_body_once() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        scope.cancel();
        let result = scope
            .run(async {
                log.note("polled");
                yield_now().await;
                log.note("never");
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["polled"]);

        let scope = CancelScope::new();
        scope.cancel();
        assert_eq!(scope.run(async { 7 }).await.unwrap(), 7, "a value counts");
        assert!(scope.cancel_called() && !scope.cancelled_caught());
    });
}

#[test]
#[should_panic(expected = "a cancel scope runs one body only")]
fn a_scope_runs_once() {
    test_run(async {
        let scope = CancelScope::new();
        let _ = scope.run(async {}).await;
        let _ = scope.run(async {}).await;
    });
}

#[test]
fn cancelling_oneself_takes_effect_at_the_next_suspension() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        let own = scope.clone();
        let result = scope
            .run(async {
                own.cancel();
                assert!(is_cancelled());
                log.note("still here");
                yield_now().await;
                log.note("never");
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["still here"]);
    });
}

#[test]
fn a_timeout_in_a_task_that_has_cancelled_itself_leaves_the_report_to_the_task() {
    let log = Log::new();
    test_run(async {
        // Without a node; with one; and with another between the task and the timeout.
        for case in 0..3 {
            let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
            let (handle, inside) = (Rc::clone(&own), log.clone());
            let task = spawn(async move {
                let _guard = (case > 0).then(|| defer(async {}));
                yield_now().await;
                assert!(handle.take().unwrap().cancel());
                let expired = async {
                    let _guard = (case > 1).then(|| defer(async {}));
                    timeout(Duration::ZERO, for_ever()).await
                };
                let _ = timeout(s(1), expired).await;
                inside.note(case);
            });
            *own.borrow_mut() = Some(task.abort_handle());
            assert!(task.await.is_err());
        }
    });
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn a_cancel_in_the_last_step_leaves_the_value() {
    test_run(async {
        let scope = CancelScope::new();
        let own = scope.clone();
        let result = scope.run(async {
            yield_now().await;
            own.cancel();
            7
        });
        assert_eq!(result.await.unwrap(), 7);
        assert!(scope.cancel_called() && !scope.cancelled_caught());
    });
}

#[test]
fn of_an_outer_and_an_inner_scope_cancelled_together_the_outer_reports() {
    test_run(async {
        let log = Log::new();
        let (outer, inner) = (CancelScope::new(), CancelScope::new());
        let (to_cancel, to_cancel_too) = (outer.clone(), inner.clone());
        spawn(async move {
            to_cancel_too.cancel();
            to_cancel.cancel();
        })
        .detach();
        let result = outer
            .run(async {
                let _ = inner.run(for_ever()).await;
                log.note("the inner one reported");
            })
            .await;
        assert!(result.is_err());
        assert!(inner.cancel_called() && !inner.cancelled_caught());
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn cancellable_drops_only_its_future() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let result = scope
            .run(async {
                let caught = cancellable(async {
                    let _guard = notes_drop(&log, "inner dropped");
                    for_ever().await;
                })
                .await;
                log.note(format_args!("caught: {}", caught.is_err()));
                yield_now().await;
                log.note("never");
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["inner dropped", "caught: true"]);
    });
}

#[test]
fn a_loop_around_cancellable_ends() {
    test_run(async {
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let mut caught = 0;
        let result = scope
            .run(async {
                loop {
                    if cancellable(for_ever()).await.is_err() {
                        caught += 1;
                    }
                }
            })
            .await;
        assert!(result.is_err());
        assert_eq!(caught, 1, "the second one begins under the cancel, and is transparent");
    });
}

#[test]
fn nested_cancellables_catch_innermost_first() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let result = scope
            .run(async {
                let outer = cancellable(async {
                    let inner = cancellable(for_ever()).await;
                    log.note(format_args!("inner: {}", inner.is_err()));
                    yield_now().await;
                    log.note("never");
                });
                log.note(format_args!("outer: {}", outer.await.is_err()));
                7
            })
            .await;
        assert_eq!(result.unwrap(), 7, "the body completed");
        assert_eq!(log.take(), ["inner: true", "outer: true"]);
    });
}

#[test]
fn cancellable_awaits_the_cleanups_of_its_future_even_under_an_outer_cancel() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(1, &scope);
        let result = scope
            .run(async {
                let in_cleanup = log.clone();
                let caught = cancellable(async move {
                    let _guard = defer(async move {
                        secs(2).await;
                        in_cleanup.at("cleanup");
                    });
                    for_ever().await;
                });
                assert!(caught.await.is_err());
                log.at("caught");
            })
            .await;
        assert!(result.is_ok());
        assert_eq!(log.take(), ["3 cleanup", "3 caught"]);
    });
}

#[test]
fn cancelled_observes_and_the_code_after_it_runs() {
    test_run(async {
        let log = Log::new();
        let scope = CancelScope::new();
        cancel_after(2, &scope);
        let watching = log.clone();
        let result = scope
            .run(async {
                futures::join!(
                    async {
                        let reason = cancelled().await;
                        watching.at(matches!(reason.kind(), CancelKind::Explicit));
                    },
                    for_ever(),
                );
            })
            .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["2 true"]);
    });
}

#[test]
fn an_observer_in_an_inner_scope_hears_of_the_outer_cancel_with_its_cause() {
    test_run(async {
        let (outer, inner) = (CancelScope::new(), CancelScope::new());
        let seen = Rc::new(RefCell::new(None));
        let see = Rc::clone(&seen);
        cancel_after(1, &outer);
        let result = outer.run(async { inner.run(async { *see.borrow_mut() = Some(cancelled().await) }).await }).await;
        // The inner body completed, so did the outer one.
        assert!(result.unwrap().is_ok());
        let reason = seen.take().unwrap();
        assert!(matches!(reason.kind(), CancelKind::Parent(_)));
        assert!(matches!(reason.root().kind(), CancelKind::Explicit));
    });
}

#[test]
fn two_scopes_may_be_dropped_out_of_order() {
    test_run(async {
        let log = Log::new();
        let (first, second) = (CancelScope::new(), CancelScope::new());
        let mut a = Box::pin(first.run(async {
            let _guard = notes_drop(&log, "a");
            for_ever().await;
        }));
        let mut b = Box::pin(second.run(async {
            let _guard = notes_drop(&log, "b");
            for_ever().await;
        }));
        poll_fn(|cx| {
            assert!(a.as_mut().poll(cx).is_pending());
            assert!(b.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(a);
        log.note("between");
        drop(b);
        assert_eq!(log.take(), ["a", "between", "b"]);
    });
}

#[test]
fn a_scope_carried_to_another_parent_belongs_there() {
    test_run(async {
        let inner = CancelScope::new();
        let mut carried = Some(Box::pin(inner.run(async {
            let _ = cancellable(secs(10)).await;
            seconds()
        })));
        let first = CancelScope::new();
        // Polled in one scope, taken out of it before that is cancelled, and polled on in another.
        let cell = &mut carried;
        let _ = first
            .run(async {
                let future = cell.as_mut().unwrap();
                let _ = futures::future::select(future, Box::pin(secs(1))).await;
            })
            .await;
        first.cancel();
        let second = CancelScope::new();
        cancel_after(2, &second);
        let seen = second.run(carried.take().unwrap()).await;
        assert_eq!(seen.unwrap().unwrap(), 3, "cancelled with the second one, caught, and then it completed");
    });
}

#[test]
fn an_observer_in_a_scope_carried_into_a_cancelled_one_hears_of_it() {
    let log = Log::new();
    test_run(async {
        let body = async {
            // Polls only those that were woken.
            let mut observers = FuturesUnordered::from_iter([cancelled()]);
            observers.next().await;
            log.note("heard");
            for_ever().await;
        };
        let mut carried = Box::pin(scope_of(body));
        assert!(futures::poll!(carried.as_mut()).is_pending());
        let outer = CancelScope::new();
        let beside_a_shield = async {
            outer.cancel();
            futures::join!(carried, shield(secs(1)))
        };
        assert!(outer.run(beside_a_shield).await.is_err());
    });
    assert_eq!(log.take(), ["heard"]);
}

#[test]
fn a_scope_polled_by_reference_survives_a_timeout_around_the_reference() {
    test_run(async {
        for heavy in [false, true] {
            let start = seconds();
            let mut inner = Box::pin(timeout(s(60), async {
                let _guard = heavy.then(|| defer(async {}));
                secs(3).await;
                7
            }));
            assert!(timeout(s(1), &mut inner).await.is_err());
            assert_eq!(inner.await, Ok(7));
            assert_eq!(seconds() - start, 3);
        }
    });
}

#[test]
fn a_token_cancels_from_another_thread() {
    let _dog = watchdog();
    handcar_structured::run(async {
        let scope = CancelScope::new();
        let token = scope.token();
        std::thread::spawn(move || token.cancel_with(CancelReason::with_message("from afar")));
        let error = scope.run(for_ever()).await.unwrap_err();
        assert_eq!(error.reason().message(), Some("from afar"));
    });
}

#[test]
fn a_token_taken_while_the_body_runs_works_and_so_does_its_guard() {
    test_run(async {
        let scope = CancelScope::new();
        let own = scope.clone();
        let result = scope
            .run(async {
                yield_now().await;
                let guard = own.token().drop_guard();
                secs(1).await;
                drop(guard);
                for_ever().await;
            })
            .await;
        assert!(result.is_err());
        let scope = CancelScope::new();
        let token = scope.token().drop_guard().disarm();
        assert!(!token.is_cancelled());
        assert!(scope.run(async {}).await.is_ok());
    });
}

#[test]
fn a_panic_in_the_body_goes_on_after_the_cleanups() {
    test_run(async {
        let log = Log::new();
        let in_cleanup = log.clone();
        let scope = CancelScope::new();
        let body = scope.run(async move {
            let _guard = defer(async move {
                secs(1).await;
                in_cleanup.note("cleanup");
            });
            yield_now().await;
            panic!("oh");
        });
        let panic = AssertUnwindSafe(body).catch_unwind().await.unwrap_err();
        assert_eq!(common::text(&*panic), "oh");
        assert_eq!(log.take(), ["cleanup"]);
    });
}

#[test]
fn twenty_thousand_nested_scopes_are_cancelled_in_linear_time() {
    test_run(async {
        // Each level is a task of its own, so that only the tree is deep, not the stack.
        fn nest(levels: u32) -> futures::future::LocalBoxFuture<'static, ()> {
            async move {
                let _guard = defer(async {});
                if levels == 0 {
                    for_ever().await;
                }
                let _ = spawn(nest(levels - 1)).await;
            }
            .boxed_local()
        }
        let task = spawn(nest(20_000));
        sleep(Duration::from_secs(1)).await;
        assert!(task.cancel_and_wait().await.is_err());
        secs(1).await;
    });
}

#[test]
fn move_on_after_returns_nothing_in_time_and_the_value_before_it() {
    test_run(async {
        assert_eq!(move_on_after(s(1), for_ever()).await, None);
        assert_eq!(move_on_after(s(1), async { 7 }).await, Some(7));
        assert_eq!(seconds(), 1);
    });
}
