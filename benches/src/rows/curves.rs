//! How a cost grows with the number of what there is: a row for each point.

use super::{MONOIO_FRONT, Row, Unit};
use crate::workloads::echo::Connections;
use crate::workloads::semaphore::Waiters;
use crate::workloads::switch::Tasks;
use crate::workloads::timeout::Armed;

/// Every point of every curve.
pub(super) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, many) in [("tasks-10", 10), ("tasks-1k", 1000), ("tasks-100k", 100_000), ("tasks-1m", 1_000_000)] {
        rows.push(Row::new(name, "self-wake switch").point("tasks", many).note(MONOIO_FRONT).each::<Tasks>());
    }
    for (name, many) in [("timers-10", 10), ("timers-1k", 1000), ("timers-100k", 100_000), ("timers-1m", 1_000_000)] {
        rows.push(Row::new(name, "timeout around one yield").point("armed timers", many).each_timed::<Armed>());
    }
    for (name, many) in [("waiters-10", 10), ("waiters-1k", 1000), ("waiters-100k", 100_000), ("waiters-1m", 1_000_000)]
    {
        rows.push(Row::new(name, "one permit passed on").point("waiters", many).each_with::<Waiters>());
    }
    for (name, many) in
        [("connections-10", 10), ("connections-100", 100), ("connections-1k", 1000), ("connections-8k", 8000)]
    {
        let row = Row::new(name, "echo").unit(Unit::CpuNanoseconds).point("connections", many);
        rows.push(row.each_net::<Connections>());
    }
    rows
}
