//! A sample: one process that measures one entrant on one row.

use std::env;
use std::process::Command;

use super::options::spell;
use crate::bencher::Effort;
use crate::rows::Row;
use crate::runtimes::Handcar;
use crate::workloads::open_loop;

/// Seconds that a sample may take.
const PATIENCE: &str = "60";

/// Set in the environment of a process in which Handcar's clock is to stand.
pub(super) const CLOCK_STANDS: &str = "HANDCAR_CLOCK_STANDS";

/// In the process of the sample: measures, and prints how many operations there were in a batch, and the figures; on a second line
/// the histogram, where there is one.
pub(super) fn take(rows: &[Row], entrant: &str, effort: Effort) -> Result<(), String> {
    let row = rows.first().ok_or("there is no such row")?;
    let entrant = row.entrants.iter().find(|other| other.name == entrant).ok_or("nobody of that name enters")?;
    if env::var_os(CLOCK_STANDS).is_some() {
        Handcar::stop_the_clock();
    }
    let measured = entrant.measure(effort);
    let figures: Vec<_> = measured.figures().iter().map(f64::to_string).collect();
    let histogram: Vec<_> = measured.histogram().iter().map(u64::to_string).collect();
    println!("{} {}\n{}", measured.operations(), figures.join(" "), histogram.join(" "));
    Ok(())
}

/// In the runner: starts that process, and reads what it prints. `capacity` is what a load is a share of.
pub(super) fn order(row: &str, entrant: &str, effort: Effort, capacity: Option<f64>) -> Result<Printed, String> {
    let program = itself(row, entrant, effort)?;
    let mut limited = Command::new("timeout");
    limited.arg(PATIENCE).arg(program.get_program()).args(program.get_args());
    if let Some(capacity) = capacity {
        limited.env(open_loop::CAPACITY, capacity.to_string());
    }
    let output =
        limited.output().map_err(|error| format!("a process for `{row}` on {entrant} cannot be started: {error}"))?;
    match Printed::parse(&output.stdout) {
        Some(printed) if output.status.success() => Ok(printed),
        _ if output.status.code() == Some(124) => Err(format!("no sample within {PATIENCE} seconds")),
        _ => Err(format!("`{row}` on {entrant} failed:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// This program, told to take a sample.
pub(super) fn itself(row: &str, entrant: &str, effort: Effort) -> Result<Command, String> {
    let program = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command.args(["--only", row, "--sample", entrant, &spell(effort)]);
    Ok(command)
}

/// What such a process prints.
pub(super) struct Printed {
    pub(super) operations: u64,
    pub(super) figures: Vec<f64>,
    pub(super) histogram: Vec<u64>,
}

impl Printed {
    pub(super) fn parse(stdout: &[u8]) -> Option<Printed> {
        let (figures, histogram) = std::str::from_utf8(stdout).ok()?.split_once('\n')?;
        let (operations, figures) = figures.split_once(' ')?;
        Some(Printed { operations: operations.parse().ok()?, figures: all(figures)?, histogram: all(histogram)? })
    }
}

fn all<T: std::str::FromStr>(words: &str) -> Option<Vec<T>> {
    words.split_whitespace().map(|word| word.parse().ok()).collect()
}
