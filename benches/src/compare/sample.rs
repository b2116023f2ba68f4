//! A sample: one process that measures one entrant on one row.

use std::process::Command;

use super::options::spell;
use super::stats::Spread;
use crate::bencher::Effort;
use crate::rows::Row;

/// In the process of the sample: measures, and prints the median of the batches, and how
/// many operations there were in one.
pub(super) fn take(rows: &[Row], entrant: &str, effort: Effort) -> Result<(), String> {
    let row = rows.first().ok_or("there is no such row")?;
    let entrant = row.entrants.iter().find(|other| other.name == entrant).ok_or("nobody of that name enters")?;
    let measured = entrant.measure(effort);
    println!("{} {}", Spread::of(measured.samples()).median, measured.operations());
    Ok(())
}

/// In the runner: starts that process, and reads what it prints.
pub(super) fn order(row: &str, entrant: &str, effort: Effort) -> Result<f64, String> {
    let output = itself(row, entrant, effort)?
        .output()
        .map_err(|error| format!("a process for `{row}` on {entrant} cannot be started: {error}"))?;
    match Printed::parse(&output.stdout) {
        Some(printed) if output.status.success() => Ok(printed.median),
        _ => Err(format!("`{row}` on {entrant} failed:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// This program, told to take a sample.
pub(super) fn itself(row: &str, entrant: &str, effort: Effort) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command.args(["--only", row, "--sample", entrant, &spell(effort)]);
    Ok(command)
}

/// What such a process prints.
pub(super) struct Printed {
    pub(super) median: f64,
    pub(super) operations: u64,
}

impl Printed {
    pub(super) fn parse(stdout: &[u8]) -> Option<Printed> {
        let (median, operations) = std::str::from_utf8(stdout).ok()?.trim().split_once(' ')?;
        Some(Printed { median: median.parse().ok()?, operations: operations.parse().ok()? })
    }
}
