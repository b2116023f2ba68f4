//! What waiting tasks and connections take.

use super::{MEMORY, Row, Unit};
use crate::workloads::connections::IdleConnection;
use crate::workloads::memory::{Allocated, Idle, Resident, Sleeping};

pub(super) fn all() -> Vec<Row> {
    let row = |name, title| Row::new(MEMORY, name, title).unit(Unit::Bytes);
    let rows = vec![
        row("idle-task", "an idle task holding 16 bytes, in memory")
            .target(0.30)
            .of_peers(1.25)
            .each::<Idle<2, Resident>>(),
        row("idle-task-allocated", "an idle task holding 16 bytes, allocated").each::<Idle<2, Allocated>>(),
        row("idle-task-8", "an idle task holding 8 bytes, in memory").each::<Idle<1, Resident>>(),
        row("sleeping-task", "a sleeping task, in memory")
            .target(0.42)
            .of_peers(0.85)
            .each_timed::<Sleeping<Resident>>(),
        row("sleeping-task-allocated", "a sleeping task, allocated").each_timed::<Sleeping<Allocated>>(),
        row("idle-connection", "an idle connection, 1 KiB buffer, in memory").target(0.75).each_net::<IdleConnection>(),
    ];
    rows.into_iter().map(|row| row.without("tokio multi-thread", NEWEST_FIRST)).collect()
}

const NEWEST_FIRST: &str = "it polls the newest task first, so nothing tells when all have been polled";
