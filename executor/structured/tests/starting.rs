//! Starting a child and waiting until it is ready.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures::FutureExt;
use handcar_structured::{
    CancelKind, StartError, Started, TaskEnd, TaskGroup, cancelled, defer, run, scope, task_group, timeout, yield_now,
};

mod common;
use common::{Log, Reports, for_ever, notes_drop, s, seconds, secs, test_run, text, watchdog};

#[test]
fn start_returns_the_value_while_the_child_runs_on() {
    test_run(async {
        let log = Log::new();
        let in_child = log.clone();
        task_group(async |g| {
            let value = g.start(|started| async move {
                secs(1).await;
                started.ready(7);
                secs(2).await;
                in_child.at("child ends");
                Ok::<_, String>(())
            });
            log.at(format_args!("started with {}", value.await.unwrap()));
            assert_eq!(g.len(), 1);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["1 started with 7", "3 child ends"]);
    });
}

#[test]
fn a_child_that_is_ready_at_once_and_ends_at_once_has_started() {
    test_run(async {
        let value = task_group(async |g| {
            let value = g.start(|started| async move {
                started.ready("value");
                Ok::<_, String>(())
            });
            Ok(value.await.unwrap())
        });
        assert_eq!(value.await.unwrap(), "value");
    });
}

#[test]
fn a_child_that_ends_without_the_signal_has_not_started() {
    test_run(async {
        let result = task_group(async |g| {
            for keeps in [false, true] {
                let start = g.start(|started: Started<(), String>| async move {
                    if keeps {
                        secs(1).await; // holds the signal and does not give it
                    }
                    drop(started);
                    Ok(())
                });
                let error = start.await.unwrap_err();
                assert!(matches!(error, StartError::NoSignal), "{error}");
                assert!(error.to_string().contains("call `Started::ready`"), "the remedy: {error}");
            }
            Ok("the group goes on")
        });
        assert_eq!(result.await.unwrap(), "the group goes on");
    });
}

#[test]
fn an_error_before_the_signal_is_for_who_waits_and_an_error_after_it_is_the_groups() {
    test_run(async {
        let log = Log::new();
        let error = task_group(async |g| {
            // The first port is taken, the second is not: who waits may try again.
            for port in [80, 8080] {
                let log = log.clone();
                let start = g.start(|started| async move {
                    let _guard = defer(async move {
                        secs(1).await;
                        log.at(format_args!("cleanup of {port}"));
                    });
                    yield_now().await;
                    if port == 80 {
                        return Err("taken".to_owned());
                    }
                    started.ready(port);
                    yield_now().await;
                    Err("lost its connection".to_owned())
                });
                match start.await {
                    Ok(port) => assert_eq!(port, 8080),
                    Err(error) => {
                        assert_eq!(seconds(), 1, "the cleanup of what did not start comes first");
                        assert_eq!(error.to_string(), "the task failed before it had started: taken");
                        assert_eq!(error.into_error().as_deref(), Some("taken"));
                    }
                }
            }
            for_ever().await;
            Ok(())
        })
        .await
        .unwrap_err();
        assert_eq!(error.flatten(), ["lost its connection"]);
        assert_eq!(log.take(), ["1 cleanup of 80", "2 cleanup of 8080"]);
    });
}

#[test]
fn a_child_cancelled_before_the_signal_has_not_started() {
    test_run(async {
        let group = task_group(async |g| {
            let inner = g.clone();
            g.spawn(async move {
                secs(1).await;
                inner.cancel();
                Ok(())
            });
            let start = g.start(|_started: Started<(), String>| async {
                for_ever().await;
                Ok(())
            });
            // The body is cancelled with the group; a shield lets it see the end of the child.
            let error = handcar_structured::shield(start).await.unwrap_err();
            assert!(matches!(error, StartError::Ended(TaskEnd::Cancelled(_))), "{error}");
            Ok("seen")
        });
        assert_eq!(group.await.unwrap(), "seen");
    });
}

#[test]
fn a_panic_before_the_signal_goes_on_in_the_group() {
    test_run(async {
        let group = task_group(async |g| {
            let start = g.start(|_started: Started<(), String>| async {
                yield_now().await;
                panic!("oh");
            });
            let error = handcar_structured::shield(start).await.unwrap_err();
            assert!(matches!(error, StartError::Ended(TaskEnd::Panicked)), "{error}");
            Ok(())
        });
        let panic = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), "oh");
    });
}

