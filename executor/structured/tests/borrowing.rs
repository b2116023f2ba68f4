//! `scope`: children that borrow.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use futures::FutureExt;
use handcar_structured::{
    AbortHandle, GroupError, Scope, TaskEnd, current_task, defer, gather, is_cancelled, scope, shield, spawn, timeout,
    yield_now,
};

mod common;
use common::{
    Log, OnDrop, Reports, for_ever, in_a_child, notes_drop, s, seconds, secs, simulated, test_run, text, watchdog,
};

#[test]
fn children_borrow_and_the_scope_waits() {
    test_run(async {
        let mut counts = [0_u64; 3];
        let name = String::from("shared");
        let result: Result<_, GroupError<String>> = scope(async |s| {
            for (n, count) in counts.iter_mut().enumerate() {
                let name = &name;
                s.spawn(async move {
                    secs(n as u64).await;
                    *count = seconds() + name.len() as u64;
                    Ok(())
                });
            }
            Ok("value")
        })
        .await;
        assert_eq!(result.unwrap(), "value");
        assert_eq!(counts, [6, 7, 8]);
    });
}

#[test]
fn a_child_may_spawn_into_the_scope_after_the_body_has_ended() {
    test_run(async {
        let log = Log::new();
        scope(async |s| {
            s.spawn(async {
                secs(1).await;
                s.spawn(async {
                    secs(1).await;
                    log.at("grandchild");
                    Ok::<_, String>(())
                });
                Ok(())
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["2 grandchild"]);
    });
}

#[test]
fn handles_return_values_that_may_borrow() {
    test_run(async {
        let words = String::from("one two");
        let length = scope(async |s| {
            let first = s.spawn(async { Ok::<_, String>(words.split(' ').next().unwrap()) });
            let mut second = s.spawn(async {
                yield_now().await;
                Ok(&words[4..])
            });
            let first = first.await.unwrap();
            while second.result().is_none() {
                yield_now().await;
            }
            Ok(first.len())
        });
        assert_eq!(length.await.unwrap(), 3);
    });
}

#[test]
fn a_failing_child_cancels_siblings_and_body_and_their_cleanups_end_first() {
    test_run(async {
        let log = Log::new();
        let error = scope(async |s| {
            s.spawn(async {
                let in_cleanup = log.clone();
                let _guard = defer(async move {
                    secs(1).await;
                    in_cleanup.at("cleanup");
                });
                for_ever().await;
                Ok(())
            });
            s.spawn_named("second", async {
                secs(1).await;
                Err::<(), _>("failed".to_owned())
            });
            for_ever().await;
            log.note("never");
            Ok(())
        })
        .await
        .unwrap_err();
        let task = error.iter().next().unwrap().task.unwrap();
        assert_eq!(task.name.as_deref(), Some("second"));
        assert_eq!(task.spawned_at.file(), file!());
        assert_eq!(error.flatten(), ["failed"]);
        assert_eq!(log.take(), ["2 cleanup"]);
    });
}

#[test]
fn a_panic_goes_on_when_all_have_ended() {
    test_run(async {
        let log = Log::new();
        let scoped = scope(async |s| {
            s.spawn(async {
                let _guard = notes_drop(&log, "sibling dropped");
                for_ever().await;
                Ok::<(), String>(())
            });
            s.spawn(async {
                yield_now().await;
                panic!("oh")
            }) as handcar_structured::GroupHandle<()>;
            for_ever().await;
            Ok(())
        });
        let panic = AssertUnwindSafe(scoped).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "oh");
        assert_eq!(log.take(), ["sibling dropped"]);
    });
}

#[test]
fn a_child_cancelled_by_hand_is_no_error() {
    test_run(async {
        let ran = Cell::new(false);
        let result = scope(async |s| {
            let early = s.spawn(async {
                ran.set(true);
                Ok::<_, String>(())
            });
            assert!(early.cancel());
            assert!(matches!(early.await, Err(TaskEnd::Cancelled(_))));
            let late = s.spawn(async {
                for_ever().await;
                Ok(())
            });
            yield_now().await;
            late.cancel();
            assert!(matches!(late.await, Err(TaskEnd::Cancelled(_))));
            Ok(7)
        });
        assert_eq!(result.await.unwrap(), 7);
        assert!(!ran.get(), "cancelled before its first poll");
    });
}

#[test]
fn cancelling_the_scope_keeps_the_bodys_value() {
    test_run(async {
        let result = scope(async |s| {
            s.spawn(async {
                for_ever().await;
                Ok::<_, String>(())
            });
            yield_now().await;
            assert!(s.cancel() && is_cancelled());
            let never = s.spawn(async { panic!("never polled") }) as handcar_structured::GroupHandle<()>;
            drop(never);
            Ok(7)
        });
        assert_eq!(result.await.unwrap(), 7);
    });
}

#[test]
fn an_outer_timeout_ends_it_and_waits_for_a_shield_in_it() {
    test_run(async {
        let log = Log::new();
        let result = timeout(s(1), async {
            let _ = scope(async |scope| {
                scope.spawn(async {
                    shield(secs(3)).await;
                    log.at("shield");
                    Ok::<_, String>(())
                });
                scope.spawn(async {
                    let _guard = notes_drop(&log, "plain one dropped");
                    for_ever().await;
                    Ok(())
                });
                Ok(())
            })
            .await;
            log.note("never");
        });
        assert!(result.await.is_err());
        assert_eq!(log.take(), ["plain one dropped", "3 shield"]);
    });
}

#[test]
fn scopes_nest_and_inner_children_borrow_from_the_outer_block() {
    test_run(async {
        let total = Cell::new(0);
        scope(async |outer| {
            outer.spawn(async {
                let local = 20;
                scope(async |inner| {
                    inner.spawn(async {
                        total.set(total.get() + local);
                        Ok::<_, String>(())
                    });
                    outer.spawn(async {
                        total.set(total.get() + 1);
                        Ok(())
                    });
                    Ok(())
                })
                .await
                .map_err(|error| error.to_string())
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(total.get(), 21);
    });
}

#[test]
fn dropped_at_any_poll_it_drops_the_body_first_and_then_every_child() {
    test_run(async {
        for polls in 0..6 {
            let log = Log::new();
            let alive = RefCell::new(0);
            {
                let mut scoped = Box::pin(scope(async |s| {
                    let _body = notes_drop(&log, "body");
                    for n in 0..3 {
                        *alive.borrow_mut() += 1;
                        let guard = OnDrop::new(|| *alive.borrow_mut() -= 1);
                        s.spawn(async move {
                            let _guard = guard;
                            for _ in 0..n {
                                yield_now().await;
                            }
                            Ok::<_, String>(())
                        });
                    }
                    for_ever().await;
                    Ok(())
                }));
                for _ in 0..polls {
                    assert!(futures::poll!(scoped.as_mut()).is_pending());
                    yield_now().await;
                }
            }
            assert_eq!(*alive.borrow(), 0, "{polls}");
        }
    });
}

#[test]
fn during_the_drop_spawn_is_accepted_and_never_polled_and_a_panic_stops_none() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let log = Log::new();
        let mut scoped = Box::pin(scope(async |s| {
            for n in 0..3 {
                let log = &log;
                let guard = OnDrop::new(move || {
                    log.note(n);
                    let captured = notes_drop(log, "spawned in a drop");
                    s.spawn(async move {
                        let _captured = captured;
                        panic!("never polled")
                    }) as handcar_structured::GroupHandle<()>;
                    assert!(n != 1, "in drop");
                });
                s.spawn(async move {
                    let _guard = guard;
                    for_ever().await;
                    Ok::<(), String>(())
                });
            }
            for_ever().await;
            Ok(())
        }));
        assert!(futures::poll!(scoped.as_mut()).is_pending());
        drop(scoped);
        let noted = log.take();
        assert_eq!(noted[..3], ["0", "1", "2"]);
        assert_eq!(noted[3..], ["spawned in a drop"; 3]);
    });
    assert_eq!(reports.take(), ["panicked: in drop"]);
}

#[test]
fn a_thousand_children_are_polled_only_when_they_are_woken() {
    test_run(async {
        let polls = Cell::new(0);
        scope(async |s| {
            for _ in 0..1000 {
                s.spawn(async {
                    polls.set(polls.get() + 1);
                    yield_now().await;
                    polls.set(polls.get() + 1);
                    Ok::<_, String>(())
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(polls.get(), 2000);
    });
}

#[test]
fn it_works_in_a_task_and_beside_a_gather() {
    test_run(async {
        let task = spawn(async {
            let sums = gather([1, 2].map(async |n| {
                let sum = Cell::new(0);
                scope(async |s| {
                    for k in 0..n {
                        let sum = &sum;
                        s.spawn(async move {
                            sum.set(sum.get() + k + 1);
                            Ok::<_, String>(())
                        });
                    }
                    Ok(())
                })
                .await
                .unwrap();
                sum.get()
            }));
            sums.await
        });
        assert_eq!(task.await.unwrap(), [1, 3]);
    });
}

/// Notes what it borrows when it is dropped.
struct Reads<'a>(&'a String, Log);

impl Drop for Reads<'_> {
    fn drop(&mut self) {
        self.1.note(self.0);
    }
}

#[test]
fn a_result_that_borrows_is_dropped_with_its_handle_also_inside_the_drop_of_another_result() {
    /// Runs a whole scope in its destructor, over a local.
    struct Outer(Log);
    impl Drop for Outer {
        fn drop(&mut self) {
            let text = String::from("a local of the destructor");
            let spawned = scope(async |s| Ok::<_, String>(s.spawn(async { Ok(Reads(&text, self.0.clone())) })));
            let handle = spawned.now_or_never().expect("nothing in it waits").unwrap();
            drop(handle);
            self.0.note("the handle is gone");
        }
    }
    let log = Log::new();
    test_run(async {
        let inside = log.clone();
        let task = spawn(async move { Outer(inside) });
        yield_now().await;
        yield_now().await;
        assert!(task.is_finished());
        drop(task);
    });
    assert_eq!(log.take(), ["a local of the destructor", "the handle is gone"]);
}

#[test]
fn a_forgotten_scope_leaks_its_children_and_nobody_touches_them_again() {
    test_run(async {
        let log = Log::new();
        let kept = Cell::new(None);
        {
            let text = String::from("borrowed");
            let mut forgotten = Box::pin(scope(async |s| {
                let child = s.spawn(async {
                    while !text.is_empty() {
                        secs(1).await;
                        log.note(&text);
                    }
                    Ok::<_, String>(())
                });
                kept.set(Some((child.abort_handle(), child)));
                Ok(())
            }));
            assert!(futures::poll!(forgotten.as_mut()).is_pending());
            secs(1).await;
            assert!(futures::poll!(forgotten.as_mut()).is_pending());
            std::mem::forget(forgotten);
        }
        assert_eq!(log.take(), ["borrowed"]);
        secs(3).await; // its timer fires, and wakes nobody who could poll it
        let (abort, child) = kept.take().unwrap();
        assert!(abort.cancel());
        assert!(timeout(s(3), child).await.is_err());
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn a_scope_may_be_carried_from_one_runtime_to_another_which_awaits_the_cleanups() {
    let _dog = watchdog();
    let (log, text) = (Log::new(), String::from("lives longer than both"));
    let (first, second) = (simulated(), simulated());
    let mut carried = Box::pin(scope(async |s| {
        for n in 0..100 {
            let (log, text) = (&log, &text);
            s.spawn(async move {
                let in_cleanup = log.clone();
                let _guard = defer(async move { in_cleanup.note("cleanup") });
                secs(n % 3).await;
                if n == 99 {
                    for_ever().await;
                }
                log.note(text);
                Ok::<_, String>(())
            });
        }
        Ok(())
    }));
    first.block_on(async { assert!(futures::poll!(carried.as_mut()).is_pending()) });
    second.block_on(async { assert!(timeout(s(9), carried.as_mut()).await.is_err()) });
    drop(first);
    second.enter(|| drop(carried));
    drop(second);
    let log = log.take();
    assert_eq!((log.len(), log.iter().filter(|line| *line == "cleanup").count()), (199, 100));
}

/// Spawns into the scope when it is dropped.
struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env, String>);

impl Drop for Spawns<'_, '_> {
    fn drop(&mut self) {
        drop(self.0.spawn(async { Ok(()) }));
    }
}

/// Polls a scope once, in which a child is then spawned that has not had its turn, and drops it.
async fn drop_a_scope_with_a_new_child() {
    let mut future = Box::pin(scope(async |s| {
        s.spawn(async {
            let spawns = Spawns(s);
            s.spawn(async move {
                let _spawns = spawns;
                Ok(())
            });
            s.cancel();
            Ok(())
        });
        for_ever().await;
        Ok::<_, String>(())
    }));
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(future);
}

#[test]
fn a_child_spawned_by_a_destructor_in_a_dropped_scope_cancels_no_task_around() {
    test_run(async {
        let task = spawn(async {
            drop_a_scope_with_a_new_child().await;
            yield_now().await;
            7
        });
        assert_eq!(task.await.expect("nobody has cancelled it"), 7);
    });
}

#[test]
fn nor_does_it_end_the_program() {
    let Some(told) = in_a_child() else {
        simulated().block_on(async {
            let _guard = defer(async {}); // main has a node
            drop_a_scope_with_a_new_child().await;
            yield_now().await;
        });
        return eprintln!("main has returned");
    };
    assert!(told.contains("main has returned"), "the program has ended in the middle of main");
}

#[test]
fn a_child_that_cancels_itself_as_it_is_destroyed_cancels_nobody_else() {
    test_run(async {
        let task = spawn(async {
            let own: RefCell<Option<AbortHandle>> = RefCell::default();
            let own = &own;
            let mut future = Box::pin(scope(async |s| {
                s.spawn(async move {
                    let _spawns = OnDrop::new(move || {
                        let cancels = OnDrop::new(move || {
                            let own = own.take().expect("it was spawned");
                            assert!(own.cancel());
                        });
                        let child = s.spawn(async move {
                            let _cancels = cancels;
                            Ok(())
                        });
                        *own.borrow_mut() = Some(child.abort_handle());
                    });
                    for_ever().await;
                    Ok::<_, String>(())
                });
                for_ever().await;
                Ok(())
            }));
            poll_fn(|cx| {
                assert!(future.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(future);
            yield_now().await;
            7
        });
        assert_eq!(task.await.ok(), Some(7), "the task around was cancelled");
    });
}

#[test]
fn a_child_may_await_the_handle_of_one_whose_place_it_has() {
    test_run(async {
        let sum = scope(async |s| {
            let handles: Vec<_> = (0..300_u32).map(|n| s.spawn(async move { Ok::<_, String>(n) })).collect();
            yield_now().await;
            let collector = s.spawn(async move {
                let mine = current_task().unwrap().id;
                let (before, others): (Vec<_>, Vec<_>) = handles.into_iter().partition(|handle| handle.id() == mine);
                assert_eq!(before.len(), 1, "one had the same place");
                // The budget is spent when the turn of that one comes.
                let mut sum = 0;
                for handle in others.into_iter().take(128) {
                    sum += handle.await.unwrap();
                }
                for handle in before {
                    handle.await.unwrap();
                }
                Ok(sum)
            });
            Ok(collector.await.unwrap())
        });
        assert!(sum.await.unwrap() > 0);
    });
}
