//! The rows of latencies, each with its percentiles.

use super::Row;
use crate::workloads::tails::{Lateness, OpenLoop, Saturated, WakeToPoll};

/// The capacity that loads are a share of: the row, and who gives it.
pub const CAPACITY: (&str, &str) = ("echo-saturated", "tokio LocalRuntime");

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(CAPACITY.0, "echo server, saturated by clients on another core")
            .note("Wall time for a request; client and server have a core each. It is the capacity that the loads are a share of.")
            .each_net::<Saturated>(),
        Row::new("tail-echo-50", "echo under 50 % load")
            .target(1.0)
            .quantiles()
            .each_net::<OpenLoop<50, 0>>(),
        Row::new("tail-echo-80", "echo under 80 % load")
            .target(1.0)
            .quantiles()
            .each_net::<OpenLoop<80, 0>>(),
        Row::new("tail-echo-busy", "echo under 20 % load, beside computations of 200 us")
            .target(0.8)
            .quantiles()
            .each_net::<OpenLoop<20, 1>>()
            .without("monoio", MONOIO_STARVES),
        Row::new("tail-wake", "from wake to poll, 10,000 tasks ready")
            .target(0.25)
            .quantiles()
            .each_timed::<WakeToPoll>()
            .without("monoio", MONOIO_STARVES),
        Row::new("tail-timer", "lateness of 1 ms timers").quantiles().each_timed::<Lateness<0>>(),
        Row::new("tail-timer-busy", "lateness of 1 ms timers, 10,000 tasks ready")
            .target(0.5)
            .quantiles()
            .each_timed::<Lateness<10_000>>()
            .without("monoio", MONOIO_STARVES)
            .without("glommio", "two hundred timers did not end within eight seconds"),
    ]
}

const MONOIO_STARVES: &str = "a task that wakes itself is polled before all others, which would wait for ever";
