//! The rows of the tables: a workload, who enters it, and what is to be reached.

use std::fmt;

mod curves;
mod enter;
mod memory;
mod peers;
mod several;
mod sockets;
mod sync;
mod tails;
mod tasks;
mod theirs;
mod threads;
mod time;

pub use self::tails::Capacity;

use crate::bencher::{Bencher, Effort, Quantiles};

/// All rows, in the order of the tables.
pub fn all() -> Vec<Row> {
    let groups = [tasks::all, sync::all, several::all, time::all, threads::all, memory::all, sockets::all, tails::all];
    let mut rows: Vec<_> = groups.into_iter().flat_map(|group| group()).collect();
    rows.extend(theirs::all());
    rows.extend(curves::all());
    rows
}

/// The tables, in their order on the page.
pub const TABLES: [&str; 11] = [TASKS, SYNC, SEVERAL, TIME, THREADS, MEMORY, SOCKETS, TAILS, SIZE, THEIRS, CURVES];

const TASKS: &str = "Tasks";
const SYNC: &str = "Channels and locks";
const SEVERAL: &str = "Waiting for several things";
const TIME: &str = "Time";
const THREADS: &str = "Other threads, and starting";
const MEMORY: &str = "Memory";
const SOCKETS: &str = "Sockets";
const TAILS: &str = "Tails";
/// That of programs, which the runner builds.
pub const SIZE: &str = "Size of a program";
/// That of the workloads which are not our own.
pub const THEIRS: &str = "The peers' own benches";
const CURVES: &str = "As there are more of them";

/// monoio's way with tasks that wake themselves, where it decides.
const MONOIO_FRONT: &str = "monoio polls a task that wakes itself before all others; so among such tasks one runs on alone, and the \
                            others, timers and sockets wait for it.";

/// glommio's way with new tasks.
const AT_ONCE: &str =
    "glommio polls a new task at once, within the spawn, on the spawner's stack; everybody else queues it.";

/// Why two of the runtimes are slow where few tasks are ready.
const LOOKS: &str = "compio looks at its driver whenever all that was ready has run, monoio after two polls of each task that was: of one \
                     task or two, that is at nearly every switch.";

/// How exact timers are.
const TO_THE_MILLISECOND: &str = "Timers of tokio and monoio are rounded up to a millisecond, pingora's to ten: late by design, and cheaper \
                                  where many fall together. The others' deadlines are as exact as the clock.";

/// What a row's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds for an operation.
    Nanoseconds,
    /// Nanoseconds of CPU time for an operation.
    CpuNanoseconds,
    /// Bytes for a thing that is kept.
    Bytes,
}

impl Unit {
    /// As the tables write it.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::CpuNanoseconds => "ns CPU",
            Unit::Bytes => "B",
        }
    }
}

/// Who enters a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Handcar.
    Ours,
    /// What it is measured against: the fastest of these counts.
    Rival,
    /// Another single-threaded runtime, or another family of channels and locks on one of these runtimes.
    Peer,
    /// Shown beside, not counted.
    Context,
}

impl Role {
    /// As the results spell it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Ours => "ours",
            Role::Rival => "rival",
            Role::Peer => "peer",
            Role::Context => "context",
        }
    }
}

/// Someone who enters a row.
#[derive(Clone, Copy)]
pub struct Entrant {
    /// What the tables call it.
    pub name: &'static str,
    /// As what it enters.
    pub role: Role,
    /// How many of them there are to be, or how large, where the workload asks.
    size: u64,
    drive: fn(&mut Bencher),
}

impl Entrant {
    /// Measures the row.
    pub fn measure(&self, effort: Effort) -> Bencher {
        let mut bencher = Bencher::new(effort).with_size(self.size);
        (self.drive)(&mut bencher);
        bencher
    }
}

impl fmt::Debug for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entrant({})", self.name)
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is called in the table.
    pub title: &'static str,
    /// What is measured.
    pub unit: Unit,
    /// The table that it stands in.
    pub table: &'static str,
    /// The share of the rival's figure that Handcar is to reach.
    pub target: Option<f64>,
    /// The same of the best peer's figure.
    pub target_of_peers: Option<f64>,
    /// The same of the bare loop's.
    pub target_of_bare: Option<f64>,
    /// The figures that each entrant gives; one without a name, or percentiles.
    pub parts: Quantiles,
    /// The curve that this row is a point of: of what, and how many of them.
    pub curve: Option<(&'static str, u64)>,
    /// What its load is a share of.
    pub load: Option<Capacity>,
    /// What one must know to read it.
    pub notes: Vec<&'static str>,
    size: u64,
    /// Who enters.
    pub entrants: Vec<Entrant>,
    /// Who does not, and why.
    pub absent: Vec<(&'static str, &'static str)>,
}

