//! Panics: wherever user code panics, somebody hears of it exactly once, and everybody else goes on.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll};
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, JoinError, OnPanic, Report, Runtime, budget, current_task, sleep, spawn, spawn_named, to_thread,
    yield_now,
};

mod common;
use common::{Drops, Log, OnDrop, Reports, for_ever, panic_of, panics_when_dropped, test_run, watchdog};

fn panic_text<T>(result: Result<T, JoinError>) -> String {
    match result {
        Err(JoinError::Panicked(payload)) => payload.to_string(),
        Err(JoinError::Cancelled(reason)) => panic!("cancelled: {reason}"),
        Ok(_) => panic!("it returned"),
    }
}

/// Spawns a task whose type would be unclear, because it only panics.
fn unit(future: impl Future<Output = ()> + 'static) -> handcar_executor::JoinHandle<()> {
    spawn(future)
}

thread_local!(static NASTY_DROPS: Cell<u32> = const { Cell::new(0) });

/// A payload whose destructor panics with another one like it. Of no size, so that nothing leaks where the kernel gives up.
struct Nasty;

impl Drop for Nasty {
    fn drop(&mut self) {
        NASTY_DROPS.set(NASTY_DROPS.get() + 1);
        panic_any(Nasty);
    }
}

#[test]
fn a_panic_in_poll_reaches_the_handle_and_no_report() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let task = spawn(async { panic!("in poll") });
        let others = spawn(async { 7 });
        assert_eq!(panic_text::<()>(task.await), "in poll");
        assert_eq!(others.await.unwrap(), 7);
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_panic_after_many_polls_reaches_the_handle() {
    let _dog = watchdog();
    test_run(async {
        let task = spawn(async {
            sleep(Duration::from_secs(1)).await;
            yield_now().await;
            panic!("late {}", 1);
        });
        assert_eq!(panic_text::<()>(task.await), "late 1");
    });
}

#[test]
fn a_panic_that_a_dropped_handle_had_not_read_is_reported_with_name_and_line() {
    let _dog = watchdog();
    let reports = Reports::new();
    let line = reports.builder().build().unwrap().block_on(async {
        let line = line!() + 1;
        let task = spawn_named("courier", async { panic!("unread") });
        yield_now().await;
        let _: &handcar_executor::JoinHandle<()> = &task;
        assert!(task.is_finished());
        drop(task);
        line
    });
    let all = reports.take_all();
    let [Report::Panicked { task, payload }] = &all[..] else { panic!("{all:?}") };
    assert_eq!((task.name.as_deref(), task.spawned_at.line()), (Some("courier"), line));
    assert_eq!(payload.to_string(), "unread");
}

#[test]
fn an_unread_panic_is_reported_to_its_own_runtime_wherever_the_handle_is_dropped() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    let outside = runtime.spawn(async { panic!("dropped outside") });
    let elsewhere = runtime.spawn(async { panic!("dropped elsewhere") });
    let late = runtime.spawn(async { panic!("dropped after the end") });
    runtime.block_on(yield_now());
    let handles: (handcar_executor::JoinHandle<()>, handcar_executor::JoinHandle<()>) = (outside, elsewhere);
    let late: handcar_executor::JoinHandle<()> = late;
    drop(handles.0);
    assert_eq!(reports.take(), ["panicked: dropped outside"]);
    let others = Reports::new();
    others.builder().build().unwrap().block_on(async move { drop(handles.1) });
    assert_eq!(others.take(), [""; 0]);
    assert_eq!(reports.take(), ["panicked: dropped elsewhere"]);
    drop(runtime);
    drop(late);
    assert_eq!(reports.take(), ["panicked: dropped after the end"]);
}

#[test]
fn a_panic_of_a_detached_task_is_reported_once() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        spawn(async { assert!(std::hint::black_box(false), "detached") }).detach();
        unit(async { panic!("detached before it began") }).detach_ignoring();
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(reports.take(), ["panicked: detached", "panicked: detached before it began"]);
}

