//! `Builder::report_unpolled`: every future that the library makes is told of by name and line when it was dropped and never
//! polled, and by nothing when it was polled once.

mod common;

use std::collections::VecDeque;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::watchdog;
use futures::FutureExt;
use handcar::net::{Source, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, lookup_host};
use handcar::stream::{StreamExt, generate};
use handcar::sync::{
    Barrier, Condition, Event, LifoQueue, Mutex, Notify, OnceCell, PriorityQueue, Queue, RateLimiter, RwLock,
    Semaphore, broadcast, mpsc, oneshot, remote, watch,
};
use handcar::{
    Builder, CancelScope, Clock, Instant, Report, Reports, RunError, TaskGroup, bracket, cancellable, cancelled,
    context_var, gather, gather_results, interval, move_on_after, race, scope, scope_of, shield, shield_for, signal,
    sleep, sleep_until, task_group, timeout, timeout_at, timeout_scope, to_thread, try_gather, yield_now,
};

const S: Duration = Duration::from_secs(1);

context_var! {
    static REQUEST: u32 = 0;
}

/// Runs `program` where reports are collected.
fn watched(program: impl AsyncFnOnce(Reports)) -> Vec<String> {
    let reports = Reports::new();
    let builder = Builder::new().clock(Clock::simulated()).report_unpolled(true).on_report(reports.hook());
    let runtime = builder.build().unwrap();
    runtime.block_on(program(reports.clone()));
    drop(runtime);
    reports.take().iter().map(ToString::to_string).collect()
}

/// Drops a future, which has to be reported as what `$what` made here, and polls the next one once, which has not.
macro_rules! case {
    ($reports:ident, $what:literal, $future:expr) => {
        drop($future);
        check(&$reports, $what, line!());
        let _ = $future.now_or_never();
        assert_eq!(told(&$reports), [""; 0], "{} was polled", $what);
    };
}

