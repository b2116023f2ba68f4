//! The other single-threaded runtimes, and other families of channels and locks, as entrants. Without the feature `peers` nobody
//! enters, and nothing of theirs is built.

use super::Row;
use crate::workloads::{NetWorkload, SyncWorkload, TimedWorkload, Workload};

#[cfg(not(feature = "peers"))]
impl Row {
    pub(super) fn peers<W: Workload>(self) -> Row {
        self
    }

    pub(super) fn peers_timed<W: TimedWorkload>(self) -> Row {
        self
    }

    pub(super) fn pingora<W: TimedWorkload>(self) -> Row {
        self
    }

    pub(super) fn peers_with<W: SyncWorkload>(self) -> Row {
        self
    }

    pub(super) fn peers_net<W: NetWorkload>(self) -> Row {
        self
    }

    pub(super) fn peers_outside(self) -> Row {
        self
    }
}

/// The rows that exist with the feature alone.
#[cfg(not(feature = "peers"))]
pub(super) fn more() -> Vec<Row> {
    Vec::new()
}

#[cfg(feature = "peers")]
pub(super) use entrants::more;

#[cfg(feature = "peers")]
mod entrants {
    use super::{NetWorkload, Row, SyncWorkload, TimedWorkload, Workload};
    use crate::bencher::Bencher;
    use crate::rows::{Role, Unit, inside, inside_net, inside_timed, spawned};
    use crate::runtime::{Net, Runtime, Timers};
    use crate::runtimes::peers::{Compio, Epoll, Glommio, LocalPool, Monoio, Smol, Uring};
    use crate::runtimes::{Handcar, LocalRuntime, LocalSet, Pingora, Tokio};
    use crate::toolkits::peers::{AsyncUnsync, LocalSync};
    use crate::workloads::With;
    use crate::workloads::http::{Hello, Http};
    use crate::workloads::start::Start;

    const NO_TIMERS: &str = "no timers";
    const NO_SOCKETS: &str = "no sockets";

    pub(in crate::rows) fn more() -> Vec<Row> {
        let hyper = Row::new("hyper", "hyper says hello, 50 connections").unit(Unit::CpuNanoseconds).target(0.97);
        vec![
            hyper
                .enter(Role::Ours, Handcar::NAME, http::<Handcar>)
                .enter(Role::Rival, Tokio::<LocalSet>::NAME, http::<Tokio<LocalSet>>)
                .enter(Role::Rival, Tokio::<LocalRuntime>::NAME, http::<Tokio<LocalRuntime>>)
                .absent(Smol::NAME, HYPER)
                .absent(Monoio::<Epoll>::NAME, HYPER)
                .absent(Compio::<Epoll>::NAME, HYPER)
                .absent(Glommio::NAME, HYPER),
        ]
    }

    const HYPER: &str = "hyper reaches it through another adapter, which would be measured instead";

    fn http<R: Http>(bencher: &mut Bencher) {
        spawned::<R>(bencher, async |bencher| Hello::drive::<R>(bencher).await.expect("the loopback works"));
    }

    impl Row {
        /// Where no kernel is asked, a runtime enters with one of its drivers.
        pub(in crate::rows) fn peers<W: Workload>(self) -> Row {
            self.peer::<Smol, W>()
                .peer::<Monoio<Epoll>, W>()
                .peer::<Compio<Epoll>, W>()
                .peer::<Glommio, W>()
                .peer::<LocalPool, W>()
        }

        pub(in crate::rows) fn peers_timed<W: TimedWorkload>(self) -> Row {
            self.peer_timed::<Smol, W>()
                .peer_timed::<Monoio<Epoll>, W>()
                .peer_timed::<Compio<Epoll>, W>()
                .peer_timed::<Glommio, W>()
                .absent(LocalPool::NAME, NO_TIMERS)
        }

        /// Its timeouts are 10 ms late, so it enters as context.
        pub(in crate::rows) fn pingora<W: TimedWorkload>(self) -> Row {
            self.context_timed::<Tokio<Pingora>, W>()
        }

        /// A family of channels is measured on the executor of ours, which shows the family alone, and on that of a runtime
        /// it is used with.
        pub(in crate::rows) fn peers_with<W: SyncWorkload>(self) -> Row {
            self.enter(Role::Peer, "async-unsync on handcar", inside::<Handcar, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "async-unsync on tokio", inside::<Tokio<LocalRuntime>, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "async-unsync on compio", inside::<Compio<Epoll>, With<W, AsyncUnsync>>)
                .enter(Role::Peer, "local-sync on handcar", inside::<Handcar, With<W, LocalSync>>)
                .enter(Role::Peer, "local-sync on monoio", inside::<Monoio<Epoll>, With<W, LocalSync>>)
                .enter(Role::Peer, "async-unsync on smol", inside::<Smol, With<W, AsyncUnsync>>)
                .absent(Glommio::NAME, "its channels have one sender each")
                .absent(LocalPool::NAME, "its channels are made for threads")
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

        pub(in crate::rows) fn peers_outside(self) -> Row {
            self.peer_outside::<Smol>()
                .peer_outside::<Monoio<Epoll>>()
                .peer_outside::<Monoio<Uring>>()
                .peer_outside::<Compio<Epoll>>()
                .peer_outside::<Compio<Uring>>()
                .absent(Glommio::NAME, "it takes milliseconds: it sets three rings up and locks their memory")
                .peer_outside::<LocalPool>()
        }

        fn peer<R: Runtime, W: Workload>(self) -> Row {
            self.enter(Role::Peer, R::NAME, inside::<R, W>)
        }

        fn peer_timed<R: Timers, W: TimedWorkload>(self) -> Row {
            self.enter(Role::Peer, R::NAME, inside_timed::<R, W>)
        }

        fn peer_net<R: Net, W: NetWorkload>(self) -> Row {
            self.enter(Role::Peer, R::NAME, inside_net::<R, W>)
        }

        fn peer_outside<R: Runtime>(self) -> Row {
            self.enter(Role::Peer, R::NAME, Start::drive::<R>)
        }
    }
}
