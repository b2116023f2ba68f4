//! The rows of the table: a workload, who enters it, and what is to be reached.

use std::fmt;

mod curves;
mod peers;
mod tails;

pub use self::tails::CAPACITY;

use crate::bencher::{Bencher, Effort, Quantiles};
use crate::runtime::{Net, Runtime, Several, Timers};
use crate::runtimes::watched::{self, Watched};
use crate::runtimes::{Handcar, LocalRuntime, LocalSet, NoDrivers, TimeoutAt, Tokio};
use crate::toolkits::{HandcarSync, TokioSync};
use crate::workloads::channels::{self, PingPong, Producers, Unbounded};
use crate::workloads::connections::{Accept, IdleConnection};
use crate::workloads::echo::{self, Echo};
use crate::workloads::memory::{Allocated, Idle, Resident, Sleeping};
use crate::workloads::mutex;
use crate::workloads::oneshot::{AlreadySent, Oneshot};
use crate::workloads::semaphore::{self, Contended, Uncontended};
use crate::workloads::several;
use crate::workloads::sleepers::{self, Sleepers};
use crate::workloads::spawn::{self, SpawnDetached, SpawnJoin};
use crate::workloads::start::Start;
use crate::workloads::switch::{self, SelfWake, Yield};
use crate::workloads::tails::QUANTILES;
use crate::workloads::tcp::{self, RoundTrip};
use crate::workloads::thread_wake::{self, ThreadWake, ThreadWakeEarly, ThreadWakeWatching};
use crate::workloads::timeout::{self, ArmAndDrop, Timeout};
use crate::workloads::{NetWorkload, SeveralWorkload, SyncWorkload, TimedWorkload, With, Workload};

/// All rows, in the order of the table.
pub fn all() -> Vec<Row> {
    let mut rows = averages();
    rows.extend(memory());
    rows.extend(sockets());
    rows.extend(peers::more());
    rows.extend(tails::all());
    rows.extend(curves::all());
    rows
}

