//! Timers.

use super::{LOOKS, Row, TIME, TO_THE_MILLISECOND, Unit};
use crate::workloads::sleepers::{self, Sleepers};
use crate::workloads::timeout::{self, ArmAndDrop, Timeout};

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(TIME, "timeout-0", "timeout around one yield")
            .note(LOOKS)
            .note(FROM_THE_LOOK)
            .target(0.17)
            .of_peers(0.22)
            .of_size(0)
            .each_timed::<Timeout>()
            .other_timeouts::<Timeout>()
            .bare(timeout::deadlines),
        Row::new(TIME, "timeout-10000", "timeout, 10,000 others armed")
            .note(LOOKS)
            .note(FROM_THE_LOOK)
            .target(0.17)
            .of_peers(0.22)
            .of_size(10_000)
            .each_timed::<Timeout>()
            .other_timeouts::<Timeout>(),
        Row::new(TIME, "sleep-dropped", "a sleep, polled once and dropped")
            .note(FROM_THE_LOOK)
            .each_timed::<ArmAndDrop>(),
        Row::new(TIME, "sleepers", "100,000 tasks that sleep 1 to 100 ms")
            .note(TO_THE_MILLISECOND)
            .note(FROM_THE_LOOK)
            .unit(Unit::CpuNanoseconds)
            .target(0.65)
            .of_peers(0.65)
            .each_timed::<Sleepers>()
            .bare(sleepers::heap),
    ]
}

/// When Handcar's relative deadlines are fixed.
const FROM_THE_LOOK: &str = "Handcar's sleep and timeout count from the loop's next look at the clock, which saves a reading for each: never early, and \
                             later by what the task computes meanwhile. The others' count from the call or from the first poll.";
