//! A runtime inside another would bring the outer one to a halt. It is refused, and the refusal names the outer line.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

use common::{run, watchdog};
use handcar::{Builder, Clock, RunError, Runtime, Turn, spawn, try_run, yield_now};

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    *panic.downcast::<String>().expect("a panic with a formatted message")
}

#[track_caller]
fn assert_nested<T: std::fmt::Debug>(result: Result<T, RunError>, file: &str, line: u32) {
    match result {
        Err(RunError::Nested { outer }) => assert_eq!((outer.file(), outer.line()), (file, line)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn try_run_inside_run_names_the_file_and_line_of_run() {
    let _watchdog = watchdog();
    let line = line!() + 1;
    handcar::run(async { assert_nested(try_run(async { 7 }), file!(), line) });
}

#[test]
fn run_inside_run_panics_with_the_file_and_line_of_the_outer_one() {
    let _watchdog = watchdog();
    let line = line!() + 1;
    let said = handcar::run(async {
        let nested = catch_unwind(|| handcar::run(async {}));
        yield_now().await; // the outer one goes on
        message(nested.unwrap_err())
    });
    assert!(said.contains(&format!("{}:{line}:", file!())), "{said}");
    assert!(said.contains("await the future there"), "the remedy: {said}");
}

#[test]
fn the_panic_of_a_nested_run_is_at_its_own_line() {
    let _watchdog = watchdog();
    if common::is_child() {
        handcar::run(async { handcar::run(async {}) });
    } else {
        let output = common::in_a_child();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(said.contains(&format!("panicked at {}:{}:", file!(), line!() - 5)), "{said}");
    }
}

#[test]
fn every_way_to_run_is_refused_inside_every_other() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let other = Runtime::new().unwrap();
    let line = line!() + 1;
    runtime.block_on(async {
        assert_nested(other.try_block_on(async {}), file!(), line);
        assert_nested(other.turn(), file!(), line);
        assert_nested(runtime.try_block_on(async {}), file!(), line);
        assert_nested(runtime.turn(), file!(), line);
        assert_nested(try_run(async {}), file!(), line);
    });
    let seen = Rc::new(Cell::new(0));
    let line = Rc::clone(&seen);
    let _task = runtime.spawn(async move {
        match try_run(async {}) {
            Err(RunError::Nested { outer }) => line.set(outer.line()),
            other => panic!("{other:?}"),
        }
    });
    let line = line!() + 1;
    while runtime.turn().unwrap() == Turn::More {}
    assert_eq!(seen.get(), line);
}

#[test]
fn it_is_refused_in_a_task_and_deep_inside_plain_functions() {
    fn deep(depth: u32) -> Result<(), RunError> {
        if depth == 0 { try_run(async {}) } else { deep(depth - 1) }
    }
    let _watchdog = watchdog();
    let line = line!() + 1;
    handcar::run(async move {
        spawn(async move { assert_nested(deep(50), file!(), line) }).await.unwrap();
    });
}

#[test]
fn a_refusal_leaves_the_outer_runtime_and_the_thread_as_they_were() {
    run(async {
        for _ in 0..10_000 {
            assert!(try_run(async {}).is_err());
        }
        spawn(async {}).await.unwrap();
    });
    run(async {});
}

#[test]
fn after_a_panic_of_main_the_thread_can_run_again() {
    let _watchdog = watchdog();
    let panicked = catch_unwind(|| handcar::run(async { panic!("main") }));
    assert!(panicked.is_err());
    handcar::run(async {});
}

#[test]
fn another_thread_has_a_runtime_of_its_own() {
    run(async {
        let other = std::thread::spawn(|| run(async { spawn(async { 7 }).await.unwrap() }));
        assert_eq!(other.join().unwrap(), 7);
    });
}

#[test]
fn entering_is_no_running() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Builder::new().clock(Clock::simulated()).build().unwrap());
    let value = a.enter(|| b.enter(|| a.block_on(async { b.enter(|| 7) })));
    assert_eq!(value, 7);
}

#[test]
fn a_runtime_may_be_made_and_dropped_inside_another() {
    run(async {
        let other = Runtime::new().unwrap();
        let task = other.spawn(async { 7 });
        drop(other);
        assert!(task.await.unwrap_err().is_cancelled());
        spawn(async {}).await.unwrap();
    });
}

#[test]
fn the_error_says_what_to_do() {
    let _watchdog = watchdog();
    let here = Location::caller();
    let error = handcar::run(async { try_run(async {}).unwrap_err() });
    let said = error.to_string();
    assert!(said.contains(here.file()) && said.contains("thread of its own"), "{said}");
    let _boxed: Box<dyn std::error::Error> = Box::new(error);
    let caught = catch_unwind(AssertUnwindSafe(|| Runtime::new().unwrap().block_on(async { 1 })));
    assert_eq!(caught.unwrap(), 1);
}

#[test]
fn main_may_borrow_and_be_anything_that_becomes_a_future() {
    let text = String::from("borrowed");
    let mut count = 0;
    let length = run(async {
        yield_now().await;
        count += 1;
        text.len()
    });
    assert_eq!((length, count), (8, 1));
    assert_eq!(run(std::future::ready(7)), 7);
    let boxed: std::pin::Pin<Box<dyn Future<Output = usize> + '_>> = Box::pin(async { text.len() });
    assert_eq!(run(boxed), 8);
}
