//! `signal::ctrl_c` and `Signals`. A signal reaches the whole process, so the tests take turns.
#![cfg(feature = "signal")]

mod common;

use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use common::{descriptors, run, simulated, watchdog};
use futures::FutureExt;
use handcar::signal::{Signals, ctrl_c};
use handcar::{Runtime, sleep, spawn, timeout, to_thread, yield_now};
use signal_hook::consts::{SIGINT, SIGKILL};
use signal_hook::low_level::raise;
use std::time::Duration;

/// Only one test at a time may raise the signal.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // From here on the signal does not end the process, even where no listener lives.
    drop(Runtime::new().unwrap().enter(ctrl_c));
    guard
}

#[test]
fn a_signal_wakes_a_listener() {
    let _alone = alone();
    run(async {
        let listener = spawn(ctrl_c());
        yield_now().await;
        yield_now().await;
        assert!(!listener.is_finished());
        raise(SIGINT).unwrap();
        listener.await.unwrap().unwrap();
    });
}

#[test]
fn a_signal_that_comes_while_the_loop_is_parked_wakes_it() {
    let _alone = alone();
    run(async {
        let signal = ctrl_c();
        let kill = to_thread(|| {
            let killed = std::process::Command::new("sh").args(["-c", "kill -INT $PPID"]).status().unwrap();
            assert!(killed.success());
        });
        signal.await.unwrap();
        kill.await;
    });
}

#[test]
fn a_listener_listens_from_its_making_on_not_from_its_first_poll() {
    let _alone = alone();
    run(async {
        let signal = ctrl_c();
        raise(SIGINT).unwrap();
        yield_now().await;
        signal.await.unwrap();
    });
}

#[test]
fn every_listener_hears_of_every_signal_once() {
    let _alone = alone();
    run(async {
        let listeners: Vec<_> = (0..10).map(|_| ctrl_c()).collect();
        raise(SIGINT).unwrap();
        for listener in listeners {
            listener.await.unwrap();
        }
        let mut later = ctrl_c();
        assert!(futures::poll!(&mut later).is_pending(), "a signal from before it was made is not its own");
        raise(SIGINT).unwrap();
        later.await.unwrap();
    });
}

#[test]
fn listeners_in_two_runtimes_and_two_threads_all_hear() {
    let _alone = alone();
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (in_a, in_b) = (a.enter(ctrl_c), b.enter(ctrl_c));
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        run(async {
            let signal = ctrl_c();
            ready.send(()).unwrap();
            signal.await.unwrap();
        });
    });
    is_ready.recv().unwrap();
    raise(SIGINT).unwrap();
    a.block_on(in_a).unwrap();
    b.block_on(in_b).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_dropped_listener_takes_nothing_from_the_others() {
    let _alone = alone();
    run(async {
        let mut dropped = ctrl_c();
        assert!(futures::poll!(&mut dropped).is_pending());
        let kept = ctrl_c();
        drop(dropped);
        raise(SIGINT).unwrap();
        kept.await.unwrap();
    });
}

#[test]
fn a_listener_dropped_before_its_first_poll_leaves_nothing() {
    let _alone = alone();
    run(async {
        drop(ctrl_c());
        let before = descriptors();
        for _ in 0..100 {
            drop(ctrl_c());
            raise(SIGINT).unwrap();
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_listener_that_cannot_be_made_leaves_nothing() {
    let _alone = alone();
    run(async {
        drop(ctrl_c());
        let before = descriptors();
        for _ in 0..100 {
            assert!(Signals::new([SIGINT, SIGKILL]).is_err());
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_runtime_dropped_under_a_listener_leaves_it_inert() {
    let _alone = alone();
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let mut orphan = runtime.enter(ctrl_c);
    runtime.spawn(async { ctrl_c().await.unwrap() }).detach();
    assert!(runtime.block_on(async { (&mut orphan).now_or_never() }).is_none());
    runtime.block_on(yield_now());
    drop(runtime);
    raise(SIGINT).unwrap();
    // The byte is in its pipe: reading it needs no runtime, waiting would.
    match orphan.poll_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(()) | Err(_)) => {}
        Poll::Pending => panic!("a listener that nobody can wake must not wait"),
    }
}

#[test]
fn a_signal_arrives_beside_a_spinner() {
    let _alone = alone();
    run(async {
        let _spinner = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let mut signal = ctrl_c();
        assert!(futures::poll!(&mut signal).is_pending());
        raise(SIGINT).unwrap();
        signal.await.unwrap();
    });
}

#[test]
fn a_storm_of_signals_costs_neither_memory_nor_a_hang() {
    let _alone = alone();
    run(async {
        let mut signal = ctrl_c();
        assert!(futures::poll!(&mut signal).is_pending());
        // Far more than the pipe holds: the handler must not block.
        for _ in 0..10_000 {
            raise(SIGINT).unwrap();
        }
        signal.await.unwrap();
    });
}

#[test]
fn signals_interrupt_no_system_call_for_good() {
    let _alone = alone();
    run(async {
        let mut signal = ctrl_c();
        let storm = to_thread(|| {
            for _ in 0..100 {
                raise(SIGINT).unwrap();
                std::thread::yield_now();
            }
        });
        let (mut client, mut server) = common::pair().await.unwrap();
        for _ in 0..100 {
            use futures::{AsyncReadExt, AsyncWriteExt};
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            sleep(Duration::from_micros(10)).await;
        }
        storm.await;
        (&mut signal).await.unwrap();
    });
}

#[test]
fn under_the_simulated_clock_a_listener_rules_out_a_deadlock() {
    let _alone = alone();
    simulated(async {
        let mut signal = ctrl_c();
        assert!(timeout(Duration::from_secs(60), &mut signal).await.is_err());
        let kill = to_thread(|| raise(SIGINT).unwrap());
        signal.await.unwrap();
        kill.await;
    });
}

#[test]
fn a_listener_is_shared_by_tasks_through_a_future_of_its_own() {
    let _alone = alone();
    run(async {
        let shutdown = ctrl_c().map(|result| result.is_ok()).shared();
        let tasks: Vec<_> = (0..10).map(|_| spawn(shutdown.clone())).collect();
        let main = Rc::new(shutdown);
        yield_now().await;
        raise(SIGINT).unwrap();
        assert!((*main).clone().await);
        for task in tasks {
            assert!(task.await.unwrap());
        }
    });
}

#[test]
#[should_panic(expected = "needs a runtime")]
fn outside_a_runtime_it_panics() {
    drop(ctrl_c());
}
