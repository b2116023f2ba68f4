//! Tasks as scopes, and their handles.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::task::LocalSpawn;
use handcar_structured::{
    AbortHandle, Builder, CancelKind, JoinHandle, Runtime, cancellable, defer, is_cancelled, shield, sleep, spawn,
    spawn_named, task_group, timeout, to_thread, yield_now,
};

mod common;
use common::{Log, OnDrop, Reports, for_ever, notes_drop, panic_of, s, seconds, secs, simulated, test_run, watchdog};

#[test]
fn a_handle_returns_the_value_and_a_panic_says_so() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        let error = spawn(async { panic!("oh") }).await.unwrap_err();
        assert_eq!(error.to_string(), "task panicked: oh");
        spawn(async { panic!("nobody waits") }).detach_ignoring();
        yield_now().await;
    });
    assert_eq!(reports.take(), ["panicked: nobody waits"]);
}

#[test]
fn a_handle_knows_its_task() {
    test_run(async {
        let task = spawn_named("worker", for_ever());
        assert_eq!(task.name(), Some("worker"));
        assert!(task.spawned_at().file().ends_with("tasks.rs"));
        assert!(format!("{task:?}").contains("worker"));
        let abort = task.abort_handle();
        assert!(abort.cancel() && !abort.cancel() && !task.cancel());
        let error = task.await.unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic());
        assert!(abort.is_finished());
    });
}

#[test]
fn a_cancelled_task_is_polled_once_more_and_its_value_counts() {
    test_run(async {
        let task = spawn(async {
            yield_now().await;
            7
        });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await.unwrap(), 7);
    });
}

#[test]
fn a_task_cancelled_before_its_start_is_never_polled() {
    test_run(async {
        let log = Log::new();
        let captured = notes_drop(&log, "captures dropped");
        let task = spawn(async move {
            let _captured = captured;
            panic!("never polled");
        });
        task.cancel();
        let error: handcar_structured::JoinError = task.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(log.take(), ["captures dropped"]);
    });
}

#[test]
fn a_task_that_cancels_itself_goes_on_to_its_next_suspension() {
    test_run(async {
        let log = Log::new();
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let (handle, in_task) = (Rc::clone(&own), log.clone());
        *own.borrow_mut() = Some(spawn(async move {
            handle.borrow().as_ref().unwrap().cancel();
            in_task.note(is_cancelled());
            secs(1).await;
            in_task.note("never");
        }));
        yield_now().await;
        let task = own.take().unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["true"]);
    });
}

#[test]
fn a_task_may_catch_its_cancel_and_shield_its_last_work() {
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = spawn(async move {
            assert!(cancellable(for_ever()).await.is_err());
            shield(secs(2)).await;
            in_task.at("last work");
            yield_now().await;
            in_task.note("never");
        });
        yield_now().await;
        assert!(task.cancel_and_wait().await.is_err());
        assert_eq!(log.take(), ["2 last work"]);
    });
}

#[test]
fn a_task_whose_handle_is_dropped_ends_by_the_same_rule() {
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = spawn(async move {
            let _guard = defer({
                let log = in_task.clone();
                async move {
                    secs(1).await;
                    log.at("cleanup");
                }
            });
            for_ever().await;
        });
        yield_now().await;
        drop(task);
        secs(2).await;
        assert_eq!(log.take(), ["1 cleanup"]);
    });
}

#[test]
fn a_timeout_around_a_handle_drops_the_handle_and_does_not_wait_for_the_cleanups() {
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = spawn(async move {
            let _guard = defer(async move {
                secs(5).await;
                in_task.at("cleanup");
            });
            for_ever().await;
        });
        assert!(timeout(s(1), task).await.is_err());
        log.at("timed out");
        secs(9).await;
        assert_eq!(log.take(), ["1 timed out", "6 cleanup"]);
    });
}

#[test]
fn a_handle_by_reference_can_be_awaited_again() {
    test_run(async {
        let mut task = spawn(secs(3));
        assert!(timeout(s(1), &mut task).await.is_err());
        task.await.unwrap();
        assert_eq!(seconds(), 3);
    });
}

#[test]
fn detaching_says_what_becomes_of_the_result() {
    let _dog = watchdog();
    let reports = Reports::default();
    let told = Rc::new(RefCell::new(None));
    reports.builder().build().unwrap().block_on(async {
        let tell = Rc::clone(&told);
        spawn(async { Err::<(), _>("told") }).detach_with(move |error| *tell.borrow_mut() = Some(error));
        spawn(async { Err::<(), Box<dyn Error + Send + Sync>>("reported".into()) }).detach_reporting();
        spawn(async {}).detach();
        yield_now().await;
    });
    assert_eq!(told.take(), Some("told"));
    assert_eq!(reports.take(), ["failed: reported"]);
}

#[test]
fn the_reason_names_the_line_that_cancelled() {
    test_run(async {
        let task = spawn(for_ever());
        yield_now().await;
        task.cancel();
        let line = line!() - 1;
        let Err(handcar_structured::JoinError::Cancelled(reason)) = task.await else { panic!("it was cancelled") };
        assert!(matches!(reason.kind(), CancelKind::Explicit));
        assert_eq!(reason.at().line(), line);
    });
}

