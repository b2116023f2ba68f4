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

        pub(in crate::rows) fn borrowed_oneshot(self) -> Row {
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
    use std::marker::PhantomData;

    use crate::bencher::Bencher;
    use crate::rows::enter::{On, Plain, Sockets, Timed, Together, inside, spawned};
    use crate::rows::tails::{ON_SCHEDULE, SATURATED};
    use crate::rows::{Capacity, Role, Row, Unit};
    use crate::runtime::Runtime;
    use crate::runtimes::peers::{Compio, CoopUring, Epoll, Glommio, LocalPool, Monoio, Smol, SmolStatic, Uring};
    use crate::runtimes::{Handcar, LocalRuntime, Pingora, Tokio};
    use crate::toolkits::peers::{AsyncUnsync, BorrowedOneshot, Field, GlommioSync, LocalSync, OnePermit};
    use crate::workloads::http::{Hello, HelloOnSchedule, HelloSaturated, HelloUnder, Http, HttpWorkload};
    use crate::workloads::ring;
    use crate::workloads::start::Start;
    use crate::workloads::tails::QUANTILES;
    use crate::workloads::theirs::async_executor::Create;
    use crate::workloads::{
        LockWorkload, Locked, NetWorkload, SeveralWorkload, SyncWorkload, TimedWorkload, With, Workload,
    };

    const NO_TIMERS: &str = "no timers";
    const NO_SOCKETS: &str = "no sockets";
    const ADAPTED: &str = "smol and glommio go through smol's adapter of futures-io, monoio through monoio-compat's of tokio's traits, and compio through \
                           cyper's; the latter two through buffers of their own.";

    impl Row {
        /// Where no socket is, monoio enters with epoll alone: it was no slower with that than with `io_uring`. compio was faster
        /// now with the one and now with the other, and so it enters with both.
        pub(in crate::rows) fn peers<W: Workload>(self) -> Row {
            self.peer::<Smol, Plain<W>>()
                .peer::<SmolStatic, Plain<W>>()
                .peer::<Monoio<Epoll>, Plain<W>>()
                .peer::<Compio<Epoll>, Plain<W>>()
                .peer::<Compio<Uring>, Plain<W>>()
                .peer::<Glommio, Plain<W>>()
                .peer::<LocalPool, Plain<W>>()
        }

        pub(in crate::rows) fn peers_timed<W: TimedWorkload>(self) -> Row {
            self.peer::<Smol, Timed<W>>()
                .peer::<Monoio<Epoll>, Timed<W>>()
                .peer::<Compio<Epoll>, Timed<W>>()
                .peer::<Compio<Uring>, Timed<W>>()
                .peer::<Glommio, Timed<W>>()
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
            self.peer::<Smol, Sockets<W>>()
                .peer::<Monoio<Epoll>, Sockets<W>>()
                .peer::<Monoio<Uring>, Sockets<W>>()
                .peer::<Monoio<CoopUring>, Sockets<W>>()
                .peer::<Compio<Epoll>, Sockets<W>>()
                .peer::<Compio<Uring>, Sockets<W>>()
                .peer::<Glommio, Sockets<W>>()
                .absent(LocalPool::NAME, NO_SOCKETS)
        }

        pub(in crate::rows) fn peers_several<W: SeveralWorkload>(self) -> Row {
            self.peer::<Smol, Together<W>>()
                .peer::<Monoio<Epoll>, Together<W>>()
                .peer::<Compio<Epoll>, Together<W>>()
                .peer::<Compio<Uring>, Together<W>>()
                .peer::<Glommio, Together<W>>()
                .peer::<LocalPool, Together<W>>()
        }

        pub(in crate::rows) fn peers_outside(self) -> Row {
            self.peer::<Smol, Start>()
                .peer::<Monoio<Epoll>, Start>()
                .peer::<Monoio<Uring>, Start>()
                .peer::<Compio<Epoll>, Start>()
                .peer::<Compio<Uring>, Start>()
                .peer::<Glommio, Start>()
                .peer::<LocalPool, Start>()
        }

        pub(in crate::rows) fn peers_created(self) -> Row {
            self.peer::<Smol, Create>()
                .peer::<Monoio<Epoll>, Create>()
                .peer::<Compio<Epoll>, Create>()
                .peer::<Compio<Uring>, Create>()
                .peer::<Glommio, Create>()
                .peer::<LocalPool, Create>()
        }

        /// It can do less than those of the row, and so enters as context.
        pub(in crate::rows) fn borrowed_oneshot(self) -> Row {
            self.enter(Role::Context, "async-unsync, borrowed, on handcar", inside::<Handcar, BorrowedOneshot>)
        }

        pub(in crate::rows) fn ring(self) -> Row {
            self.enter(Role::Context, "bare io_uring", ring::round_trip)
        }

        pub(in crate::rows) fn hyper(table: &'static str) -> Vec<Row> {
            let row = Row::new(table, "hyper", "hyper says hello, 50 connections").unit(Unit::CpuNanoseconds);
            vec![row.note(ADAPTED).target(0.97).each_http::<Hello>()]
        }

        pub(in crate::rows) fn hyper_tails(table: &'static str) -> Vec<Row> {
            let row = |name, title| Row::new(table, name, title).load(Capacity::Hyper).quantiles(QUANTILES).target(1.0);
            vec![
                Row::new(table, "hyper-saturated", "hyper, saturated by clients on another core")
                    .note(SATURATED)
                    .note(ADAPTED)
                    .each_http::<HelloSaturated>(),
                Row::new(table, Capacity::Hyper.row(), "hyper, as many requests on schedule as are borne")
                    .note(ON_SCHEDULE)
                    .note(ADAPTED)
                    .ours_and_local_runtime::<Hyper<HelloOnSchedule>>(),
                row("tail-hyper-50", "hyper under 50 % load").note(ADAPTED).of_size(50).each_http::<HelloUnder>(),
                row("tail-hyper-80", "hyper under 80 % load").note(ADAPTED).of_size(80).each_http::<HelloUnder>(),
            ]
        }

        /// The peers through the adapters for the streams of futures-io.
        fn each_http<W: HttpWorkload>(self) -> Row {
            self.ours_and_tokio::<Hyper<W>>()
                .peer::<Smol, Hyper<W>>()
                .peer::<Glommio, Hyper<W>>()
                .peer::<Compio<Epoll>, Hyper<W>>()
                .peer::<Compio<Uring>, Hyper<W>>()
                .peer::<Monoio<Epoll>, Hyper<W>>()
                .peer::<Monoio<Uring>, Hyper<W>>()
                .peer::<Monoio<CoopUring>, Hyper<W>>()
                .absent(LocalPool::NAME, NO_SOCKETS)
        }

        /// Says why somebody does not enter.
        fn absent(mut self, name: &'static str, reason: &'static str) -> Row {
            self.absent.push((name, reason));
            self
        }

        fn peer<R: Runtime, D: On<R>>(self) -> Row {
            self.on::<R, D>(Role::Peer)
        }
    }

    /// A workload of hyper's.
    struct Hyper<W>(PhantomData<W>);

    impl<R: Http, W: HttpWorkload> On<R> for Hyper<W> {
        fn drive(bencher: &mut Bencher) {
            spawned::<R>(bencher, async |bencher| W::drive::<R>(bencher).await.expect("the loopback works"));
        }
    }
}
