//! The runner: Handcar beside its rivals, in one run.
//!
//! A figure from one machine at one hour says little about another; a ratio from one run says much. So each sample is a
//! process of its own (a fresh heap, fresh addresses), pinned to one core, and the processes of a row take turns:
//!
//! ```text
//!    round 1   row A:  handcar  LocalSet  LocalRuntime  LocalRuntime again
//!                      handcar  LocalRuntime again  LocalRuntime  LocalSet      row B:  ...
//!    round 2   row A:  LocalSet  LocalRuntime  LocalRuntime again  handcar
//!                      LocalSet  handcar  LocalRuntime again  LocalRuntime      row B:  ...
//! ```
//!
//! A drift of the machine then hits all of them alike, and nobody always comes after the same one. In each round the figure of
//! Handcar is divided by the rival's of the same round; the median of these ratios is the result, with its bootstrap interval. The
//! rival is whichever way of running tokio is fastest on that row. One of them is measured twice, against itself: what this ratio
//! strays from one is what the machine alone does.

mod counts;
mod gate;
mod json;
mod options;
mod progress;
mod sample;
mod sizes;

mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::STANDARD_BUILD;
use crate::interval::Interval;
use crate::stats::Spread;
use options::{Options, Task};
use progress::Progress;
use serde_json::Value;

use crate::machine;
use crate::report;
use crate::rows::{self, Capacity, Role, Row};

/// What the second of the two equal entrants is called.
const AGAIN: &str = "tokio LocalRuntime again";

/// A row of which a round takes less than this is measured twice in each: most rows are, and a few take most of the time.
const CHEAP: Duration = Duration::from_secs(1);

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
        Task::Report { directory } => report::write(directory),
        Task::Sizes => {
            let mut results = json::document(&About::once(), &sizes::measure(|entrant| options.wants(entrant))?);
            // These programs bring their own profile, whatever this one was built with.
            results["about"]["build"] = STANDARD_BUILD.into();
            results["about"]["flags"] = "stripped programs with their own profile".into();
            write(options, &results)
        }
        Task::Gate { bless } => gate::run(&rows, *bless),
        Task::Count(tool) => write(options, &counts::count(*tool, &rows, &About::once())),
        Task::Compare => compare(options, &rows),
    }
}

fn compare(options: &Options, rows: &[Row]) -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err(String::from("this build checks itself and measures nothing: use `cargo bench`"));
    }
    let lacks =
        |row: &&Row| [Role::Ours, Role::Rival].iter().any(|&role| row.entrants.iter().all(|one| one.role != role));
    if let Some(row) = rows.iter().find(lacks) {
        return Err(format!("`{}` needs Handcar and a tokio to be compared", row.name));
    }
    let load = machine::load();
    let core = machine::pin(options.core)?;
    eprintln!("pinned to core {core}; {} rounds; load average {load}", options.rounds);
    if load > 0.5 {
        eprintln!("this machine is busy with something else: expect a wide spread");
    }
    let capacities = agree_on_loads(rows, options)?;
    let results = rounds(options, rows, &capacities)?;
    let about = About { core, load, rounds: options.rounds, capacities };
    print!("{}", table::render(&results, &about));
    write(options, &json::render(&results, &about))
}

/// Writes the results to the file that was asked for.
fn write(options: &Options, results: &Value) -> Result<(), String> {
    let Some(path) = &options.json else { return Ok(()) };
    std::fs::write(path, format!("{results:#}\n"))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// What loads are a share of, in requests a second.
type Capacities = Vec<(Capacity, f64)>;

/// Under which conditions a run was made.
struct About {
    core: usize,
    load: f64,
    rounds: usize,
    /// Requests a second, of which the loads are a share.
    capacities: Capacities,
}

impl About {
    /// For what need not be repeated: it is the same each time.
    fn once() -> About {
        About { core: 0, load: machine::load(), rounds: 1, capacities: Vec::new() }
    }
}

/// What one entrant did on one row.
struct Series {
    name: &'static str,
    role: Role,
    /// One figure for each round.
    samples: Vec<f64>,
    /// How the latencies of all rounds together are spread.
    histogram: Vec<u64>,
    /// Why there is none, where there is none.
    failed: Option<String>,
}

impl Series {
    fn median(&self) -> f64 {
        Spread::of(&self.samples).median
    }

    /// This entrant's share of the other's figure, round by round.
    fn share_of(&self, other: &Series) -> Interval {
        let shares: Vec<_> = self.samples.iter().zip(&other.samples).map(|(ours, theirs)| ours / theirs).collect();
        Interval::of(&shares)
    }
}

/// What all entrants did on one row, or on one percentile of it.
struct RowResult<'a> {
    row: &'a Row,
    part: &'static str,
    series: Vec<Series>,
    /// Who could not be measured.
    failed: Vec<Series>,
}

impl RowResult<'_> {
    fn title(&self) -> String {
        let at = self.row.curve.map_or(String::new(), |(of, many)| format!(", {many} {of}"));
        let part = if self.part.is_empty() { String::new() } else { format!(": {}", self.part) };
        format!("{}{at}{part}", self.row.title)
    }

    fn ours(&self) -> &Series {
        self.series.iter().find(|series| series.role == Role::Ours).expect("Handcar enters every row")
    }

    /// The fastest rival.
    fn rival(&self) -> &Series {
        let rivals = self.series.iter().filter(|series| series.role == Role::Rival && series.name != AGAIN);
        rivals.min_by(|a, b| a.median().total_cmp(&b.median())).expect("tokio enters every row")
    }

    fn share(&self) -> Interval {
        self.ours().share_of(self.rival())
    }

    /// The same thing measured twice, as a ratio.
    fn noise(&self) -> Option<Interval> {
        let again = self.series.iter().find(|series| series.name == AGAIN)?;
        let once = self.series.iter().find(|series| again.name.strip_suffix(" again") == Some(series.name))?;
        Some(again.share_of(once))
    }
}