#[test]
fn a_panic_of_a_task_that_is_detached_after_its_end_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let plain = spawn(async { assert!(std::hint::black_box(false), "plain") });
        let telling = spawn(async { if true { panic!("telling") } else { Err::<(), ()>(()) } });
        yield_now().await;
        plain.detach();
        telling.detach_with(|()| unreachable!());
    });
    assert_eq!(reports.take(), ["panicked: plain", "panicked: telling"]);
}

#[test]
fn a_panic_in_the_futures_drop_after_success_is_reported_and_the_value_kept() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        struct Bad(Option<OnDrop<Box<dyn FnOnce()>>>);
        impl Future for Bad {
            type Output = u32;
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
                Poll::Ready(7)
            }
        }
        let bad = Bad(Some(OnDrop::new(Box::new(|| panic!("in the future's drop")))));
        assert!(bad.0.is_some());
        assert_eq!(spawn(bad).await.unwrap(), 7);
    });
    assert_eq!(reports.take(), ["panicked: in the future's drop"]);
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_future_reaches_the_handle() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let task = spawn(async {
            let _bad = panics_when_dropped("in the drop");
            for_ever().await;
        });
        yield_now().await;
        task.cancel();
        assert_eq!(panic_text(task.await), "in the drop");
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_panic_in_the_drop_of_an_abandoned_future_is_reported_once() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let task = spawn(async {
            let _bad = panics_when_dropped("in the drop");
            for_ever().await;
        });
        yield_now().await;
        drop(task);
        yield_now().await;
    });
    assert_eq!(reports.take(), ["panicked: in the drop"]);
}

#[test]
fn a_panic_in_poll_and_another_in_drop_are_both_heard() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        struct Bad(#[allow(dead_code)] OnDrop<Box<dyn FnOnce()>>);
        impl Future for Bad {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                panic!("in poll")
            }
        }
        let task = spawn(Bad(OnDrop::new(Box::new(|| panic!("in drop")))));
        assert_eq!(panic_text(task.await), "in poll");
    });
    assert_eq!(reports.take(), ["panicked: in drop"]);
}

#[test]
fn a_panic_in_the_drop_of_a_value_that_nobody_wants_is_reported_once() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        spawn(async { panics_when_dropped("in the value's drop") }).detach_ignoring();
        let others = spawn(async { 7 });
        assert_eq!(others.await.unwrap(), 7);
    });
    assert_eq!(reports.take(), ["panicked: in the value's drop"]);
}

#[test]
fn a_panic_in_the_drop_of_a_finished_tasks_value_is_reported_and_spares_whoever_drops_the_handle() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        let task = spawn(async { panics_when_dropped("in the value's drop") });
        yield_now().await;
        assert!(task.is_finished());
        let dropper = spawn(async move { drop(task) });
        assert!(dropper.await.is_ok());
    });
    assert_eq!(reports.take(), ["panicked: in the value's drop"]);
}

#[test]
fn a_panicking_value_among_finished_handles_costs_none_of_the_others() {
    let _dog = watchdog();
    let drops = Drops::new();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        // One value owns two handles of finished tasks and panics itself.
        let (one, two) = (drops.token(), drops.token());
        let one = spawn(async move { one });
        let two = spawn(async move { two });
        let owner = spawn(async move { (panics_when_dropped("the owner"), one, two) });
        yield_now().await;
        drop(owner);
        assert_eq!(drops.count(), 2);
        // And the books are in order afterwards.
        let token = drops.token();
        let again = spawn(async move { token });
        yield_now().await;
        drop(again);
        assert_eq!(drops.count(), 3);
    });
    assert_eq!(reports.take(), ["panicked: the owner"]);
}

