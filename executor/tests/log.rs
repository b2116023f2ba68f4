//! With the feature `log`, reports that no hook takes go to the program's logger.
#![cfg(feature = "log")]

use std::process::Command;
use std::sync::Mutex;

use handcar_executor::{Builder, run, sleep, spawn_named, yield_now};
use log::{Level, LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<(Level, String, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

const WISH: &str = "HANDCAR_ON_REPORT";

/// One test of this program, in a process of its own.
fn again(test: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test]);
    child
}

#[test]
fn reports_go_to_the_logger_with_their_advice_once_there_is_one() {
    if std::env::var_os(WISH).is_some() {
        let mut unwished = again("reports_go_to_the_logger_with_their_advice_once_there_is_one");
        return assert!(unwished.env_remove(WISH).output().unwrap().status.success());
    }
    let program = async || {
        spawn_named("worker", async { panic!("oh") }).detach();
        yield_now().await;
    };
    run(program()); // no logger yet: to stderr
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Info);
    run(program());
    Builder::new().report_unpolled(true).build().unwrap().block_on(async { drop(sleep(std::time::Duration::ZERO)) });
    let lines = std::mem::take(&mut *LINES.0.lock().unwrap());
    let [(Level::Error, target, panicked), (Level::Warn, _, unpolled)] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(target, "handcar");
    assert!(panicked.starts_with("task `worker`") && panicked.contains("panicked: oh\n  help: "), "{panicked}");
    assert!(unpolled.starts_with("the `sleep` made at "), "{unpolled}");
}

#[test]
fn with_a_logger_too_a_report_aborts_where_that_was_asked_for() {
    const CHILD: &str = "HANDCAR_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(LevelFilter::Info);
        return run(async {
            spawn_named("worker", async { panic!("oh") }).detach();
            yield_now().await;
        });
    }
    let mut wished = again("with_a_logger_too_a_report_aborts_where_that_was_asked_for");
    assert!(!wished.env(WISH, "abort").env(CHILD, "1").output().unwrap().status.success());
}
