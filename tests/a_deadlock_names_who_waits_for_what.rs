//! The report of a deadlock: who waits, spawned where, and for what.

mod common;

use std::cell::Cell;
use std::fmt::Write;
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::watchdog;
use futures::{SinkExt, StreamExt};
use handcar::sync::{
    Barrier, Condition, Event, Mutex, Notify, OnceCell, Queue, RateLimiter, RwLock, Semaphore, broadcast, mpsc,
    oneshot, watch,
};
use handcar::{
    Builder, CancelScope, Clock, Deadlock, Elapsed, Reports, RunError, Started, TaskGroup, as_completed, cancellable,
    cancelled, context_var, defer, gather, generate, race, scope, shield, sleep, spawn, spawn_named, task_group,
    timeout, yield_now,
};

/// What a program that comes to a halt is told.
fn deadlock(program: impl Future<Output = ()>) -> Deadlock {
    let builder = Builder::new().clock(Clock::simulated()).grace(Some(Duration::ZERO));
    let runtime = builder.on_report(|_| ()).build().unwrap(); // what the end cuts is no news after the verdict
    match runtime.try_block_on(program) {
        Err(RunError::Deadlock(deadlock)) => deadlock,
        other => panic!("no deadlock: {other:?}"),
    }
}

/// A text with each place in this file as a line counted from `first`.
fn with_lines(text: &str, first: u32) -> String {
    let mut parts = text.split("tests/a_deadlock_names_who_waits_for_what.rs:");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after = part.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(part.len());
        let line = part[..after].split(':').next().and_then(|line| line.parse::<u32>().ok()).unwrap();
        let _ = write!(result, "line {}{}", line - first, &part[after..]);
    }
    result
}

/// The name of each task, and what it waits for, with this file's lines counted from `first`.
fn waits(deadlock: &Deadlock, first: u32) -> Vec<String> {
    let waits = deadlock.waits().map(|(task, waits)| {
        let waits: Vec<_> = waits.iter().map(|what| with_lines(what, first)).collect();
        format!("{}: {}", task.name.as_deref().unwrap_or("-"), waits.join(", "))
    });
    waits.collect()
}

/// The line before the program.
const CONSUMERS: u32 = line!() + 2;

/// asyncio's own example of a queue: one sentinel for four consumers.
async fn one_sentinel_for_four_consumers() {
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
}