#[test]
fn a_payload_whose_destructor_panics_does_no_harm() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().build().unwrap().block_on(async {
        assert!(unit(async { panic_any(Nasty) }).await.is_err());
        unit(async { panic_any(Nasty) }).detach();
        yield_now().await;
    });
    // The report's payload is still alive until the reports are taken.
    assert_eq!(NASTY_DROPS.get(), 1);
    assert_eq!(reports.take(), ["panicked: a payload that is no text"]);
    assert_eq!(NASTY_DROPS.get(), 2, "each payload's own destructor ran; what it threw was forgotten");
}

#[test]
fn a_payload_may_be_taken_out_and_resumed() {
    let _dog = watchdog();
    test_run(async {
        let Err(JoinError::Panicked(payload)) = unit(async { panic_any(7_u8) }).await else { panic!() };
        assert_eq!(payload.to_string(), "a payload that is no text");
        assert_eq!(*payload.into_inner().downcast::<u8>().unwrap(), 7);
        let Err(JoinError::Panicked(payload)) = unit(async { panic!("again") }).await else { panic!() };
        assert_eq!(panic_of(|| payload.resume()), "again");
    });
}

#[test]
fn a_report_hook_that_panics_does_no_harm() {
    let _dog = watchdog();
    let heard = Rc::new(Cell::new(0));
    let counted = Rc::clone(&heard);
    let runtime = Builder::new()
        .clock(Clock::simulated())
        .on_report(move |_| {
            counted.set(counted.get() + 1);
            panic!("in the hook");
        })
        .build()
        .unwrap();
    let value = runtime.block_on(async {
        spawn(async { assert!(std::hint::black_box(false), "one") }).detach();
        spawn(async { assert!(std::hint::black_box(false), "two") }).detach();
        yield_now().await;
        spawn(async { 7 }).await.unwrap()
    });
    assert_eq!((value, heard.get()), (7, 2));
}

