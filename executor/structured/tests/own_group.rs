//! A child and its own group or scope: what it may do to that, and what is refused.

use std::cell::RefCell;
use std::rc::Rc;

use futures::FutureExt;
use handcar_structured::{GroupError, OnChildPanic, TaskEnd, TaskGroup, defer, scope_of, task_group, yield_now};

mod common;
use common::{Log, Reports, for_ever, notes_drop, secs, test_run, watchdog};

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
