//! Who enters: Handcar, tokio in each of its ways, and the peers.

use std::marker::PhantomData;

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

/// A workload of one of the kinds, on those runtimes that have what it takes.
pub(super) trait On<R> {
    /// Measures it there.
    fn drive(bencher: &mut Bencher);
}

impl Row {
    /// Enters every runtime.
    pub(super) fn each<W: Workload>(self) -> Row {
        self.ours_and_tokio::<Plain<W>>().peers::<W>()
    }

    /// Enters every runtime that has timers.
    pub(super) fn each_timed<W: TimedWorkload>(self) -> Row {
        self.ours_and_tokio::<Timed<W>>().peers_timed::<W>()
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
        self.on::<Handcar, Plain<Ours>>(Role::Ours).tokio::<Plain<Theirs>>().enter(
            Role::Context,
            "handcar's sync on tokio",
            inside::<Tokio<LocalRuntime>, Ours>,
        )
    }

    /// Enters every runtime with its own sockets.
    pub(super) fn each_net<W: NetWorkload>(self) -> Row {
        self.ours_and_tokio::<Sockets<W>>().peers_net::<W>()
    }

    /// As [`each`](Row::each), with each runtime's ways to wait for several things.
    pub(super) fn each_several<W: SeveralWorkload>(self) -> Row {
        self.ours_and_tokio::<Together<W>>().peers_several::<W>()
    }

    /// As [`each`](Row::each), for async-executor's bench that starts its runtimes itself.
    pub(super) fn each_created(self) -> Row {
        self.ours_and_tokio::<Create>().peers_created()
    }

    /// The same for our own.
    pub(super) fn each_outside(self) -> Row {
        self.on::<Handcar, Start>(Role::Ours)
            .on::<Tokio<LocalSet>, Start>(Role::Rival)
            .on::<Tokio<LocalRuntime>, Start>(Role::Rival)
            .on::<Tokio<Spawn>, Start>(Role::Rival)
            .on::<Tokio<NoDrivers>, Start>(Role::Context)
            .peers_outside()
    }

    /// Enters Handcar and tokio.
    pub(super) fn ours_and_tokio<D>(self) -> Row
    where
        D: On<Handcar> + On<Tokio<LocalSet>> + On<Tokio<LocalRuntime>> + On<Tokio<Spawn>> + On<Tokio<MultiThread>>,
    {
        self.on::<Handcar, D>(Role::Ours).tokio::<D>()
    }

    /// Enters Handcar, and tokio as capacities are measured on it.
    pub(super) fn ours_and_local_runtime<D: On<Handcar> + On<Tokio<LocalRuntime>>>(self) -> Row {
        self.on::<Handcar, D>(Role::Ours).on::<Tokio<LocalRuntime>, D>(Role::Rival)
    }

    /// Enters tokio in its three ways for one thread, and shows its way for several.
    fn tokio<D>(self) -> Row
    where
        D: On<Tokio<LocalSet>> + On<Tokio<LocalRuntime>> + On<Tokio<Spawn>> + On<Tokio<MultiThread>>,
    {
        self.on::<Tokio<LocalSet>, D>(Role::Rival)
            .on::<Tokio<LocalRuntime>, D>(Role::Rival)
            .on::<Tokio<Spawn>, D>(Role::Rival)
            .on::<Tokio<MultiThread>, D>(Role::Context)
    }

    /// Enters `R`.
    pub(super) fn on<R: Runtime, D: On<R>>(self, role: Role) -> Row {
        self.enter(role, R::NAME, D::drive)
    }

    /// Shows `R` beside the others.
    pub(super) fn context<R: Runtime, W: Workload>(self) -> Row {
        self.on::<R, Plain<W>>(Role::Context)
    }

    /// Shows `R` beside the others, where it takes time.
    pub(super) fn context_timed<R: Timers, W: TimedWorkload>(self) -> Row {
        self.on::<R, Timed<W>>(Role::Context)
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

/// A workload for every runtime.
pub(super) struct Plain<W>(PhantomData<W>);
/// One for those with timers.
pub(super) struct Timed<W>(PhantomData<W>);
/// One for those with sockets.
pub(super) struct Sockets<W>(PhantomData<W>);
/// One that waits for several things.
pub(super) struct Together<W>(PhantomData<W>);

impl<R: Runtime, W: Workload> On<R> for Plain<W> {
    fn drive(bencher: &mut Bencher) {
        inside::<R, W>(bencher);
    }
}

impl<R: Timers, W: TimedWorkload> On<R> for Timed<W> {
    fn drive(bencher: &mut Bencher) {
        spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
    }
}

impl<R: Net, W: NetWorkload> On<R> for Sockets<W> {
    fn drive(bencher: &mut Bencher) {
        spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await.expect("the loopback works"));
    }
}

impl<R: Several, W: SeveralWorkload> On<R> for Together<W> {
    fn drive(bencher: &mut Bencher) {
        spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
    }
}

impl<R: Runtime> On<R> for Start {
    fn drive(bencher: &mut Bencher) {
        Start::drive::<R>(bencher);
    }
}

impl<R: Runtime> On<R> for Create {
    fn drive(bencher: &mut Bencher) {
        Create::drive::<R>(bencher);
    }
}

/// Drives a workload inside a spawned task.
pub(super) fn inside<R: Runtime, W: Workload>(bencher: &mut Bencher) {
    spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await);
}

pub(super) fn spawned<R: Runtime>(bencher: &mut Bencher, drive: impl AsyncFnOnce(&mut Bencher) + 'static) {
    let mut inner = std::mem::replace(bencher, Bencher::new(Effort::Counted(0)));
    *bencher = R::run(async move {
        drive(&mut inner).await;
        inner
    });
}