#[test]
fn a_report_hook_may_spawn_cancel_and_wake() {
    let _dog = watchdog();
    let log = Log::new();
    let victim = Rc::new(RefCell::new(None::<handcar_executor::JoinHandle<()>>));
    let (in_hook, in_log) = (Rc::clone(&victim), log.clone());
    let runtime = Builder::new()
        .clock(Clock::simulated())
        .on_report(move |_| {
            let in_task = in_log.clone();
            spawn(async move { in_task.note("spawned by the hook") }).detach();
            let victim = in_hook.borrow_mut().take();
            drop(victim);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let in_task = log.clone();
        *victim.borrow_mut() = Some(spawn(async move {
            let _guard = OnDrop::new(move || in_task.note("victim dropped"));
            for_ever().await;
        }));
        yield_now().await;
        spawn(async { assert!(std::hint::black_box(false), "heard") }).detach();
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(log.take(), ["spawned by the hook", "victim dropped"]);
}

#[test]
fn a_panic_of_main_shuts_the_runtime_down_and_goes_on() {
    let _dog = watchdog();
    let drops = Drops::new();
    let text = panic_of(|| {
        handcar_executor::run(async {
            let (one, two) = (drops.token(), drops.token());
            spawn(async move {
                let _one = one;
                for_ever().await;
            })
            .detach();
            let task = spawn(async move {
                let _two = two;
                sleep(Duration::MAX).await;
            });
            yield_now().await;
            let _task = task;
            panic!("main");
        });
    });
    assert_eq!(text, "main");
    assert_eq!(drops.count(), 2);
    // The thread is as good as new.
    assert_eq!(handcar_executor::run(async { 7 }), 7);
    assert!(Runtime::new().unwrap().enter(current_task).is_none());
}

#[test]
fn panics_in_destructors_while_main_panics_are_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let text = panic_of(|| {
        let runtime = reports.builder().build().unwrap();
        runtime.block_on(async {
            spawn(async {
                let _bad = panics_when_dropped("at shutdown");
                for_ever().await;
            })
            .detach();
            yield_now().await;
            panic!("main");
        });
    });
    assert_eq!(text, "main");
    assert_eq!(reports.take(), ["panicked: at shutdown"]);
}

#[test]
fn a_runtime_whose_main_panicked_can_be_used_again() {
    let _dog = watchdog();
    let (runtime, _) = common::simulated();
    let done = runtime.spawn(async {
        yield_now().await;
        yield_now().await;
        7
    });
    assert_eq!(panic_of(|| runtime.block_on(async { panic!("main") })), "main");
    assert_eq!(runtime.enter(current_task).map(|task| task.id), None, "nothing is being polled any more");
    assert_eq!(runtime.block_on(done).unwrap(), 7);
}

#[test]
fn after_a_panic_of_main_the_budget_is_unlimited_again() {
    let _dog = watchdog();
    panic_of(|| test_run(async { panic!("main") }));
    for _ in 0..=budget::DEFAULT {
        assert!(!budget::is_spent());
        budget::spend();
    }
    assert!(!budget::is_spent(), "outside a poll it is unlimited");
}

#[test]
fn after_a_panic_of_a_task_the_budget_is_unlimited_again() {
    let _dog = watchdog();
    test_run(async { spawn(async { panic!("task") }).await }).map(|(): ()| ()).unwrap_err();
    for _ in 0..=budget::DEFAULT {
        budget::spend();
    }
    assert!(!budget::is_spent());
}

#[test]
fn a_panic_in_the_drop_of_mains_future_is_mains_panic() {
    struct Bad(#[allow(dead_code)] OnDrop<Box<dyn FnOnce()>>);
    impl Future for Bad {
        type Output = u32;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            Poll::Ready(7)
        }
    }
    let _dog = watchdog();
    let (runtime, _) = common::simulated();
    let bad = Bad(OnDrop::new(Box::new(|| panic!("main's drop"))));
    assert_eq!(panic_of(|| assert_eq!(runtime.block_on(bad), 7)), "main's drop");
    assert_eq!(runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn on_panic_shutdown_resumes_the_first_panic_that_nobody_waits_for() {
    let _dog = watchdog();
    let reports = Reports::new();
    let drops = Drops::new();
    let runtime = reports.builder().on_panic(OnPanic::Shutdown).build().unwrap();
    let token = drops.token();
    let text = panic_of(|| {
        runtime.block_on(async move {
            let _token = token;
            spawn(async { assert!(std::hint::black_box(false), "fatal") }).detach();
            for_ever().await;
        });
    });
    assert_eq!(text, "fatal");
    assert_eq!(drops.count(), 1, "main's future was dropped");
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn on_panic_shutdown_leaves_a_panic_to_the_handle_that_waits_for_it() {
    let _dog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).on_panic(OnPanic::Shutdown).build().unwrap();
    let text = runtime.block_on(async { panic_text::<()>(spawn(async { panic!("awaited") }).await) });
    assert_eq!(text, "awaited");
}

#[test]
fn on_panic_shutdown_wins_even_if_main_returns_in_the_same_breath() {
    let _dog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).on_panic(OnPanic::Shutdown).build().unwrap();
    runtime.block_on(async {
        // Enough cheap turns that several polls come between two looks.
        for _ in 0..100 {
            yield_now().await;
        }
    });
    let text = panic_of(|| {
        runtime.block_on(async {
            spawn(async { assert!(std::hint::black_box(false), "fatal") }).detach();
            yield_now().await;
        });
    });
    assert_eq!(text, "fatal");
}

#[test]
fn on_panic_shutdown_loses_no_panic_when_a_host_turns_the_loop() {
    let _dog = watchdog();
    let reports = Reports::new();
    let text = catch_unwind(AssertUnwindSafe(|| {
        let runtime = reports.builder().on_panic(OnPanic::Shutdown).build().unwrap();
        runtime.spawn(async { assert!(std::hint::black_box(false), "fatal") }).detach();
        for _ in 0..3 {
            let _ = runtime.turn().unwrap();
        }
    }));
    let resumed = text.is_err();
    let reported = reports.take() == ["panicked: fatal"];
    assert!(resumed != reported, "once: resumed {resumed}, reported {reported}");
}

#[test]
fn on_panic_shutdown_loses_no_panic_of_a_destructor_at_shutdown() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().on_panic(OnPanic::Shutdown).build().unwrap();
    for message in ["one", "two"] {
        runtime
            .spawn(async move {
                let _bad = panics_when_dropped(message);
                for_ever().await;
            })
            .detach();
    }
    runtime.block_on(yield_now());
    drop(runtime);
    let mut heard = reports.take();
    heard.sort();
    assert_eq!(heard, ["panicked: one", "panicked: two"]);
}

#[test]
fn on_panic_shutdown_loses_no_panic_of_what_a_hook_spawned_at_the_very_end() {
    let _dog = watchdog();
    let reports = Reports::new();
    let (hook, told) = (reports.hook(), Cell::new(false));
    let builder = reports.builder().on_panic(OnPanic::Shutdown).on_report(move |report| {
        hook(report);
        if !told.replace(true) {
            let bomb = OnDrop::new(|| panic!("the second"));
            spawn(async move {
                let _bomb = bomb;
                for_ever().await;
            })
            .detach();
        }
    });
    let runtime = builder.build().unwrap();
    runtime
        .spawn(async {
            let _bomb = OnDrop::new(|| panic!("the first"));
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(reports.take(), ["panicked: the first", "panicked: the second"]);
}

#[test]
fn on_panic_shutdown_reports_the_second_panic() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().on_panic(OnPanic::Shutdown).build().unwrap();
    runtime.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    let text = panic_of(|| {
        runtime.block_on(async {
            spawn(async { assert!(std::hint::black_box(false), "first") }).detach();
            spawn(async { assert!(std::hint::black_box(false), "second") }).detach();
            for_ever().await;
        });
    });
    drop(runtime);
    let mut heard = reports.take();
    heard.push(format!("panicked: {text}"));
    heard.sort();
    assert_eq!(heard, ["panicked: first", "panicked: second"]);
}

#[test]
fn a_panicking_joiners_waker_is_reported_and_costs_neither_value_nor_task() {
    let _dog = watchdog();
    let reports = Reports::new();
    // It is no panic of the task, so it does not end the run.
    reports.builder().on_panic(OnPanic::Shutdown).build().unwrap().block_on(async {
        let waker = common::calling(|call| assert_ne!(call, common::Call::Wake, "in the joiner's wake"));
        let mut task = spawn(async { 7 });
        assert!(waker.poll(&mut task).is_pending());
        let other = spawn(async { 8 });
        yield_now().await;
        assert_eq!(task.await.unwrap(), 7);
        assert_eq!(other.await.unwrap(), 8);
    });
    let heard = reports.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("in the joiner's wake"), "{heard:?}");
}

/// Spawns, when it is dropped, a task whose destructor panics.
struct SpawnsPanic;

impl Drop for SpawnsPanic {
    fn drop(&mut self) {
        let bad = panics_when_dropped("spawned at the very end");
        spawn(async move {
            let _bad = bad;
            for_ever().await;
        })
        .detach();
    }
}

#[test]
fn no_panic_of_what_a_jobs_destructor_spawned_at_the_end_is_lost() {
    let _dog = watchdog();
    for on_panic in [OnPanic::Report, OnPanic::Shutdown] {
        let reports = Reports::new();
        let runtime = reports.builder().on_panic(on_panic).blocking_threads(1).build().unwrap();
        let mut kept = None; // wanted to the last, so that no thread drops what was captured
        runtime.block_on(async {
            let (go, wait) = channel::<()>();
            let (begun, has_begun) = channel();
            let first = to_thread(move || {
                begun.send(()).unwrap();
                let _ = wait.recv();
            });
            has_begun.recv().unwrap();
            let captured = (SpawnsPanic, go);
            let second = to_thread(move || drop(captured));
            kept = Some((first, second));
        });
        drop(runtime);
        assert_eq!(reports.take(), ["panicked: spawned at the very end"], "{on_panic:?}");
        drop(kept);
    }
}

/// Enough living runtimes that every number of a dead one is used again; they count what they hear.
fn heirs() -> (Vec<Runtime>, Rc<Cell<u32>>) {
    let heard = Rc::new(Cell::new(0));
    let heirs = (0..1200).map(|_| {
        let heard = Rc::clone(&heard);
        Builder::new().on_report(move |_| heard.set(heard.get() + 1)).build().unwrap()
    });
    (heirs.collect(), heard)
}

/// Whether a report by default ends this process: then the test is run again in another, where it does not.
fn reports_abort(test: &str) -> bool {
    const ON_REPORT: &str = "HANDCAR_ON_REPORT";
    let aborts = std::env::var_os(ON_REPORT).is_some();
    if aborts {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let output = again.args([test, "--exact"]).env_remove(ON_REPORT).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    aborts
}

#[test]
fn a_late_panic_of_a_job_is_told_to_no_stranger() {
    let _dog = watchdog();
    if reports_abort("a_late_panic_of_a_job_is_told_to_no_stranger") {
        return;
    }
    let runtime = Builder::new().clock(Clock::simulated()).blocking_threads(1).build().unwrap();
    let mut job = None::<handcar_executor::ToThread<()>>;
    runtime.block_on(async {
        job = Some(to_thread(|| panic!("late")));
        to_thread(|| ()).await;
    });
    drop(runtime);
    let (mut heirs, heard) = heirs();
    drop(job);
    for heir in &mut heirs {
        let _ = heir.turn().unwrap();
    }
    drop(heirs);
    assert_eq!(heard.get(), 0);
}

#[test]
fn a_late_error_of_a_task_is_told_to_no_stranger() {
    let _dog = watchdog();
    if reports_abort("a_late_error_of_a_task_is_told_to_no_stranger") {
        return;
    }
    let (runtime, _) = common::simulated();
    let task = runtime.spawn(async { Err::<(), _>("late") });
    runtime.block_on(yield_now());
    drop(runtime);
    let (heirs, heard) = heirs();
    task.detach_reporting();
    drop(heirs);
    assert_eq!(heard.get(), 0);
}

#[test]
fn two_values_that_panic_when_dropped_do_not_end_the_process() {
    const CHILD: &str = "HANDCAR_TEST_TWO_PANICS";
    let _dog = watchdog();
    if std::env::var_os(CHILD).is_some() {
        let reports = Reports::new();
        reports.builder().build().unwrap().block_on(async {
            let one = spawn(async { panics_when_dropped("one") });
            let two = spawn(async { panics_when_dropped("two") });
            spawn(async move { (one, two) }).detach_ignoring();
            yield_now().await;
            yield_now().await;
        });
        let mut heard = reports.take();
        heard.sort();
        assert_eq!(heard, ["panicked: one", "panicked: two"]);
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "two_values_that_panic_when_dropped_do_not_end_the_process", "--include-ignored"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_report_to_a_stderr_that_nobody_reads_ends_nothing() {
    const INSIDE: &str = "HANDCAR_TEST_WITHOUT_STDERR";
    let _dog = watchdog();
    if std::env::var_os(INSIDE).is_some() {
        handcar_executor::run(async {
            spawn(async { panic!("nobody hears this") }).detach();
            yield_now().await;
            yield_now().await;
        });
        return;
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let name = "a_report_to_a_stderr_that_nobody_reads_ends_nothing";
    let inside = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .env_remove("HANDCAR_ON_REPORT")
        .stderr(writer)
        .output()
        .unwrap();
    assert!(inside.status.success(), "{inside:?}");
}