#[test]
fn one_sentinel_for_four_consumers_leaves_three_at_the_queue() {
    let _watchdog = watchdog();
    let expected = "deadlock: nothing is runnable, no timer is armed and nothing outside is awaited, but these wait:
  task `main` #0.1, spawned at line 0
    waits for 3 children of the group made at line 3
  task `consumer 1` #3.1, spawned at line 14
    waits for `get` on the queue made at line 2, which is empty
  task `consumer 2` #4.1, spawned at line 14
    waits for `get` on the queue made at line 2, which is empty
  task `consumer 3` #5.1, spawned at line 14
    waits for `get` on the queue made at line 2, which is empty";
    let (simulated, detecting) = (Builder::new().clock(Clock::simulated()), Builder::new().detect_deadlocks(true));
    for builder in [simulated, detecting] {
        let runtime = builder.build().unwrap();
        let ended = runtime.try_block_on(one_sentinel_for_four_consumers());
        let told = with_lines(&ended.unwrap_err().to_string(), CONSUMERS);
        // Where main runs is not a line of the program.
        let main = told.split(" at line ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        assert_eq!(told.replacen(&format!(" at line {main}"), " at line 0", 1), expected);
    }
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
            "acquires: `acquire` on the semaphore made at line 3, 0 of 0 permits free, 1 needed",
            "listens: `wait` on the event made at line 3, which is not set",
            "sleeps: the sleep made at line 7",
            "is foreign: ",
            "full: `send` on the channel made at line 11, which is full",
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
    let acquire = "`acquire` on the semaphore made at line 2, 0 of 0 permits free, 1 needed";
    assert_eq!(waits(&told, first), [format!("main: {acquire}, {acquire}")]);
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
    assert_eq!(waits(&told, first), [format!("main: {acquire}, {acquire}, 1 child of the group made at line 3")]);
}

/// Checks that main, which alone waits, waits for what `expected` says, `HERE` standing for the line that is run.
#[track_caller]
fn check(expected: &str, program: impl Future<Output = ()>) {
    let told = deadlock(program);
    let line = Location::caller().line();
    let main = told.waits().next().unwrap().1.join("; ");
    // A row is some lines long, and no place is outside of it.
    let told = with_lines(&main, line);
    let told = (0..12).rev().fold(told, |told, n| told.replace(&format!("line {n}"), "HERE"));
    assert_eq!(told, expected);
}

/// What waits in an operation of `sync`.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn each_operation_of_sync_says_what_it_is_where_that_was_made_and_who_has_the_other_end() {
    let _watchdog = watchdog();
    check("`recv` on the oneshot channel made at HERE, 1 sender", async {
        let (_sender, receiver) = oneshot::channel::<u32>();
        let _ = receiver.await;
    });
    check("`closed` on the oneshot channel made at HERE, 1 receiver", async {
        let (mut sender, _receiver) = oneshot::channel::<u32>();
        sender.closed().await;
    });
    check("`recv` on the channel made at HERE, 1 sender from HERE", async {
        let (_sender, mut receiver) = mpsc::channel::<u32>(1);
        receiver.recv().await;
    });
    check("`recv` on the channel made at HERE, 4 senders from HERE, HERE (2), HERE", async {
        let (sender, mut receiver) = mpsc::unbounded_channel::<u32>();
        let _clones = [(), ()].map(|()| sender.clone());
        let _upgraded = sender.downgrade().upgrade();
        drop(sender.clone());
        receiver.recv_many(&mut Vec::new(), 9).await;
    });
    check("`send` on the channel made at HERE, which is full", async {
        let (sender, _receiver) = mpsc::channel::<u32>(1);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
    });
    check("`send` on the channel made at HERE, whose receiver takes nothing", async {
        let (sender, _receiver) = mpsc::channel::<u32>(0);
        sender.send(1).await.unwrap();
    });
    check("`reserve` on the channel made at HERE, which is full", async {
        let (sender, _receiver) = mpsc::channel::<u32>(1);
        sender.send(1).await.unwrap();
        drop(sender.reserve_owned().await);
    });
    check("`closed` on the channel made at HERE, whose receiver lives", async {
        let (sender, _receiver) = mpsc::channel::<u32>(1);
        sender.closed().await;
    });
    check("`poll_ready` on the channel made at HERE, which is full", async {
        let (sender, _receiver) = mpsc::channel::<u32>(1);
        sender.send(1).await.unwrap();
        sender.into_sink().send(2).await.unwrap();
    });
    check("`recv` on the broadcast channel made at HERE, 1 sender from HERE", async {
        let (sender, mut receiver) = broadcast::channel::<u32>(1);
        let _clone = sender.clone();
        drop(sender);
        let _ = receiver.recv().await;
    });
    check("`closed` on the broadcast channel made at HERE, which has receivers", async {
        let (sender, _receiver) = broadcast::channel::<u32>(1);
        sender.closed().await;
    });
    check("`changed` on the watch channel made at HERE, 2 senders from HERE, HERE", async {
        let (sender, mut receiver) = watch::channel(1);
        let _clone = sender.clone();
        drop(receiver.wait_for(|n| *n > 1).await);
    });
    check("`closed` on the watch channel made at HERE, which has receivers", async {
        let (sender, _receiver) = watch::channel(1);
        sender.closed().await;
    });
    check("`acquire` on the semaphore made at HERE, 1 of 3 permits free, 2 needed", async {
        let permits = Semaphore::new(3);
        let _taken = permits.acquire_many(2).await;
        let _more = permits.acquire_many(2).await;
    });
    check("`lock` on the mutex made at HERE, which is locked", async {
        let mutex = Mutex::new(());
        let _guard = mutex.lock().await;
        let _again = mutex.lock().await;
    });
    check("`read` on the read-write lock made at HERE, which a writer has or waits for", async {
        let lock = RwLock::new(());
        let _writer = lock.write().await;
        let _reader = lock.read().await;
    });
    check("`write` on the read-write lock made at HERE, which others have", async {
        let lock = Rc::new(RwLock::from(()));
        let _reader = lock.clone().read_owned().await;
        let _writer = lock.write_owned().await;
    });
    check("`wait` on the event made at HERE, which is not set", async { Event::new().wait().await });
    check("`notified` on the notify made at HERE", async { Notify::new().notified().await });
    check("`wait` on the condition made at HERE", async {
        let (mutex, condition) = (Mutex::new(1), Condition::new());
        let _guard = condition.wait_while(mutex.lock().await, |n| *n == 1).await;
    });
    check("`wait` on the barrier made at HERE, where 1 of 2 have arrived", async {
        let _ = Barrier::new(2).wait().await;
    });
    check("`wait` on the once cell made at HERE, which has no value", async {
        OnceCell::<u32>::new().wait().await;
    });
    check(
        "`recv` on the oneshot channel made at HERE, 1 sender; `get_or_init` on the once cell made at HERE, whose value is being made",
        async {
            let cell = OnceCell::<u32>::new();
            let (_sender, receiver) = oneshot::channel();
            let make = async { cell.get_or_init(|| async { receiver.await.unwrap() }).await };
            let wait = async { cell.get_or_init(|| async { 7 }).await };
            futures::join!(make, wait);
        },
    );
    check("`acquire` on the rate limiter made at HERE, where it is another's turn", async {
        let limiter = RateLimiter::new(1, Duration::from_secs(1), 1);
        limiter.acquire().await;
        let mut other = Box::pin(limiter.acquire());
        assert!(futures::poll!(other.as_mut()).is_pending());
        limiter.acquire().await;
    });
    check("`get` on the queue made at HERE, which is empty", async {
        Queue::<u32>::new(1).get().await;
    });
    check("`next` on the queue made at HERE, which is empty", async {
        Queue::<u32>::new(1).stream().next().await;
    });
    check("`put` on the queue made at HERE, which is full", async {
        let queue = Queue::new(1);
        queue.put(1).await.unwrap();
        queue.put(2).await.unwrap();
    });
    check("`join` on the queue made at HERE, of which items are unfinished", async {
        let queue = Queue::new(1);
        queue.put(1).await.unwrap();
        queue.join().await;
    });
}