fn averages() -> Vec<Row> {
    vec![
        Row::new("spawn-join", "spawn + join, 1000 at a time").target(0.24).each::<SpawnJoin>().bare(spawn::boxes),
        Row::new("spawn-detached", "spawn detached, 1000 at a time").target(0.26).each::<SpawnDetached>(),
        Row::new("switch-1", "self-wake switch, 1 task")
            .target(0.21)
            .each::<SelfWake<1>>()
            .bare(switch::poll_in_turn::<1>),
        Row::new("switch-1000", "self-wake switch, 1000 tasks")
            .note(MONOIO_FRONT)
            .target(0.21)
            .each::<SelfWake<1000>>()
            .bare(switch::poll_in_turn::<1000>),
        Row::new("switch-watched", "self-wake switch, 1 task, with a watcher on")
            .note("Nothing that they watch for happens; the watchdog's thread sleeps.")
            .each::<SelfWake<1>>()
            .context::<Watched<watched::ReportUnpolled>, SelfWake<1>>()
            .context::<Watched<watched::Observe>, SelfWake<1>>()
            .context::<Watched<watched::Watchdog>, SelfWake<1>>()
            .context::<Watched<watched::SlowPoll>, SelfWake<1>>(),
        Row::new("yield-now", "`yield_now`, 1000 tasks")
            .note(MONOIO_FRONT)
            .target(0.20)
            .each::<Yield>()
            .bare(switch::poll_in_turn::<1000>),
        Row::new("oneshot", "oneshot between two tasks").target(0.25).each_with::<Oneshot>(),
        Row::new("oneshot-sent", "oneshot, already sent").target(0.30).each_with::<AlreadySent>(),
        Row::new("ping-pong", "ping-pong over two channels of capacity 1").target(0.16).each_with::<PingPong>(),
        Row::new("mpsc-1", "mpsc, capacity 100, 1 producer")
            .target(0.11)
            .each_with::<Producers<1>>()
            .bare(channels::queue::<100>),
        Row::new("mpsc-4", "mpsc, capacity 100, 4 producers")
            .target(0.11)
            .each_with::<Producers<4>>()
            .bare(channels::queue::<100>),
        Row::new("unbounded-short", "mpsc unbounded, 10 queued")
            .target(0.11)
            .each_with::<Unbounded<10>>()
            .bare(channels::queue::<10>),
        Row::new("unbounded-long", "mpsc unbounded, a million queued")
            .target(0.17)
            .each_with::<Unbounded<1_000_000>>()
            .bare(channels::queue::<1_000_000>),
        Row::new("semaphore", "semaphore, uncontended")
            .target(0.07)
            .each_with::<Uncontended>()
            .bare(semaphore::counter),
        Row::new("semaphore-queue", "semaphore, 1000 tasks for 10 permits")
            .note(MONOIO_FRONT)
            .target(0.22)
            .each_with::<Contended>(),
        Row::new("mutex", "mutex, uncontended")
            .target(0.08)
            .each_beside::<mutex::Uncontended<HandcarSync>, mutex::Uncontended<TokioSync>>()
            .absent("async-unsync", NO_MUTEX)
            .absent("local-sync", NO_MUTEX)
            .bare(semaphore::counter),
        Row::new("mutex-queue", "mutex, 100 tasks")
            .target(0.21)
            .each_beside::<mutex::Contended<HandcarSync>, mutex::Contended<TokioSync>>()
            .absent("async-unsync", NO_MUTEX)
            .absent("local-sync", NO_MUTEX),
        Row::new("timeout-0", "timeout around one yield")
            .target(0.17)
            .each_timed::<Timeout<0>>()
            .other_timeouts::<Timeout<0>>()
            .bare(timeout::deadlines),
        Row::new("timeout-10000", "timeout, 10,000 others armed")
            .target(0.17)
            .each_timed::<Timeout<10_000>>()
            .other_timeouts::<Timeout<10_000>>(),
        Row::new("sleep-dropped", "a sleep, polled once and dropped").each_timed::<ArmAndDrop>(),
        Row::new("gather", "gather of 1000 that yield once").target(0.15).each_several::<several::Gather>(),
        Row::new("gather-2", "`gather!` of two that yield once").target(1.0).each_several::<several::GatherTwo>(),
        Row::new("group", "task group of 1000, with their values").target(0.18).each_several::<several::Group>(),
        Row::new("scope", "borrowing scope of 1000 that yield once, JoinSet of 1000 that do not")
            .target(0.24)
            .each_several::<several::Scope>(),
        Row::new("sleepers", "100,000 tasks that sleep 1 to 100 ms")
            .unit(Unit::CpuNanoseconds)
            .target(0.65)
            .each_timed::<Sleepers>()
            .bare(sleepers::heap),
        Row::new("thread-wake", "wake from another thread, one core")
            .note(ONE_CORE)
            .target(1.0)
            .each::<ThreadWake>()
            .context::<Tokio<NoDrivers>, ThreadWake>()
            .bare(thread_wake::two_threads),
        Row::new("thread-wake-watching", "wake from another thread, a socket open")
            .target(1.0)
            .each_net::<ThreadWakeWatching>(),
        Row::new("thread-wake-early", "wake from another thread during the poll").each_net::<ThreadWakeEarly>(),
        Row::new("start", "start, run a ready future, drop")
            .note("futures' LocalPool has neither timers nor sockets to start; tokio without drivers has none either.")
            .target(0.06)
            .each_outside(),
    ]
}

fn memory() -> Vec<Row> {
    vec![
        Row::new("idle-task", "an idle task holding 16 bytes, in memory")
            .unit(Unit::Bytes)
            .target(0.30)
            .each::<Idle<2, Resident>>(),
        Row::new("idle-task-allocated", "an idle task holding 16 bytes, allocated")
            .unit(Unit::Bytes)
            .each::<Idle<2, Allocated>>(),
        Row::new("idle-task-8", "an idle task holding 8 bytes, in memory")
            .unit(Unit::Bytes)
            .each::<Idle<1, Resident>>(),
        Row::new("sleeping-task", "a sleeping task, in memory")
            .unit(Unit::Bytes)
            .target(0.42)
            .each_timed::<Sleeping<Resident>>(),
        Row::new("sleeping-task-allocated", "a sleeping task, allocated")
            .unit(Unit::Bytes)
            .each_timed::<Sleeping<Allocated>>(),
    ]
}

