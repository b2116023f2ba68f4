//! Context variables: who sees them, and that they are put back.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::{FutureExt, StreamExt};
use handcar_structured::{
    Builder, CancelScope, Clock, Reports, Runtime, Turn, context_var, defer, gather, generate, run, scope, scope_of,
    spawn, task_group, timeout, to_thread, yield_now,
};

mod common;
use common::{Log, OnDrop, for_ever, panic_of, s, secs, simulated, test_run, watchdog};

context_var! {
    static REQUEST: u32;
    static USER: String = "nobody".to_owned();
    local static STEPS: Rc<Cell<u32>>
}
context_var! { static DEPTH: u32 = 0 }
context_var! { local static MARK: &'static str = "none" }

#[test]
fn a_value_holds_inside_its_scope_and_only_there() {
    test_run(async {
        assert_eq!(REQUEST.try_get(), None);
        let inside = REQUEST.scope(1, async {
            assert_eq!(REQUEST.get(), 1);
            secs(1).await;
            let inner = REQUEST.scope(2, async {
                yield_now().await;
                REQUEST.get()
            });
            (inner.await, REQUEST.get(), REQUEST.with(|value| value + 10))
        });
        assert_eq!(inside.await, (2, 1, 11));
        assert_eq!(REQUEST.try_get(), None);
    });
}

#[test]
fn a_default_holds_where_nothing_is_set_and_without_one_the_panic_names_the_variable() {
    assert_eq!(USER.get(), "nobody");
    assert_eq!(USER.with(String::len), 6);
    assert_eq!(USER.sync_scope("Ada".to_owned(), || USER.with(String::len)), 3);
    assert_eq!(MARK.get(), "none");
    for message in [panic_of(|| REQUEST.get()), panic_of(|| REQUEST.with(|value| *value))] {
        assert_eq!(
            message,
            "`REQUEST` has no value here: set one around this with `REQUEST.scope(value, future)`, or give it a default where it is declared"
        );
    }
}

#[test]
fn futures_that_are_polled_in_turns_do_not_see_each_others_values() {
    test_run(async {
        let worker = |n| {
            REQUEST.scope(n, async move {
                for _ in 0..5 {
                    assert_eq!(REQUEST.get(), n);
                    yield_now().await;
                }
            })
        };
        futures::join!(worker(1), worker(2), async {
            for _ in 0..5 {
                assert_eq!(REQUEST.try_get(), None);
                yield_now().await;
            }
        });
        gather((0..4).map(worker)).await;
    });
}

#[test]
fn spawned_tasks_inherit_and_keep_what_they_inherited() {
    test_run(async {
        let plain = spawn(async {
            secs(2).await;
            REQUEST.try_get()
        });
        let (child, grandchild) = REQUEST
            .scope(7, async {
                let child = spawn(async {
                    secs(1).await;
                    let own = REQUEST.get();
                    let grandchild = REQUEST.sync_scope(8, || spawn(async { (REQUEST.get(), DEPTH.get()) }));
                    (own, REQUEST.get(), grandchild.await.unwrap())
                });
                (child, DEPTH.sync_scope(1, || spawn(async { (REQUEST.get(), DEPTH.get()) })))
            })
            .await;
        assert_eq!(REQUEST.try_get(), None);
        assert_eq!(child.await.unwrap(), (7, 7, (8, 0)));
        assert_eq!(grandchild.await.unwrap(), (7, 1));
        assert_eq!(plain.await.unwrap(), None);
    });
}

#[test]
fn children_of_groups_and_scopes_inherit_from_where_they_were_spawned() {
    test_run(async {
        let group = task_group(async |g| {
            let outside = g.spawn(async { Ok::<_, String>(REQUEST.try_get()) });
            let inside = REQUEST.sync_scope(3, || {
                g.spawn(async {
                    yield_now().await;
                    Ok(REQUEST.try_get())
                })
            });
            Ok((outside.await.unwrap(), inside.await.unwrap()))
        });
        assert_eq!(group.await.unwrap(), (None, Some(3)));
        let borrowing = scope(async |s| {
            let outside = s.spawn(async { Ok::<_, String>(REQUEST.try_get()) });
            let inside = REQUEST.sync_scope(4, || {
                s.spawn(async {
                    yield_now().await;
                    Ok(REQUEST.try_get())
                })
            });
            Ok((outside.await.unwrap(), inside.await.unwrap()))
        });
        assert_eq!(borrowing.await.unwrap(), (None, Some(4)));
    });
}

#[test]
fn a_child_that_is_cancelled_before_its_start_is_dropped_in_its_context() {
    test_run(async {
        let log = Log::new();
        let noting = |what: &'static str| {
            let log = log.clone();
            OnDrop::new(move || log.note(format_args!("{what} {:?}", REQUEST.try_get())))
        };
        let (task, in_group) = (noting("task"), noting("child"));
        REQUEST
            .scope(1, async move {
                let task = spawn(async move {
                    let _task = task;
                    for_ever().await;
                });
                task.cancel();
                assert!(task.await.is_err());
                let group = task_group(async |g| {
                    g.spawn(async move {
                        let _in_group = in_group;
                        for_ever().await;
                        Ok::<_, String>(())
                    });
                    g.cancel();
                    Ok(())
                });
                group.await.unwrap();
            })
            .await;
        assert_eq!(log.take(), ["task Some(1)", "child Some(1)"]);
        assert_eq!(REQUEST.try_get(), None);
    });
}

