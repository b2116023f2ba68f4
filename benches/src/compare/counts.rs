//! Counting: instructions, allocations and system calls repeat exactly, however busy the machine is.
//!
//! Each entrant runs twice under the tool that counts, the second time with twice as many operations. The runs differ in
//! nothing but those, so starting up, setting up and ending cancel out of the difference. Counts are not time: a cache miss is
//! one instruction, and so is all that a system call does. What they tell exactly is whether a path has grown.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::progress::Progress;
use super::sample::{self, Printed, itself};
use super::{About, json};
use crate::bencher::{Effort, STEP};
use crate::rows::Row;

/// The operations of the first run, if the workload has no greater step of its own.
const OPERATIONS: u64 = 20 * STEP;

/// The kernel's name for entering a system call.
const SYSTEM_CALLS: &str = "raw_syscalls:sys_enter";

/// Lets glibc choose the copy loops that any processor has, so that counts do not depend on this one.
const OLD_PROCESSOR: &str = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-SSSE3";

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// valgrind's, which runs the program on a processor made of software.
    Callgrind {
        /// Whether Handcar's clock stands. Its loop looks outside sooner where polls are slow; so how often depends on how fast that
        /// processor is, and on how busy the machine.
        clock_stands: bool,
    },
    /// The kernel's counter of system calls, which does not slow them down: a runtime that looks outside by the clock would
    /// do so more often under a tracer.
    Perf,
}

/// Prints what the tool counts for each operation of the rows, and returns it as JSON.
pub(super) fn count(tool: Tool, rows: &[Row], about: &About) -> Value {
    let mut counted = Vec::new();
    println!("{:46} {:26}{}", "for one operation", "", line(tool.columns().iter().map(|&name| name.to_owned())));
    let rows: Vec<_> = rows.iter().filter(|row| row.has_operations()).collect();
    let mut progress = Progress::new(rows.iter().map(|row| row.entrants.len()).sum());
    for row in rows {
        for entrant in &row.entrants {
            progress.step(&format!("{}: {}", row.name, entrant.name));
            let counts = difference(tool, row.name, entrant.name);
            progress.end();
            let counts = match counts {
                Ok(counts) => counts,
                Err(message) => {
                    eprintln!("{message}"); // the tool may not know a system call, say: the others are still worth counting
                    continue;
                }
            };
            println!("{:46} {:26}{}", row.title, entrant.name, line(counts.iter().map(|count| format!("{count:.2}"))));
            counted.push(
                serde_json::json!({ "row": row.name, "title": row.title, "entrant": entrant.name, "counts": counts }),
            );
        }
    }
    let mut results = json::document(about, &[]);
    results["columns"] = serde_json::json!(tool.columns());
    results["counted"] = serde_json::json!(counted);
    results
}

/// What one operation more adds, in the tool's columns.
pub(super) fn difference(tool: Tool, row: &str, entrant: &str) -> Result<Vec<f64>, String> {
    let few = run(tool, row, entrant, OPERATIONS)?;
    let many = run(tool, row, entrant, 2 * few.operations)?;
    Ok(per_operation(&few, &many))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.fold(String::new(), |line, cell| format!("{line} {cell:>14}"))
}

#[expect(clippy::cast_precision_loss, reason = "a mantissa holds all that can be counted in an hour")]
fn per_operation(few: &Counts, many: &Counts) -> Vec<f64> {
    let operations = (many.operations - few.operations) as f64;
    few.counts.iter().zip(&many.counts).map(|(&few, &many)| (many as f64 - few as f64) / operations).collect()
}

/// What a tool saw of one run.
struct Counts {
    operations: u64,
    counts: Vec<u64>,
}

fn run(tool: Tool, row: &str, entrant: &str, operations: u64) -> Result<Counts, String> {
    let file = std::env::temp_dir().join(format!("handcar-counts-{}", std::process::id()));
    let program = itself(row, entrant, Effort::Counted(operations))?;
    let output =
        tool.watch(&file, &program).output().map_err(|error| format!("{tool:?} cannot be started: {error}"))?;
    let counted = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    let printed = Printed::parse(&output.stdout).filter(|_| output.status.success());
    match (printed, counted.ok().and_then(|text| tool.parse(&text))) {
        (Some(Printed { operations, .. }), Some(counts)) => Ok(Counts { operations, counts }),
        _ => Err(format!("`{row}` on {entrant} failed:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}

impl Tool {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Tool::Callgrind { .. } => &["instructions", "allocations"],
            Tool::Perf => &["system calls"],
        }
    }

    /// `program` under this tool, which writes to `file`.
    fn watch(self, file: &Path, program: &Command) -> Command {
        let mut command = match self {
            Tool::Callgrind { clock_stands } => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
                valgrind.arg(format!("--callgrind-out-file={}", file.display()));
                valgrind.env("GLIBC_TUNABLES", OLD_PROCESSOR);
                if clock_stands {
                    valgrind.env(sample::CLOCK_STANDS, "1");
                }
                valgrind
            }
            Tool::Perf => {
                let mut perf = Command::new("perf");
                perf.args(["stat", "-x,", "-e", SYSTEM_CALLS, "-o"]).arg(file);
                perf
            }
        };
        command.arg(program.get_program()).args(program.get_args());
        command
    }

    /// Reads what the tool wrote.
    fn parse(self, text: &str) -> Option<Vec<u64>> {
        match self {
            Tool::Callgrind { .. } => Some(vec![instructions(text)?, allocations(text)?]),
            Tool::Perf => {
                let line = text.lines().find(|line| line.contains(SYSTEM_CALLS))?;
                Some(vec![line.split(',').next()?.parse().ok()?])
            }
        }
    }
}

fn instructions(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// The calls of the allocator's functions, wherever they come from.
fn allocations(text: &str) -> Option<u64> {
    let mut allocations = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some("malloc" | "calloc" | "realloc" | "aligned_alloc" | "posix_memalign") = line.strip_prefix("cfn=")
        else {
            continue;
        };
        allocations += lines.next()?.strip_prefix("calls=")?.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(allocations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_callgrind_is_read() {
        let text = "events: Ir\nfn=main\n10 7\ncfn=malloc\ncalls=3 0\n10 300\ncfn=free\ncalls=3 0\n10 90\n\
                    fn=grow\n20 1\ncfn=realloc\ncalls=1 0\n20 150\n\ntotals: 548\n";
        assert_eq!(Tool::Callgrind { clock_stands: false }.parse(text), Some(vec![548, 4]));
    }

    #[test]
    fn a_line_of_perf_is_read() {
        let text = "# started on Mon\n\n144,,raw_syscalls:sys_enter,1577096,100.00,,\n";
        assert_eq!(Tool::Perf.parse(text), Some(vec![144]));
    }

    #[test]
    fn what_two_runs_have_in_common_is_not_counted() {
        let few = Counts { operations: 1000, counts: vec![7000, 9] };
        let many = Counts { operations: 2000, counts: vec![12_000, 9] };
        assert_eq!(per_operation(&few, &many), [5.0, 0.0]);
    }
}
