//! Groups and scopes with a limit, names, and the other settings of the builder.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use handcar_structured::{
    GroupError, OnChildPanic, OnError, TaskEnd, TaskGroup, defer, scope_of, shield, task_group, timeout, yield_now,
};

mod common;
use common::{Log, Reports, for_ever, notes_drop, panic_of, s, seconds, secs, test_run, watchdog};

#[test]
fn as_many_as_the_limit_run_and_the_others_come_in_order() {
    test_run(async {
        let log = Log::new();
        TaskGroup::builder()
            .limit(2)
            .run(async |g| {
                for n in 0..5 {
                    let log = log.clone();
                    g.spawn(async move {
                        log.at(n);
                        secs(1).await;
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(log.take(), ["0 0", "0 1", "1 2", "1 3", "2 4"]);
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn a_limit_of_one_is_one_after_the_other() {
    test_run(async {
        let (running, order) = (Cell::new(0), RefCell::new(Vec::new()));
        TaskGroup::builder()
            .limit(1)
            .scope(async |s| {
                for n in 0..100 {
                    let (running, order) = (&running, &order);
                    s.spawn(async move {
                        assert_eq!(running.replace(1), 0);
                        yield_now().await;
                        running.set(0);
                        order.borrow_mut().push(n);
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(order.take(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_newcomer_does_not_overtake_those_who_wait() {
    test_run(async {
        let log = Log::new();
        TaskGroup::builder()
            .limit(1)
            .run(async |g| {
                for n in 0..3 {
                    let (log, inner) = (log.clone(), g.clone());
                    g.spawn(async move {
                        log.note(n);
                        let in_late = log.clone();
                        inner.spawn(async move {
                            in_late.note(n + 10);
                            Ok(())
                        });
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(log.take(), ["0", "1", "2", "10", "11", "12"]);
    });
}

#[test]
fn what_waits_at_the_gate_is_never_polled_once_the_group_is_cancelled() {
    test_run(async {
        let log = Log::new();
        let mut waiting = Vec::new();
        let error = TaskGroup::builder()
            .limit(1)
            .run(async |g| {
                g.spawn(async {
                    secs(1).await;
                    Err::<(), _>("failed")
                });
                for _ in 0..3 {
                    let guard = notes_drop(&log, "captures dropped");
                    waiting.push(g.spawn(async move {
                        let _guard = guard;
                        panic!("never polled")
                    }));
                }
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.flatten(), ["failed"]);
        assert_eq!(log.take().len(), 3);
        for mut handle in waiting {
            assert!(matches!(handle.result(), Some(Err::<(), _>(TaskEnd::Cancelled(_)))));
        }
    });
}

#[test]
fn one_that_waits_and_is_cancelled_by_hand_leaves_its_place_to_the_next() {
    test_run(async {
        let log = Log::new();
        TaskGroup::builder()
            .limit(1)
            .run(async |g| {
                let handles: Vec<_> = (0..4)
                    .map(|n| {
                        let log = log.clone();
                        g.spawn(async move {
                            log.at(n);
                            secs(1).await;
                            Ok::<_, String>(())
                        })
                    })
                    .collect();
                yield_now().await;
                handles[1].cancel();
                // Those that stand at the gate and those that were let in: the second is cancelled as its turn comes.
                secs(1).await;
                handles[2].cancel();
                Ok(())
            })
            .await
            .unwrap();
        let noted = log.take();
        assert!(noted == ["0 0", "1 2", "1 3"] || noted == ["0 0", "1 3"], "{noted:?}");
    });
}

#[test]
fn a_child_let_in_and_cancelled_before_it_began_hands_its_place_on() {
    test_run(async {
        let ran = Rc::new(Cell::new(0));
        for nth in 1..4 {
            ran.set(0);
            TaskGroup::builder()
                .limit(1)
                .run(async |g| {
                    let handles: Vec<_> = (0..4)
                        .map(|n| {
                            let ran = Rc::clone(&ran);
                            g.spawn(async move {
                                ran.set(ran.get() + 1);
                                if n == 0 {
                                    yield_now().await;
                                }
                                Ok::<_, String>(())
                            })
                        })
                        .collect();
                    // In the very turn in which the first one ends, the second has been let in and not been polled.
                    for _ in 0..nth {
                        yield_now().await;
                    }
                    handles[1].cancel();
                    Ok(())
                })
                .await
                .unwrap();
            assert!((3..=4).contains(&ran.get()), "{nth}: {}", ran.get());
        }
    });
}

#[test]
fn ten_thousand_behind_a_gate_all_come() {
    test_run(async {
        let (running, most, all) = (Cell::new(0), Cell::new(0), Cell::new(0));
        TaskGroup::builder()
            .limit(7)
            .scope(async |s| {
                for n in 0..10_000 {
                    let (running, most, all) = (&running, &most, &all);
                    s.spawn(async move {
                        running.set(running.get() + 1);
                        most.set(most.get().max(running.get()));
                        for _ in 0..n % 3 {
                            yield_now().await;
                        }
                        running.set(running.get() - 1);
                        all.set(all.get() + 1);
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!((most.get(), all.get(), running.get()), (7, 10_000, 0));
    });
}

#[test]
fn a_scope_dropped_at_any_poll_with_children_at_the_gate_drops_each_once() {
    test_run(async {
        for polls in 0..12 {
            let dropped = Cell::new(0);
            let mut scoped = Box::pin(TaskGroup::builder().limit(2).scope(async |s| {
                for n in 0..6 {
                    let guard = common::OnDrop::new(|| dropped.set(dropped.get() + 1));
                    s.spawn(async move {
                        let _guard = guard;
                        for _ in 0..n {
                            yield_now().await;
                        }
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            }));
            let mut is_begun = false;
            for _ in 0..polls {
                is_begun = true;
                if futures::poll!(scoped.as_mut()).is_ready() {
                    break;
                }
                yield_now().await;
            }
            drop(scoped);
            assert_eq!(dropped.get(), if is_begun { 6 } else { 0 }, "{polls}");
        }
    });
}

#[test]
fn a_limit_of_zero_is_refused() {
    assert!(panic_of(|| TaskGroup::builder().limit(0)).contains("allow at least one"));
}

#[test]
fn children_have_names_numbered_or_their_own() {
    test_run(async {
        let error = TaskGroup::builder()
            .name("fetch")
            .on_error(OnError::Continue)
            .scope(async |s| {
                s.spawn(async { Err::<(), _>("first".to_owned()) });
                s.spawn_named("own", async { Err::<(), _>("second".to_owned()) });
                let third = s.spawn(async { Err::<(), _>("third".to_owned()) });
                assert_eq!(third.name(), Some("fetch/1"));
                assert_eq!(third.spawned_at().line(), line!() - 2);
                Ok(())
            })
            .await
            .unwrap_err();
        let names: Vec<_> = error.iter().map(|leaf| leaf.task.unwrap().name.clone().unwrap()).collect();
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["fetch/0", "own", "fetch/1"]);
        assert_eq!(error.flatten(), ["first", "second", "third"]);
    });
}

#[test]
fn a_task_knows_the_name_it_was_given_in_a_scope_too() {
    test_run(async {
        let name = || handcar_executor::current_task().unwrap().name.as_deref().map(str::to_owned);
        let names = TaskGroup::builder().name("work").scope(async |s| {
            let child = s.spawn(async {
                let before = name();
                yield_now().await;
                assert_eq!(before, name());
                Ok::<_, String>(before)
            });
            Ok((name(), child.await.unwrap()))
        });
        let (body, child) = names.await.unwrap();
        assert_eq!((body.as_deref(), child.as_deref()), (Some("main"), Some("work/0")));
    });
}

#[test]
fn a_scope_collects_panics_and_runs_on_if_it_is_told_to() {
    test_run(async {
        let error = TaskGroup::builder()
            .on_error(OnError::Continue)
            .on_panic(OnChildPanic::Collect)
            .scope(async |s| {
                s.spawn(async { Err::<(), _>("error".to_owned()) });
                s.spawn(async {
                    yield_now().await;
                    assert!(seconds() != 0, "panic");
                    Ok(())
                });
                s.spawn(async {
                    secs(1).await;
                    Err::<(), _>("late".to_owned())
                });
                Ok(())
            })
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("panicked: panic") && error.iter().count() == 3, "{text}");
        assert_eq!(error.flatten(), ["error", "late"]);
    });
}

#[test]
fn a_group_and_a_scope_have_grace_periods_of_their_own() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let hangs = || async {
            shield(for_ever()).await;
            Ok::<(), String>(())
        };
        let group = TaskGroup::builder().grace(Duration::from_secs(1)).run(async |g| {
            g.spawn(hangs());
            yield_now().await;
            g.cancel();
            Ok(())
        });
        group.await.unwrap();
        assert_eq!(seconds(), 1);
        let scoped = TaskGroup::builder().grace(Duration::from_secs(2)).scope(async |s| {
            s.spawn(hangs());
            yield_now().await;
            s.cancel();
            Ok(())
        });
        scoped.await.unwrap();
        assert_eq!(seconds(), 3);
        let unbounded = TaskGroup::builder().grace(None).run(async |g| {
            g.spawn(async {
                shield(secs(100)).await;
                Ok::<(), String>(())
            });
            secs(1).await;
            g.cancel();
            Ok(())
        });
        unbounded.await.unwrap();
        assert_eq!(seconds(), 103);
    });
    assert_eq!(reports.take().len(), 2, "what was cut short is reported");
}

#[test]
fn a_scope_counts_its_children() {
    test_run(async {
        handcar_structured::scope(async |s| {
            assert!(s.is_empty());
            let child = s.try_spawn(async { Ok::<_, String>(7) }).unwrap_or_else(|_| panic!("it is open"));
            assert_eq!(s.len(), 1);
            assert_eq!(child.await.unwrap(), 7);
            assert!(s.is_empty());
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_child_that_polls_its_own_group_is_refused() {
    type Group = std::pin::Pin<Box<dyn Future<Output = Result<(), GroupError<String>>>>>;
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let place: Rc<RefCell<Option<Group>>> = Rc::default();
        let in_child = Rc::clone(&place);
        let mut group: Group = Box::pin(task_group(async move |g| {
            g.spawn(async move {
                let group = in_child.borrow_mut().take().unwrap();
                group.await.map_err(|error| error.to_string())
            });
            for_ever().await;
            Ok(())
        }));
        assert!(futures::poll!(group.as_mut()).is_pending());
        *place.borrow_mut() = Some(group);
        secs(1).await;
    });
    let reported = reports.take();
    assert!(reported.len() == 1 && reported[0].contains("a child awaits the end of its own group"), "{reported:?}");
}

#[test]
fn so_is_one_that_polls_a_scope_around_its_own_group() {
    type Around = std::pin::Pin<Box<dyn Future<Output = ()>>>;
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let place: Rc<RefCell<Option<Around>>> = Rc::default();
        let in_child = Rc::clone(&place);
        let group = task_group(async move |g| {
            g.spawn(async move {
                let around = in_child.borrow_mut().take().unwrap();
                around.await;
                Ok::<_, String>(())
            });
            Ok(())
        });
        let mut around: Around = Box::pin(scope_of(group).map(drop));
        assert!(futures::poll!(around.as_mut()).is_pending());
        *place.borrow_mut() = Some(around);
        secs(1).await;
    });
    let reported = reports.take();
    assert!(reported.len() == 1 && reported[0].contains("of its own group or scope"), "{reported:?}");
}

#[test]
fn a_child_that_awaits_its_own_handle_is_refused() {
    test_run(async {
        for is_scope in [false, true] {
            let error = if is_scope {
                let place: RefCell<Option<handcar_structured::GroupHandle<()>>> = RefCell::default();
                TaskGroup::builder()
                    .on_panic(OnChildPanic::Collect)
                    .scope(async |s| {
                        let handle = s.spawn(async {
                            yield_now().await;
                            let own = place.borrow_mut().take().unwrap();
                            own.await.map_err(|end| end.to_string())
                        });
                        *place.borrow_mut() = Some(handle);
                        Ok(())
                    })
                    .await
                    .unwrap_err()
            } else {
                let place: Rc<RefCell<Option<handcar_structured::GroupHandle<()>>>> = Rc::default();
                TaskGroup::builder()
                    .on_panic(OnChildPanic::Collect)
                    .run(async |g| {
                        let in_child = Rc::clone(&place);
                        let handle = g.spawn(async move {
                            yield_now().await;
                            let own = in_child.borrow_mut().take().unwrap();
                            own.await.map_err(|end| end.to_string())
                        });
                        *place.borrow_mut() = Some(handle);
                        Ok(())
                    })
                    .await
                    .unwrap_err()
            };
            assert!(error.to_string().contains("awaits its own handle"), "{error}");
        }
    });
}

#[test]
fn a_scopes_child_that_cancels_itself_ends_at_its_next_suspension() {
    test_run(async {
        let log = Log::new();
        let place: RefCell<Option<handcar_structured::GroupHandle<()>>> = RefCell::default();
        handcar_structured::scope(async |s| {
            let handle = s.spawn(async {
                yield_now().await;
                let in_cleanup = log.clone();
                let _guard = defer(async move { in_cleanup.note("cleanup") });
                assert!(place.borrow().as_ref().unwrap().cancel());
                assert!(handcar_structured::is_cancelled());
                log.note("goes on");
                yield_now().await;
                log.note("never");
                Ok::<_, String>(())
            });
            *place.borrow_mut() = Some(handle);
            Ok(())
        })
        .await
        .unwrap();
        let result = place.take().unwrap().result();
        assert!(matches!(result, Some(Err(TaskEnd::Cancelled(_)))));
        assert_eq!(log.take(), ["goes on", "cleanup"]);
    });
}

#[test]
fn a_handle_may_outlive_what_its_child_borrowed() {
    test_run(async {
        let mut kept = Vec::new();
        let mut aborts = Vec::new();
        {
            let local = String::from("borrowed");
            let handles = handcar_structured::scope(async |s| {
                let ends = s.spawn(async { Ok::<_, String>(local.len()) });
                let hangs = s.spawn(async {
                    for_ever().await;
                    Ok(local.len())
                });
                aborts.push(hangs.abort_handle());
                yield_now().await;
                hangs.cancel();
                Ok(vec![ends, hangs])
            });
            kept.extend(handles.await.unwrap());
            let mut dropped = Box::pin(handcar_structured::scope(async |s| {
                kept.push(s.spawn(async {
                    for_ever().await;
                    Ok::<_, String>(local.len())
                }));
                for_ever().await;
                Ok(())
            }));
            assert!(futures::poll!(dropped.as_mut()).is_pending());
        }
        assert_eq!(kept[0].result().unwrap().unwrap(), 8);
        assert!(matches!(kept[1].result(), Some(Err(TaskEnd::Cancelled(_)))));
        assert!(matches!(kept.pop().unwrap().await, Err(TaskEnd::Cancelled(_))));
        assert!(!aborts[0].cancel() && aborts[0].is_finished());
    });
}

#[test]
fn an_outer_cancel_reaches_children_at_the_gate() {
    test_run(async {
        let log = Log::new();
        let result = timeout(s(1), async {
            let group: Result<(), GroupError<String>> = TaskGroup::builder()
                .limit(1)
                .run(async |g| {
                    for n in 0..3 {
                        let guard = notes_drop(&log, "dropped");
                        let log = log.clone();
                        g.spawn(async move {
                            let _guard = guard;
                            log.note(n);
                            for_ever().await;
                            Ok(())
                        });
                    }
                    Ok(())
                })
                .await;
            drop(group);
        });
        assert!(result.await.is_err());
        let mut noted = log.take();
        assert_eq!(noted.remove(0), "0");
        assert_eq!(noted, ["dropped"; 3]);
        assert_eq!(seconds(), 1);
    });
}

#[test]
fn a_destructor_may_cancel_its_own_group_spawn_into_it_and_panic() {
    test_run(async {
        for is_panicking in [false, true] {
            let log = Log::new();
            let group = TaskGroup::builder().on_panic(OnChildPanic::Collect).run(async |g| {
                let (inner, in_drop) = (g.clone(), log.clone());
                let guard = common::OnDrop::new(move || {
                    in_drop.note(format_args!("first cancel: {}", inner.cancel()));
                    drop(inner.try_spawn(async { panic!("never polled") })
                        as Result<handcar_structured::GroupHandle<()>, _>);
                    assert!(!is_panicking, "in drop");
                });
                let hangs = g.spawn(async move {
                    let _guard = guard;
                    for_ever().await;
                    Ok::<_, String>(())
                });
                let sibling = notes_drop(&log, "sibling dropped");
                g.spawn(async move {
                    let _sibling = sibling;
                    for_ever().await;
                    Ok(())
                });
                yield_now().await;
                hangs.cancel();
                for_ever().await;
                Ok(())
            });
            let error = group.await.unwrap_err();
            assert_eq!(error.iter().count(), usize::from(is_panicking), "{error}");
            assert_eq!(error.cancelled().is_some(), !is_panicking);
            assert_eq!(log.take(), ["first cancel: true", "sibling dropped"]);
        }
    });
}

#[test]
fn a_scopes_child_may_cancel_the_scope_before_its_first_suspension() {
    test_run(async {
        let log = Log::new();
        let error = handcar_structured::scope(async |sc| {
            sc.spawn(async {
                assert!(sc.cancel());
                log.note("still here");
                Ok::<_, String>(())
            });
            sc.spawn(async {
                log.note("never polled");
                Ok(())
            });
            for_ever().await;
            Ok(())
        })
        .await
        .unwrap_err();
        assert!(error.cancelled().is_some() && error.first().is_none());
        assert_eq!(log.take(), ["still here"]);
    });
}

#[test]
fn an_error_is_split_by_any_condition_and_both_parts_keep_their_nesting() {
    test_run(async {
        let error = TaskGroup::builder()
            .on_error(OnError::Continue)
            .scope(async |sc| {
                for n in 1..=4 {
                    sc.spawn(async move { Err::<(), _>(n) });
                }
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.first(), Some(&1));
        let (even, odd) = error.split(|n| n % 2 == 0);
        assert_eq!(even.unwrap().flatten(), [2, 4]);
        let (none, odd) = odd.unwrap().split(|_| false);
        assert!(none.is_none());
        assert_eq!(odd.unwrap().errors().collect::<Vec<_>>(), [&1, &3]);
    });
}
