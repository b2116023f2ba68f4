//! TCP over the loopback.

use super::{Row, SOCKETS, Unit};
use crate::workloads::connections::Accept;
use crate::workloads::echo::{self, Echo};
use crate::workloads::tcp::{self, RoundTrip};

pub(super) fn all() -> Vec<Row> {
    let mut rows = vec![
        Row::new(SOCKETS, "tcp-64", "TCP ping-pong in one thread, 64 B")
            .note(FLOOR)
            .target(0.88)
            .of_bare(1.05)
            .of_size(64)
            .each_net::<RoundTrip>()
            .floors(),
        Row::new(SOCKETS, "tcp-16k", "TCP ping-pong in one thread, 16 KiB")
            .note(FLOOR)
            .target(0.95)
            .of_size(16_384)
            .each_net::<RoundTrip>()
            .floors(),
        Row::new(SOCKETS, "echo-100", "echo server, 100 connections")
            .unit(Unit::CpuNanoseconds)
            .target(1.0)
            .of_bare(1.02)
            .of_size(100)
            .each_net::<Echo>()
            .bare(echo::epoll_loop),
        Row::new(SOCKETS, "echo-1000", "echo server, 1000 connections")
            .unit(Unit::CpuNanoseconds)
            .target(0.97)
            .of_size(1000)
            .each_net::<Echo>()
            .bare(echo::epoll_loop),
        Row::new(SOCKETS, "accept", "accept and close").unit(Unit::CpuNanoseconds).target(0.95).each_net::<Accept>(),
    ];
    rows.extend(Row::hyper(SOCKETS));
    rows
}

const FLOOR: &str = "The bare twin is a loop around epoll_wait, with the six system calls that two ends need; blocking sockets need four, a ring two.";

impl Row {
    /// What the kernel takes of a round trip.
    fn floors(self) -> Row {
        self.bare(tcp::epoll_loop).enter(super::Role::Context, "blocking sockets", tcp::blocking).ring()
    }
}
