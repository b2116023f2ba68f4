//! The report of a deadlock: who waits, spawned where, and for what.

mod common;

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::watchdog;
use handcar::sync::{Event, Queue, Semaphore, mpsc};
use handcar::{
    Builder, Clock, Deadlock, Elapsed, RunError, gather, scope, sleep, spawn, spawn_named, task_group, timeout,
    yield_now,
};

/// What a program that comes to a halt is told.
fn deadlock(program: impl Future<Output = ()>) -> Deadlock {
    let runtime = Builder::new().clock(Clock::simulated()).grace(Some(Duration::ZERO)).build().unwrap();
    match runtime.try_block_on(program) {
        Err(RunError::Deadlock(deadlock)) => deadlock,
        other => panic!("no deadlock: {other:?}"),
    }
}

/// The name of each task, and what it waits for, with this file's lines counted from `first`.
fn waits(deadlock: &Deadlock, first: u32) -> Vec<String> {
    let tell = |what: &String| {
        let (text, place) = what.split_once("tests/a_deadlock_names_who_waits_for_what.rs:").unwrap_or((what, ""));
        let mut rest = place.splitn(3, |c: char| !c.is_ascii_digit());
        let line = rest.next().and_then(|line| line.parse::<u32>().ok()).map(|line| format!("line {}", line - first));
        let after = rest.nth(1).unwrap_or_default();
        format!("{text}{}{}{after}", line.unwrap_or_default(), if after.is_empty() { "" } else { " " })
    };
    let waits = deadlock.waits().map(|(task, waits)| {
        let name = task.name.as_deref().unwrap_or("-");
        format!("{name}: {}", waits.iter().map(tell).collect::<Vec<_>>().join(", "))
    });
    waits.collect()
}

/// asyncio's own example of a queue: one sentinel for four consumers.
#[test]
fn one_sentinel_for_four_consumers_leaves_three_at_the_queue() {
    let _watchdog = watchdog();
    let first = line!();
    let deadlock = deadlock(async {
        let queue: Rc<Queue<Option<u32>>> = Rc::new(Queue::new(100));
        let group = task_group(async |g| {
            let producer = Rc::clone(&queue);
            g.spawn_named("producer", async move {
                for item in 0..10 {
                    producer.put(Some(item)).await.unwrap();
                }
                producer.put(None).await.unwrap(); // sentinel
                Ok::<_, String>(())
            });
            for n in 0..4 {
                let queue = Rc::clone(&queue);
                g.spawn_named(format!("consumer {n}"), async move {
                    while let Some(Some(_item)) = queue.get().await {
                        queue.task_done();
                    }
                    Ok(())
                });
            }
            Ok(())
        });
        group.await.unwrap();
    });
    let waits = waits(&deadlock, first);
    assert_eq!(waits.len(), 4, "{waits:#?}");
    assert_eq!(waits[0], "main: 3 children of the group made at line 3");
    for (waits, name) in waits[1..].iter().zip(["consumer 1", "consumer 2", "consumer 3"]) {
        assert_eq!(*waits, format!("{name}: `queue::Get` on what was made at line 2"));
    }
    assert_eq!(deadlock.tasks().len(), 4);
}

#[test]
fn channels_semaphores_events_sleeps_and_tasks_say_what_they_are() {
    let _watchdog = watchdog();
    let first = line!();
    let deadlock = deadlock(async {
        let (tx, mut rx) = mpsc::channel::<u32>(1);
        let (permits, event) = (Semaphore::new(0), Event::new());
        spawn_named("receives", async move { rx.recv().await }).detach_ignoring();
        spawn_named("acquires", async move { drop(permits.acquire().await) }).detach();
        spawn_named("listens", async move { event.wait().await }).detach();
        spawn_named("sleeps", sleep(Duration::MAX)).detach();
        spawn_named("is foreign", pending::<()>()).detach();
        let awaited = spawn_named("full", async move {
            tx.send(1).await.unwrap();
            let (full, _kept) = mpsc::channel(1);
            full.send(1).await.unwrap();
            full.send(2).await.unwrap();
            drop(tx);
        });
        awaited.await.unwrap();
    });
    let waits = waits(&deadlock, first);
    assert!(waits[0].starts_with("main: the end of task `full` #"), "{waits:#?}");
    assert_eq!(
        waits[1..],
        [
            "acquires: `Acquire` on what was made at line 3",
            "listens: `EventWait` on what was made at line 3",
            "sleeps: the sleep made at line 7",
            "is foreign: ",
            "full: `send` on what was made at line 11 with 1 sender",
        ]
    );
    assert!(deadlock.to_string().contains("\n    waits for the sleep made at tests/"), "{deadlock}");
}

#[test]
fn what_waits_inside_a_combinator_a_scope_or_a_timeout_says_so_too() {
    let _watchdog = watchdog();
    let first = line!();
    let told = deadlock(async {
        let permits = Semaphore::new(0);
        let acquire = async || drop(permits.acquire().await);
        gather([acquire(), acquire()]).await;
    });
    assert_eq!(
        waits(&told, first),
        ["main: `Acquire` on what was made at line 2, `Acquire` on what was made at line 2"]
    );
    let first = line!();
    let told = deadlock(async {
        let permits = Semaphore::new(0);
        let children = scope(async |s| {
            s.spawn(async { Ok::<_, String>(permits.acquire().await.is_ok()) });
            Ok(permits.acquire().await.is_ok())
        });
        let limited = timeout(Duration::MAX, children).await;
        assert_ne!(limited.map(drop), Err(Elapsed));
    });
    let both = "`Acquire` on what was made at line 2, `Acquire` on what was made at line 2";
    assert_eq!(waits(&told, first), [format!("main: {both}, 1 children of the group made at line 3")]);
}

#[test]
fn being_asked_changes_nothing_and_a_task_that_was_only_not_woken_goes_on() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let value = runtime.block_on(async {
        // A future that forgets to keep its waker: the question is a poll, and helps it on.
        let polls = Cell::new(0);
        let forgetful = poll_fn(|_| {
            polls.set(polls.get() + 1);
            if polls.get() < 2 { Poll::Pending } else { Poll::Ready(7) }
        });
        forgetful.await
    });
    assert_eq!(value, 7);
    let first = line!();
    let told = deadlock(async {
        let (tx, mut rx) = mpsc::channel::<u32>(4);
        spawn_named("sends", async move {
            for n in 0..3 {
                tx.send(n).await.unwrap();
                yield_now().await;
            }
            pending::<()>().await;
        })
        .detach();
        let mut sum = 0;
        while let Some(n) = rx.recv().await {
            sum += n;
        }
        panic!("{sum}");
    });
    assert_eq!(waits(&told, first), ["main: `recv` on what was made at line 2 with 1 sender", "sends: "]);
}

#[test]
fn a_thread_that_declares_itself_is_no_deadlock() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let hold = runtime.clock().hold();
    runtime.block_on(async {
        let (done, is_done) = futures::channel::oneshot::channel();
        let waits = spawn(is_done);
        std::thread::spawn(move || {
            done.send(()).unwrap();
            drop(hold);
        });
        waits.await.unwrap().unwrap();
    });
}
