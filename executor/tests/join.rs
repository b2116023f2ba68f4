//! Join handles: what they return, what dropping and cancelling them does, and the ways of detaching.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use handcar_executor::{
    AbortHandle, CancelKind, Instant, JoinError, JoinHandle, Runtime, current_task, sleep, spawn, spawn_named,
    yield_now,
};

mod common;
use common::{Drops, Log, OnDrop, Reports, for_ever, panic_of, poll_once, simulated, test_run, watchdog};

fn reason(result: Result<impl Sized, JoinError>) -> (CancelKind, u32) {
    match result {
        Err(JoinError::Cancelled(reason)) => (reason.kind, reason.at.line()),
        Err(JoinError::Panicked(payload)) => panic!("it panicked: {payload}"),
        Ok(_) => panic!("it returned"),
    }
}

fn take<T>(slot: &Rc<RefCell<Option<T>>>) -> Option<T> {
    slot.borrow_mut().take()
}

#[test]
fn a_handle_returns_the_value() {
    let _dog = watchdog();
    assert_eq!(test_run(async { spawn(async { "value" }).await.unwrap() }), "value");
}

#[test]
fn a_spawned_task_is_not_polled_inside_spawn() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let in_task = log.clone();
        let task = spawn(async move { in_task.note("task") });
        log.note("after spawn");
        task.await.unwrap();
        assert_eq!(log.take(), ["after spawn", "task"]);
    });
}

#[test]
fn a_dropped_handle_cancels_its_task_at_the_tasks_next_turn() {
    let _dog = watchdog();
    let log = Log::new();
    test_run({
        let log = log.clone();
        async move {
            let at_drop = log.clone();
            let task = spawn(async move {
                let _guard = OnDrop::new(move || at_drop.note("future dropped"));
                for_ever().await;
            });
            yield_now().await;
            drop(task);
            log.note("handle dropped");
            yield_now().await;
            log.note("later");
        }
    });
    assert_eq!(log.take(), ["handle dropped", "future dropped", "later"]);
}

#[test]
fn a_task_whose_handle_is_dropped_before_its_first_poll_is_never_polled() {
    let _dog = watchdog();
    test_run(async {
        let polled = Rc::new(Cell::new(false));
        let drops = Drops::new();
        let (in_task, token) = (Rc::clone(&polled), drops.token());
        drop(spawn(async move {
            let _token = token;
            in_task.set(true);
        }));
        assert_eq!(drops.count(), 0, "not inside the canceller's call");
        yield_now().await;
        assert_eq!(drops.count(), 1);
        assert!(!polled.get());
    });
}

#[test]
fn a_finished_tasks_value_survives_until_the_handle_asks() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        let task = spawn(async move { token });
        yield_now().await;
        assert!(task.is_finished());
        assert_eq!(drops.count(), 0);
        let token = task.await.unwrap();
        assert_eq!(drops.count(), 0);
        drop(token);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_that_nobody_takes_is_dropped_with_the_handle() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        let task = spawn(async move { token });
        yield_now().await;
        drop(task);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn the_value_of_an_abandoned_task_is_dropped_once() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        spawn(async move { token }).detach_ignoring();
        yield_now().await;
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn cancel_says_whether_it_was_the_one_and_the_first_reason_stays() {
    let _dog = watchdog();
    test_run(async {
        let task = spawn(for_ever());
        let line = line!() + 1;
        assert!(task.cancel());
        assert!(!task.cancel(), "cancelled before");
        assert!(!task.abort_handle().cancel(), "cancelled before");
        assert!(!task.is_finished(), "only at its turn");
        assert_eq!(reason(task.await), (CancelKind::Explicit, line));
    });
}

#[test]
fn cancelling_a_finished_task_returns_false_and_leaves_its_value() {
    let _dog = watchdog();
    test_run(async {
        let task = spawn(async { 7 });
        let abort = task.abort_handle();
        yield_now().await;
        assert!(task.is_finished() && abort.is_finished());
        assert!(!task.cancel());
        assert!(!abort.cancel());
        assert_eq!(task.await.unwrap(), 7);
        assert!(!abort.cancel());
    });
}

