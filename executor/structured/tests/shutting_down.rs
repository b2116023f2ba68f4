//! `Builder::shutdown_on`: a signal ends main and every task, and waits for what they clean up.

mod common;

use std::cell::Cell;
use std::future::{pending, ready};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use common::{Log, watchdog};
use handcar_structured::{
    Builder, CancelKind, Clock, JoinError, Report, RunError, Runtime, cancellable, cancelled, defer, shield, sleep,
    spawn, task_group, yield_now,
};

/// A runtime of simulated time whose signal comes after `seconds`.
fn ends_after(seconds: u64) -> Runtime {
    builder(seconds).build().unwrap()
}

fn builder(seconds: u64) -> Builder {
    let signal = move || async move {
        sleep(Duration::from_secs(seconds)).await;
        Ok(())
    };
    Builder::new().clock(Clock::simulated()).shutdown_on(signal)
}

#[test]
fn main_and_its_tasks_are_cancelled_and_their_cleanups_are_awaited() {
    let _watchdog = watchdog();
    let log = Log::new();
    let runtime = ends_after(3);
    let (in_main, in_task) = (log.clone(), log.clone());
    let end = runtime.try_block_on(async {
        spawn(async move {
            let _guard = defer(async move {
                sleep(Duration::from_secs(1)).await;
                in_task.at("task");
            });
            pending::<()>().await;
        })
        .detach();
        let _guard = defer(async move {
            sleep(Duration::from_secs(2)).await;
            in_main.at("main");
        });
        pending::<()>().await;
    });
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
    drop(runtime);
    assert_eq!(log.take(), ["4 task", "5 main"]);
}

#[test]
fn a_main_that_ends_when_it_is_cancelled_has_its_value() {
    let _watchdog = watchdog();
    let reason = ends_after(1).try_block_on(cancelled()).unwrap();
    assert_eq!(*reason.kind(), CancelKind::Shutdown);
    assert_eq!(reason.at().file(), file!());
    let caught = ends_after(1).try_block_on(async { cancellable(pending::<()>()).await.is_err() });
    assert!(caught.unwrap());
}

#[test]
fn a_task_is_told_that_the_runtime_was_shut_down() {
    let _watchdog = watchdog();
    let end = ends_after(1).try_block_on(async {
        let task = spawn(pending::<()>());
        shield(task).await // what main still waits for, it gets
    });
    match end.unwrap() {
        Err(JoinError::Cancelled(reason)) => assert_eq!(*reason.kind(), CancelKind::Shutdown),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_in_main_drains_and_a_shielded_child_finishes() {
    let _watchdog = watchdog();
    let log = Log::new();
    let inside = log.clone();
    let runtime = ends_after(1);
    let end = runtime.try_block_on(task_group(async |g| {
        let (a, b) = (inside.clone(), inside.clone());
        g.spawn(async move {
            shield(sleep(Duration::from_secs(3))).await;
            a.at("answered");
            Ok::<_, io::Error>(())
        });
        g.spawn(async move {
            let _guard = defer(async move { b.at("closed") });
            pending::<()>().await;
            Ok(())
        });
        Ok(())
    }));
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
    assert_eq!(log.take(), ["1 closed", "3 answered"]);
}

#[test]
fn what_does_not_end_is_cut_at_the_end_of_the_grace_period_and_reported() {
    let _watchdog = watchdog();
    let reports = Rc::new(Cell::new(0));
    let counter = Rc::clone(&reports);
    let runtime = builder(1)
        .grace(Some(Duration::from_secs(2)))
        .on_report(move |report| {
            assert!(matches!(report, Report::CutShort { .. }), "{report}");
            counter.set(counter.get() + 1);
        })
        .build()
        .unwrap();
    let end = runtime.try_block_on(async {
        let _guard = defer(pending());
        pending::<()>().await;
    });
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
    assert_eq!(runtime.block_on(ready(())), ());
    assert_eq!(runtime.enter(common::seconds), 3, "one grace period, not two");
    drop(runtime);
    assert_eq!(reports.get(), 1);
}

#[test]
fn without_a_signal_nothing_is_different() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).shutdown_on(pending).build().unwrap();
    assert_eq!(runtime.block_on(async { 7 }), 7);
    assert_eq!(runtime.block_on(async { sleep(Duration::from_secs(1)).await }), ());
}

#[test]
fn after_the_signal_whatever_runs_is_polled_once_and_ends() {
    let _watchdog = watchdog();
    let runtime = ends_after(0);
    assert!(runtime.try_block_on(pending::<()>()).is_err());
    assert_eq!(runtime.block_on(ready(7)), 7, "what is ready has its value");
    let end = runtime.try_block_on(yield_now());
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
}

#[test]
fn a_signal_that_cannot_be_heard_of_is_an_error() {
    let _watchdog = watchdog();
    let broken = || ready(Err(io::Error::other("no pipe")));
    let runtime = Builder::new().shutdown_on(broken).build().unwrap();
    match runtime.try_block_on(pending::<()>()) {
        Err(RunError::Io(error)) => assert_eq!(error.to_string(), "no pipe"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_that_holds_something_of_the_runtime_is_dropped_before_it() {
    let _watchdog = watchdog();
    let log = Log::new();
    let dropped = log.clone();
    let signal = move || async move {
        let _noted = common::notes_drop(&dropped, "signal");
        let _guard = defer(async {});
        pending().await
    };
    let runtime = Builder::new().clock(Clock::simulated()).shutdown_on(signal).build().unwrap();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(log.take(), ["signal"]);
}