#[test]
fn a_handle_awaited_after_the_runtimes_end_says_that_it_was_the_shutdown() {
    let _dog = watchdog();
    let runtime = simulated();
    let task = runtime.spawn(for_ever());
    runtime.block_on(yield_now());
    drop(runtime);
    let error = test_run(task).unwrap_err();
    let handcar_structured::JoinError::Cancelled(reason) = error else { panic!("it was cancelled") };
    assert!(matches!(reason.kind(), CancelKind::Shutdown), "{reason}");
}

#[test]
fn an_aborted_task_whose_destructor_panics_or_spawns_harms_nobody() {
    test_run(async {
        let log = Log::new();
        let task = spawn(async {
            let _bomb = OnDrop::new(|| panic!("in drop"));
            for_ever().await;
        });
        yield_now().await;
        assert_eq!(task.cancel_and_wait().await.unwrap_err().to_string(), "task panicked: in drop");
        let in_task = log.clone();
        let task = spawn(async move {
            let _spawns = OnDrop::new(move || spawn(async move { in_task.note("spawned") }).detach());
            for_ever().await;
        });
        yield_now().await;
        assert!(task.cancel_and_wait().await.is_err());
        yield_now().await;
        assert_eq!(log.take(), ["spawned"]);
    });
}

#[test]
fn main_panics_after_everything_has_ended() {
    let _dog = watchdog();
    let log = Log::new();
    let in_main = log.clone();
    let panic = panic_of(|| {
        simulated().block_on(async move {
            let _guard = defer(async move {
                secs(1).await;
                in_main.at("cleanup");
            });
            panic!("oh");
        });
    });
    assert_eq!(panic, "oh");
    assert_eq!(log.take(), ["1 cleanup"]);
}

#[test]
fn a_spawn_that_is_refused_leaves_the_task_that_asked_as_it_was() {
    let log = Log::new();
    test_run(async {
        let inside = log.clone();
        let cleanup = move |what: &'static str| {
            let log = inside.clone();
            defer(async move {
                secs(1).await;
                log.at(what);
            })
        };
        let asks = spawn(async move {
            let _own = cleanup("its own");
            let ended = Runtime::new().unwrap().spawner();
            let captured = OnDrop::new(move || drop(cleanup("of what was refused")));
            let refused = async move { drop(captured) };
            assert!(ended.spawn_local_obj(Box::new(refused).into()).is_err());
        });
        asks.await.unwrap();
        log.at("joined");
    });
    assert_eq!(log.take(), ["1 of what was refused", "2 its own", "2 joined"]);
}

#[test]
fn an_aborted_task_whose_destructor_cancels_its_parent_ends_and_so_does_the_parent() {
    let log = Log::new();
    test_run(async {
        let own: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
        let (handle, inside) = (Rc::clone(&own), log.clone());
        let parent = spawn(async move {
            let cancels_parent = OnDrop::new(move || assert!(handle.take().unwrap().cancel()));
            let child = spawn(async move {
                let _cancels = cancels_parent;
                for_ever().await;
            });
            yield_now().await;
            let _guard = defer(async move {
                secs(1).await;
                inside.at("cleanup");
            });
            assert!(child.cancel_and_wait().await.is_err());
            for_ever().await;
        });
        *own.borrow_mut() = Some(parent.abort_handle());
        assert!(parent.await.is_err());
        log.at("joined");
    });
    assert_eq!(log.take(), ["1 cleanup", "1 joined"]);
}

#[test]
fn the_runtimes_end_does_not_outlast_its_last_task() {
    let _dog = watchdog();
    let runtime = Builder::new().grace(Some(Duration::from_secs(3600))).build().unwrap();
    runtime.spawn(shield(sleep(Duration::from_millis(5)))).detach();
    runtime.block_on(yield_now());
    drop(runtime); // in the system's time: the watchdog would not wait for an hour
}

#[test]
fn what_is_dropped_unpolled_is_reported_where_that_was_asked_for() {
    let _dog = watchdog();
    let reports = Reports::default();
    let (first, thread) = (line!() + 2, line!() + 3);
    let program = async || {
        drop(sleep(s(1)));
        drop(to_thread(|| ()));
        let _ = sleep(s(1)).now_or_never(); // polled
        drop(spawn_named("forgotten", async {}));
        spawn(async {}).await.unwrap();
        let group = task_group(async |g| {
            g.cancel();
            g.spawn_named("late child", async { Ok::<_, String>(()) });
            Ok(())
        });
        group.await.unwrap();
        yield_now().await;
        spawn_named("at the end", async {}).detach();
    };
    reports.builder().build().unwrap().block_on(program());
    assert_eq!(reports.take(), [""; 0]);

    let runtime = reports.builder().report_unpolled(true).build().unwrap();
    runtime.block_on(program());
    drop(runtime);
    let told = reports.take();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told[0].contains(&format!("the `sleep` made at executor/structured/tests/tasks.rs:{first}:")),
        "{}",
        told[0]
    );
    assert!(told[0].contains("was dropped and never awaited, in task `main`"), "{}", told[0]);
    assert!(
        told[1].contains(&format!("the `to_thread` made at executor/structured/tests/tasks.rs:{thread}:")),
        "{}",
        told[1]
    );
    for (text, name) in told[2..].iter().zip(["forgotten", "late child", "at the end"]) {
        assert!(text.starts_with(&format!("task `{name}`")) && text.contains("before it ran at all"), "{text}");
    }
}
