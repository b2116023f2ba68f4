//! Who enters: Handcar, tokio in each of its ways, and the peers.

use super::{Role, Row};
use crate::bencher::{Bencher, Effort};
use crate::runtime::{Net, Runtime, Several, Timers};
use crate::runtimes::{Handcar, LocalRuntime, LocalSet, MultiThread, NoDrivers, Spawn, TimeoutAt, Tokio};
use crate::toolkits::{HandcarSync, TokioSync};
use crate::workloads::start::Start;
use crate::workloads::theirs::async_executor::Create;
use crate::workloads::{
    LockWorkload, Locked, NetWorkload, SeveralWorkload, SyncWorkload, TimedWorkload, With, Workload,
};

/// Measures one entrant.
pub(super) type Drive = fn(&mut Bencher);

impl Row {
    /// Enters every runtime.
    pub(super) fn each<W: Workload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside::<Handcar, W>)
            .tokio([
                inside::<Tokio<LocalSet>, W>,
                inside::<Tokio<LocalRuntime>, W>,
                inside::<Tokio<Spawn>, W>,
                inside::<Tokio<MultiThread>, W>,
            ])
            .peers::<W>()
    }

    /// Enters every runtime that has timers.
    pub(super) fn each_timed<W: TimedWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_timed::<Handcar, W>)
            .tokio([
                inside_timed::<Tokio<LocalSet>, W>,
                inside_timed::<Tokio<LocalRuntime>, W>,
                inside_timed::<Tokio<Spawn>, W>,
                inside_timed::<Tokio<MultiThread>, W>,
            ])
            .peers_timed::<W>()
    }

    /// Enters every runtime with its own channels, and shows Handcar's on tokio's executor.
    pub(super) fn each_with<W: SyncWorkload>(self) -> Row {
        self.beside::<With<W, HandcarSync>, With<W, TokioSync>>().peers_with::<W>()
    }

    /// The same with its own locks.
    pub(super) fn each_locked<W: LockWorkload>(self) -> Row {
        self.beside::<Locked<W, HandcarSync>, Locked<W, TokioSync>>().peers_locked::<W>()
    }

    /// A workload that is two: with Handcar's family, and with tokio's.
    fn beside<Ours: Workload, Theirs: Workload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside::<Handcar, Ours>)
            .tokio([
                inside::<Tokio<LocalSet>, Theirs>,
                inside::<Tokio<LocalRuntime>, Theirs>,
                inside::<Tokio<Spawn>, Theirs>,
                inside::<Tokio<MultiThread>, Theirs>,
            ])
            .enter(Role::Context, "handcar's sync on tokio", inside::<Tokio<LocalRuntime>, Ours>)
    }

    /// Enters every runtime with its own sockets.
    pub(super) fn each_net<W: NetWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_net::<Handcar, W>)
            .tokio([
                inside_net::<Tokio<LocalSet>, W>,
                inside_net::<Tokio<LocalRuntime>, W>,
                inside_net::<Tokio<Spawn>, W>,
                inside_net::<Tokio<MultiThread>, W>,
            ])
            .peers_net::<W>()
    }

    /// As [`each`](Row::each), with each runtime's ways to wait for several things.
    pub(super) fn each_several<W: SeveralWorkload>(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, inside_several::<Handcar, W>)
            .tokio([
                inside_several::<Tokio<LocalSet>, W>,
                inside_several::<Tokio<LocalRuntime>, W>,
                inside_several::<Tokio<Spawn>, W>,
                inside_several::<Tokio<MultiThread>, W>,
            ])
            .peers_several::<W>()
    }

    /// As [`each`](Row::each), for async-executor's bench that starts its runtimes itself.
    pub(super) fn each_created(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, Create::drive::<Handcar>)
            .tokio([
                Create::drive::<Tokio<LocalSet>>,
                Create::drive::<Tokio<LocalRuntime>>,
                Create::drive::<Tokio<Spawn>>,
                Create::drive::<Tokio<MultiThread>>,
            ])
            .peers_created()
    }

    /// The same for our own.
    pub(super) fn each_outside(self) -> Row {
        self.enter(Role::Ours, Handcar::NAME, Start::drive::<Handcar>)
            .enter(Role::Rival, Tokio::<LocalSet>::NAME, Start::drive::<Tokio<LocalSet>>)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, Start::drive::<Tokio<LocalRuntime>>)
            .enter(Role::Rival, Tokio::<Spawn>::NAME, Start::drive::<Tokio<Spawn>>)
            .enter(Role::Context, Tokio::<NoDrivers>::NAME, Start::drive::<Tokio<NoDrivers>>)
            .peers_outside()
    }

    /// Enters tokio in its three ways for one thread, and shows its way for several.
    pub(super) fn tokio(self, [set, local, spawn, several]: [Drive; 4]) -> Row {
        self.enter(Role::Rival, Tokio::<LocalSet>::NAME, set)
            .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, local)
            .enter(Role::Rival, Tokio::<Spawn>::NAME, spawn)
            .enter(Role::Context, Tokio::<MultiThread>::NAME, several)
    }

    /// Shows `R` beside the others.
    pub(super) fn context<R: Runtime, W: Workload>(self) -> Row {
        self.enter(Role::Context, R::NAME, inside::<R, W>)
    }

    /// Shows `R` beside the others, where it takes time.
    pub(super) fn context_timed<R: Timers, W: TimedWorkload>(self) -> Row {
        self.enter(Role::Context, R::NAME, inside_timed::<R, W>)
    }

    /// Shows other timeouts on tokio beside its own.
    pub(super) fn other_timeouts<W: TimedWorkload>(self) -> Row {
        self.context_timed::<Tokio<TimeoutAt>, W>()
            .pingora::<W>()
            .note("pingora's timeouts come on ticks of 10 ms; timeout_at is given a deadline, and so reads no clock.")
    }

    /// Shows what the work costs without a runtime.
    pub(super) fn bare(self, drive: Drive) -> Row {
        self.enter(Role::Context, "bare", drive)
    }
}

/// Drives a workload inside a spawned task.
pub(super) fn inside<R: Runtime, W: Workload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

pub(super) fn inside_timed<R: Timers, W: TimedWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

pub(super) fn inside_net<R: Net, W: NetWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await.expect("the loopback works"));
}

pub(super) fn inside_several<R: Several, W: SeveralWorkload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

pub(super) fn spawned<R: Runtime>(bencher: &mut Bencher, drive: impl AsyncFnOnce(&mut Bencher) + 'static) {
    let mut inner = std::mem::replace(bencher, Bencher::new(Effort::Counted(0)));
    *bencher = R::run(async move {
        drive(&mut inner).await;
        inner
    });
}
