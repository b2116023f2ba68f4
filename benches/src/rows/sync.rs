//! Channels and locks.

use super::{LOOKS, MONOIO_FRONT, Row, SYNC};
use crate::workloads::channels::{self, PingPong, Producers, Unbounded};
use crate::workloads::mutex;
use crate::workloads::oneshot::{AlreadySent, Oneshot};
use crate::workloads::semaphore::{self, Contended, Uncontended};

pub(super) fn all() -> Vec<Row> {
    let mut rows = channels();
    rows.extend(locks());
    rows
}

fn channels() -> Vec<Row> {
    vec![
        Row::new(SYNC, "oneshot", "oneshot between two tasks")
            .note(BORROWED)
            .note(LOOKS)
            .target(0.25)
            .of_peers(0.35)
            .each_with::<Oneshot>(),
        Row::new(SYNC, "oneshot-sent", "oneshot, already sent")
            .note(BORROWED)
            .note(IN_PLACE)
            .target(0.30)
            .of_peers(1.0)
            .each_with::<AlreadySent>()
            .borrowed_oneshot(),
        Row::new(SYNC, "ping-pong", "ping-pong over two channels of capacity 1")
            .note(LOOKS)
            .target(0.16)
            .of_peers(0.35)
            .each_with::<PingPong>(),
        Row::new(SYNC, "mpsc-1", "mpsc, capacity 100, 1 producer")
            .target(0.11)
            .of_peers(0.45)
            .of_size(1)
            .each_with::<Producers>()
            .of_size(100)
            .bare(channels::queue),
        Row::new(SYNC, "mpsc-4", "mpsc, capacity 100, 4 producers")
            .target(0.11)
            .of_peers(0.45)
            .of_size(4)
            .each_with::<Producers>()
            .of_size(100)
            .bare(channels::queue),
        Row::new(SYNC, "unbounded-short", "mpsc unbounded, 10 queued")
            .target(0.11)
            .of_peers(0.7)
            .of_size(10)
            .each_with::<Unbounded>()
            .bare(channels::queue),
        Row::new(SYNC, "unbounded-long", "mpsc unbounded, a million queued")
            .target(0.17)
            .of_peers(1.1)
            .of_size(1_000_000)
            .each_with::<Unbounded>()
            .bare(channels::queue),
    ]
}

fn locks() -> Vec<Row> {
    vec![
        Row::new(SYNC, "semaphore", "semaphore, uncontended")
            .target(0.07)
            .of_peers(0.9)
            .each_with::<Uncontended>()
            .bare(semaphore::counter),
        Row::new(SYNC, "semaphore-queue", "semaphore, 1000 tasks for 10 permits")
            .note(MONOIO_FRONT)
            .target(0.22)
            .of_peers(0.45)
            .each_with::<Contended>(),
        Row::new(SYNC, "mutex", "mutex, uncontended")
            .note(ONE_PERMIT)
            .target(0.08)
            .of_peers(1.0)
            .each_locked::<mutex::Uncontended>()
            .bare(semaphore::counter),
        Row::new(SYNC, "mutex-queue", "mutex, 100 tasks")
            .note(ONE_PERMIT)
            .note(MONOIO_FRONT)
            .target(0.21)
            .of_peers(0.35)
            .each_locked::<mutex::Contended>(),
    ]
}

const BORROWED: &str = "glommio, and the crates that smol's programs use, have no oneshot: futures' stands for it.";
const IN_PLACE: &str = "Halves that can go to other tasks, as oneshots are for. async-unsync has others too, which borrow a channel in the caller's \
                        frame and need no memory of their own.";
const ONE_PERMIT: &str =
    "async-unsync, local-sync and glommio have no mutex: a semaphore with one permit stands for it.";
