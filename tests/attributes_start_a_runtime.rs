//! `#[handcar::main]` and `#[handcar::test]`, through the crate that users see.
#![cfg(feature = "macros")]

mod common;

use std::error::Error;
use std::num::ParseIntError;
use std::process::ExitCode;
use std::time::Duration;

use handcar::{Instant, RunError, sleep, spawn, try_run, yield_now};

#[handcar::test]
async fn a_test_runs_on_a_runtime() {
    assert_eq!(spawn(async { 2 + 2 }).await.unwrap(), 4);
}

#[handcar::test]
async fn a_test_may_return_a_result() -> Result<(), Box<dyn Error>> {
    let n: u8 = "7".parse()?;
    assert_eq!(spawn(async move { n }).await?, 7);
    Ok(())
}

#[handcar::test]
async fn a_test_may_return_an_exit_code() -> ExitCode {
    yield_now().await;
    ExitCode::SUCCESS
}

#[handcar::test]
#[should_panic(expected = "in the body")]
async fn a_panic_of_the_body_fails_the_test() {
    yield_now().await;
    panic!("in the body");
}

#[handcar::test(clock = "simulated")]
async fn under_the_simulated_clock_a_year_takes_no_time() {
    let start = Instant::now();
    assert_eq!(start.since_start(), Duration::ZERO);
    sleep(Duration::from_secs(365 * 24 * 3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(365 * 24 * 3600));
}

#[handcar::test(clock = "simulated")]
async fn a_simulated_test_may_return_a_result() -> Result<(), ParseIntError> {
    sleep(Duration::from_secs(1)).await;
    "7".parse::<u8>().map(drop)
}

#[handcar::test(clock = "system")]
async fn the_system_clock_can_be_asked_for() {
    assert!(!handcar::Builder::new().build().unwrap().clock().is_simulated());
    let before = Instant::now();
    sleep(Duration::from_micros(10)).await;
    assert!(before.elapsed() >= Duration::from_micros(10));
}

#[handcar::test(clock = "simulated")]
#[should_panic(expected = "task `waits for ever`")]
async fn under_the_simulated_clock_a_deadlock_fails_the_test_and_names_the_tasks() {
    let _ = handcar::spawn_named("waits for ever", std::future::pending::<()>()).await;
}

#[handcar::main]
async fn entry() -> Result<u32, ParseIntError> {
    let digits = spawn(async { "42" }).await.unwrap();
    let number = digits.parse::<u32>()?;
    Ok(number)
}

#[test]
fn the_main_attribute_makes_a_plain_function() {
    let _watchdog = common::watchdog();
    assert_eq!(entry(), Ok(42));
    assert_eq!(entry(), Ok(42), "and it can be called again");
}

#[handcar::main]
async fn unfortunate() -> Result<(), Box<dyn Error>> {
    "forty-two".parse::<u32>()?;
    Ok(())
}

#[test]
fn an_error_of_main_comes_out() {
    let _watchdog = common::watchdog();
    assert_eq!(unfortunate().unwrap_err().to_string(), "invalid digit found in string");
}

mod elsewhere {
    pub(crate) use handcar as renamed;
}

#[handcar::test(crate = "crate::elsewhere::renamed", clock = "simulated")]
async fn the_crate_may_have_another_name() {
    yield_now().await;
}

/// Three lines down is where the outer runtime starts.
#[handcar::main]
async fn outer() -> u32 {
    match try_run(async {}) {
        Err(RunError::Nested { outer }) => outer.line(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attribute_names_a_line_of_the_function_as_the_outer_runtime() {
    let _watchdog = common::watchdog();
    let attribute = line_of("#[handcar::main]\nasync fn outer");
    let line = outer();
    assert!((attribute..attribute + 7).contains(&line), "line {line}, where the function begins at {attribute}");
}

fn line_of(text: &str) -> u32 {
    let source = include_str!("attributes_start_a_runtime.rs");
    let at = source.find(text).unwrap();
    u32::try_from(source[..at].lines().count()).unwrap() + 1
}
