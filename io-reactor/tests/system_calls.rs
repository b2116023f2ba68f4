//! What is done costs no more system calls than it must, counted by `strace`. Skipped, loudly, where that is not to be had.
#![cfg(all(target_os = "linux", not(handcar_portable)))]

mod common;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{pair, run};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use handcar_executor::{sleep, spawn};
use handcar_io_reactor::{TcpListener, TcpStream, UnixStream};

/// Tells the process under `strace` how often to do it.
const TIMES: &str = "HANDCAR_TEST_TIMES";

/// Client and server in one thread; afterwards both wait for a while, and nothing happens.
fn ping_pong<S>(round_trips: usize, pair: impl Future<Output = io::Result<(S, S)>>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    run(async {
        let (mut client, mut server) = pair.await.unwrap();
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

/// Connections that come one after the other, so that the server waits for each, and go at once.
fn come_and_go(connections: usize) {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
            }
        });
        for _ in 0..connections {
            let mut client = TcpStream::connect(addr).await.unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
        server.cancel();
    });
}

/// The system calls of a `test` that does something so many `times`, or `None` if they cannot be seen.
fn trace(test: &str, times: usize) -> Option<String> {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{times}-{}", std::process::id()));
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(TIMES, times.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    if !status.is_ok_and(|status| status.success()) {
        let _ = writeln!(io::stderr(), "SKIPPED: no `strace` here, so the system calls of `{test}` are not counted");
        return None;
    }
    Some(calls)
}

fn count(trace: &str, calls: &[&str]) -> usize {
    let is_counted = |line: &&str| calls.iter().any(|call| line.contains(call)) && !line.contains("resumed");
    trace.lines().filter(is_counted).count()
}

#[test]
fn a_round_trip_at_both_ends_takes_six_system_calls() {
    if let Ok(round_trips) = env::var(TIMES) {
        return ping_pong(round_trips.parse().unwrap(), pair());
    }
    let test = "a_round_trip_at_both_ends_takes_six_system_calls";
    let (Some(few), Some(many)) = (trace(test, 100), trace(test, 1100)) else { return };
    let [few, many] =
        [few, many].map(|trace| count(&trace, &["sendto(", "recvfrom(", "epoll_", "read(", "write(", "poll("]));
    // One read, one write and one wait at each end; and the pause costs the same however many came before it.
    assert!(many - few <= 6005, "{} for a thousand", many - few);
    assert!(few <= 700, "{few} for a hundred and a pause: it polls while it is idle");
}

#[test]
fn a_round_trip_between_unix_sockets_takes_six_system_calls() {
    if let Ok(round_trips) = env::var(TIMES) {
        return ping_pong(round_trips.parse().unwrap(), async { UnixStream::pair() });
    }
    let test = "a_round_trip_between_unix_sockets_takes_six_system_calls";
    let (Some(few), Some(many)) = (trace(test, 100), trace(test, 1100)) else { return };
    let [few, many] =
        [few, many].map(|trace| count(&trace, &["sendto(", "recvmsg(", "epoll_", "read(", "write(", "poll("]));
    assert!(many - few <= 6005, "{} for a thousand", many - few);
}

#[test]
fn a_connection_is_accepted_in_one_call_and_never_registered_if_it_is_closed_before_it_has_to_wait() {
    if let Ok(connections) = env::var(TIMES) {
        return come_and_go(connections.parse().unwrap());
    }
    let test = "a_connection_is_accepted_in_one_call_and_never_registered_if_it_is_closed_before_it_has_to_wait";
    let Some(trace) = trace(test, 1000) else { return };
    // The client's end waits: it is registered, and forgotten again.
    let registered = count(&trace, &["epoll_ctl("]);
    assert!(registered <= 2010, "{registered} for a thousand");
    let accepts = count(&trace, &["accept4("]);
    assert!(accepts <= 1005, "{accepts} for a thousand");
}