#[test]
fn a_task_that_inherits_is_cancelled_by_the_rule_and_joins_as_any_other() {
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = REQUEST.sync_scope(5, || {
            spawn(async move {
                let in_cleanup = in_task.clone();
                let _guard = defer(async move {
                    secs(1).await;
                    in_cleanup.at(format_args!("cleanup of {}", REQUEST.get()));
                });
                for_ever().await;
            })
        });
        yield_now().await;
        let ended = task.cancel_and_wait().await;
        assert!(ended.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["1 cleanup of 5"]);
        let panics = REQUEST.sync_scope(6, || spawn(async { panic!("request {}", REQUEST.get()) }));
        assert!(panics.await.unwrap_err().to_string().contains("request 6"));
        assert_eq!(REQUEST.try_get(), None);
    });
}

#[test]
fn cleanups_run_in_the_context_in_which_they_were_deferred() {
    test_run(async {
        let log = Log::new();
        let note = |what: &'static str| {
            let log = log.clone();
            defer(async move {
                secs(1).await;
                log.note(format_args!("{what}: {:?}", REQUEST.try_get()));
            })
        };
        let left = scope_of(async {
            let _outside = note("outside");
            REQUEST
                .scope(1, async {
                    drop(note("dropped in it"));
                    note("carried out of it")
                })
                .await
        });
        drop(left.await.unwrap());
        secs(5).await;
        assert_eq!(log.take(), ["dropped in it: Some(1)", "outside: None", "carried out of it: Some(1)"]);
    });
}

#[test]
fn a_cleanup_is_dropped_in_its_context_whether_it_has_ended_or_is_cut() {
    let _dog = watchdog();
    let reports = Reports::new();
    Builder::new().clock(Clock::simulated()).on_report(reports.hook()).build().unwrap().block_on(async {
        let log = Log::new();
        let drops = || {
            let log = log.clone();
            OnDrop::new(move || log.note(format_args!("{:?}", REQUEST.try_get())))
        };
        let (in_cut, in_ended) = (drops(), drops());
        let cut = timeout(
            s(1),
            REQUEST.scope(1, async {
                let _guard = defer(async move {
                    let _drops = in_cut;
                    for_ever().await;
                });
                for_ever().await;
            }),
        );
        assert!(cut.await.is_err());
        assert_eq!(log.take(), ["Some(1)"]);
        let ended = scope_of(REQUEST.scope(2, async {
            drop(defer(std::future::poll_fn(move |_| {
                let _kept_until_the_future_is_dropped = &in_ended;
                std::task::Poll::Ready(())
            })));
        }));
        ended.await.unwrap();
        assert_eq!(log.take(), ["Some(2)"]);
    });
    let told = reports.take();
    assert!(told.len() == 1 && told[0].to_string().contains("a cleanup, made at"), "{told:?}");
}

