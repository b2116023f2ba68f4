//! Groups and scopes with a limit: who runs, who waits at the gate.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use handcar_structured::{GroupError, TaskEnd, TaskGroup, timeout, yield_now};

mod common;
use common::{Log, for_ever, notes_drop, panic_of, s, seconds, secs, test_run};

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