/// What waits for tasks, groups and scopes, or for what they wait for.
#[test]
fn each_way_of_waiting_for_others_says_for_whom() {
    let _watchdog = watchdog();
    let end_of = |name: &str, id: &str| format!("the end of task `{name}` #{id}, spawned at HERE");
    check(&end_of("forever", "1.1"), async {
        spawn_named("forever", pending::<()>()).await.unwrap();
    });
    check(&end_of("forever", "1.1"), async {
        let task = spawn_named("forever", pending::<()>());
        gather([task]).await;
    });
    check(&format!("{}; {}", end_of("one", "1.1"), end_of("two", "2.1")), async {
        let tasks = ["one", "two"].map(|name| spawn_named(name, pending::<()>()));
        let [one, two] = tasks;
        drop(futures::join!(one, race([two])));
    });
    check(&format!("1 child of the group made at HERE; {}", end_of("forever", "1.1")), async {
        let group = task_group(async |g| {
            let child = g.spawn_named("forever", async {
                pending::<()>().await;
                Ok::<_, String>(())
            });
            Ok(child.await.is_ok())
        });
        group.await.unwrap();
    });
    check("the end of task `forever` #0/0.1, spawned at HERE; 1 child of the group made at HERE", async {
        let children = scope(async |s| {
            let child = s.spawn_named("forever", async {
                pending::<()>().await;
                Ok::<_, String>(())
            });
            Ok(child.await.is_ok())
        });
        children.await.unwrap();
    });
    check("1 child of the group made at HERE; the end of task #1.1, spawned at HERE", async {
        let group = task_group(async |g| {
            let server = async |_started: Started<u32, String>| {
                pending::<()>().await;
                Ok(())
            };
            Ok(g.start(server).await.is_ok())
        });
        group.await.unwrap();
    });
    check("a cancel of the scope made at HERE", async {
        let _ = CancelScope::new().run(async { drop(cancelled().await) }).await;
    });
    check("`wait` on the event made at HERE, which is not set", async {
        let mut numbers = Box::pin(generate(async |y| {
            Event::new().wait().await;
            y.yield_(1).await;
        }));
        numbers.next().await;
    });
    check("`wait` on the event made at HERE, which is not set", async {
        let shielded = shield(async { timeout(Duration::MAX, Event::new().wait()).await });
        let _ = cancellable(shielded).await;
    });
    check("`wait` on the event made at HERE, which is not set", async {
        let event = Event::new();
        let mut done = as_completed([event.wait()]);
        done.next().await;
    });
}

