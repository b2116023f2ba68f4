//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::counts::Tool;
use crate::bencher::Effort;
use crate::rows::Row;

pub(super) const HELP: &str = "\
Compares Handcar with tokio, in one run.

  --quick            fewer and shorter rounds, without the curves, the tails and the peers' own benches
  --rounds N         how many rounds
  --only NAME        only rows whose name contains NAME; may be given several times
  --entrant NAME     only who is called NAME; may be given several times
  --core N           the core to stay on; without it, the last one allowed
  --json FILE        writes the results to FILE: all samples, and what they were measured on
  --instructions     counts instructions and allocations, under valgrind, instead of measuring time
  --system-calls     counts system calls, with perf, which may have to be root
  --gate             fails if a hot path takes more instructions than benches/instructions.json says
  --bless            writes that file
  --sizes            builds an echo server for each, and measures the program
  --report DIR       draws the page of all results (*.json) in DIR
  --list             names the rows
";

/// What to do.
pub(super) enum Task {
    Compare,
    Count(Tool),
    /// Draw the page of the results in this directory.
    Report {
        directory: PathBuf,
    },
    /// Build echo servers and measure their programs.
    Sizes,
    /// Compare the instructions of the hot paths with the file that has them, or write that file.
    Gate {
        bless: bool,
    },
    List,
    Help,
    /// Take one sample of the one row chosen, and print it: what the runner starts itself with.
    Sample {
        entrant: String,
        effort: Effort,
    },
}

pub(super) struct Options {
    pub(super) task: Task,
    pub(super) rounds: usize,
    pub(super) effort: Effort,
    pub(super) core: Option<usize>,
    pub(super) json: Option<PathBuf>,
    only: Vec<String>,
    entrants: Vec<String>,
}

const FULL: Effort = Effort::Timed { batch: Duration::from_millis(5), batches: 11 };
const QUICK: Effort = Effort::Timed { batch: Duration::from_millis(2), batches: 7 };

impl Options {
    pub(super) fn from_args() -> Result<Options, String> {
        Options::parse(lexopt::Parser::from_env()).map_err(|error| format!("{error}; try --help"))
    }

    fn parse(mut parser: lexopt::Parser) -> Result<Options, lexopt::Error> {
        let mut options = Options {
            task: Task::Compare,
            rounds: 0,
            effort: FULL,
            core: None,
            json: None,
            only: Vec::new(),
            entrants: Vec::new(),
        };
        let mut rounds = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => options.effort = QUICK,
                Long("rounds") => rounds = Some(parser.value()?.parse()?),
                Long("only") => options.only.push(parser.value()?.string()?),
                Long("entrant") => options.entrants.push(parser.value()?.string()?),
                Long("core") => options.core = Some(parser.value()?.parse()?),
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("instructions") => options.task = Task::Count(Tool::Callgrind { clock_stands: false }),
                Long("system-calls") => options.task = Task::Count(Tool::Perf),
                Long("report") => options.task = Task::Report { directory: parser.value()?.into() },
                Long("sizes") => options.task = Task::Sizes,
                Long("gate") => options.task = Task::Gate { bless: false },
                Long("bless") => options.task = Task::Gate { bless: true },
                Long("list") => options.task = Task::List,
                Long("help") | Short('h') => options.task = Task::Help,
                Long("sample") => options.task = sample(&mut parser)?,
                Long("bench") => {} // cargo's way of saying that this is `cargo bench`
                _ => return Err(argument.unexpected()),
            }
        }
        let by_effort = if options.quick() { 3 } else { 15 };
        options.rounds = rounds.unwrap_or(by_effort).max(1);
        Ok(options)
    }

    fn quick(&self) -> bool {
        matches!(self.effort, Effort::Timed { batches: 7, .. })
    }

    /// The rows that the command line names; all, if it names none.
    pub(super) fn choose(&self, rows: Vec<Row>) -> Result<Vec<Row>, String> {
        if let Task::Sample { .. } = self.task {
            return Ok(rows.into_iter().filter(|row| self.only.iter().any(|name| row.name == name)).collect());
        }
        if let Some(name) = self.only.iter().find(|name| !rows.iter().any(|row| row.name.contains(&***name))) {
            return Err(format!("no row's name contains `{name}`; `--list` names them"));
        }
        let chosen = |row: &Row| match &self.only[..] {
            [] => !self.quick() || row.is_main() && !row.slow(),
            only => only.iter().any(|name| row.name.contains(&**name)),
        };
        let mut rows: Vec<_> = rows.into_iter().filter(chosen).collect();
        for row in &mut rows {
            row.entrants.retain(|one| self.wants(one.name));
        }
        Ok(rows)
    }

    /// Whether the command line names that entrant, or none.
    pub(super) fn wants(&self, entrant: &str) -> bool {
        self.entrants.is_empty() || self.entrants.iter().any(|name| name == entrant)
    }
}

/// `--sample ENTRANT EFFORT`, as [`spell`] writes it.
fn sample(parser: &mut lexopt::Parser) -> Result<Task, lexopt::Error> {
    let entrant = parser.value()?.string()?;
    let effort = parser.value()?.string()?;
    let effort = match effort.split_once('x') {
        Some((batch, batches)) => {
            Effort::Timed { batch: Duration::from_micros(number(batch)?), batches: number(batches)? }
        }
        None => Effort::Counted(number(&effort)?),
    };
    Ok(Task::Sample { entrant, effort })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, lexopt::Error> {
    text.parse().map_err(|_| lexopt::Error::from(format!("`{text}` is no number")))
}

/// An effort as one word of a command line.
pub(super) fn spell(effort: Effort) -> String {
    match effort {
        Effort::Timed { batch, batches } => format!("{}x{batches}", batch.as_micros()),
        Effort::Counted(operations) => operations.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Options {
        Options::parse(lexopt::Parser::from_args(arguments)).expect("they are well-formed")
    }

    #[test]
    fn a_sample_is_ordered_in_the_words_that_it_is_parsed_from() {
        for effort in [QUICK, FULL, Effort::Counted(5000)] {
            let spelled = spell(effort);
            let options = parse(&["--only", "switch-1", "--sample", "tokio LocalSet", &spelled]);
            let Task::Sample { entrant, effort } = &options.task else { panic!("a sample was asked for") };
            assert_eq!((entrant.as_str(), spell(*effort)), ("tokio LocalSet", spelled));
            let rows = options.choose(crate::rows::all()).unwrap();
            assert_eq!(rows.len(), 1, "`switch-1` is not `switch-1000`");
        }
    }

    #[test]
    fn a_quick_run_has_fewer_rounds_unless_told() {
        assert!(parse(&["--quick"]).rounds < parse(&[]).rounds);
        assert_eq!(parse(&["--rounds", "3", "--quick"]).rounds, 3);
    }

    #[test]
    fn a_name_that_fits_no_row_is_an_error() {
        assert!(parse(&["--only", "nonsense"]).choose(crate::rows::all()).is_err());
    }
}
