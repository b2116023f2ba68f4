//! The other single-threaded runtimes, and other families of channels and locks, as entrants. Without the feature `peers` nobody
//! enters, and nothing of theirs is built.

#[cfg(not(feature = "peers"))]
mod nobody {
    use crate::rows::Row;
    use crate::workloads::{LockWorkload, NetWorkload, SeveralWorkload, SyncWorkload, TimedWorkload, Workload};

    impl Row {
        pub(in crate::rows) fn peers<W: Workload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_timed<W: TimedWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn pingora<W: TimedWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_with<W: SyncWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_locked<W: LockWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_net<W: NetWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_several<W: SeveralWorkload>(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_outside(self) -> Row {
            self
        }

        pub(in crate::rows) fn peers_created(self) -> Row {
            self
        }

        pub(in crate::rows) fn ring(self) -> Row {
            self
        }

        /// These rows exist with the feature alone.
        pub(in crate::rows) fn hyper(_: &'static str) -> Vec<Row> {
            Vec::new()
        }

        pub(in crate::rows) fn hyper_tails(_: &'static str) -> Vec<Row> {
            Vec::new()
        }
    }
}

#[cfg(feature = "peers")]
mod entrants {
    use crate::bencher::Bencher;
    use crate::rows::enter::{Drive, inside, inside_net, inside_several, inside_timed, spawned};
    use crate::rows::tails::{OVERLOADED, SATURATED};
    use crate::rows::{Capacity, Role, Row, Unit};
    use crate::runtime::{Net, Runtime, Several, Timers};
    use crate::runtimes::peers::{Compio, Epoll, Glommio, LocalPool, Monoio, Smol, SmolStatic, Uring};
    use crate::runtimes::{Handcar, LocalRuntime, LocalSet, MultiThread, Pingora, Spawn, Tokio};
    use crate::toolkits::peers::{AsyncUnsync, Field, GlommioSync, LocalSync, OnePermit};
    use crate::workloads::http::{Hello, HelloSaturated, HelloUnder, Http, HttpWorkload};
    use crate::workloads::ring;
    use crate::workloads::start::Start;
    use crate::workloads::theirs::async_executor::Create;
    use crate::workloads::{
        LockWorkload, Locked, NetWorkload, SeveralWorkload, SyncWorkload, TimedWorkload, With, Workload,
    };

    const NO_TIMERS: &str = "no timers";
    const NO_SOCKETS: &str = "no sockets";
    const ADAPTED: &str = "glommio and compio have no streams for hyper: they go through smol's adapter of futures-io, and compio through buffers of its \
                           own.";
    const HYPER: &str = "its streams for hyper need a feature that changes how it polls";

    impl Row {
        /// Where no socket is, monoio enters with epoll alone: it was no slower with that than with `io_uring`. compio was faster
        /// now with the one and now with the other, and so it enters with both.
        pub(in crate::rows) fn peers<W: Workload>(self) -> Row {
            self.peer::<Smol>(inside::<Smol, W>)
                .peer::<SmolStatic>(inside::<SmolStatic, W>)
                .peer::<Monoio<Epoll>>(inside::<Monoio<Epoll>, W>)
                .peer::<Compio<Epoll>>(inside::<Compio<Epoll>, W>)
                .peer::<Compio<Uring>>(inside::<Compio<Uring>, W>)
                .peer::<Glommio>(inside::<Glommio, W>)
                .peer::<LocalPool>(inside::<LocalPool, W>)
        }

        pub(in crate::rows) fn peers_timed<W: TimedWorkload>(self) -> Row {
            self.peer_timed::<Smol, W>()
                .peer_timed::<Monoio<Epoll>, W>()
                .peer_timed::<Compio<Epoll>, W>()
                .peer_timed::<Compio<Uring>, W>()
                .peer_timed::<Glommio, W>()
                .absent(LocalPool::NAME, NO_TIMERS)
        }

        /// Its timeouts are 10 ms late, so it enters as context.
        pub(in crate::rows) fn pingora<W: TimedWorkload>(self) -> Row {
            self.context_timed::<Tokio<Pingora>, W>()
        }

        /// A family of channels is measured on the executor of ours, which shows the family alone, and on those of the runtimes
        /// that it is used with.
        pub(in crate::rows) fn peers_with<W: SyncWorkload>(self) -> Row {
            self.enter(Role::Peer, "async-unsync on handcar", inside::<Handcar, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "async-unsync on tokio", inside::<Tokio<LocalRuntime>, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "async-unsync on compio", inside::<Compio<Uring>, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "async-unsync on smol", inside::<Smol, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "local-sync on handcar", inside::<Handcar, With<W, LocalSync>>)
                .enter(Role::Peer, "local-sync on monoio", inside::<Monoio<Epoll>, With<W, LocalSync>>)
                .enter(Role::Peer, "async-channel, -lock on smol", inside::<Smol, With<W, Field>>)
                .enter(Role::Peer, "async-channel, -lock on LocalPool", inside::<LocalPool, With<W, Field>>)
                .enter(Role::Peer, Glommio::NAME, inside::<Glommio, With<W, GlommioSync>>)
        }

