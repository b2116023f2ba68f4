//! Task groups.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::FutureExt;
use handcar_structured::{
    CancelKind, CancelScope, GroupError, TaskEnd, TaskGroup, cancelled, defer, effective_deadline, shield, spawn,
    task_group, timeout, yield_now,
};

mod common;
use common::{
    Log, OnDrop, Reports, for_ever, notes_drop, panic_of, panics, s, seconds, secs, simulated, slow, test_run, text,
    watchdog,
};

type Boxed = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn two_children_finish_and_the_group_waits() {
    test_run(async {
        let log = Log::new();
        let result: Result<_, GroupError<String>> = task_group(async |g| {
            for n in [2, 1] {
                let log = log.clone();
                g.spawn(async move {
                    secs(n).await;
                    log.at(n);
                    Ok(())
                });
            }
            log.at("body");
            Ok("value")
        })
        .await;
        assert_eq!(result.unwrap(), "value");
        assert_eq!(log.take(), ["0 body", "1 1", "2 2"]);
    });
}

#[test]
fn an_empty_group_returns_at_once() {
    test_run(async {
        let result = task_group(async |_: TaskGroup<String>| Ok(7)).await;
        assert_eq!(result.unwrap(), 7);
    });
}

#[test]
fn a_child_may_be_spawned_after_the_body_slept_and_by_a_child_after_the_body_ended() {
    test_run(async {
        let log = Log::new();
        task_group(async |g| {
            secs(1).await;
            let (inner, in_child) = (g.clone(), log.clone());
            g.spawn(async move {
                secs(1).await;
                let in_grandchild = in_child.clone();
                inner.spawn(async move {
                    secs(1).await;
                    in_grandchild.at("grandchild");
                    Ok(())
                });
                in_child.at("child");
                Ok::<_, String>(())
            });
            log.at("body");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["1 body", "2 child", "3 grandchild"]);
    });
}

#[test]
fn a_failing_child_cancels_its_siblings_whose_cleanups_end_before_the_group_returns() {
    test_run(async {
        let log = Log::new();
        let error = task_group(async |g| {
            let in_sibling = log.clone();
            g.spawn(async move {
                let _guard = slow(&in_sibling, "cleanup of the sibling");
                for_ever().await;
                Ok(())
            });
            g.spawn(async {
                secs(1).await;
                Err::<(), _>("failed")
            });
            for_ever().await;
            log.note("never");
            Ok(())
        })
        .await
        .unwrap_err();
        log.at("returned");
        assert_eq!(error.flatten(), ["failed"]);
        assert_eq!(log.take(), ["2 cleanup of the sibling", "2 returned"]);
    });
}

#[test]
fn handles_return_values_also_after_the_end() {
    test_run(async {
        let mut handles = task_group(async |g| {
            let handles: Vec<_> = (0..3).map(|n| g.spawn(async move { Ok::<_, String>(n * n) })).collect();
            Ok(handles)
        })
        .await
        .unwrap();
        let values: Vec<_> = handles.iter_mut().map(|handle| handle.result().unwrap().unwrap()).collect();
        assert_eq!(values, [0, 1, 4]);
        assert!(handles[0].result().is_none(), "once");
    });
}

#[test]
fn an_owner_cancelled_while_its_group_waits_is_cancelled_after_the_children() {
    test_run(async {
        let log = Log::new();
        for body_waits in [false, true] {
            let scope = CancelScope::new();
            let canceller = scope.clone();
            spawn(async move {
                secs(1).await;
                canceller.cancel();
            })
            .detach();
            let result = scope
                .run(async {
                    let _ = task_group(async |g| {
                        let in_child = log.clone();
                        g.spawn(async move {
                            let _guard = slow(&in_child, "cleanup");
                            for_ever().await;
                            Ok::<_, String>(())
                        });
                        if body_waits {
                            for_ever().await;
                        }
                        Ok(())
                    })
                    .await;
                    log.note("never");
                })
                .await;
            assert!(result.is_err());
            log.at("out");
        }
        assert_eq!(log.take(), ["2 cleanup", "2 out", "4 cleanup", "4 out"]);
    });
}

#[test]
fn an_outer_cancel_wins_over_errors_which_are_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let result = timeout(s(1), async {
            let _: Result<(), GroupError<&str>> = task_group(async |g| {
                g.spawn(async {
                    shield(secs(2)).await;
                    Err::<(), _>("late")
                });
                Ok(())
            })
            .await;
            panic!("the group must not return");
        });
        assert!(result.await.is_err());
        assert_eq!(seconds(), 2);
    });
    let reported = reports.take();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("cancelled from outside") && reported[0].ends_with("late"), "{reported:?}");
}

