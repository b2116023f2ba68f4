//! Names, and the other settings of the builder of groups and scopes.

use std::time::Duration;

use handcar_structured::{OnChildPanic, OnError, TaskGroup, shield, yield_now};

mod common;
use common::{Reports, for_ever, seconds, secs, test_run, watchdog};

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