fn sockets() -> Vec<Row> {
    vec![
        Row::new("tcp-64", "TCP ping-pong in one thread, 64 B")
            .target(0.88)
            .each_net::<RoundTrip<64>>()
            .bare(tcp::blocking::<64>),
        Row::new("tcp-16k", "TCP ping-pong in one thread, 16 KiB")
            .target(0.95)
            .each_net::<RoundTrip<16_384>>()
            .bare(tcp::blocking::<16_384>),
        Row::new("echo-100", "echo server, 100 connections")
            .unit(Unit::CpuNanoseconds)
            .target(1.0)
            .each_net::<Echo<100>>()
            .bare(echo::epoll_loop::<100>),
        Row::new("echo-1000", "echo server, 1000 connections")
            .unit(Unit::CpuNanoseconds)
            .target(0.97)
            .each_net::<Echo<1000>>()
            .bare(echo::epoll_loop::<1000>),
        Row::new("accept", "accept and close").unit(Unit::CpuNanoseconds).target(0.95).each_net::<Accept>(),
        Row::new("idle-connection", "an idle connection, 1 KiB buffer, in memory")
            .unit(Unit::Bytes)
            .target(0.75)
            .each_net::<IdleConnection>(),
    ]
}

const NO_MUTEX: &str = "it has no mutex";
const ONE_CORE: &str = "Both threads share one core: over two the scheduler decides, 2 to 60 us for the same program.";
const MONOIO_FRONT: &str = "monoio polls a task that wakes itself before all others; so among such tasks one runs on alone, and the \
                            others, timers and sockets wait for it.";

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
    /// How many of them there are to be, on a curve.
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
    /// The share of the rival's figure that Handcar is to reach.
    pub target: Option<f64>,
    /// The figures that each entrant gives; one without a name, or percentiles.
    pub parts: Quantiles,
    /// The curve that this row is a point of: of what, and how many of them.
    pub curve: Option<(&'static str, u64)>,
    /// What one must know to read it.
    pub note: Option<&'static str>,
    /// Who enters.
    pub entrants: Vec<Entrant>,
    /// Who does not, and why.
    pub absent: Vec<(&'static str, &'static str)>,
}

impl Row {
    fn new(name: &'static str, title: &'static str) -> Row {
        Row {
            name,
            title,
            unit: Unit::Nanoseconds,
            target: None,
            parts: &[("", 0.5)],
            curve: None,
            note: None,
            entrants: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Whether it runs under a share of the load that tokio bears.
    pub fn loaded(&self) -> bool {
        self.name.starts_with("tail-echo")
    }

    /// Whether a sample of it takes long: it needs a core for its clients, or thousands of latencies.
    pub fn slow(&self) -> bool {
        self.parts.len() > 1 || self.name == CAPACITY.0
    }

    fn quantiles(mut self) -> Row {
        self.parts = QUANTILES;
        self
    }

    fn point(mut self, of: &'static str, many: u64) -> Row {
        self.curve = Some((of, many));
        self
    }

    fn note(mut self, note: &'static str) -> Row {
        self.note = Some(note);
        self
    }

    fn unit(mut self, unit: Unit) -> Row {
        self.unit = unit;
        self
    }

    fn target(mut self, share: f64) -> Row {
        self.target = Some(share);
        self
    }

    /// Enters every runtime.
    fn each<W: Workload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside::<Handcar, W>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, inside::<Tokio<LocalSet>, W>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, inside::<Tokio<LocalRuntime>, W>)
            .peers::<W>()
    }

