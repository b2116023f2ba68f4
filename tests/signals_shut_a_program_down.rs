//! `Builder::shutdown_on(signal::shutdown)`, seen from outside: each test runs itself again as a process of its own.
#![cfg(feature = "signal")]

mod common;

use std::future::pending;
use std::time::Duration;

use common::{in_a_child, is_child, run, watchdog};
use futures_lite::StreamExt;
use handcar::signal::{self, Signals};
use handcar::{Builder, defer, sleep, spawn, yield_now};
use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level::raise;

fn serve(ends: &[i32], cleanup: Duration) -> ! {
    let runtime = Builder::new().shutdown_on(signal::shutdown).build().unwrap();
    let ends = ends.to_vec();
    runtime.block_on(async move {
        spawn(async move {
            let _guard = defer(async move {
                sleep(cleanup).await;
                println!("said goodbye");
            });
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
        yield_now().await;
        for signal in ends {
            raise(signal).unwrap();
        }
        pending::<()>().await;
    });
    unreachable!("main has no value")
}

fn drains_and_ends_well(signal: i32) {
    if is_child() {
        serve(&[signal], Duration::ZERO);
    }
    let _watchdog = watchdog();
    let output = in_a_child();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("said goodbye"), "{said}");
}

#[test]
fn the_first_ctrl_c_drains_the_program_which_ends_well() {
    drains_and_ends_well(SIGINT);
}

#[test]
fn so_does_a_request_to_terminate() {
    drains_and_ends_well(SIGTERM);
}

#[test]
fn the_second_signal_ends_the_program_at_once() {
    if is_child() {
        serve(&[SIGTERM, SIGINT], Duration::from_secs(3600));
    }
    let _watchdog = watchdog();
    let output = in_a_child();
    assert_eq!(output.status.code(), Some(130));
    assert!(!String::from_utf8(output.stdout).unwrap().contains("said goodbye"));
}

#[test]
fn signals_are_told_apart_and_none_is_lost() {
    run(async {
        let mut signals = Signals::new([SIGUSR1, SIGUSR2, SIGHUP]).unwrap();
        raise(SIGUSR2).unwrap();
        raise(SIGUSR1).unwrap();
        raise(SIGUSR1).unwrap();
        let mut came = [signals.recv().await.unwrap(), signals.next().await.unwrap().unwrap()];
        came.sort_unstable();
        assert_eq!(came, [SIGUSR1, SIGUSR2], "twice the same before it is taken is once");
        assert!(futures::poll!(signals.recv()).is_pending());
        raise(SIGHUP).unwrap();
        assert_eq!(signals.recv().await.unwrap(), SIGHUP);
    });
}

#[test]
fn a_signal_that_nobody_can_hear_of_is_an_error() {
    run(async {
        for number in [SIGKILL, 0, -1, 1000] {
            assert!(Signals::new([number]).is_err(), "{number}");
        }
    });
}

#[test]
fn a_signal_that_comes_all_the_time_hides_no_other_and_lets_others_run() {
    if !is_child() {
        let _watchdog = watchdog();
        assert!(in_a_child().status.success());
        return;
    }
    run(async {
        let mut signals = Signals::new([SIGUSR1, SIGUSR2, SIGUSR1]).unwrap();
        raise(SIGUSR2).unwrap();
        let mut heard = Vec::new();
        for _ in 0..2 {
            raise(SIGUSR1).unwrap();
            heard.push(signals.recv().await.unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, [SIGUSR1, SIGUSR2]);
        let neighbour = spawn(yield_now());
        while !neighbour.is_finished() {
            raise(SIGUSR1).unwrap();
            assert_eq!(signals.recv().await.unwrap(), SIGUSR1);
        }
        raise(SIGUSR1).unwrap();
        assert_eq!(signals.recv().await.unwrap(), SIGUSR1);
        assert!(handcar::timeout(Duration::from_millis(1), signals.recv()).await.is_err(), "once is once");
    });
}

#[test]
fn who_listens_to_nothing_is_told_so() {
    run(async {
        let error = Signals::new([]).unwrap_err();
        assert!(error.to_string().contains("name at least one"), "{error}");
    });
}