#[test]
fn a_group_cancelled_from_inside_whose_outer_timeout_fires_while_it_drains_leaves_the_report_to_that() {
    test_run(async {
        let log = Log::new();
        let result = timeout(s(2), async {
            let _ = task_group(async |g: TaskGroup<String>| {
                let in_child = log.clone();
                g.spawn(async move {
                    let _guard = defer(async move {
                        secs(4).await;
                        in_child.at("cleanup");
                    });
                    for_ever().await;
                    Ok(())
                });
                secs(1).await;
                g.cancel();
                Ok(())
            })
            .await;
            log.note("never");
        });
        // The child was cut by the group itself, and the body has a value: so that counts.
        let _ = result.await;
        assert_eq!(log.take()[0], "5 cleanup");
    });
}

#[test]
fn an_outer_timeout_cuts_children_although_the_body_had_returned() {
    test_run(async {
        let result = timeout(s(1), async {
            let _ = task_group(async |g| {
                g.spawn(async {
                    for_ever().await;
                    Ok::<_, String>(())
                });
                Ok(())
            })
            .await;
            panic!("the group must not return");
        });
        assert!(result.await.is_err());
        assert_eq!(seconds(), 1);
    });
}

#[test]
fn of_equal_deadlines_across_two_tasks_the_outer_one_reports() {
    test_run(async {
        for child_first in [false, true] {
            let log = Log::new();
            let in_child = log.clone();
            let deadline = handcar_structured::Instant::now() + s(2);
            let result = timeout(s(2), async {
                if !child_first {
                    yield_now().await;
                }
                let _ = task_group(async |g| {
                    g.spawn(async move {
                        assert_eq!(effective_deadline(), deadline);
                        let _ = handcar_structured::timeout_at(deadline, for_ever()).await;
                        in_child.note("the inner one reported");
                        Ok::<_, String>(())
                    });
                    Ok(())
                })
                .await;
            });
            assert!(result.await.is_err());
            assert_eq!(log.take(), [""; 0]);
        }
    });
}

#[test]
fn cancelling_a_group_keeps_the_bodys_value_and_else_says_so() {
    test_run(async {
        let value = task_group(async |g: TaskGroup<String>| {
            g.spawn(async {
                for_ever().await;
                Ok(())
            });
            g.cancel();
            Ok(7)
        });
        assert_eq!(value.await.unwrap(), 7);
        let error = task_group(async |g: TaskGroup<String>| {
            g.cancel();
            for_ever().await;
            Ok(7)
        })
        .await
        .unwrap_err();
        assert!(error.first().is_none());
        assert!(matches!(error.cancelled().unwrap().kind(), CancelKind::Explicit));
        assert!(error.to_string().contains("cancelled at"), "{error}");
    });
}

#[test]
fn a_child_may_cancel_its_own_group_before_its_first_suspension() {
    test_run(async {
        let log = Log::new();
        let result = task_group(async |g: TaskGroup<String>| {
            let (own, in_child) = (g.clone(), log.clone());
            g.spawn(async move {
                own.cancel();
                in_child.note("still here");
                yield_now().await;
                yield_now().await;
                in_child.note("never");
                Ok(())
            });
            for_ever().await;
            Ok(())
        })
        .await;
        assert!(result.is_err());
        assert_eq!(log.take(), ["still here"]);
    });
}

#[test]
fn spawning_into_a_cancelled_group_is_accepted_and_never_polled() {
    test_run(async {
        let mut handle = None;
        let _ = task_group(async |g: TaskGroup<String>| {
            g.cancel();
            handle = Some(g.spawn(async { panic!("never polled") }));
            Ok::<(), _>(())
        })
        .await;
        let result: Option<Result<(), _>> = handle.unwrap().result();
        assert!(matches!(result, Some(Err(TaskEnd::Cancelled(_)))));
    });
}