    /// Enters every runtime that has timers.
    fn each_timed<W: TimedWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_timed::<Handcar, W>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, inside_timed::<Tokio<LocalSet>, W>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, inside_timed::<Tokio<LocalRuntime>, W>)
            .peers_timed::<W>()
    }

    /// Enters every runtime with its own channels and locks, and shows Handcar's on tokio's executor.
    fn each_with<W: SyncWorkload>(self) -> Row {
        self.each_beside::<With<W, HandcarSync>, With<W, TokioSync>>().peers_with::<W>()
    }

    /// As [`each_with`](Row::each_with), for a workload that is two: with Handcar's locks, and with tokio's.
    fn each_beside<Ours: Workload, Theirs: Workload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside::<Handcar, Ours>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, inside::<Tokio<LocalSet>, Theirs>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, inside::<Tokio<LocalRuntime>, Theirs>)
            .enter(Role::Context, "handcar's sync on tokio", inside::<Tokio<LocalRuntime>, Ours>)
    }

    /// Enters every runtime with its own sockets.
    fn each_net<W: NetWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_net::<Handcar, W>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, inside_net::<Tokio<LocalSet>, W>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, inside_net::<Tokio<LocalRuntime>, W>)
            .peers_net::<W>()
    }

    /// As [`each`](Row::each), with each runtime's ways to wait for several things.
    fn each_several<W: SeveralWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_several::<Handcar, W>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, inside_several::<Tokio<LocalSet>, W>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, inside_several::<Tokio<LocalRuntime>, W>)
    }

    /// As [`each`](Row::each), for the one workload that starts its runtimes itself.
    fn each_outside(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, Start::drive::<Handcar>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, Start::drive::<Tokio<LocalSet>>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, Start::drive::<Tokio<LocalRuntime>>)
            .enter(Role::Context, Tokio::<NoDrivers>::NAME, Start::drive::<Tokio<NoDrivers>>)
            .peers_outside()
    }

    /// Shows `R` beside the others.
    fn context<R: Runtime, W: Workload>(self) -> Row {
        self.enter(Role::Context, R::NAME, inside::<R, W>)
    }

    /// Shows `R` beside the others, where it takes time.
    fn context_timed<R: Timers, W: TimedWorkload>(self) -> Row {
        self.enter(Role::Context, R::NAME, inside_timed::<R, W>)
    }

    /// Shows other timeouts on tokio beside its own.
    fn other_timeouts<W: TimedWorkload>(self) -> Row {
        self.context_timed::<Tokio<TimeoutAt>, W>()
            .pingora::<W>()
            .note("pingora's timeouts come on ticks of 10 ms; timeout_at is given a deadline, and so reads no clock.")
    }

    /// Shows what the work costs without a runtime.
    fn bare(self, drive: fn(&mut Bencher)) -> Row {
        self.enter(Role::Context, "bare", drive)
    }

    /// Says why somebody does not enter.
    fn absent(mut self, name: &'static str, reason: &'static str) -> Row {
        self.absent.push((name, reason));
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
        let size = self.curve.map_or(0, |(_, many)| many);
        self.entrants.push(Entrant { name, role, size, drive });
        self
    }
}

/// Drives a workload inside a spawned task.
fn inside<R: Runtime, W: Workload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

fn inside_timed<R: Timers, W: TimedWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

fn inside_net<R: Net, W: NetWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await.expect("the loopback works"));
}

fn inside_several<R: Several, W: SeveralWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

fn spawned<R: Runtime>(bencher: &mut Bencher, drive: impl AsyncFnOnce(&mut Bencher) + 'static) {
    let mut inner = std::mem::replace(bencher, Bencher::new(Effort::Counted(0)));
    *bencher = R::run(async move {
        drive(&mut inner).await;
        inner
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencher::STEP;
    use crate::workloads::now;

    /// The workloads assert their results: so this checks each on every runtime.
    #[test]
    fn every_entrant_does_the_work() {
        // The curves go up to a million of the same.
        for row in all().iter().filter(|row| row.curve.is_none_or(|(_, many)| many <= 1000)) {
            for entrant in &row.entrants {
                let measured = entrant.measure(Effort::Counted(STEP));
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
