//! What goes wrong in a group, and `except*`.

use std::fmt;
use std::num::ParseIntError;
use std::str::ParseBoolError;

use handcar_structured::{
    CancelKind, GroupError, GroupHandle, HoldsError, OnChildPanic, OnError, TaskEnd, TaskGroup, shield, task_group,
    yield_now,
};

mod common;
use common::{Log, for_ever, panics, secs, test_run};

type Boxed = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn siblings_are_told_which_task_failed() {
    test_run(async {
        let mut kept: Option<GroupHandle<()>> = None;
        let mut failing = None;
        let _ = task_group(async |g| {
            kept = Some(g.spawn(async {
                for_ever().await;
                Ok(())
            }));
            failing = Some(g.spawn(async { Err::<(), _>("failed") }).id());
            Ok(())
        })
        .await;
        let Some(Err(TaskEnd::Cancelled(reason))) = kept.unwrap().result() else { panic!("it was cancelled") };
        assert!(matches!(reason.kind(), CancelKind::SiblingFailed(Some(id)) if Some(*id) == failing), "{reason}");
    });
}

#[test]
fn all_errors_come_out_in_order_the_bodys_among_them() {
    test_run(async {
        let error = task_group(async |g| {
            for n in [2, 0, 1] {
                g.spawn(async move {
                    for _ in 0..=n {
                        yield_now().await;
                    }
                    shield(yield_now()).await;
                    Err::<(), _>(n.to_string())
                });
            }
            yield_now().await;
            Err::<(), _>("body".to_owned())
        })
        .await
        .unwrap_err();
        let errors = error.flatten();
        assert_eq!(errors[0], "body");
        assert_eq!(errors.len(), 2, "the others were waiting, and were cancelled: {errors:?}");

        let error = task_group(async |g| {
            for n in 1..=3 {
                g.spawn(async move {
                    shield(secs(n)).await;
                    Err::<(), _>(n.to_string())
                });
            }
            shield(async {
                secs(2).await;
                yield_now().await;
            })
            .await;
            Err::<(), _>("body".to_owned())
        })
        .await
        .unwrap_err();
        assert_eq!(error.flatten(), ["1", "2", "body", "3"]);
    });
}

#[test]
fn a_child_cancelled_by_hand_is_no_error() {
    test_run(async {
        let result = task_group(async |g| {
            let child = g.spawn(async {
                for_ever().await;
                Ok::<_, String>(())
            });
            yield_now().await;
            assert!(child.cancel());
            assert!(matches!(child.await, Err(TaskEnd::Cancelled(_))));
            Ok(7)
        })
        .await;
        assert_eq!(result.unwrap(), 7);
    });
}

#[test]
fn collected_panics_are_errors_of_the_group() {
    test_run(async {
        let group = TaskGroup::builder().on_panic(OnChildPanic::Collect).name("worker");
        let error = group
            .run(async |g| {
                g.spawn(async { panics() });
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.iter().count(), 1);
        assert!(
            error.to_string().contains("task `worker/0`") && error.to_string().ends_with("panicked: oh"),
            "{error}"
        );
    });
}

#[test]
fn with_continue_the_siblings_run_on() {
    test_run(async {
        let log = Log::new();
        let error = TaskGroup::builder()
            .on_error(OnError::Continue)
            .run(async |g| {
                g.spawn(async { Err::<(), _>("first") });
                let in_child = log.clone();
                g.spawn(async move {
                    secs(1).await;
                    in_child.note("ran on");
                    Err::<(), _>("second")
                });
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.flatten(), ["first", "second"]);
        assert_eq!(log.take(), ["ran on"]);
    });
}

fn parse_errors() -> (ParseIntError, ParseBoolError) {
    ("x".parse::<i32>().unwrap_err(), "x".parse::<bool>().unwrap_err())
}

async fn two_kinds_nested() -> GroupError<Boxed> {
    let (int, bool) = parse_errors();
    let all = TaskGroup::builder().on_error(OnError::Continue);
    all.run(async |g| {
        g.spawn(async move { Err::<(), Boxed>(int.into()) });
        g.spawn(async move {
            let all = TaskGroup::builder().on_error(OnError::Continue);
            all.run(async |inner| {
                inner.spawn(async move { Err::<(), Boxed>(bool.into()) });
                inner.spawn(async { Err::<(), Boxed>("other".into()) });
                Ok(())
            })
            .await?;
            Ok(())
        });
        Ok(())
    })
    .await
    .unwrap_err()
}

#[test]
fn except_star_keeps_the_nesting_and_returns_what_is_unmatched() {
    test_run(async {
        let mut seen = Vec::new();
        let rest = two_kinds_nested()
            .await
            .handle_type::<ParseBoolError>(|part| {
                seen.push(part.to_string().lines().count()); // group, group, leaf
                Ok(())
            })
            .handle_type::<ParseBoolError>(|_| panic!("the first match takes"))
            .handle_type::<ParseIntError>(|part| {
                seen.push(part.to_string().lines().count());
                Ok(())
            })
            .finish()
            .unwrap_err();
        assert_eq!(seen, [3, 2]);
        assert_eq!(rest.flatten().iter().map(ToString::to_string).collect::<Vec<_>>(), ["other"]);
    });
}

#[test]
fn a_handlers_own_error_joins_what_is_left() {
    test_run(async {
        let rest = two_kinds_nested().await.handle(|e| e.is::<ParseIntError>(), |_| Err("own".into())).finish();
        let errors: Vec<_> = rest.unwrap_err().flatten().iter().map(ToString::to_string).collect();
        assert_eq!(errors[0], "own");
        assert_eq!(errors.len(), 3);
        let all = two_kinds_nested().await.handle(|_| true, |_| Ok(())).finish();
        assert!(all.is_ok());
    });
}

#[derive(Debug)]
enum Failure {
    Int(ParseIntError),
    Bool(ParseBoolError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Int(error) => error.fmt(f),
            Failure::Bool(error) => error.fmt(f),
        }
    }
}

impl HoldsError for Failure {
    fn holds<X: std::error::Error + 'static>(&self) -> bool {
        use std::any::TypeId;
        TypeId::of::<X>()
            == match self {
                Failure::Int(_) => TypeId::of::<ParseIntError>(),
                Failure::Bool(_) => TypeId::of::<ParseBoolError>(),
            }
    }
}

#[test]
fn an_enum_of_errors_can_be_handled_by_type_too() {
    test_run(async {
        let (int, bool) = parse_errors();
        let all = TaskGroup::builder().on_error(OnError::Continue);
        let error = all
            .run(async |g| {
                g.spawn(async move { Err::<(), _>(Failure::Int(int)) });
                g.spawn(async move { Err::<(), _>(Failure::Bool(bool)) });
                Ok(())
            })
            .await
            .unwrap_err();
        let rest = error.handle_type::<ParseIntError>(|_| Ok(())).finish().unwrap_err();
        assert!(matches!(rest.first(), Some(Failure::Bool(_))));
    });
}

#[test]
fn group_errors_cross_threads_and_fit_anywhere() {
    fn fits<T: Send + Sync + 'static>() {}
    fits::<GroupError<Boxed>>();
    fits::<GroupError<std::io::Error>>();
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
