//! The futures family: its spawning traits and its combinators work here as they are.

use std::time::Duration;

use futures::future::{FutureExt, join_all, select_all};
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use futures::task::{LocalSpawn, LocalSpawnExt};
use handcar_executor::{Instant, Spawner, sleep, spawn, timeout, yield_now};

mod common;
use common::{Drops, Reports, for_ever, simulated, test_run, watchdog};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn local_spawn_ext_spawns_and_joins() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let spawner = runtime.spawner();
    let handle = spawner.spawn_local_with_handle(async {
        sleep(SECOND).await;
        7
    });
    let drops = Drops::new();
    let token = drops.token();
    spawner.spawn_local(async move { drop(token) }).unwrap();
    assert_eq!(runtime.block_on(handle.unwrap()), 7);
    assert_eq!(drops.count(), 1);
    runtime.block_on(async {
        let inside = Spawner::current().spawn_local_with_handle(async { 8 }).unwrap();
        assert_eq!(inside.await, 8);
    });
}

#[test]
fn a_remote_handle_that_is_dropped_cancels_as_futures_says() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (runtime, _) = simulated();
    let token = drops.token();
    let handle = runtime
        .spawner()
        .spawn_local_with_handle(async move {
            let _token = token;
            for_ever().await;
        })
        .unwrap();
    runtime.block_on(async {
        yield_now().await;
        drop(handle);
        yield_now().await;
        yield_now().await;
        assert_eq!(drops.count(), 1);
    });
    assert_eq!(runtime.metrics().tasks, 0);
}

#[test]
fn after_the_runtimes_end_spawning_is_an_error() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let spawner = runtime.spawner();
    assert!(spawner.status_local().is_ok());
    drop(runtime);
    assert!(spawner.status_local().unwrap_err().is_shutdown());
    assert!(spawner.spawn_local(async {}).unwrap_err().is_shutdown());
}

#[test]
fn a_panic_of_a_task_that_was_spawned_so_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    runtime.spawner().spawn_local(async { assert!(std::hint::black_box(false), "foreign") }).unwrap();
    runtime.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(reports.take(), ["panicked: foreign"]);
}

#[test]
fn join_select_and_friends_work_inside() {
    let _dog = watchdog();
    test_run(async {
        let (one, two) = futures::join!(sleep(SECOND), async {
            sleep(SECOND * 2).await;
            2
        });
        assert_eq!(((), 2), (one, two));
        assert_eq!(Instant::now(), Instant::START + SECOND * 2);
        let mut fast = sleep(SECOND).fuse();
        let mut slow = sleep(SECOND * 10).fuse();
        futures::select! {
            () = fast => {}
            () = slow => panic!("the slow one was first"),
        }
        let sum: u64 =
            join_all((0..10).map(|number| spawn(async move { number }))).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(sum, 45);
        let ((), index, rest) = select_all([5, 2, 9].map(|seconds| Box::pin(sleep(SECOND * seconds)))).await;
        assert_eq!((index, rest.len()), (1, 2));
        let both = futures::try_join!(timeout(SECOND, async { 1 }), timeout(SECOND, sleep(SECOND * 2)));
        assert!(both.is_err());
    });
}

#[test]
fn select_in_a_loop_keeps_what_it_did_not_take() {
    let _dog = watchdog();
    test_run(async {
        let mut deadline = sleep(SECOND * 10).fuse();
        let mut ticks = 0;
        loop {
            let mut tick = std::pin::pin!(sleep(SECOND * 3).fuse());
            futures::select_biased! {
                () = deadline => break,
                () = tick => ticks += 1,
            }
        }
        assert_eq!(ticks, 3);
        assert_eq!(Instant::now(), Instant::START + SECOND * 10);
    });
}

#[test]
fn futures_unordered_and_ordered_work_inside() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let mut unordered: FuturesUnordered<_> = (0..50_u32)
            .rev()
            .map(|number| async move {
                sleep(Duration::from_millis(u64::from(number))).await;
                number
            })
            .collect();
        let mut seen = Vec::new();
        while let Some(number) = unordered.next().await {
            seen.push(number);
        }
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        let mut ordered: FuturesOrdered<_> = (0..50_u32).rev().map(|number| spawn(async move { number })).collect();
        let mut seen = Vec::new();
        while let Some(number) = ordered.next().await {
            seen.push(number.unwrap());
        }
        assert_eq!(seen, (0..50).rev().collect::<Vec<_>>());
        let dropped: FuturesUnordered<_> = (0..10).map(|_| sleep(SECOND)).collect();
        let mut dropped = dropped;
        assert!(futures::poll!(dropped.next()).is_pending());
        drop(dropped);
    });
    let metrics = runtime.metrics();
    assert_eq!((metrics.tasks, metrics.timers), (0, 0));
}

#[test]
fn a_futures_channel_from_another_thread_wakes_a_task() {
    let _dog = watchdog();
    let (send, receive) = futures::channel::oneshot::channel();
    let other = std::thread::spawn(move || send.send(7).unwrap());
    assert_eq!(handcar_executor::run(receive), Ok(7));
    other.join().unwrap();
}

#[test]
fn shared_and_abortable_futures_work_inside() {
    let _dog = watchdog();
    test_run(async {
        let shared = async {
            sleep(SECOND).await;
            7
        }
        .boxed_local()
        .shared();
        let tasks: Vec<_> = (0..5).map(|_| spawn(shared.clone())).collect();
        assert_eq!(shared.await, 7);
        for task in tasks {
            assert_eq!(task.await.unwrap(), 7);
        }
        let (abortable, abort) = futures::future::abortable(for_ever());
        let task = spawn(abortable);
        yield_now().await;
        abort.abort();
        assert!(task.await.unwrap().is_err());
    });
}