#[test]
fn a_cancel_never_drops_the_future_inside_the_cancellers_call() {
    let _dog = watchdog();
    test_run(async {
        let inside = Rc::new(Cell::new(false));
        let dropped_inside = Rc::new(Cell::new(None));
        let (seen, result) = (Rc::clone(&inside), Rc::clone(&dropped_inside));
        let task = spawn(async move {
            let _guard = OnDrop::new(move || result.set(Some(seen.get())));
            for_ever().await;
        });
        yield_now().await;
        inside.set(true);
        task.cancel();
        inside.set(false);
        assert_eq!(dropped_inside.get(), None);
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(dropped_inside.get(), Some(false));
    });
}

#[test]
fn a_cancel_takes_its_turn_behind_what_is_runnable_already() {
    let _dog = watchdog();
    let log = Log::new();
    test_run({
        let log = log.clone();
        async move {
            let at_drop = log.clone();
            let task = spawn(async move {
                let _guard = OnDrop::new(move || at_drop.note("dropped"));
                for_ever().await;
            });
            yield_now().await;
            let other = log.clone();
            let first = spawn(async move { other.note("runnable before") });
            task.cancel();
            let other = log.clone();
            let second = spawn(async move { other.note("runnable after") });
            first.await.unwrap();
            second.await.unwrap();
        }
    });
    assert_eq!(log.take(), ["runnable before", "dropped", "runnable after"]);
}

#[test]
fn a_woken_and_then_cancelled_task_is_not_polled_again() {
    let _dog = watchdog();
    test_run(async {
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let task = spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        yield_now().await;
        assert_eq!(polls.get(), 1);
        task.cancel(); // it is in the run queue now, having woken itself
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(polls.get(), 1);
    });
}

#[test]
fn a_task_that_cancels_itself_ends_at_its_next_suspension() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let own = Rc::new(RefCell::new(None::<AbortHandle>));
        let (abort, in_task) = (Rc::clone(&own), log.clone());
        let task = spawn(async move {
            let first = abort.borrow().as_ref().unwrap().cancel();
            in_task.note(format!("cancelled: {first}"));
            let second = abort.borrow().as_ref().unwrap().cancel();
            in_task.note(format!("again: {second}"));
            yield_now().await;
            in_task.note("beyond the suspension");
        });
        *own.borrow_mut() = Some(task.abort_handle());
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(log.take(), ["cancelled: true", "again: false"]);
    });
}

#[test]
fn a_task_that_cancels_itself_in_its_last_step_still_returns_its_value() {
    let _dog = watchdog();
    test_run(async {
        let own = Rc::new(RefCell::new(None::<AbortHandle>));
        let abort = Rc::clone(&own);
        let task = spawn(async move {
            abort.borrow().as_ref().unwrap().cancel();
            "value"
        });
        *own.borrow_mut() = Some(task.abort_handle());
        assert_eq!(task.await.unwrap(), "value");
    });
}

#[test]
fn a_task_may_own_its_own_handle_and_drop_it() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let (handle, token) = (Rc::clone(&own), drops.token());
        let task = spawn(async move {
            let _token = token;
            let handle = take(&handle).unwrap();
            yield_now().await;
            drop(handle); // cancels the task that is running
            yield_now().await;
            unreachable!("cancelled");
        });
        *own.borrow_mut() = Some(task);
        for _ in 0..4 {
            yield_now().await;
        }
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_future_that_owns_its_own_handle_is_dropped_once_when_it_ends() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let drops = Drops::new();
        let own = Rc::new(RefCell::new(None::<JoinHandle<common::Token>>));
        let (handle, future, output) = (Rc::clone(&own), drops.token(), drops.token());
        let task = spawn(async move {
            let _future = future;
            let _handle = take(&handle);
            output
        });
        *own.borrow_mut() = Some(task);
        yield_now().await;
        assert_eq!(drops.count(), 2, "the future's token and the output's");
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn cancel_and_wait_returns_when_the_future_is_gone() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        let task = spawn(async move {
            let _token = token;
            for_ever().await;
        });
        yield_now().await;
        let line = line!() + 1;
        let result = task.cancel_and_wait().await;
        assert_eq!(drops.count(), 1);
        assert_eq!(reason(result), (CancelKind::Explicit, line));
    });
}