#[test]
fn a_generator_runs_in_the_context_of_its_consumer_and_hides_its_own() {
    test_run(async {
        let mut seen = pin!(generate(async |y| {
            y.yield_(REQUEST.try_get()).await;
            y.yield_(REQUEST.try_get()).await;
            REQUEST
                .scope(9, async {
                    y.yield_(REQUEST.try_get()).await;
                    y.yield_(REQUEST.try_get()).await;
                })
                .await;
        }));
        assert_eq!(seen.next().await, Some(None));
        assert_eq!(REQUEST.scope(1, seen.next()).await, Some(Some(1)));
        assert_eq!(seen.next().await, Some(Some(9)));
        assert_eq!(REQUEST.try_get(), None);
        assert_eq!(REQUEST.scope(2, seen.next()).await, Some(Some(9)));
    });
}

#[test]
fn a_future_that_is_carried_elsewhere_sees_what_is_set_where_it_is_polled() {
    test_run(async {
        let mut carried = Box::pin(DEPTH.scope(5, async {
            let first = REQUEST.try_get();
            yield_now().await;
            (first, REQUEST.try_get(), DEPTH.get())
        }));
        let polled = REQUEST.sync_scope(1, || carried.as_mut().now_or_never());
        assert!(polled.is_none());
        assert_eq!(REQUEST.scope(2, carried).await, (Some(1), Some(2), 5));
    });
}

#[test]
fn what_may_be_sent_goes_along_to_a_thread_and_what_is_local_stays() {
    let _dog = watchdog();
    let there = run(USER.scope("Ada".to_owned(), async {
        let steps = Rc::new(Cell::new(3));
        STEPS
            .scope(steps, async {
                let job = to_thread(|| (USER.get(), STEPS.try_get().is_some(), REQUEST.try_get(), DEPTH.get()));
                assert_eq!(STEPS.get().get(), 3);
                job.await
            })
            .await
    }));
    assert_eq!(there, ("Ada".to_owned(), false, None, 0));
    // The thread has forgotten it when the next job comes.
    let runtime = handcar_structured::Builder::new().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        assert_eq!(REQUEST.scope(1, async { to_thread(|| REQUEST.get()).await }).await, 1);
        assert_eq!(to_thread(|| REQUEST.try_get()).await, None);
        let panicked = REQUEST.scope(2, async { to_thread(|| panic!("{}", REQUEST.get())).await });
        assert!(AssertUnwindSafe(panicked).catch_unwind().await.is_err());
        assert_eq!(to_thread(|| REQUEST.try_get()).await, None);
    });
}

#[test]
fn a_panic_puts_back_what_was_set_before() {
    test_run(async {
        let panics = AssertUnwindSafe(REQUEST.scope(1, async {
            yield_now().await;
            panic!("oh");
        }));
        assert!(panics.catch_unwind().await.is_err());
        assert_eq!(REQUEST.try_get(), None);
        REQUEST.sync_scope(1, || {
            let inner = catch_unwind(|| REQUEST.sync_scope(2, || panic!("oh")));
            assert!(inner.is_err());
            assert_eq!(REQUEST.get(), 1);
        });
        let in_drop = REQUEST.scope(1, async {
            let _guard = OnDrop::new(|| panic!("in a destructor of {}", REQUEST.get()));
            for_ever().await;
        });
        let mut in_drop = Box::pin(in_drop);
        assert!(in_drop.as_mut().now_or_never().is_none());
        assert_eq!(panic_of(|| drop(in_drop)), "in a destructor of 1");
        assert_eq!(REQUEST.try_get(), None);
    });
}

