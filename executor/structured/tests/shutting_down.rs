//! `Builder::shutdown_on`: a signal ends main and every task, and waits for what they clean up.

mod common;

use std::future::{pending, poll_fn, ready};
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use common::{Log, Reports, in_a_child, panic_of, watchdog};
use handcar_structured::{
    Builder, CancelKind, Clock, JoinError, Report, RunError, Runtime, cancellable, cancelled, defer, shield, sleep,
    spawn, task_group, to_thread, yield_now,
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
    let reports = handcar_structured::Reports::new();
    let runtime = builder(1).grace(Some(Duration::from_secs(2))).on_report(reports.hook()).build().unwrap();
    let end = runtime.try_block_on(async {
        let _guard = defer(pending());
        pending::<()>().await;
    });
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
    assert_eq!(runtime.block_on(ready(())), ());
    assert_eq!(runtime.enter(common::seconds), 3, "one grace period, not two");
    drop(runtime);
    let told = reports.take();
    assert!(matches!(told[..], [Report::CutShort { .. }]), "{told:?}");
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

#[test]
fn a_signal_that_panics_loses_no_cleanup() {
    let _watchdog = watchdog();
    let log = Log::new();
    let cleaned = log.clone();
    let signal = move || async move {
        sleep(Duration::from_secs(1)).await;
        let _guard = defer(async move { cleaned.at("signal") });
        panic!("no signal")
    };
    let runtime = Builder::new().clock(Clock::simulated()).shutdown_on(signal).build().unwrap();
    assert_eq!(panic_of(|| runtime.block_on(pending::<()>())), "no signal");
    drop(runtime);
    assert_eq!(log.take(), ["1 signal"]);
}

#[test]
fn what_a_signal_leaves_to_be_done_does_not_keep_main_nor_panic_in_it() {
    let _watchdog = watchdog();
    let reports = Reports::default();
    let signal = || async {
        let _guard = defer(async {
            sleep(Duration::from_secs(2)).await;
            panic!("of the signal")
        });
        sleep(Duration::from_secs(1)).await;
        Ok(())
    };
    let runtime = reports.builder().shutdown_on(signal).build().unwrap();
    let end = runtime.try_block_on(pending::<()>());
    assert!(matches!(end, Err(RunError::ShutDown)), "{end:?}");
    assert_eq!(runtime.enter(common::seconds), 1);
    drop(runtime);
    assert_eq!(reports.take(), ["panicked: of the signal"]);
}

#[test]
fn a_signal_that_shields_itself_goes_with_the_runtime_and_that_is_no_news() {
    let _watchdog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().shutdown_on(|| shield(pending())).build().unwrap();
    runtime.block_on(yield_now());
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn tasks_and_the_blocking_jobs_they_wait_for_share_one_grace_period() {
    const GRACE: Duration = Duration::from_millis(500);
    let _watchdog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().clock(Clock::system()).grace(Some(GRACE)).build().unwrap();
    let go = runtime.block_on(wait_for_a_hanging_job());
    let begun = Instant::now();
    drop(runtime);
    let took = begun.elapsed();
    drop(go);
    assert!(took >= GRACE && took < GRACE * 9 / 5, "{took:?}");
    assert_eq!(reports.take()[0], "job abandoned: hangs");
}

#[test]
fn a_simulated_clock_that_a_job_holds_does_not_hold_up_the_end() {
    let _watchdog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().grace(Some(Duration::from_millis(20))).build().unwrap();
    let go = runtime.block_on(wait_for_a_hanging_job());
    drop(runtime);
    drop(go);
    let told = reports.take();
    assert!(told.contains(&"job abandoned: hangs".to_owned()), "{told:?}");
}

#[test]
fn destructors_that_spawn_without_end_do_not_hold_up_the_end_under_a_simulated_clock() {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            let again = Again;
            spawn(async move { drop(again) }).detach();
        }
    }
    let _watchdog = watchdog();
    let reports = common::Reports::default();
    let runtime = reports.builder().build().unwrap();
    runtime.enter(|| drop(Again));
    drop(runtime);
    let told = reports.take();
    assert!(told.last().is_some_and(|last| last.starts_with("these were spawned by destructors")), "{told:?}");
}

/// Leaves a task that awaits a job, which ends when the sender is dropped.
async fn wait_for_a_hanging_job() -> Sender<()> {
    let (go, wait) = channel::<()>();
    let (begun, has_begun) = channel();
    let job = to_thread(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    has_begun.recv().unwrap();
    spawn(job.named("hangs")).detach();
    yield_now().await;
    go
}

#[test]
fn a_task_that_panics_when_its_thread_and_the_threads_locals_end_is_reported_as_ever() {
    thread_local! {
        static RUNTIME: Runtime = Runtime::new().unwrap();
    }
    let _watchdog = watchdog();
    let panics_at_poll = |last: u32| {
        let mut polls = 0;
        poll_fn::<(), _>(move |_| {
            polls += 1;
            assert!(polls < last, "at poll {last}");
            Poll::Pending
        })
    };
    let Some(told) = in_a_child() else {
        let program = move || {
            RUNTIME.with(|runtime| {
                runtime.spawn(panics_at_poll(1)).detach();
                runtime.spawn(panics_at_poll(2)).detach(); // its second poll is that of its cancellation
                runtime.block_on(yield_now());
            });
        };
        return thread::spawn(program).join().unwrap();
    };
    for panic in ["panicked: at poll 1", "panicked: at poll 2"] {
        assert!(told.lines().any(|line| line.starts_with("handcar: ") && line.ends_with(panic)), "{told}");
    }
}
