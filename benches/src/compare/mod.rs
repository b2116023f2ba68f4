//! The runner: Handcar beside its rivals, in one run.
//!
//! A figure from one machine at one hour says little about another; a ratio from one run says much. So each sample is a
//! process of its own (a fresh heap, fresh addresses), pinned to one core, and the processes of a row take turns:
//!
//! ```text
//!    round 1   row A:  handcar  LocalSet  LocalRuntime  LocalRuntime again      row B:  ...
//!    round 2   row A:  LocalSet  LocalRuntime  LocalRuntime again  handcar      row B:  ...
//! ```
//!
//! A drift of the machine then hits all of them alike. In each round the figure of Handcar is divided by the rival's of the
//! same round; the median of these ratios is the result, and their quartiles its spread. The rival is whichever way of running
//! tokio is fastest on that row. One of them is measured twice, against itself: what this ratio strays from one is what the
//! machine alone does.

mod counts;
mod gate;
mod json;
mod options;
mod sample;
mod stats;
mod table;

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use options::{Options, Task};
use serde_json::Value;
use stats::Spread;

use crate::machine;
use crate::rows::{self, Role, Row};

/// What the second of the two equal entrants is called.
const AGAIN: &str = "tokio LocalRuntime again";

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Options::from_args().and_then(|options| perform(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn perform(options: &Options) -> Result<(), String> {
    let rows = options.choose(rows::all())?;
    match &options.task {
        Task::Help => {
            print!("{}", options::HELP);
            Ok(())
        }
        Task::List => {
            for row in &rows {
                println!("{:26} {}", row.name, row.title);
            }
            Ok(())
        }
        Task::Sample { entrant, effort } => sample::take(&rows, entrant, *effort),
        Task::Gate { bless } => gate::run(&rows, *bless),
        Task::Count(tool) => write(options, &counts::count(*tool, &rows)),
        Task::Compare => compare(options, &rows),
    }
}

fn compare(options: &Options, rows: &[Row]) -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err(String::from("this build checks itself and measures nothing: use `cargo bench`"));
    }
    let load = machine::load();
    let core = machine::pin(options.core)?;
    eprintln!("pinned to core {core}; {} rounds; load average {load}", options.rounds);
    if load > 0.5 {
        eprintln!("this machine is busy with something else: expect a wide spread");
    }
    let results = rounds(options, rows)?;
    let about = About { core, load, rounds: options.rounds };
    print!("{}", table::render(&results, &about));
    write(options, &json::render(&results, &about))
}

/// Writes the results to the file that was asked for.
fn write(options: &Options, results: &Value) -> Result<(), String> {
    let Some(path) = &options.json else { return Ok(()) };
    std::fs::write(path, format!("{results:#}\n"))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Under which conditions a run was made.
struct About {
    core: usize,
    load: f64,
    rounds: usize,
}

/// What one entrant did on one row.
struct Series {
    name: &'static str,
    role: Role,
    /// One figure for each round.
    samples: Vec<f64>,
}

impl Series {
    fn median(&self) -> f64 {
        Spread::of(&self.samples).median
    }

    /// The spread of this entrant's share of the other's figure, round by round.
    fn share_of(&self, other: &Series) -> Spread {
        let shares: Vec<_> = self.samples.iter().zip(&other.samples).map(|(ours, theirs)| ours / theirs).collect();
        Spread::of(&shares)
    }
}

/// What all entrants did on one row.
struct RowResult<'a> {
    row: &'a Row,
    series: Vec<Series>,
}

impl RowResult<'_> {
    fn ours(&self) -> &Series {
        self.series.iter().find(|series| series.role == Role::Ours).expect("Handcar enters every row")
    }

    /// The fastest rival.
    fn rival(&self) -> &Series {
        let rivals = self.series.iter().filter(|series| series.role == Role::Rival && series.name != AGAIN);
        rivals.min_by(|a, b| a.median().total_cmp(&b.median())).expect("tokio enters every row")
    }

    fn share(&self) -> Spread {
        self.ours().share_of(self.rival())
    }

    /// The same thing measured twice, as a ratio.
    fn noise(&self) -> Option<Spread> {
        let again = self.series.iter().find(|series| series.name == AGAIN)?;
        let once = self.series.iter().find(|series| again.name.strip_suffix(" again") == Some(series.name))?;
        Some(again.share_of(once))
    }
}

fn rounds<'a>(options: &Options, rows: &'a [Row]) -> Result<Vec<RowResult<'a>>, String> {
    let mut results: Vec<_> = rows.iter().map(|row| RowResult { row, series: entrants(row) }).collect();
    for round in 0..options.rounds {
        for (number, result) in results.iter_mut().enumerate() {
            progress(&format!(
                "round {} of {}, row {} of {}: {}",
                round + 1,
                options.rounds,
                number + 1,
                rows.len(),
                result.row.name
            ));
            let entrants = result.series.len();
            for turn in 0..entrants {
                let series = &mut result.series[(turn + round) % entrants];
                let entrant = series.name.strip_suffix(" again").unwrap_or(series.name);
                series.samples.push(sample::order(result.row.name, entrant, options.effort)?);
            }
        }
    }
    progress("");
    Ok(results)
}

/// Everyone who enters, with nothing measured, and one of them twice.
fn entrants(row: &Row) -> Vec<Series> {
    let mut series: Vec<_> = row
        .entrants
        .iter()
        .map(|entrant| Series { name: entrant.name, role: entrant.role, samples: Vec::new() })
        .collect();
    if series.iter().any(|series| AGAIN.strip_suffix(" again") == Some(series.name)) {
        series.push(Series { name: AGAIN, role: Role::Context, samples: Vec::new() });
    }
    series
}

/// One line on a terminal, which the next one overwrites.
fn progress(text: &str) {
    let mut stderr = stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    } else if text.contains("row 1 of") {
        let _ = writeln!(stderr, "{text}");
    }
}
