//! The peers' own benches, on all.

use super::{AT_ONCE, LOOKS, MONOIO_FRONT, Row, THEIRS};
use crate::workloads::spawn::SpawnDetached;
use crate::workloads::theirs::async_executor::{self, Channels, SpawnOne, SpawnRecursively, YieldNow};
use crate::workloads::theirs::compio::{LocalWake, RemoteWake};
use crate::workloads::theirs::tokio::{
    Contention, ContentionUnbounded, CreateMedium, Large, Medium, Send, Six, SixJoined, SixSpawned, SleepUnpolled,
    SpawnManyLocal, TimeoutOfReady, Uncontended,
};

/// What the copying costs.
const COPIED: &str = "Most of this is glibc's `rep movsb`, which on the page's processor takes several times as long for 32 KiB as its \
                      other loop, for Handcar more so. With that one (GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=10000000) Handcar, \
                      which copies less, takes 0.7 of tokio's time.";

pub(super) fn all() -> Vec<Row> {
    let mut rows = tokio();
    rows.extend(compio());
    rows.extend(async_executor());
    rows
}

fn row(name: &'static str, title: &'static str) -> Row {
    Row::new(THEIRS, name, title)
}

fn tokio() -> Vec<Row> {
    vec![
        row("tokio-spawn", "tokio: spawn_many_local").note(AT_ONCE).each::<SpawnManyLocal>(),
        row("tokio-create-1", "tokio: create_medium, 1").of_size(1).each_with::<CreateMedium>(),
        row("tokio-create-100", "tokio: create_medium, 100").of_size(100).each_with::<CreateMedium>(),
        row("tokio-create-100k", "tokio: create_medium, 100,000").of_size(100_000).each_with::<CreateMedium>(),
        row("tokio-send-medium", "tokio: send medium, 1000").each_with::<Send<Medium>>(),
        row("tokio-send-large", "tokio: send large, 1000").note(COPIED).each_with::<Send<Large>>(),
        row("tokio-contention", "tokio: contention, bounded, a message").of_size(1_000_000).each_with::<Contention>(),
        row("tokio-contention-full", "tokio: contention, bounded_full, a message")
            .of_size(100)
            .each_with::<Contention>(),
        row("tokio-contention-unbounded", "tokio: contention, unbounded, a message").each_with::<ContentionUnbounded>(),
        row("tokio-uncontended", "tokio: uncontented, bounded, a message").each_with::<Uncontended>(),
        row("tokio-semaphore", "tokio: semaphore uncontended, a permit").each_with::<Six>(),
        row("tokio-semaphore-joined-10", "tokio: semaphore, 6 joined for 10, a permit")
            .of_size(10)
            .each_with::<SixJoined>(),
        row("tokio-semaphore-joined-5", "tokio: semaphore, 6 joined for 5, a permit")
            .of_size(5)
            .each_with::<SixJoined>(),
        row("tokio-semaphore-spawned-10", "tokio: semaphore, 6 spawned for 10, a permit")
            .note(AT_ONCE)
            .of_size(10)
            .each_with::<SixSpawned>(),
        row("tokio-semaphore-spawned-5", "tokio: semaphore, 6 spawned for 5, a permit")
            .note(AT_ONCE)
            .of_size(5)
            .each_with::<SixSpawned>(),
        row("tokio-timeout", "tokio: single_thread_timeout").each_timed::<TimeoutOfReady>(),
        row("tokio-sleep", "tokio: single_thread_sleep").note(UNPOLLED).each_timed::<SleepUnpolled>(),
    ]
}

fn compio() -> Vec<Row> {
    vec![
        row("compio-local-wake-1", "compio: local_wake 1, a wake").note(LOOKS).of_size(1).each::<LocalWake>(),
        row("compio-local-wake-100", "compio: local_wake 100, a wake").note(LOOKS).of_size(100).each::<LocalWake>(),
        row("compio-local-wake-10k", "compio: local_wake 10,000, a wake")
            .note(LOOKS)
            .of_size(10_000)
            .each::<LocalWake>(),
        row("compio-spawn-1", "compio: spawn_ready 1, a task")
            .note(AT_ONCE)
            .note(LOOKS)
            .of_size(1)
            .each::<SpawnDetached>(),
        row("compio-spawn-100", "compio: spawn_ready 100, a task").note(AT_ONCE).of_size(100).each::<SpawnDetached>(),
        row("compio-remote-wake", "compio: remote_wake 100, a wake")
            .note(NEW_THREADS)
            .of_size(100)
            .each::<RemoteWake>(),
    ]
}

fn async_executor() -> Vec<Row> {
    vec![
        row("smol-create", "async-executor: create").each_created(),
        row("smol-spawn-one", "async-executor: spawn_one").note(AT_ONCE).note(LOOKS).each::<SpawnOne>(),
        row("smol-spawn-many", "async-executor: spawn_many_local, a task")
            .note(AT_ONCE)
            .each::<async_executor::SpawnManyLocal>(),
        row("smol-spawn-recursively", "async-executor: spawn_recursively, a task")
            .note(AT_ONCE)
            .each::<SpawnRecursively>(),
        row("smol-yield-now", "async-executor: yield_now, a yield").note(MONOIO_FRONT).each::<YieldNow>(),
        row("smol-channels", "async-executor: channels, a hop").note(LOOKS).each_with::<Channels>(),
    ]
}

const UNPOLLED: &str =
    "The sleep is dropped unpolled. glommio's and compio's are async functions, which have done nothing by then.";
const NEW_THREADS: &str = "Each wake comes from a new thread, which is most of its cost.";