fn rounds<'a>(
    options: &Options,
    rows: &'a [Row],
    capacities: &[(Capacity, f64)],
) -> Result<Vec<RowResult<'a>>, String> {
    let mut results: Vec<Vec<_>> = rows.iter().map(parts).collect();
    let mut progress = Progress::new(options.rounds * results.iter().map(|parts| parts[0].series.len()).sum::<usize>());
    for round in 0..options.rounds {
        for parts in &mut results {
            let since = Instant::now();
            for number in turns(parts[0].series.len(), 2 * round) {
                let (row, name) = (parts[0].row.name, parts[0].series[number].name);
                progress.step(&format!("round {} of {}: {row}, {name}", round + 1, options.rounds));
                turn_of(options, parts, number, capacities)?;
            }
            if since.elapsed() < CHEAP {
                for number in turns(parts[0].series.len(), 2 * round + 1) {
                    turn_of(options, parts, number, capacities)?;
                }
            }
        }
    }
    progress.end();
    let mut results: Vec<_> = results.into_iter().flatten().collect();
    for result in &mut results {
        let (failed, measured) =
            std::mem::take(&mut result.series).into_iter().partition(|series| series.failed.is_some());
        (result.failed, result.series) = (failed, measured);
    }
    Ok(results)
}

/// In which order the entrants of a row give their samples. Every second time goes backwards, and every two times begin with
/// another of them: what one process leaves behind, the caches and the memory it gave back, is not always the same one's to
/// find.
fn turns(entrants: usize, time: usize) -> impl Iterator<Item = usize> {
    (0..entrants).map(move |turn| {
        let turn = if time.is_multiple_of(2) { turn } else { entrants - turn };
        (time / 2 + turn) % entrants
    })
}

/// One sample of one entrant, which gives a figure for each part of the row.
fn turn_of(
    options: &Options,
    parts: &mut [RowResult<'_>],
    number: usize,
    capacities: &[(Capacity, f64)],
) -> Result<(), String> {
    let (row, series) = (parts[0].row, &parts[0].series[number]);
    if series.failed.is_some() {
        return Ok(());
    }
    let entrant = series.name.strip_suffix(" again").unwrap_or(series.name);
    let capacity = capacities.iter().find(|(of, _)| row.load == Some(*of)).map(|(_, capacity)| *capacity);
    match sample::order(row.name, entrant, options.effort, capacity) {
        Ok(printed) => {
            for (part, figure) in parts.iter_mut().zip(printed.figures) {
                part.series[number].samples.push(figure);
            }
            let histogram = &mut parts[0].series[number].histogram;
            histogram.resize(printed.histogram.len(), 0);
            histogram.iter_mut().zip(printed.histogram).for_each(|(all, more)| *all += more);
            Ok(())
        }
        // Handcar and tokio enter every row; of the others one may not bear this machine.
        Err(message) if matches!(series.role, Role::Peer | Role::Context) => {
            eprintln!("{} leaves the row: {message}", series.name);
            for part in parts {
                part.series[number].failed = Some(message.clone());
            }
            Ok(())
        }
        Err(message) => Err(message),
    }
}

/// The results of a row, with nothing measured.
fn parts(row: &Row) -> Vec<RowResult<'_>> {
    row.parts.iter().map(|&(part, _)| RowResult { row, part, series: entrants(row), failed: Vec::new() }).collect()
}

/// Measures the loads that some rows are to bear a share of.
fn agree_on_loads(rows: &[Row], options: &Options) -> Result<Capacities, String> {
    let asked = Capacity::ALL.into_iter().filter(|&capacity| rows.iter().any(|row| row.load == Some(capacity)));
    asked.map(|capacity| Ok((capacity, measure(capacity, options)?))).collect()
}

/// What it bears every time, the least of five: near its highest rate the server, or the client, sometimes falls behind by chance.
fn measure(capacity: Capacity, options: &Options) -> Result<f64, String> {
    let one = || Ok(sample::order(capacity.row(), Capacity::OF, options.effort, None)?.figures[0]);
    let times: Vec<_> = (0..5).map(|_| one()).collect::<Result<_, String>>()?;
    Ok((1e9 / times.into_iter().fold(0.0, f64::max)).round())
}

/// Everyone who enters, with nothing measured, and one of them twice.
fn entrants(row: &Row) -> Vec<Series> {
    let mut series: Vec<_> = row
        .entrants
        .iter()
        .map(|entrant| Series {
            name: entrant.name,
            role: entrant.role,
            samples: Vec::new(),
            histogram: Vec::new(),
            failed: None,
        })
        .collect();
    if series.iter().any(|series| AGAIN.strip_suffix(" again") == Some(series.name)) {
        series.push(Series {
            name: AGAIN,
            role: Role::Context,
            samples: Vec::new(),
            histogram: Vec::new(),
            failed: None,
        });
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_each_time_and_not_always_after_the_same_one() {
        let order = |time| turns(4, time).collect::<Vec<_>>();
        assert_eq!([order(0), order(1)], [[0, 1, 2, 3], [0, 3, 2, 1]]);
        assert_eq!([order(2), order(3)], [[1, 2, 3, 0], [1, 0, 3, 2]]);
    }
}