#[test]
fn cancel_and_wait_returns_the_value_of_a_task_that_had_ended() {
    let _dog = watchdog();
    test_run(async {
        let task = spawn(async { 7 });
        yield_now().await;
        assert_eq!(task.cancel_and_wait().await.unwrap(), 7);
    });
}

#[test]
fn an_abort_handle_outlives_everything_and_its_drop_does_nothing() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let abort = runtime.block_on(async {
        let task = spawn(async {
            yield_now().await;
            7
        });
        drop(task.abort_handle());
        drop(task.abort_handle().clone());
        let abort = task.abort_handle();
        assert_eq!(abort.id(), task.id());
        assert_eq!(task.await.unwrap(), 7);
        abort
    });
    drop(runtime);
    assert!(abort.is_finished());
    assert!(!abort.cancel());
    assert!(format!("{abort:?}").starts_with("AbortHandle(task #"));
}

#[test]
fn an_abort_handle_cancels_a_detached_task() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        let task = spawn(async move {
            let _token = token;
            for_ever().await;
        });
        let abort = task.abort_handle();
        task.detach();
        yield_now().await;
        assert_eq!(drops.count(), 0);
        assert!(abort.cancel());
        yield_now().await;
        assert_eq!(drops.count(), 1);
        assert!(abort.is_finished());
    });
}

#[test]
fn names_and_lines_are_those_of_the_spawner() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let line = line!() + 1;
    let outside = runtime.spawn(async {});
    assert_eq!((outside.spawned_at().file(), outside.spawned_at().line()), (file!(), line));
    runtime.block_on(async {
        let line = line!() + 1;
        let plain = spawn(async {});
        assert_eq!((plain.name(), plain.spawned_at().line()), (None, line));
        let line = line!() + 1;
        let named = spawn_named("courier", async { current_task().unwrap() });
        assert_eq!((named.name(), named.spawned_at().line()), (Some("courier"), line));
        assert!(format!("{named:?}").contains("task `courier` #"), "{named:?}");
        let id = named.id();
        let info = named.await.unwrap();
        assert_eq!((info.id, info.name.as_deref(), info.spawned_at.line()), (id, Some("courier"), line));
        let line = line!() + 1;
        let spawned = handcar_executor::Spawner::current().spawn(async {});
        assert_eq!(spawned.spawned_at().line(), line);
    });
}

#[test]
fn every_living_task_has_its_own_number() {
    let _dog = watchdog();
    test_run(async {
        let tasks: Vec<_> = (0..100).map(|_| spawn(for_ever())).collect();
        let ids: std::collections::HashSet<_> = tasks.iter().map(JoinHandle::id).collect();
        assert_eq!(ids.len(), 100);
    });
}

#[test]
fn a_handle_may_be_polled_left_and_awaited_again() {
    let _dog = watchdog();
    test_run(async {
        let mut task = spawn(async {
            sleep(Duration::from_secs(1)).await;
            7
        });
        assert!(poll_once(&mut task).is_pending());
        assert!(handcar_executor::timeout(Duration::from_millis(1), &mut task).await.is_err());
        assert_eq!((&mut task).await.unwrap(), 7);
        assert!(Instant::now().since_start() == Duration::from_secs(1));
    });
}

#[test]
fn only_the_last_waker_of_a_handle_is_woken() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let (one, other) = (log.clone(), log.clone());
        let first = common::calling(move |call| one.note(format!("first {call:?}")));
        let second = common::calling(move |call| other.note(format!("second {call:?}")));
        let mut task = spawn(yield_now());
        assert!(first.poll(&mut task).is_pending());
        assert!(first.poll(&mut task).is_pending());
        assert!(second.poll(&mut task).is_pending());
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), ["first Clone", "second Clone", "first Drop", "second Wake"]);
        assert!(second.poll(&mut task).is_ready());
        drop(task);
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn a_handle_polled_after_ready_panics_with_its_name() {
    let _dog = watchdog();
    test_run(async {
        let mut task = spawn(async {});
        (&mut task).await.unwrap();
        assert!(panic_of(|| drop(poll_once(&mut task))).contains("`JoinHandle` polled after"));
    });
}