#[test]
fn spawning_into_a_closed_group_panics_and_try_spawn_gives_the_future_back() {
    test_run(async {
        let mut kept = None;
        task_group(async |g: TaskGroup<String>| {
            kept = Some(g.clone());
            Ok(())
        })
        .await
        .unwrap();
        let group = kept.unwrap();
        assert!(group.try_spawn(async { Ok(()) }).is_err());
        assert!(panic_of(|| group.spawn(async { Ok(()) })).contains("a group that has ended"));
    });
}

#[test]
fn nested_groups_fail_from_the_inside_out() {
    test_run(async {
        let error = task_group(async |g| {
            g.spawn(async {
                task_group(async |inner| {
                    inner.spawn(async { Err::<(), Boxed>("deep".into()) });
                    for_ever().await;
                    Ok(())
                })
                .await?;
                Ok(())
            });
            for_ever().await;
            Ok::<(), Boxed>(())
        })
        .await
        .unwrap_err();
        let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].starts_with("1 error in the group at "));
        assert!(lines[1].starts_with("`- task #") && lines[1].contains("groups.rs"), "{error}");
        assert!(lines[2].starts_with("   `- task #") && lines[2].ends_with(": deep"), "{error}");
        assert_eq!(error.first().unwrap().to_string(), "deep");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "deep");
    });
}

#[test]
fn an_outer_failure_cancels_a_waiting_inner_group_five_levels_deep() {
    fn nest(level: u32, log: Log) -> Pin<Box<dyn Future<Output = Result<(), String>>>> {
        Box::pin(async move {
            let _guard = defer({
                let log = log.clone();
                async move { log.note(level) }
            });
            let result = task_group(async |g| {
                if level < 5 {
                    g.spawn(nest(level + 1, log));
                }
                for_ever().await;
                Ok::<(), String>(())
            });
            result.await.map_err(|error| error.to_string())
        })
    }
    test_run(async {
        let log = Log::new();
        let error = task_group(async |g| {
            g.spawn(nest(1, log.clone()));
            secs(1).await;
            Err::<(), _>("outer".to_owned())
        })
        .await
        .unwrap_err();
        assert_eq!(error.flatten(), ["outer"]);
        assert_eq!(log.take(), ["5", "4", "3", "2", "1"]);
    });
}

#[test]
fn a_child_that_panics_takes_the_group_along_after_the_siblings_cleanups() {
    test_run(async {
        let log = Log::new();
        let group = task_group(async |g| {
            let in_child = log.clone();
            g.spawn(async move {
                let _guard = slow(&in_child, "cleanup");
                for_ever().await;
                Ok::<(), String>(())
            });
            g.spawn(async {
                yield_now().await;
                panics()
            });
            for_ever().await;
            Ok::<(), String>(())
        });
        let panic = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "oh");
        assert_eq!(log.take(), ["1 cleanup"]);
    });
}

#[test]
fn a_dropped_group_cancels_its_children_which_end_by_themselves_and_are_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    let log = Log::new();
    reports.builder().build().unwrap().block_on(async {
        let group = task_group(async |g| {
            let in_child = log.clone();
            g.spawn(async move {
                let _guard = slow(&in_child, "cleanup");
                shield(yield_now()).await;
                Err::<(), _>("nobody waits")
            });
            for_ever().await;
            Ok(())
        });
        futures::future::select(Box::pin(group), Box::pin(yield_now())).await;
        log.at("dropped");
        secs(2).await;
    });
    assert_eq!(log.take(), ["0 dropped", "1 cleanup"]);
    let reported = reports.take();
    assert!(reported.len() == 1 && reported[0].ends_with("nobody waits"), "{reported:?}");
}