#[test]
fn start_that_is_dropped_before_it_returned_cancels_the_child() {
    test_run(async {
        let log = Log::new();
        for is_ready in [false, true] {
            let result = task_group(async |g| {
                let log = log.clone();
                let mut start = Box::pin(g.start(|started| async move {
                    let started = if is_ready {
                        started.ready(());
                        None
                    } else {
                        Some(started)
                    };
                    let _guard = notes_drop(&log, "dropped");
                    let reason = cancelled().await;
                    assert!(matches!(reason.root().kind(), CancelKind::Explicit));
                    drop(started);
                    for_ever().await;
                    Ok::<_, String>(())
                }));
                assert!(futures::poll!(start.as_mut()).is_pending());
                yield_now().await;
                drop(start);
                Ok(())
            });
            result.await.unwrap();
            assert_eq!(log.take(), ["dropped"]);
        }
    });
}

#[test]
fn the_error_of_a_child_whose_start_was_dropped_is_the_groups() {
    test_run(async {
        let error = task_group(async |g| {
            let start = g.start(|_started: Started<(), _>| async {
                handcar_structured::shield(secs(2)).await;
                Err("late".to_owned())
            });
            assert!(timeout(s(1), start).await.is_err());
            Ok(())
        })
        .await
        .unwrap_err();
        assert_eq!(error.flatten(), ["late"]);
    });
}

#[test]
fn a_late_signal_after_start_was_dropped_harms_nobody_and_its_value_is_dropped() {
    test_run(async {
        let log = Log::new();
        let signal: Rc<RefCell<Option<Started<_, String>>>> = Rc::default();
        task_group(async |g| {
            let kept = Rc::clone(&signal);
            let mut start = Box::pin(g.start(|started| async move {
                *kept.borrow_mut() = Some(started);
                for_ever().await;
                Ok(())
            }));
            assert!(futures::poll!(start.as_mut()).is_pending());
            yield_now().await;
            Ok(())
        })
        .await
        .unwrap();
        signal.take().unwrap().ready(notes_drop(&log, "value dropped"));
        assert_eq!(log.take(), ["value dropped"]);
    });
}

#[test]
fn in_a_scope_what_starts_may_borrow() {
    test_run(async {
        let served = Cell::new(0);
        let config = String::from("8080");
        let port = scope(async |s| {
            let port = s.start(|started| async {
                started.ready(config.parse::<u16>().map_err(|error| error.to_string())?);
                served.set(served.get() + 1);
                Ok(())
            });
            Ok::<_, String>(port.await.unwrap())
        });
        assert_eq!(port.await.unwrap(), 8080);
        assert_eq!(served.get(), 1);
    });
}

#[test]
fn a_group_dropped_while_something_starts_reports_what_nobody_heard() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let mut group = Box::pin(task_group(async |g| {
            let start = g.start(|_started: Started<(), _>| async {
                handcar_structured::shield(secs(1)).await;
                Err("nobody hears".to_owned())
            });
            start.await.unwrap();
            Ok(())
        }));
        assert!(futures::poll!(group.as_mut()).is_pending());
        yield_now().await;
        drop(group);
        secs(2).await;
    });
    let reported = reports.take();
    assert!(reported.len() == 1 && reported[0].ends_with("nobody hears"), "{reported:?}");
}

#[test]
fn starting_in_a_group_that_has_ended_panics_with_the_remedy() {
    run(async {
        let mut kept = None;
        task_group(async |g: TaskGroup<String>| {
            kept = Some(g);
            Ok(())
        })
        .await
        .unwrap();
        let group = kept.unwrap();
        let panic = common::panic_of(|| group.start(|_started: Started<(), _>| async { Ok(()) }));
        assert!(panic.contains("a group that has ended"), "{panic}");
    });
}