#[test]
fn a_detached_task_runs_on() {
    let _dog = watchdog();
    test_run(async {
        let done = Rc::new(Cell::new(0));
        let (one, two) = (Rc::clone(&done), Rc::clone(&done));
        spawn(async move {
            yield_now().await;
            one.set(one.get() + 1);
        })
        .detach();
        spawn(async move {
            yield_now().await;
            two.set(two.get() + 1);
            "ignored"
        })
        .detach_ignoring();
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(done.get(), 2);
    });
}

#[test]
fn whoever_has_given_up_a_handle_is_not_woken_by_its_task() {
    let _dog = watchdog();
    test_run(async {
        for detaches in [true, false] {
            let mut task = Some(spawn(yield_now()));
            let mut polls = 0;
            let mut rest = pin!(sleep(Duration::from_secs(1)));
            poll_fn(|cx| {
                polls += 1;
                if let Some(mut task) = task.take() {
                    assert!(Pin::new(&mut task).poll(cx).is_pending());
                    if detaches { task.detach() } else { drop(task) }
                }
                rest.as_mut().poll(cx)
            })
            .await;
            assert_eq!(polls, 2, "at first, and when the time is up; detaches: {detaches}");
        }
    });
}

#[test]
fn detach_with_gets_the_error_of_a_task_that_ends_later() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let (one, two) = (log.clone(), log.clone());
        spawn(async {
            yield_now().await;
            Err::<(), _>("late")
        })
        .detach_with(move |error| one.note(error));
        spawn(async { Ok::<_, &str>(()) }).detach_with(move |error| two.note(error));
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(log.take(), ["late"]);
    });
}

#[test]
fn detach_with_gets_the_error_of_a_task_that_has_ended() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let hook = log.clone();
        let task = spawn(async { Err::<(), _>("early") });
        yield_now().await;
        assert!(task.is_finished());
        task.detach_with(move |error| hook.note(error));
        assert_eq!(log.take(), ["early"], "at once");
    });
}

#[test]
fn detach_with_is_dropped_uncalled_when_the_task_panics_or_is_cancelled() {
    let _dog = watchdog();
    let reports = Reports::new();
    let drops = Drops::new();
    reports.builder().build().unwrap().block_on(async {
        let token = drops.token();
        let cancelled = spawn(std::future::pending::<Result<(), ()>>());
        let abort = cancelled.abort_handle();
        cancelled.detach_with(move |()| drop(token));
        let token = drops.token();
        let panics = spawn(async { if true { panic!("oh") } else { Err::<(), ()>(()) } });
        panics.detach_with(move |()| drop(token));
        abort.cancel();
        yield_now().await;
        assert_eq!(drops.count(), 2);
    });
    assert_eq!(reports.take(), ["panicked: oh"]);
}

#[test]
fn detach_reporting_reports_an_error_with_the_tasks_name() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    runtime.block_on(async {
        let task = spawn_named("courier", async { Err::<(), _>("lost the parcel") });
        task.detach_reporting();
        spawn(async { Ok::<_, String>(()) }).detach_reporting();
        yield_now().await;
    });
    let all = reports.take_all();
    assert_eq!(all.len(), 1);
    let text = all[0].to_string();
    assert!(text.starts_with("task `courier` #") && text.ends_with("failed: lost the parcel"), "{text}");
}

#[test]
fn detach_reporting_outside_the_runtime_reports_to_the_tasks_own_runtime() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    let task = runtime.spawn(async { Err::<(), _>("lost the parcel") });
    runtime.block_on(yield_now());
    assert!(task.is_finished());
    task.detach_reporting();
    drop(runtime); // at its next look at the latest
    assert_eq!(reports.take(), ["failed: lost the parcel"]);
}

#[test]
fn a_panic_in_a_detachings_function_is_reported_when_the_task_ends() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        spawn(async { Err::<(), _>(1) }).detach_with(|_| panic!("in the function"));
        yield_now().await;
    });
    assert_eq!(reports.take(), ["panicked: in the function"]);
}

#[test]
fn a_handle_awaited_after_the_runtimes_end_says_shutdown() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let pending = runtime.spawn(for_ever());
    let finished = runtime.spawn(async { 7 });
    runtime.block_on(yield_now());
    drop(runtime);
    assert!(pending.is_finished());
    assert!(!pending.cancel());
    let (pending, finished) = test_run(async move { (pending.await, finished.await) });
    assert_eq!(reason(pending).0, CancelKind::Shutdown);
    assert_eq!(finished.unwrap(), 7);
}

