//! Tasks: making them, and switching between them.

use super::{AT_ONCE, LOOKS, MONOIO_FRONT, Row, TASKS};
use crate::runtimes::{Kernel, Observed, ReportUnpolled, SlowPoll, Watchdog, Watched};
use crate::workloads::spawn::{self, SpawnDetached, SpawnJoin};
use crate::workloads::switch::{self, SelfWake, Yield};

pub(super) fn all() -> Vec<Row> {
    vec![
        Row::new(TASKS, "spawn-join", "spawn + join, 1000 at a time")
            .note(AT_ONCE)
            .note(KEPT)
            .target(0.24)
            .of_peers(0.95)
            .note(KERNEL)
            .each::<SpawnJoin>()
            .context::<Kernel, SpawnJoin>()
            .context::<Watched<SlowPoll>, SpawnJoin>()
            .context::<Watched<Watchdog>, SpawnJoin>()
            .context::<Watched<Observed>, SpawnJoin>()
            .bare(spawn::boxes),
        Row::new(TASKS, "spawn-detached", "spawn detached, 1000 at a time")
            .note(AT_ONCE)
            .note(KEPT)
            .target(0.26)
            .of_peers(0.95)
            .of_size(1000)
            .note(KERNEL)
            .each::<SpawnDetached>()
            .context::<Kernel, SpawnDetached>(),
        Row::new(TASKS, "switch-1", "self-wake switch, 1 task")
            .note(LOOKS)
            .target(0.21)
            .of_peers(0.4)
            .of_size(1)
            .each::<SelfWake>()
            .bare(switch::poll_in_turn),
        Row::new(TASKS, "switch-1000", "self-wake switch, 1000 tasks")
            .note(MONOIO_FRONT)
            .target(0.21)
            .of_peers(0.4)
            .of_size(1000)
            .each::<SelfWake>()
            .context::<Kernel, SelfWake>()
            .context::<Watched<ReportUnpolled>, SelfWake>()
            .context::<Watched<SlowPoll>, SelfWake>()
            .context::<Watched<Watchdog>, SelfWake>()
            .context::<Watched<Observed>, SelfWake>()
            .bare(switch::poll_in_turn),
        Row::new(TASKS, "yield-now", "`yield_now`, 1000 tasks")
            .note(YIELDS)
            .note(MONOIO_FRONT)
            .target(0.20)
            .of_peers(0.3)
            .of_size(1000)
            .each::<Yield>()
            .bare(switch::poll_in_turn),
    ]
}

const KERNEL: &str = "Handcar's kernel alone is the package handcar-executor, whose tasks are no cancel scopes: they are dropped at once when \
                      they are cancelled.";

const KEPT: &str = "Handcar uses the memory of ended tasks again, of which it keeps 128 KiB of each size: so much for a thousand small ones. Beyond that \
                    it asks the allocator, as the others do for each; async-executor's own benches have 25,000 at a time.";
const YIELDS: &str = "tokio's yield_now of a lone task looks at its driver, a system call; among a thousand it does not. monoio, compio and \
                      LocalPool have none and use futures-lite's.";