#[test]
fn the_scope_of_a_task_and_of_main_is_where_they_were_made_also_with_a_context() {
    context_var! { static REQUEST: u32 }
    let _watchdog = watchdog();
    for set_around in [false, true] {
        let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
        let first = line!();
        let program = async {
            let _task = spawn_named("task", cancelled());
            cancelled().await;
        };
        let run = || runtime.try_block_on(program);
        let end = if set_around { REQUEST.sync_scope(7, run) } else { run() };
        let Err(RunError::Deadlock(told)) = end else { panic!("no deadlock: {end:?}") };
        let made = ["main: a cancel of the scope made at line 5", "task: a cancel of the scope made at line 2"];
        assert_eq!(waits(&told, first), made);
    }
}

#[test]
fn a_child_that_waits_for_its_turn_says_so() {
    let _watchdog = watchdog();
    let first = line!();
    let told = deadlock(async {
        let group = TaskGroup::builder().limit(1).run(async |g| {
            for name in ["first", "second"] {
                g.spawn_named(name, async {
                    Event::new().wait().await;
                    Ok::<_, String>(())
                });
            }
            Ok(())
        });
        group.await.unwrap();
    });
    assert_eq!(
        waits(&told, first),
        [
            "main: 2 children of the group made at line 2",
            "first: `wait` on the event made at line 5, which is not set",
            "second: its turn in the group made at line 2, which runs at most 1 at a time",
        ]
    );
}

#[test]
fn a_cleanup_that_waits_for_ever_is_a_deadlock_too() {
    let _watchdog = watchdog();
    check("`wait` on the event made at HERE, which is not set", async {
        let scope = CancelScope::new().grace(None);
        scope.cancel();
        let body = async {
            let _guard = defer(async { Event::new().wait().await });
            pending::<()>().await;
        };
        let _ = scope.run(body).await;
    });
    // Of a task, at the runtime's end, when the grace period has no bound either.
    let reports = Reports::new();
    let builder = Builder::new().detect_deadlocks(true).grace(None).on_report(reports.hook());
    builder.build().unwrap().block_on(async {
        let cleans = async {
            let _guard = defer(async { pending::<()>().await });
            pending::<()>().await;
        };
        spawn_named("cleans", cleans).detach();
        yield_now().await;
    });
    let told: Vec<_> = reports.take().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("before these did, and dropped them:\n  task `cleans`"), "{told:?}");
}

#[test]
fn a_combinator_that_was_asked_still_hears_of_its_children() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    runtime.block_on(async {
        let event = Rc::new(Event::new());
        let sets = Rc::clone(&event);
        let mut polls = 0;
        // Forgets its waker at first. Asked, it goes on, and some polls later it wakes the combinator's child.
        let forgetful = poll_fn(move |cx| {
            polls += 1;
            match polls {
                1 => return Poll::Pending,
                2..5 => cx.waker().wake_by_ref(),
                _ => {
                    sets.set();
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        });
        spawn(forgetful).detach();
        // In a task: main is asked only when no task has gone on.
        let waits = async move { drop(gather([event.wait(), event.wait()]).await) };
        spawn(waits).await.unwrap();
    });
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
    assert_eq!(waits(&told, first), ["main: `recv` on the channel made at line 2, 1 sender from line 2", "sends: "]);
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
