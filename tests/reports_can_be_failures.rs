//! `HANDCAR_ON_REPORT=abort`: a program fails where anything is reported that no hook takes.

mod common;

use std::process::Command;

use common::watchdog;
use handcar::{run, spawn, yield_now};

/// Set for the process that plays the program.
const PLAYED: &str = "HANDCAR_TEST_PROGRAM";

#[test]
fn a_program_with_a_report_aborts_where_that_was_asked_for_and_one_without_does_not() {
    let _watchdog = watchdog();
    if let Ok(program) = std::env::var(PLAYED) {
        return run(async {
            spawn(async move { assert_eq!(program, "right") }).detach();
            yield_now().await;
        });
    }
    let play = |program: &str, wish: Option<&str>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_program_with_a_report_aborts_where_that_was_asked_for_and_one_without_does_not"]);
        command.args(["--nocapture"]).env(PLAYED, program).env_remove("HANDCAR_ON_REPORT");
        command.envs(wish.map(|wish| ("HANDCAR_ON_REPORT", wish)));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (succeeded, told) = play("wrong", None);
    assert!(succeeded && told.contains("handcar: task #1.1, spawned at tests/reports_can_be_failures.rs:"), "{told}");
    assert!(told.contains("\n  help: nobody waits for this task"), "{told}");
    let (succeeded, told) = play("wrong", Some("abort"));
    assert!(!succeeded && told.contains("handcar: task #1.1"), "{told}");
    assert!(play("right", Some("abort")).0);
}