impl Row {
    fn new(table: &'static str, name: &'static str, title: &'static str) -> Row {
        Row {
            name,
            title,
            unit: Unit::Nanoseconds,
            table,
            target: None,
            target_of_peers: None,
            target_of_bare: None,
            load: None,
            size: 0,
            parts: &[("", 0.5)],
            curve: None,
            notes: Vec::new(),
            entrants: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Whether it is one of our own workloads, and no point of a curve.
    pub fn is_main(&self) -> bool {
        self.curve.is_none() && self.table != THEIRS
    }

    /// Whether a sample of it takes long: it needs a core for its clients, or thousands of latencies.
    pub fn slow(&self) -> bool {
        self.table == TAILS
    }

    /// Whether it says what one operation takes, and not a latency, a rate or a size.
    pub fn has_operations(&self) -> bool {
        self.unit != Unit::Bytes && !self.slow()
    }

    fn quantiles(self, parts: Quantiles) -> Row {
        Row { parts, ..self }
    }

    fn point(mut self, of: &'static str, many: u64) -> Row {
        self.curve = Some((of, many));
        self.of_size(many)
    }

    /// Tells the workload how many, or how large; those who enter from now on.
    fn of_size(mut self, size: u64) -> Row {
        self.size = size;
        self
    }

    fn note(mut self, note: &'static str) -> Row {
        self.notes.push(note);
        self
    }

    fn unit(mut self, unit: Unit) -> Row {
        self.unit = unit;
        self
    }

    /// What share of tokio's figure is to be reached.
    fn target(mut self, share: f64) -> Row {
        self.target = Some(share);
        self
    }

    /// And of the best peer's.
    fn of_peers(mut self, share: f64) -> Row {
        self.target_of_peers = Some(share);
        self
    }

    /// And of the bare loop's.
    fn of_bare(mut self, share: f64) -> Row {
        self.target_of_bare = Some(share);
        self
    }

    fn load(mut self, capacity: Capacity) -> Row {
        self.load = Some(capacity);
        self
    }

    /// Takes those out whose name begins so, and says why.
    fn without(mut self, name: &'static str, reason: &'static str) -> Row {
        let (out, stay) = self.entrants.into_iter().partition(|entrant| entrant.name.starts_with(name));
        self.entrants = stay;
        self.absent.extend(Vec::<Entrant>::into_iter(out).map(|entrant| (entrant.name, reason)));
        self
    }

    fn enter(mut self, role: Role, name: &'static str, drive: fn(&mut Bencher)) -> Row {
        self.entrants.push(Entrant { name, role, size: self.size, drive });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencher::STEP;
    use crate::workloads::now;

    /// The workloads assert their results: so this checks each on every runtime.
    #[test]
    fn every_entrant_does_the_work() {
        // Without optimisation large messages lie on the stack many times over.
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(all_work).unwrap();
        thread.join().unwrap();
    }

    fn all_work() {
        // The curves go up to a million of the same.
        for row in all().iter().filter(|row| row.curve.is_none_or(|(_, many)| many <= 1000)) {
            for entrant in &row.entrants {
                // Each rounds up to what it shares out; what starts runtimes takes milliseconds on one of them.
                let operations = if row.name == "start" || row.name == "smol-create" { 10 } else { STEP };
                let measured = entrant.measure(Effort::Counted(operations));
                assert!(measured.operations() > 0, "{} does something on {}", row.name, entrant.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|row| row.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_stopwatch_returns_one_sample_for_each_batch() {
        let effort = Effort::Timed { batch: std::time::Duration::ZERO, batches: 3 };
        let mut bencher = Bencher::new(effort);
        let mut done = 0;
        now(bencher.measure(async |operations| done += operations));
        assert_eq!(bencher.samples().len(), 3);
        assert!(done >= 4 * STEP);
    }
}