fn told(reports: &Reports) -> Vec<String> {
    reports.take().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(reports: &Reports, what: &str, line: u32) {
    let told = told(reports);
    let [told] = &told[..] else { panic!("one report of `{what}`: {told:#?}") };
    let place = format!("the `{what}` made at {}:{line}:", file!());
    assert!(told.starts_with(&place) && told.contains("never awaited, in task `main`"), "{place} {told}");
}

#[test]
fn time_and_tasks() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        case!(told, "sleep", sleep(S));
        case!(told, "sleep", sleep_until(Instant::now() + S));
        case!(told, "tick", interval(S).tick());
        case!(told, "to_thread", to_thread(|| ()).abandon_on_cancel());
        case!(told, "timeout", timeout(S, pending::<()>()));
        case!(told, "timeout", timeout_at(Instant::now() + S, pending::<()>()));
        case!(told, "move_on_after", move_on_after(S, pending::<()>()));
        case!(told, "timeout_scope", timeout_scope(S, async |_| ()));
        case!(told, "CancelScope::run", CancelScope::new().run(ready(1)));
        case!(told, "CancelScope::run", scope_of(ready(1)));
        case!(told, "cancelled", cancelled());
        case!(told, "cancellable", cancellable(ready(1)));
        case!(told, "shield", shield(ready(1)));
        case!(told, "shield_for", shield_for(S, ready(1)));
        case!(told, "ContextVar::scope", REQUEST.scope(7, ready(1)));
        case!(told, "task_group", task_group(async |_| Ok::<_, io::Error>(())));
        case!(told, "scope", scope(async |_| Ok::<_, io::Error>(())));
        case!(told, "GroupBuilder::run", TaskGroup::builder().run(async |_| Ok::<_, io::Error>(())));
        case!(told, "GroupBuilder::scope", TaskGroup::builder().scope(async |_| Ok::<_, io::Error>(())));
        case!(told, "gather", gather([ready(1)]));
        case!(told, "try_gather", try_gather([ready(Ok::<_, io::Error>(1))]));
        case!(told, "gather_results", gather_results([ready(Ok::<_, io::Error>(1))]));
        case!(told, "gather!", gather!(ready(1), ready("")));
        case!(told, "try_gather!", try_gather!(ready(Ok::<_, ()>(1)), ready(Ok(""))));
        case!(told, "race", race([ready(1)]));
        case!(told, "race", race((ready(1), ready(""))));
        case!(told, "bracket", bracket(async { Ok(1) }, async |_| Ok(()), async |_| Ok::<_, io::Error>(())));
        case!(told, "ctrl_c", signal::ctrl_c());
        case!(told, "shutdown", signal::shutdown());
        case!(told, "recv", signal::Signals::new([28]).unwrap().recv());
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn what_tasks_do_with_each_other() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        let semaphore = Rc::new(Semaphore::new(1));
        case!(told, "acquire", semaphore.acquire());
        case!(told, "acquire", semaphore.acquire_many(2));
        case!(told, "acquire", Rc::clone(&semaphore).acquire_owned());
        case!(told, "acquire", Rc::clone(&semaphore).acquire_many_owned(2));
        let limiter = RateLimiter::new(1, S, 1);
        case!(told, "acquire", limiter.acquire());
        let mutex = Rc::new(Mutex::new(1));
        case!(told, "lock", mutex.lock());
        case!(told, "lock", Rc::clone(&mutex).lock_owned());
        let lock = Rc::new(RwLock::new(1));
        case!(told, "read", lock.read());
        case!(told, "read", Rc::clone(&lock).read_owned());
        case!(told, "write", lock.write());
        case!(told, "write", Rc::clone(&lock).write_owned());
        let condition = Condition::new();
        case!(told, "wait", condition.wait(mutex.try_lock().unwrap()));
        case!(told, "wait_while", condition.wait_while(mutex.try_lock().unwrap(), |_| true));
        let event = Event::new();
        case!(told, "wait", event.wait());
        let notify = Rc::new(Notify::new());
        case!(told, "notified", notify.notified());
        case!(told, "notified", Rc::clone(&notify).notified_owned());
        let barrier = Barrier::new(2);
        case!(told, "wait", barrier.wait());
        let cell = OnceCell::<u32>::new();
        case!(told, "wait", cell.wait());
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn channels_and_queues() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        let (sender, mut receiver) = mpsc::channel(1);
        case!(told, "send", sender.send(1));
        case!(told, "reserve", sender.reserve());
        case!(told, "reserve", sender.reserve_many(1));
        case!(told, "reserve", sender.reserve_many(1000)); // more than there ever is room for
        case!(told, "reserve", sender.clone().reserve_owned());
        case!(told, "closed", sender.closed());
        case!(told, "recv", receiver.recv());
        case!(told, "recv_many", receiver.recv_many(&mut Vec::new(), 3));
        let (sender, mut receiver) = mpsc::channel(0);
        case!(told, "send", sender.send(1));
        case!(told, "recv", receiver.recv());
        let (sender, mut receiver) = mpsc::unbounded_channel::<u32>();
        case!(told, "closed", sender.closed());
        case!(told, "recv", receiver.recv());
        let (mut sender, _receiver) = oneshot::channel::<u32>();
        case!(told, "closed", sender.closed());
        let (sender, mut receiver) = broadcast::channel::<u32>(1);
        case!(told, "recv", receiver.recv());
        case!(told, "closed", sender.closed());
        let (sender, mut receiver) = watch::channel(1);
        case!(told, "changed", receiver.changed());
        case!(told, "wait_for", receiver.wait_for(|value| *value > 1));
        case!(told, "closed", sender.closed());
        let (_sender, mut receiver) = remote::channel::<u32>(1);
        case!(told, "recv", receiver.recv());
        let (fifo, lifo, heap) = (Queue::new(1), LifoQueue::new(1), PriorityQueue::new(1));
        case!(told, "get", fifo.get());
        case!(told, "put", fifo.put(1));
        case!(told, "put", lifo.put(1));
        case!(told, "get", heap.get());
        case!(told, "get", lifo.get_tracked());
        case!(told, "join", fifo.join());
        heap.put(1).await.unwrap();
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn sockets() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        case!(told, "lookup_host", lookup_host("127.0.0.1:80"));
        case!(told, "bind", TcpListener::bind("127.0.0.1:0"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        case!(told, "accept", listener.accept());
        case!(told, "connect", TcpStream::connect(address));
        let stream = TcpStream::connect(address).await.unwrap();
        case!(told, "readable", stream.readable());
        case!(told, "writable", stream.writable());
        case!(told, "peek", stream.peek(&mut [0]));
        let source = Source::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        case!(told, "read_with", source.read_with(|socket| socket.recv(&mut [0])));
        case!(told, "write_with", source.write_with(|socket| socket.send_to(&[0], address)));
        let mut incoming = listener.incoming();
        let _ = incoming.next().now_or_never();
        case!(told, "bind", UdpSocket::bind("127.0.0.1:0"));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        case!(told, "connect", socket.connect(address));
        case!(told, "send", socket.send(&[0]));
        case!(told, "send_to", socket.send_to(&[0], address));
        case!(told, "recv", socket.recv(&mut [0]));
        case!(told, "recv_from", socket.recv_from(&mut [0]));
        case!(told, "peek_from", socket.peek_from(&mut [0]));
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn unix_sockets() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        let path = std::env::temp_dir().join(format!("handcar-never-awaited-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        case!(told, "accept", listener.accept());
        case!(told, "connect", UnixStream::connect(&path));
        std::fs::remove_file(&path).unwrap();
        let (socket, _peer) = UnixDatagram::pair().unwrap();
        case!(told, "send", socket.send(&[0]));
        case!(told, "send_to", socket.send_to(&[0], &path));
        case!(told, "recv", socket.recv(&mut [0]));
        case!(told, "recv_from", socket.recv_from(&mut [0]));
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_generators_yield() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        let mut items = std::pin::pin!(generate(async |y| {
            drop(y.yield_(1));
            check(&told, "yield_", line!() - 1);
            y.yield_(2).await;
        }));
        assert_eq!(items.next().await, Some(2));
        assert_eq!(items.next().await, None);
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn of_futures_within_each_other_each_is_told_the_outermost_first() {
    let _watchdog = watchdog();
    let both = |outer: &str, told: Vec<String>| {
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains(outer) && told[1].contains("`sleep`"), "{told:?}");
    };
    both("`timeout`", watched(async |_| drop(timeout(S, sleep(S)))));
    both("`shield`", watched(async |_| drop(shield(sleep(S)))));
    both("`gather`", watched(async |_| drop(gather([sleep(S)]))));
    both("`race`", watched(async |_| drop(race((sleep(S), ready(1))))));
    both("`cancellable`", watched(async |_| drop(cancellable(sleep(S)))));
    both("`ContextVar::scope`", watched(async |_| drop(REQUEST.scope(1, sleep(S)))));
}

#[test]
fn one_that_found_its_budget_used_up_was_polled() {
    let _watchdog = watchdog();
    let left = watched(async |told| {
        let (semaphore, mutex, event) = (Semaphore::new(1), Mutex::new(1), Event::new());
        let (sender, mut receiver) = mpsc::channel(1);
        let queue = Queue::<u32>::new(1);
        while uses_budget() {}
        let _ = semaphore.acquire().now_or_never();
        let _ = mutex.lock().now_or_never();
        let _ = event.wait().now_or_never();
        let _ = sender.send(1).now_or_never();
        let _ = receiver.recv().now_or_never();
        let _ = queue.get().now_or_never();
        let _ = sleep(S).now_or_never();
        assert_eq!(semaphore.available_permits(), 1, "nothing was left of the budget");
        assert_eq!(told.take().len(), 0);
    });
    assert_eq!(left, [""; 0]);
}

/// Takes one unit of the budget; false when there is none.
fn uses_budget() -> bool {
    let full = Semaphore::new(1);
    full.acquire().now_or_never().is_some()
}

#[test]
fn what_goes_down_with_a_cancelled_task_or_a_panic_is_not_told() {
    let _watchdog = watchdog();
    let told = watched(async |_| {
        let task = handcar::spawn(async {
            let _later = sleep(S);
            pending::<()>().await;
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
        let task = handcar::spawn(async {
            let _later = sleep(S);
            panic!("down");
        });
        assert!(task.await.is_err());
    });
    assert_eq!(told, [""; 0]);
}

#[test]
fn without_the_watcher_nothing_is_told() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
    runtime.block_on(async { drop((sleep(S), Semaphore::new(1).acquire(), VecDeque::from([yield_now()]))) });
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn what_the_library_makes_for_itself_is_not_told() {
    let _watchdog = watchdog();
    let left = watched(async |_| {
        RateLimiter::new(1, S, 1).acquire().await;
        let queue = Queue::new(1);
        queue.put(1).await.unwrap();
        let mut items = queue.stream();
        assert_eq!(items.next().await, Some(1));
        drop(items);
        let (mutex, condition) = (Mutex::new(1), Condition::new());
        drop(condition.wait_while(mutex.lock().await, |_| false).await);
        assert_eq!(OnceCell::new().get_or_init(async || 1).await, &1);
        let (_sender, mut watcher) = watch::channel(1);
        assert_eq!(*watcher.wait_for(|value| *value == 1).await.unwrap(), 1);
    });
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_poll_that_only_asks_for_a_deadlock_report_is_a_poll() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let builder = Builder::new().clock(Clock::simulated()).report_unpolled(true).on_report(reports.hook());
    let runtime = builder.build().unwrap();
    let (semaphore, barrier, mutex, event) = (Semaphore::new(0), Barrier::new(2), Mutex::new(1), Event::new());
    let (notify, queue, (_level, mut watcher)) = (Notify::new(), Queue::<u32>::new(1), watch::channel(1));
    let ((sender, mut receiver), (_news, mut reader)) = (mpsc::channel(1), broadcast::channel::<u32>(1));
    let (mut answer, _asker) = oneshot::channel::<u32>();
    let _held = mutex.try_lock().unwrap();
    let halted = runtime.try_block_on(poll_fn::<(), _>(|_| {
        // Each is new in each poll, and so in the one that asks.
        let _ = (semaphore.acquire().now_or_never(), barrier.wait().now_or_never(), mutex.lock().now_or_never());
        let _ = (event.wait().now_or_never(), notify.notified().now_or_never(), queue.get().now_or_never());
        let _ = (watcher.changed().now_or_never(), watcher.wait_for(|level| *level > 1).now_or_never());
        let _ = (receiver.recv().now_or_never(), reader.recv().now_or_never(), answer.closed().now_or_never());
        let _ = (sleep(S).now_or_never(), cancelled().now_or_never(), timeout(S, pending::<()>()).now_or_never());
        let _ = sender.try_send(1);
        let _ = (sender.send(2).now_or_never(), sender.reserve().now_or_never(), receiver.try_recv());
        Poll::Pending
    }));
    let Err(RunError::Deadlock(deadlock)) = halted else { panic!("it waits for ever") };
    let answers: usize = deadlock.waits().map(|(_, waits)| waits.len()).sum();
    assert!(answers >= 14, "{answers} were asked: {deadlock}");
    drop(runtime);
    assert_eq!(told(&reports), [""; 0]);
}

#[test]
fn the_report_names_the_task_that_dropped_it() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().report_unpolled(true).on_report(reports.hook()).build().unwrap();
    runtime.block_on(async {
        let forgotten = sleep(S);
        handcar::spawn_named("careless", async move { drop(forgotten) }).await.unwrap();
    });
    let [Report::FutureUnpolled { what: "sleep", task: Some(task), .. }] = &reports.take()[..] else {
        panic!("one report")
    };
    assert_eq!(task.name.as_deref(), Some("careless"));
}