#[test]
fn a_child_may_drop_its_own_group() {
    test_run(async {
        type Group = Pin<Box<dyn Future<Output = Result<(), GroupError<String>>>>>;
        let place: Rc<RefCell<Option<Group>>> = Rc::default();
        let log = Log::new();
        let (in_child, at_drop) = (Rc::clone(&place), log.clone());
        let group = task_group(async move |g| {
            g.spawn(async move {
                let _guard = notes_drop(&at_drop, "child dropped");
                drop(in_child.take());
                at_drop.note("still here");
                for_ever().await;
                Ok(())
            });
            for_ever().await;
            Ok(())
        });
        *place.borrow_mut() = Some(Box::pin(group));
        std::future::poll_fn(|cx| {
            assert!(place.borrow_mut().as_mut().unwrap().as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        secs(1).await;
        assert_eq!(log.take(), ["still here", "child dropped"]);
    });
}

#[test]
fn an_accept_loop_whose_children_drain() {
    test_run(async {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            async move {
                task_group(async |g| {
                    for n in 0..3 {
                        let log = log.clone();
                        g.spawn(async move {
                            let reason = cancelled().await;
                            log.note(format_args!("{n}: {}", matches!(reason.root().kind(), CancelKind::Explicit)));
                            Ok::<_, String>(())
                        });
                        secs(1).await;
                    }
                    for_ever().await;
                    Ok(())
                })
                .await
            }
        });
        secs(5).await;
        assert!(task.cancel_and_wait().await.is_err());
        assert_eq!(log.take(), ["0: true", "1: true", "2: true"]);
    });
}

#[test]
fn spawn_and_group_inside_a_cleanup_at_shutdown_work() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_task = log.clone();
    runtime.block_on(async move {
        spawn(async move {
            let _guard = defer(async move {
                let sum = task_group(async |g: TaskGroup<String>| {
                    let (a, b) = (
                        g.spawn(async {
                            secs(1).await;
                            Ok(40)
                        }),
                        g.spawn(async { Ok(2) }),
                    );
                    Ok(a.await.unwrap() + b.await.unwrap())
                });
                in_task.note(sum.await.unwrap());
            });
            for_ever().await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(log.take(), ["42"]);
}

#[test]
fn a_long_open_group_keeps_nothing_of_children_that_ended() {
    test_run(async {
        let living = Rc::new(Cell::new(0_i64));
        let most = Rc::new(Cell::new(0));
        task_group(async |g| {
            for _ in 0..200_000 {
                living.set(living.get() + 1);
                most.set(most.get().max(living.get()));
                let token = OnDrop::new({
                    let living = Rc::clone(&living);
                    move || living.set(living.get() - 1)
                });
                g.spawn(async move {
                    let _token = token;
                    Ok::<_, String>(())
                });
                if g.len() >= 100 {
                    yield_now().await;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(living.get(), 0);
        assert!(most.get() <= 300, "{}", most.get());
    });
}

#[test]
fn twenty_thousand_nested_groups_are_cancelled_without_recursion() {
    fn nest(levels: u32) -> Pin<Box<dyn Future<Output = Result<(), String>>>> {
        Box::pin(async move {
            let result = task_group(async |g| {
                if levels > 0 {
                    g.spawn(nest(levels - 1));
                }
                for_ever().await;
                Ok::<(), String>(())
            });
            result.await.map_err(|_| "a level".to_owned())
        })
    }
    test_run(async {
        let task = spawn(nest(20_000));
        secs(1).await;
        assert!(task.cancel_and_wait().await.is_err());
        assert_eq!(seconds(), 1);
    });
}

#[test]
fn a_group_parked_in_its_drain_and_cancelled_again_stays_what_it_is() {
    test_run(async {
        let log = Log::new();
        let error = task_group(async |g| {
            let in_child = log.clone();
            g.spawn(async move {
                let _guard = defer(async move {
                    secs(3).await;
                    in_child.at("cleanup");
                });
                for_ever().await;
                Ok(())
            });
            let again = g.clone();
            g.spawn(async move {
                yield_now().await;
                Err::<(), _>("failed")
            });
            spawn(async move {
                secs(1).await;
                assert!(!again.cancel());
            })
            .detach();
            Ok(())
        })
        .await
        .unwrap_err();
        assert_eq!(error.flatten(), ["failed"]);
        assert_eq!(log.take(), ["3 cleanup"]);
    });
}

#[test]
fn a_group_polled_by_reference_under_a_timeout_says_afterwards_that_it_was_cancelled() {
    test_run(async {
        let kept = Cell::new(None);
        let group = task_group(async |g| {
            kept.set(Some(g.clone()));
            g.spawn(async {
                for_ever().await;
                Ok::<_, String>(())
            });
            Ok(())
        });
        let mut group = pin!(group);
        assert!(timeout(s(1), group.as_mut()).await.is_err());
        let late = kept.take().unwrap().spawn(async { Ok(()) }); // never polled, and waited for
        let error = timeout(s(1), group).await.expect("it has ended").unwrap_err();
        assert!(late.is_finished());
        assert!(error.first().is_none());
        assert!(matches!(error.cancelled().unwrap().root().kind(), CancelKind::Deadline));
    });
}
