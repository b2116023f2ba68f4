//! How a cost grows with the number of what there is: a row for each point.

use super::{CURVES, LOOKS, MONOIO_FRONT, Role, Row, Unit};
use crate::machine;
use crate::workloads::echo::Echo;
use crate::workloads::semaphore::Waiters;
use crate::workloads::switch::SelfWake;
use crate::workloads::timeout::Timeout;

/// Every point of every curve.
pub(super) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, many) in [("tasks-10", 10), ("tasks-1k", 1000), ("tasks-100k", 100_000), ("tasks-1m", 1_000_000)] {
        let row = Row::new(CURVES, name, "self-wake switch").point("tasks", many).note(LOOKS).note(MONOIO_FRONT);
        rows.push(row.each::<SelfWake>());
    }
    for (name, many) in [("timers-10", 10), ("timers-1k", 1000), ("timers-100k", 100_000), ("timers-1m", 1_000_000)] {
        let row = Row::new(CURVES, name, "timeout around one yield").note(LOOKS).point("armed timers", many);
        rows.push(row.each_timed::<Timeout>());
    }
    for (name, many) in [("waiters-10", 10), ("waiters-1k", 1000), ("waiters-100k", 100_000), ("waiters-1m", 1_000_000)]
    {
        let row = Row::new(CURVES, name, "one permit passed on").point("waiters", many).note(MONOIO_FRONT);
        rows.push(row.each_with::<Waiters>());
    }
    for (name, many) in [
        ("connections-10", 10),
        ("connections-100", 100),
        ("connections-1k", 1000),
        ("connections-most", machine::most_connections()),
    ] {
        let row = Row::new(CURVES, name, "echo").unit(Unit::CpuNanoseconds).point("connections", many);
        rows.push(row.each_net::<Echo>());
    }
    rows.into_iter().map(Row::fewer).collect()
}

impl Row {
    /// Leaves those out who are shown beside the others elsewhere: a point takes long.
    fn fewer(mut self) -> Row {
        self.entrants.retain(|entrant| entrant.role != Role::Context);
        self
    }
}
