//! `Builder::detect_deadlocks`: whatever may still wake a task is waited for, and when the last such thing goes, the run ends.
#![cfg(feature = "signal")]

mod common;

use std::cell::Cell;
use std::future::pending;
use std::net;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use common::watchdog;
use futures::future::select;
use handcar::net::TcpListener;
use handcar::signal::Signals;
use handcar::sync::{Event, remote};
use handcar::{Builder, CancelScope, Clock, Deadlock, RunError, Runtime, Turn, sleep, spawn, spawn_named, to_thread};
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use signal_hook::low_level::raise;

/// A runtime that looks for deadlocks, and what hears each time it falls asleep: so it has found none.
fn detecting(builder: Builder) -> (Runtime, Receiver<()>) {
    let (parked, is_parked) = channel();
    let tell = move |event: &handcar::Event<'_>| {
        if let handcar::Event::Parked { timeout: None } = event {
            let _ = parked.send(());
        }
    };
    (builder.detect_deadlocks(true).observe(tell).build().unwrap(), is_parked)
}

#[track_caller]
fn deadlock<T>(ended: Result<T, RunError>) -> Deadlock {
    match ended {
        Err(RunError::Deadlock(deadlock)) => deadlock,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("no deadlock"),
    }
}

/// Has main wait for ever beside `program`. The run must fall asleep, for what `program` waits for; then `outside` is done on
/// another thread; then `program` has to end, and only then is it a deadlock.
fn waits_until(program: impl Future<Output = ()> + 'static, outside: impl FnOnce() + Send + 'static) {
    let _watchdog = watchdog();
    let (runtime, is_parked) = detecting(Builder::new());
    let thread = thread::spawn(move || {
        is_parked.recv().unwrap();
        outside();
    });
    let has_ended = Cell::new(false);
    let told = deadlock(runtime.try_block_on(async {
        spawn(program).await.unwrap();
        has_ended.set(true);
        pending::<()>().await;
    }));
    thread.join().unwrap();
    assert!(has_ended.get(), "{told}");
    assert_eq!(told.tasks().len(), 1, "{told}");
}

#[test]
fn a_signal_may_come() {
    let signals = async { assert_eq!(Signals::new([SIGUSR1]).unwrap().recv().await.unwrap(), SIGUSR1) };
    waits_until(signals, || raise(SIGUSR1).unwrap());
}

#[test]
fn somebody_may_connect() {
    let (address, at) = channel();
    let accepts = async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        address.send(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().await.unwrap());
    };
    waits_until(accepts, move || drop(net::TcpStream::connect(at.recv().unwrap()).unwrap()));
}

#[test]
fn a_blocking_job_may_end() {
    let (end, ends) = channel::<()>();
    let job = async move { assert!(to_thread(move || ends.recv()).await.is_err()) };
    waits_until(job, move || drop(end));
}

#[test]
fn another_thread_may_send() {
    let (sent, is_sent) = channel();
    let receives = async move {
        let (sender, mut receiver) = remote::channel(1);
        sent.send(sender).unwrap();
        assert_eq!(receiver.recv().await, Some(7));
        assert_eq!(receiver.recv().await, None);
    };
    waits_until(receives, move || is_sent.recv().unwrap().blocking_send(7).unwrap());
}

#[test]
fn a_channel_of_another_crate_may_be_at_work_on_another_thread() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    waits_until(async { assert_eq!(receiver.await, Ok(7)) }, move || sender.send(7).unwrap());
    let (sender, receiver) = futures::channel::oneshot::channel::<u32>();
    waits_until(async { assert!(receiver.await.is_err()) }, move || drop(sender));
}

#[test]
fn a_token_may_cancel_and_may_not_once_it_is_gone() {
    let scope = CancelScope::new();
    let token = scope.token();
    let cancelled = async move { assert!(scope.run(pending::<()>()).await.is_err()) };
    waits_until(cancelled, move || assert!(token.clone().cancel()));

    let _watchdog = watchdog();
    let (runtime, is_parked) = detecting(Builder::new());
    let scope = CancelScope::new();
    let (token, another) = (scope.token(), scope.token());
    let thread = thread::spawn(move || {
        is_parked.recv().unwrap();
        drop(token);
        drop(another);
    });
    let told = deadlock(runtime.try_block_on(async { drop(scope.run(Event::new().wait()).await) }));
    assert!(told.to_string().contains("waits for `wait` on the event made at tests/"), "{told}");
    thread.join().unwrap();
}

#[test]
fn what_shuts_the_runtime_down_may_come() {
    let _watchdog = watchdog();
    let signal = || async { Signals::new([SIGUSR2]).unwrap().recv().await.map(drop) };
    let (runtime, is_parked) = detecting(Builder::new().shutdown_on(signal));
    let thread = thread::spawn(move || {
        is_parked.recv().unwrap();
        raise(SIGUSR2).unwrap();
    });
    assert!(matches!(runtime.try_block_on(pending::<()>()), Err(RunError::ShutDown)));
    thread.join().unwrap();
}

#[test]
fn watchers_and_wake_handles_do_not_count() {
    let _watchdog = watchdog();
    let (runtime, _) = detecting(Builder::new().watchdog(Duration::from_secs(60)).slow_poll(Duration::from_secs(60)));
    let handle = runtime.wake_handle();
    deadlock(runtime.try_block_on(pending::<()>()));
    handle.wake();
}

#[test]
fn a_source_for_which_nobody_waits_does_not_count() {
    let _watchdog = watchdog();
    let (runtime, _) = detecting(Builder::new());
    deadlock(runtime.try_block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accepts = handcar::timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(accepts.is_err());
        pending::<()>().await;
    }));
}

#[test]
fn combinators_of_other_crates_hide_nothing_that_they_poll_with_the_tasks_own_waker() {
    let _watchdog = watchdog();
    for builder in [Builder::new(), Builder::new().clock(Clock::simulated())] {
        let (runtime, _) = detecting(builder);
        let told = deadlock(runtime.try_block_on(async {
            let (one, two) = (Event::new(), Event::new());
            spawn_named("joins", async move { futures::join!(one.wait(), two.wait()) }).detach_ignoring();
            let (one, two) = (Event::new(), Event::new());
            select(one.wait(), two.wait()).await;
        }));
        for (task, waits) in told.waits() {
            assert_eq!(waits.len(), 2, "{task}: {waits:?}");
        }
    }
}

#[test]
#[should_panic(expected = "deadlock: nothing is runnable")]
fn block_on_panics_with_the_error() {
    let _watchdog = watchdog();
    detecting(Builder::new()).0.block_on(async { Event::new().wait().await });
}

#[test]
fn a_host_loop_gets_no_verdict() {
    let _watchdog = watchdog();
    let (runtime, _) = detecting(Builder::new());
    let task = runtime.spawn(pending::<()>());
    while runtime.turn().unwrap() == Turn::More {}
    assert_eq!(runtime.turn().unwrap(), Turn::Idle);
    assert!(!task.is_finished());
}

#[test]
fn two_runtimes_of_a_thread_are_judged_each_by_itself() {
    let _watchdog = watchdog();
    let (one, two) = (detecting(Builder::new()).0, Runtime::new().unwrap());
    let event = std::rc::Rc::new(Event::new());
    let sets = std::rc::Rc::clone(&event);
    // It would set the event; but as long as the first runtime waits, nobody runs the second.
    let setter = two.spawn(async move {
        sleep(Duration::ZERO).await;
        sets.set();
    });
    deadlock(one.try_block_on(async { event.wait().await }));
    two.block_on(setter).unwrap();
    one.block_on(async { event.wait().await });
}