#[test]
fn a_handle_dropped_after_the_runtimes_end_drops_the_value() {
    let _dog = watchdog();
    let drops = Drops::new();
    let token = drops.token();
    let (runtime, _) = simulated();
    let task = runtime.spawn(async move { token });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.count(), 0);
    drop(task);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_handle_awaited_on_another_runtime_is_woken_by_its_own() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, _) = simulated();
    let task = a.spawn(async {
        yield_now().await;
        7
    });
    let waits = b.spawn(task);
    b.block_on(yield_now());
    assert!(!waits.is_finished());
    a.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(b.block_on(waits).unwrap().unwrap(), 7);
}

#[test]
fn a_handle_dropped_on_another_runtime_cancels_its_task() {
    let _dog = watchdog();
    let drops = Drops::new();
    let token = drops.token();
    let (a, _) = simulated();
    let task = a.spawn(async move {
        let _token = token;
        for_ever().await;
    });
    a.block_on(yield_now());
    test_run(async move { drop(task) });
    assert_eq!(drops.count(), 0);
    let _ = a.turn().unwrap();
    let _ = a.turn().unwrap();
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_handle_dropped_between_two_runs_cancels_its_task() {
    let _dog = watchdog();
    let drops = Drops::new();
    let token = drops.token();
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(async move {
        let _token = token;
        for_ever().await;
    });
    runtime.block_on(yield_now());
    drop(task);
    runtime.block_on(async {
        while drops.count() == 0 {
            yield_now().await;
        }
    });
}

#[test]
fn errors_are_send_and_sync_and_read_well() {
    fn fits<T: std::error::Error + Send + Sync + 'static>() {}
    let _dog = watchdog();
    fits::<JoinError>();
    test_run(async {
        let panicked = spawn(async { panic!("seven") }).await.map(|(): ()| ()).unwrap_err();
        assert!(panicked.is_panic() && !panicked.is_cancelled());
        assert_eq!(panicked.to_string(), "task panicked: seven");
        let JoinError::Panicked(payload) = panicked else { unreachable!() };
        assert_eq!(common::text(&*payload.into_inner()), "seven");
        let here: &'static Location<'static> = Location::caller();
        let task = spawn(for_ever());
        task.cancel();
        let cancelled = task.await.unwrap_err();
        assert!(cancelled.is_cancelled() && !cancelled.is_panic());
        let text = cancelled.to_string();
        assert!(text.starts_with("task was cancelled: cancelled at ") && text.contains(here.file()), "{text}");
    });
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_woken() {
    let _dog = watchdog();
    let log = Log::new();
    test_run(async {
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let log = log.clone();
                spawn(async move {
                    for round in 0..3 {
                        log.note(format!("{round}{number}"));
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(log.take(), ["00", "01", "02", "03", "10", "11", "12", "13", "20", "21", "22", "23"]);
}

#[test]
fn a_task_that_waits_for_itself_is_a_deadlock_and_no_crash() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
    let handle = Rc::clone(&own);
    let result = runtime.try_block_on(async move {
        let task = spawn(async move {
            let mut handle = take(&handle).unwrap();
            let _ = (&mut handle).await;
        });
        *own.borrow_mut() = Some(task);
        poll_fn(|_| Poll::<()>::Pending).await;
    });
    assert!(matches!(result, Err(handcar_executor::RunError::Deadlock(_))));
}

#[test]
fn a_cell_that_an_abort_handle_still_holds_is_not_given_to_the_next_task() {
    let _dog = watchdog();
    test_run(async {
        let mut task = spawn(async { 1_u64 });
        let abort = task.abort_handle();
        assert_eq!((&mut task).await.unwrap(), 1);
        let id = abort.id();
        drop(task); // its result is taken, but it is not the last that holds the cell
        for _ in 0..3 {
            assert_eq!(spawn(async { 2_u64 }).await.unwrap(), 2);
        }
        assert_eq!(abort.id(), id);
        assert!(abort.is_finished());
    });
}
