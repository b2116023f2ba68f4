//! A sample: one process that measures one entrant on one row.

use std::process::Command;
use std::sync::OnceLock;

use super::options::spell;
use crate::bencher::Effort;
use crate::rows::Row;
use crate::workloads::tails;

/// Seconds that a sample may take.
const PATIENCE: &str = "60";

/// The requests a second that loads are a share of.
static LOAD: OnceLock<f64> = OnceLock::new();

/// Has every sample from now on know this capacity.
pub(super) fn bear(capacity: f64) {
    LOAD.set(capacity).expect("it is measured once");
}

/// In the process of the sample: measures, and prints how many operations there were in a batch, and the figures.
pub(super) fn take(rows: &[Row], entrant: &str, effort: Effort) -> Result<(), String> {
    let row = rows.first().ok_or("there is no such row")?;
    let entrant = row.entrants.iter().find(|other| other.name == entrant).ok_or("nobody of that name enters")?;
    let measured = entrant.measure(effort);
    let figures: Vec<_> = measured.figures().iter().map(f64::to_string).collect();
    println!("{} {}", measured.operations(), figures.join(" "));
    Ok(())
}

/// In the runner: starts that process, and reads what it prints.
pub(super) fn order(row: &str, entrant: &str, effort: Effort) -> Result<Vec<f64>, String> {
    let program = itself(row, entrant, effort)?;
    let mut limited = Command::new("timeout");
    limited.arg(PATIENCE).arg(program.get_program()).args(program.get_args());
    if let Some(capacity) = LOAD.get() {
        limited.env(tails::CAPACITY, capacity.to_string());
    }
    let output =
        limited.output().map_err(|error| format!("a process for `{row}` on {entrant} cannot be started: {error}"))?;
    match Printed::parse(&output.stdout) {
        Some(printed) if output.status.success() => Ok(printed.figures),
        _ if output.status.code() == Some(124) => Err(format!("no sample within {PATIENCE} seconds")),
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
    pub(super) operations: u64,
    pub(super) figures: Vec<f64>,
}

impl Printed {
    pub(super) fn parse(stdout: &[u8]) -> Option<Printed> {
        let (operations, figures) = std::str::from_utf8(stdout).ok()?.trim().split_once(' ')?;
        let figures = figures.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Printed { operations: operations.parse().ok()?, figures })
    }
}
