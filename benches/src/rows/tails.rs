//! The rows of latencies, each with its percentiles.

use super::enter::Sockets;
use super::{Role, Row, TAILS, TO_THE_MILLISECOND};
use crate::runtime::Runtime;
use crate::runtimes::{LocalRuntime, LooksOften, Tokio};
use crate::workloads::tails::{FEW, Lateness, OnSchedule, OpenLoop, QUANTILES, Saturated, WakeToPoll};

/// What loads are a share of, measured once on tokio, so that all bear the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// The echoes that it answers.
    Echo,
    /// The requests that hyper answers on it.
    Hyper,
}

impl Capacity {
    /// Every one.
    pub const ALL: [Capacity; 2] = [Capacity::Echo, Capacity::Hyper];
    /// Who is measured.
    pub const OF: &str = Tokio::<LocalRuntime>::NAME;

    /// The row that measures it.
    pub fn row(self) -> &'static str {
        match self {
            Capacity::Echo => "echo-on-schedule",
            Capacity::Hyper => "hyper-on-schedule",
        }
    }
}

pub(super) fn all() -> Vec<Row> {
    let mut rows = vec![
        Row::new(TAILS, "echo-saturated", "echo server, saturated by clients on another core")
            .note(SATURATED)
            .each_net::<Saturated>(),
        Row::new(TAILS, Capacity::Echo.row(), "echo server, as many requests on schedule as are borne")
            .note(ON_SCHEDULE)
            .ours_and_local_runtime::<Sockets<OnSchedule>>(),
        echo("tail-echo-50", "echo under 50 % load").target(1.0).of_size(50).each_net::<OpenLoop<0>>(),
        echo("tail-echo-80", "echo under 80 % load").target(1.0).of_size(80).each_net::<OpenLoop<0>>(),
        echo("tail-echo-busy", "echo under 20 % load, beside computations of 200 us")
            .note(GLOMMIO_PREEMPTS)
            .target(0.8)
            .of_size(20)
            .note(EVENT_INTERVAL)
            .each_net::<OpenLoop<1>>()
            .on::<Tokio<LooksOften>, Sockets<OpenLoop<1>>>(Role::Context)
            .without("monoio", MONOIO_STARVES),
    ];
    rows.extend(Row::hyper_tails(TAILS));
    rows.extend([
        Row::new(TAILS, "tail-wake", "from wake to poll, 10,000 tasks ready")
            .target(0.25)
            .quantiles(FEW)
            .each_timed::<WakeToPoll>()
            .without("monoio", MONOIO_STARVES),
        Row::new(TAILS, "tail-timer", "lateness of 1 ms timers")
            .note(TO_THE_MILLISECOND)
            .note(SLACK)
            .quantiles(FEW)
            .of_size(0)
            .each_timed::<Lateness>()
            .pingora::<Lateness>(),
        Row::new(TAILS, "tail-timer-busy", "lateness of 1 ms timers, 10,000 tasks ready")
            .note(TO_THE_MILLISECOND)
            .target(0.5)
            .quantiles(FEW)
            .note(EVENT_INTERVAL)
            .of_size(10_000)
            .each_timed::<Lateness>()
            .context_timed::<Tokio<LooksOften>, Lateness>()
            .pingora::<Lateness>()
            .without("monoio", MONOIO_STARVES)
            .without("glommio", "it looks outside every 100 ms, if not told otherwise: two hundred timers did not end within eight seconds"),
    ]);
    rows
}

fn echo(name: &'static str, title: &'static str) -> Row {
    Row::new(TAILS, name, title).load(Capacity::Echo).quantiles(QUANTILES)
}

pub(super) const MONOIO_STARVES: &str =
    "a task that wakes itself is polled before all others, which would wait for ever";
const GLOMMIO_PREEMPTS: &str =
    "While tasks are ready, glommio looks outside every 100 ms, if it is not told that latency matters.";
const EVENT_INTERVAL: &str = "While tasks are ready, tokio looks outside after every 61st poll, if its builder is not told another event_interval; Handcar by \
                              the clock as well.";
const SLACK: &str = "By the kernel's slack for a thread's timers a wait with a timeout ends up to 50 us late, if it does not ask for less, as \
                     Handcar's does. A timerfd, as smol and compio have, has no slack.";
pub(super) const SATURATED: &str = "Wall time for a request; client and server have a core each. Each of a hundred clients asks again when it is answered.";
pub(super) const ON_SCHEDULE: &str = "From one request to the next, at the highest rate at which their median latency stays below 100 us: what client and \
                                      server bear together. tokio's LocalRuntime's is the capacity that the loads are a share of.";
