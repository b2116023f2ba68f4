//! The attributes on functions that they accept: what the function was is what it stays.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use handcar::{Instant, RunError, sleep, spawn, try_run};

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl Error for Refused {}

thread_local! {
    static INPUT: Cell<&'static str> = const { Cell::new("") };
}

/// `?` finds its error type and a box is coerced, as in any function that declares its return type.
#[handcar::main]
async fn parse_small() -> Result<u32, Box<dyn Error>> {
    if INPUT.get().len() > 3 {
        return Err(Box::new(Refused));
    }
    let parsed = spawn(async { INPUT.get().parse::<u32>() });
    Ok(parsed.await??)
}

#[test]
fn the_return_type_guides_the_body() {
    for (input, result) in
        [("42", "Ok(42)"), ("1234", "Err(Refused)"), ("x", "Err(ParseIntError { kind: InvalidDigit })")]
    {
        INPUT.set(input);
        assert_eq!(format!("{:?}", parse_small()), result);
    }
}

/// Documentation, visibility and other attributes stay on the function that is called.
#[must_use]
#[handcar::main]
pub(crate) async fn with_attributes() -> &'static str {
    #![allow(clippy::let_and_return)]
    let value = "kept";
    value
}

#[test]
fn attributes_stay_with_the_function() {
    assert_eq!(with_attributes(), "kept");
}

#[handcar::main]
async fn countdown() -> u32 {
    // Its own name means the async function, as it does without the attribute.
    match INPUT.replace("done") {
        "done" => 0,
        _ => Box::pin(countdown()).await + 1,
    }
}

#[test]
fn inside_its_body_a_function_is_still_async() {
    INPUT.set("begin");
    assert_eq!(countdown(), 1);
}

mod renamed {
    pub(crate) use handcar as rails;
}

#[handcar::main(crate = "crate::renamed::rails")]
async fn through_another_path() -> u32 {
    handcar::spawn(async { 7 }).await.unwrap()
}

#[test]
fn the_crate_is_found_where_the_option_says() {
    assert_eq!(through_another_path(), 7);
}

#[handcar::main]
async fn outer() -> u32 {
    let nested = try_run(async {});
    let Err(RunError::Nested { outer }) = nested else { panic!("a run inside a run: {nested:?}") };
    outer.line()
}

#[test]
fn a_nested_run_names_the_line_of_the_attribute() {
    assert_eq!(outer(), line!() - 9);
}

#[handcar::test]
async fn a_test_has_a_runtime() {
    assert_eq!(spawn(async { 6 * 7 }).await.unwrap(), 42);
}

#[handcar::test]
async fn a_test_may_return_a_result() -> Result<(), Box<dyn Error>> {
    let number: u32 = "42".parse()?;
    assert_eq!(number, 42);
    Ok(())
}

#[handcar::test]
#[should_panic(expected = "as it should")]
async fn a_test_may_be_one_that_panics() {
    spawn(async { panic!("as it should") }).await.unwrap();
}

#[handcar::test(clock = "simulated", crate = "renamed::rails")]
async fn under_the_simulated_clock_an_hour_passes_at_once() {
    let start = std::time::Instant::now();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(Instant::now().since_start(), Duration::from_secs(3600));
    assert!(start.elapsed() < Duration::from_secs(600));
}

#[handcar::test(clock = "simulated")]
#[should_panic(expected = "a_deadlock_fails_the_test")]
async fn a_deadlock_fails_the_test() {
    handcar::spawn_named("a_deadlock_fails_the_test", std::future::pending::<()>()).await.unwrap();
}

#[handcar::test(clock = "system")]
async fn under_the_systems_clock_time_takes_its_time() {
    let start = std::time::Instant::now();
    sleep(Duration::from_millis(5)).await;
    assert!(start.elapsed() >= Duration::from_millis(5));
}
