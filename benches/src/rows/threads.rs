//! Wakes from other threads, and starting a runtime.

use super::{Row, THREADS};
use crate::runtimes::{NoDrivers, Tokio};
use crate::workloads::thread_wake::{self, ThreadWake, ThreadWakeEarly, ThreadWakeWatching};

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(THREADS, "thread-wake", "wake from another thread, one core")
            .note(ONE_CORE)
            .target(1.0)
            .of_peers(1.0)
            .each::<ThreadWake>()
            .context::<Tokio<NoDrivers>, ThreadWake>()
            .bare(thread_wake::two_threads),
        Row::new(THREADS, "thread-wake-watching", "wake from another thread, a socket open")
            .note(ONE_CORE)
            .target(1.0)
            .of_peers(1.0)
            .each_net::<ThreadWakeWatching>(),
        Row::new(THREADS, "thread-wake-early", "wake from another thread during the poll")
            .each_net::<ThreadWakeEarly>(),
        Row::new(THREADS, "start", "start, run a ready future, drop")
            .note("futures' LocalPool has neither timers nor sockets to start; tokio without drivers has none either.")
            .target(0.06)
            .each_outside(),
    ]
}

const ONE_CORE: &str = "Both threads share one core: over two the scheduler decides, 2 to 60 us for the same program.";
