//! Counting instructions: a figure that repeats, on any machine of the kind, however busy it is.
//!
//! Each entrant runs twice under `valgrind --tool=callgrind`, for two numbers of operations. The runs differ in nothing but
//! those, so starting up, setting up and warming up cancel out of the difference. Instructions are not time: a cache miss and
//! a system call count for one each. What they tell exactly is whether a path has grown.

use std::path::Path;
use std::process::Command;

use super::progress;
use super::sample::{Printed, itself};
use crate::bencher::{Effort, STEP};
use crate::rows::{Row, Unit};

/// The smaller of the two runs, if the workload has no greater step of its own; the other has twice as many.
const OPERATIONS: u64 = 20 * STEP;

pub(super) fn count(rows: &[Row]) -> Result<(), String> {
    println!("{:46} {:26} {:>12} {:>12}", "instructions for one operation", "", "instructions", "allocations");
    for row in rows.iter().filter(|row| row.unit != Unit::Bytes) {
        for entrant in &row.entrants {
            progress(&format!("{}: {}", row.name, entrant.name));
            let few = run(row.name, entrant.name, OPERATIONS)?;
            let many = run(row.name, entrant.name, 2 * few.operations)?;
            progress("");
            let more = many.operations - few.operations;
            println!(
                "{:46} {:26} {:>12.1} {:>12.2}",
                row.title,
                entrant.name,
                per_operation(few.instructions, many.instructions, more),
                per_operation(few.allocations, many.allocations, more)
            );
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "they are printed with a few digits")]
fn per_operation(few: u64, many: u64, operations: u64) -> f64 {
    (many as f64 - few as f64) / operations as f64
}

/// What callgrind saw of one run.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    operations: u64,
    instructions: u64,
    allocations: u64,
}

fn run(row: &str, entrant: &str, operations: u64) -> Result<Counts, String> {
    let file = std::env::temp_dir().join(format!("handcar-callgrind-{}", std::process::id()));
    let output = under_callgrind(&file, &itself(row, entrant, Effort::Counted(operations))?)
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let counted = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    let printed = Printed::parse(&output.stdout).filter(|_| output.status.success());
    let counts = counted.ok().zip(printed).and_then(|(text, printed)| Counts::parse(&text, printed.operations));
    counts.ok_or_else(|| format!("`{row}` on {entrant} failed:\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn under_callgrind(file: &Path, program: &Command) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(program.get_program()).args(program.get_args());
    valgrind
}

impl Counts {
    /// Reads callgrind's file: the sum of everything, and the calls of the allocator.
    fn parse(text: &str, operations: u64) -> Option<Counts> {
        let summary = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")))?;
        let mut allocations = 0;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(called) = line.strip_prefix("cfn=") else { continue };
            // Within the allocator, one of these may call another.
            if matches!(called, "malloc" | "calloc" | "realloc" | "aligned_alloc" | "posix_memalign") {
                let calls = lines.next()?.strip_prefix("calls=")?;
                allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
            }
        }
        Some(Counts { operations, instructions: summary.trim().parse().ok()?, allocations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callgrind_file_is_read() {
        let text = "events: Ir\nfn=main\n10 7\ncfn=malloc\ncalls=3 0\n10 300\ncfn=free\ncalls=3 0\n10 90\n\
                    fn=grow\n20 1\ncfn=realloc\ncalls=1 0\n20 150\n\ntotals: 548\n";
        assert_eq!(Counts::parse(text, 9), Some(Counts { operations: 9, instructions: 548, allocations: 4 }));
    }
}