#[test]
fn destructors_see_the_value_and_the_value_is_dropped_once() {
    struct Noted(Log);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.note("value dropped");
        }
    }
    context_var! { local static NOTED: Rc<Noted> }
    test_run(async {
        let log = Log::new();
        let value = || Rc::new(Noted(log.clone()));
        let on_drop = || {
            let log = log.clone();
            OnDrop::new(move || log.note(format_args!("body dropped, set: {}", NOTED.try_get().is_some())))
        };
        for polls in 0..3 {
            let guard = on_drop();
            let mut future = Box::pin(NOTED.scope(value(), async move {
                let _guard = guard;
                yield_now().await;
            }));
            for _ in 0..polls {
                let _ = future.as_mut().now_or_never();
            }
            drop(future);
            let set = polls > 0; // before that it is what it captured, not what it runs
            assert_eq!(log.take(), [&format!("body dropped, set: {set}"), "value dropped"]);
        }
    });
}

#[test]
fn a_runtime_inside_a_scope_gives_its_main_the_value_and_its_other_tasks_nothing() {
    let _dog = watchdog();
    let runtime = simulated();
    let task = runtime.spawn(async {
        yield_now().await;
        REQUEST.try_get()
    });
    let main = REQUEST.sync_scope(1, || runtime.block_on(async { (REQUEST.get(), task.await.unwrap()) }));
    assert_eq!(main, (1, None));
    let log = Log::new();
    let in_drop = OnDrop::new({
        let log = log.clone();
        move || log.note(format_args!("{:?}", REQUEST.try_get()))
    });
    runtime
        .spawn(async move {
            let _in_drop = in_drop;
            for_ever().await;
        })
        .detach();
    let late = runtime.spawn(async { REQUEST.try_get() });
    REQUEST.sync_scope(2, || {
        while runtime.turn().unwrap() == Turn::More {}
        assert_eq!(late.is_finished().then(|| runtime.block_on(late).unwrap()), Some(None));
        drop(runtime);
        assert_eq!(REQUEST.get(), 2);
    });
    assert_eq!(log.take(), ["None"]);
}

#[test]
fn a_task_inherits_through_enter() {
    let runtime = Runtime::new().unwrap();
    let task = REQUEST.sync_scope(1, || runtime.spawn(async { REQUEST.get() }));
    assert_eq!(runtime.block_on(task).unwrap(), 1);
}

#[test]
fn in_a_chain_of_tasks_that_each_set_the_variable_anew_the_old_values_go() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    context_var! { local static VALUE: Rc<Counted> }
    fn next(n: u32, living: Rc<Cell<u32>>, most: Rc<Cell<u32>>) -> Pin<Box<dyn Future<Output = ()>>> {
        living.set(living.get() + 1);
        most.set(most.get().max(living.get()));
        let value = Rc::new(Counted(Rc::clone(&living)));
        Box::pin(VALUE.scope(value, async move {
            if n > 0 {
                spawn(next(n - 1, living, most)).detach();
            }
        }))
    }
    test_run(async {
        let (living, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        next(100, Rc::clone(&living), Rc::clone(&most)).await;
        secs(1).await;
        assert_eq!(living.get(), 0);
        assert!(most.get() <= 3, "{} values at once", most.get());
    });
}

#[test]
fn a_cancel_scope_in_a_context_reports_as_ever() {
    test_run(async {
        let scope = CancelScope::new();
        let canceller = scope.clone();
        let task = REQUEST.sync_scope(1, || spawn(async move { canceller.cancel() }));
        let body = REQUEST.scope(2, scope.run(secs(9)));
        assert!(body.await.is_err());
        assert!(task.await.unwrap());
        assert_eq!(common::seconds(), 0);
        secs(s(1).as_secs()).await;
    });
}
