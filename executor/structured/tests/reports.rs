//! Reports: each once, with its source, its line, and what to do about it.

use std::error::Error;
use std::num::ParseIntError;
use std::time::Duration;

use handcar_structured::{
    Builder, Clock, Report, Reports, Runtime, defer, run, scope_of, sleep, spawn, spawn_named, yield_now,
};

mod common;
use common::{OnDrop, for_ever, in_a_child, watchdog};

fn reporting() -> (Runtime, Reports) {
    let reports = Reports::new();
    (Builder::new().clock(Clock::simulated()).on_report(reports.hook()).build().unwrap(), reports)
}

#[test]
fn the_error_of_a_detached_task_is_reported_once_and_keeps_its_source() {
    let _dog = watchdog();
    let (runtime, reports) = reporting();
    runtime.block_on(async {
        spawn_named("parses", async { "seven".parse::<u32>() }).detach_reporting();
        yield_now().await;
        let told = reports.take();
        let [report @ Report::Failed { task, error }] = &told[..] else { panic!("{told:?}") };
        assert_eq!(task.name.as_deref(), Some("parses"));
        assert!(error.is::<ParseIntError>());
        assert_eq!(report.source().unwrap().to_string(), "invalid digit found in string");
    });
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn what_happens_while_the_runtime_is_being_dropped_is_reported_too() {
    let _dog = watchdog();
    let (runtime, reports) = reporting();
    runtime.block_on(async {
        spawn(async {
            let _guard = OnDrop::new(|| panic!("in a destructor"));
            for_ever().await;
        })
        .detach();
        spawn(async {
            let _guard = defer(async { panic!("in a cleanup") });
            for_ever().await;
        })
        .detach();
        yield_now().await;
    });
    assert!(reports.take().is_empty());
    drop(runtime);
    let mut told: Vec<_> = reports
        .take()
        .iter()
        .map(|report| report.to_string().split(" panicked: ").last().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["in a cleanup", "in a destructor"]);
}

#[test]
fn what_the_end_of_the_runtime_found_stuck_is_named() {
    let _dog = watchdog();
    let (runtime, reports) = reporting();
    let line = line!() + 3;
    runtime.block_on(async {
        let left = scope_of(async {
            defer(async {
                for_ever().await; // belongs to nobody but the root, since the guard outlives all scopes
            })
        });
        let task = spawn(async move { left.await.unwrap() });
        drop(task.await.unwrap());
        yield_now().await;
    });
    drop(runtime);
    let told = reports.take();
    let [report @ Report::TasksCut { tasks }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].spawned_at.line(), line);
    assert!(report.to_string().contains(&format!("reports.rs:{line}:")), "{report}");
}

#[test]
fn the_alternate_form_says_what_to_do_and_the_plain_one_is_what_and_where() {
    let _dog = watchdog();
    let (runtime, reports) = reporting();
    let line = line!() + 2;
    runtime.block_on(async {
        spawn_named("worker", async { panic!("oh") }).detach();
        yield_now().await;
    });
    let told = reports.take();
    let task = format!("task `worker` #1.1, spawned at executor/structured/tests/reports.rs:{line}:9");
    assert_eq!(told[0].to_string(), format!("{task} panicked: oh"));
    assert_eq!(
        format!("{:#}", told[0]),
        format!("{told} panicked: oh\n  help: {help}", told = task, help = told[0].advice())
    );
}

#[test]
fn a_hook_that_panics_loses_neither_its_report_nor_the_program() {
    let _dog = watchdog();
    let Some(told) = in_a_child() else {
        let runtime = Builder::new().on_report(|_| panic!("in the hook")).build().unwrap();
        return runtime.block_on(async {
            spawn(async { panic!("oh") }).detach();
            yield_now().await;
            sleep(Duration::ZERO).await;
        });
    };
    let said: Vec<_> = told.lines().filter(|line| line.starts_with("handcar: ")).collect();
    let [line] = said[..] else { panic!("{told}") };
    assert!(line.starts_with("handcar: task #1.1, spawned at executor/structured/tests/reports.rs:"), "{line}");
    assert!(line.ends_with("panicked: oh; telling so panicked: in the hook"), "{line}");
}

#[test]
fn an_error_that_panics_when_it_is_displayed_hides_neither_its_task_nor_the_others() {
    #[derive(Debug)]
    struct Unspeakable;
    impl std::fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words")
        }
    }
    impl Error for Unspeakable {}
    let _dog = watchdog();
    let Some(told) = in_a_child() else {
        return run(async {
            spawn_named("first", async { Err::<(), _>(Unspeakable) }).detach_reporting();
            spawn_named("second", async { "x".parse::<u8>() }).detach_reporting();
            yield_now().await;
        });
    };
    let ends = |end: &str| told.lines().any(|line| line.contains("handcar: ") && line.ends_with(end));
    assert!(ends("failed; telling so panicked: no words"), "{told}");
    assert!(ends("failed: invalid digit found in string"), "{told}");
}

#[test]
fn an_error_of_a_task_that_is_detached_after_its_end_goes_to_the_tasks_own_runtime() {
    let _dog = watchdog();
    let (runtime, reports) = reporting();
    let [one, two] = [(); 2].map(|()| runtime.spawn(async { "seven".parse::<u32>() }));
    runtime.block_on(yield_now());
    assert!(one.is_finished() && two.is_finished());
    one.detach_reporting();
    let (other, of_other) = reporting();
    other.block_on(async { two.detach_reporting() });
    drop(other);
    drop(runtime);
    let told = reports.take();
    assert!(matches!(told[..], [Report::Failed { .. }, Report::Failed { .. }]), "{told:?}");
    assert!(of_other.take().is_empty());
}

#[test]
fn reports_from_other_threads_are_collected_in_one_place() {
    let _dog = watchdog();
    let reports = Reports::new();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let reports = reports.clone();
            std::thread::spawn(move || {
                let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
                runtime.block_on(async {
                    spawn(async { panic!("oh") }).detach();
                    yield_now().await;
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(reports.take().len(), 4);
}