        /// Of a family without a mutex, a semaphore with one permit.
        pub(in crate::rows) fn peers_locked<W: LockWorkload>(self) -> Row {
            self.enter(Role::Peer, "async-lock on handcar", inside::<Handcar, Locked<W, Field>>)
                .enter(Role::Peer, "async-lock on smol", inside::<Smol, Locked<W, Field>>)
                .enter(Role::Peer, "async-lock on LocalPool", inside::<LocalPool, Locked<W, Field>>)
                .enter(
                    Role::Peer,
                    "async-unsync permit on handcar",
                    inside::<Handcar, Locked<W, OnePermit<AsyncUnsync>>>,
                )
                .enter(
                    Role::Peer,
                    "async-unsync permit on compio",
                    inside::<Compio<Uring>, Locked<W, OnePermit<AsyncUnsync>>>,
                )
                .enter(
                    Role::Peer,
                    "local-sync permit on monoio",
                    inside::<Monoio<Epoll>, Locked<W, OnePermit<LocalSync>>>,
                )
                .enter(Role::Peer, "glommio permit", inside::<Glommio, Locked<W, OnePermit<GlommioSync>>>)
        }

        pub(in crate::rows) fn peers_net<W: NetWorkload>(self) -> Row {
            self.peer_net::<Smol, W>()
                .peer_net::<Monoio<Epoll>, W>()
                .peer_net::<Monoio<Uring>, W>()
                .peer_net::<Compio<Epoll>, W>()
                .peer_net::<Compio<Uring>, W>()
                .peer_net::<Glommio, W>()
                .absent(LocalPool::NAME, NO_SOCKETS)
        }

        pub(in crate::rows) fn peers_several<W: SeveralWorkload>(self) -> Row {
            self.peer_several::<Smol, W>()
                .peer_several::<Monoio<Epoll>, W>()
                .peer_several::<Compio<Epoll>, W>()
                .peer_several::<Compio<Uring>, W>()
                .peer_several::<Glommio, W>()
                .peer_several::<LocalPool, W>()
        }

        pub(in crate::rows) fn peers_outside(self) -> Row {
            self.peer::<Smol>(Start::drive::<Smol>)
                .peer::<Monoio<Epoll>>(Start::drive::<Monoio<Epoll>>)
                .peer::<Monoio<Uring>>(Start::drive::<Monoio<Uring>>)
                .peer::<Compio<Epoll>>(Start::drive::<Compio<Epoll>>)
                .peer::<Compio<Uring>>(Start::drive::<Compio<Uring>>)
                .peer::<Glommio>(Start::drive::<Glommio>)
                .peer::<LocalPool>(Start::drive::<LocalPool>)
        }

        pub(in crate::rows) fn peers_created(self) -> Row {
            self.peer::<Smol>(Create::drive::<Smol>)
                .peer::<Monoio<Epoll>>(Create::drive::<Monoio<Epoll>>)
                .peer::<Compio<Epoll>>(Create::drive::<Compio<Epoll>>)
                .peer::<Compio<Uring>>(Create::drive::<Compio<Uring>>)
                .peer::<Glommio>(Create::drive::<Glommio>)
                .peer::<LocalPool>(Create::drive::<LocalPool>)
        }

        pub(in crate::rows) fn ring(self) -> Row {
            self.enter(Role::Context, "bare io_uring", ring::round_trip)
        }

        pub(in crate::rows) fn hyper(table: &'static str) -> Vec<Row> {
            let row = Row::new(table, "hyper", "hyper says hello, 50 connections").unit(Unit::CpuNanoseconds);
            vec![row.note(ADAPTED).target(0.97).each_http::<Hello>()]
        }

        pub(in crate::rows) fn hyper_tails(table: &'static str) -> Vec<Row> {
            let row = |name, title| Row::new(table, name, title).load(Capacity::Hyper).quantiles().target(1.0);
            vec![
                Row::new(table, Capacity::Hyper.row(), "hyper, saturated by clients on another core")
                    .note(SATURATED)
                    .note(ADAPTED)
                    .each_http::<HelloSaturated>(),
                row("tail-hyper-50", "hyper under 50 % load").note(ADAPTED).of_size(50).each_http::<HelloUnder>(),
                row("tail-hyper-80", "hyper under 80 % load")
                    .note(ADAPTED)
                    .note(OVERLOADED)
                    .of_size(80)
                    .each_http::<HelloUnder>(),
            ]
        }

        /// The peers through the adapters for the streams of futures-io.
        fn each_http<W: HttpWorkload>(self) -> Row {
            self.enter(Role::Ours, Handcar::NAME, inside_http::<Handcar, W>)
                .tokio([
                    inside_http::<Tokio<LocalSet>, W>,
                    inside_http::<Tokio<LocalRuntime>, W>,
                    inside_http::<Tokio<Spawn>, W>,
                    inside_http::<Tokio<MultiThread>, W>,
                ])
                .peer::<Smol>(inside_http::<Smol, W>)
                .peer::<Glommio>(inside_http::<Glommio, W>)
                .peer::<Compio<Epoll>>(inside_http::<Compio<Epoll>, W>)
                .peer::<Compio<Uring>>(inside_http::<Compio<Uring>, W>)
                .absent("monoio", HYPER)
                .absent(LocalPool::NAME, NO_SOCKETS)
        }

        /// Says why somebody does not enter.
        fn absent(mut self, name: &'static str, reason: &'static str) -> Row {
            self.absent.push((name, reason));
            self
        }

        fn peer<R: Runtime>(self, drive: Drive) -> Row {
            self.enter(Role::Peer, R::NAME, drive)
        }

        fn peer_timed<R: Timers, W: TimedWorkload>(self) -> Row {
            self.peer::<R>(inside_timed::<R, W>)
        }

        fn peer_net<R: Net, W: NetWorkload>(self) -> Row {
            self.peer::<R>(inside_net::<R, W>)
        }

        fn peer_several<R: Several, W: SeveralWorkload>(self) -> Row {
            self.peer::<R>(inside_several::<R, W>)
        }
    }

    fn inside_http<R: Http, W: HttpWorkload>(bencher: &mut Bencher) {
        spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await.expect("the loopback works"));
    }
}
