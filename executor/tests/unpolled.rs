//! `Builder::report_unpolled`: futures that were dropped and never polled, and tasks that never ran.

mod common;

use std::future::pending;
use std::time::Duration;

use common::watchdog;
use futures::FutureExt;
use handcar_executor::{
    Builder, Clock, Instant, Report, Reports, Spawner, interval, sleep, sleep_until, spawn, spawn_named, timeout,
    timeout_at, to_thread, try_to_thread, yield_now,
};

const S: Duration = Duration::from_secs(1);

/// What `program` and the end of its runtime report.
fn told(program: impl AsyncFnOnce()) -> Vec<String> {
    let reports = Reports::new();
    let builder = Builder::new().clock(Clock::simulated()).report_unpolled(true).on_report(reports.hook());
    let runtime = builder.build().unwrap();
    runtime.block_on(program());
    drop(runtime);
    reports.take().iter().map(ToString::to_string).collect()
}

macro_rules! case {
    ($what:literal, $future:expr) => {
        let line = line!();
        let told_of_it = told(async || drop($future));
        let place = format!("the `{}` made at {}:{line}:", $what, file!());
        assert!(told_of_it.len() == 1 && told_of_it[0].starts_with(&place), "{place} {told_of_it:?}");
        assert_eq!(told(async || _ = $future.now_or_never()), [""; 0], "{} was polled", $what);
    };
}

#[test]
fn every_future_of_the_kernel_is_named_with_its_line_unless_it_was_polled() {
    let _watchdog = watchdog();
    case!("sleep", sleep(S));
    case!("sleep", sleep_until(Instant::now() + S));
    case!("tick", interval(S).tick());
    case!("timeout", timeout(S, pending::<()>()));
    case!("timeout_at", timeout_at(Instant::now(), pending::<()>()));
    case!("to_thread", to_thread(|| ()));
    case!("to_thread", try_to_thread(|| ()).unwrap());
}

#[test]
fn a_sleep_that_may_not_be_needed_is_not_told() {
    let _watchdog = watchdog();
    assert_eq!(told(async || drop(sleep(S).unreported())), [""; 0]);
    assert_eq!(told(async || sleep(S).unreported().await), [""; 0]);
}

#[test]
fn a_job_that_was_taken_back_was_waited_for() {
    let _watchdog = watchdog();
    let withdraw = async || _ = to_thread(|| ()).withdraw();
    assert_eq!(told(withdraw), [""; 0]);
}

#[test]
fn a_task_that_never_ran_is_told_once_with_its_name_and_line() {
    let _watchdog = watchdog();
    let line = line!() + 2;
    let told_of_it = told(async || {
        drop(spawn_named("forgotten", async {}));
        yield_now().await;
    });
    assert_eq!(told_of_it.len(), 1, "{told_of_it:?}");
    let place = format!("spawned at {}:{line}:", file!());
    assert!(told_of_it[0].contains("`forgotten`") && told_of_it[0].contains(&place), "{told_of_it:?}");
    let at_the_end = told(async || spawn(async {}).detach());
    assert_eq!(at_the_end.len(), 1, "{at_the_end:?}");
    let by_a_spawner = told(async || drop(Spawner::current().spawn(async {})));
    assert_eq!(by_a_spawner.len(), 1, "{by_a_spawner:?}");
}

#[test]
fn a_task_that_ran_once_is_not_told() {
    let _watchdog = watchdog();
    let told_of_it = told(async || {
        let task = spawn(pending::<()>());
        yield_now().await;
        drop(task);
        let mut task = spawn(yield_now());
        assert!(task.try_take().is_none(), "to look at it is not to run it");
        task.await.unwrap();
    });
    assert_eq!(told_of_it, [""; 0]);
}

#[test]
fn a_handle_that_looks_for_a_result_does_not_make_the_task_one_that_ran() {
    let _watchdog = watchdog();
    let told_of_it = told(async || {
        let mut task = spawn(pending::<()>());
        assert!(task.try_take().is_none());
        drop(task);
        yield_now().await;
    });
    assert_eq!(told_of_it.len(), 1, "{told_of_it:?}");
}

#[test]
fn the_hook_may_drop_such_a_future_itself() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let collect = reports.hook();
    let builder = Builder::new().report_unpolled(true).on_report(move |report| {
        if let Report::FutureUnpolled { what: "sleep", .. } = report {
            drop(interval(S).tick());
        }
        collect(report);
    });
    builder.build().unwrap().block_on(async { drop(sleep(S)) });
    assert_eq!(reports.take().len(), 2);
}
