//! What a round trip costs in system calls, counted by `strace`. Skipped, loudly, where that is not to be had.
#![cfg(all(target_os = "linux", not(handcar_portable)))]

mod common;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{pair, run};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use handcar_executor::{sleep, spawn};

/// Tells the process under `strace` how many round trips to make.
const ROUND_TRIPS: &str = "HANDCAR_TEST_ROUND_TRIPS";

/// Client and server in one thread; afterwards both wait for a while, and nothing happens.
fn ping_pong(round_trips: usize) {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let echo = spawn(async move {
            let mut buf = [0; 1024];
            loop {
                match server.read(&mut buf).await.unwrap() {
                    0 => return,
                    n => server.write_all(&buf[..n]).await.unwrap(),
                }
            }
        });
        let mut buf = [0; 1024];
        for _ in 0..round_trips {
            client.write_all(&[7; 64]).await.unwrap();
            assert_eq!(client.read(&mut buf).await.unwrap(), 64);
        }
        sleep(std::time::Duration::from_millis(20)).await;
        drop(client);
        echo.await.unwrap();
    });
}

/// How many system calls the main thread of a ping-pong makes, or `None` if they cannot be counted.
fn count(round_trips: usize) -> Option<usize> {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("strace-{round_trips}-{}", std::process::id()));
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "a_round_trip_at_both_ends_takes_six_system_calls"])
        .env(ROUND_TRIPS, round_trips.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    if !status.is_ok_and(|status| status.success()) {
        return None;
    }
    let of_a_round_trip = ["sendto(", "recvfrom(", "epoll_", "read(", "write(", "poll("];
    let is_counted = |line: &&str| of_a_round_trip.iter().any(|call| line.contains(call)) && !line.contains("resumed");
    Some(calls.lines().filter(is_counted).count())
}

#[test]
fn a_round_trip_at_both_ends_takes_six_system_calls() {
    if let Ok(round_trips) = env::var(ROUND_TRIPS) {
        return ping_pong(round_trips.parse().unwrap());
    }
    let (Some(few), Some(many)) = (count(100), count(1100)) else {
        let _ =
            writeln!(io::stderr(), "SKIPPED: no `strace` here, so the system calls of a round trip are not counted");
        return;
    };
    // One read, one write and one wait at each end; and the pause costs the same however many came before it.
    assert!(many - few <= 6005, "{} for a thousand", many - few);
    assert!(few <= 700, "{few} for a hundred and a pause: it polls while it is idle");
}
