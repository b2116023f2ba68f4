//! Many connections, and the count of descriptors before and after. One test at a time: the count is the process's.

mod common;

use std::fs::{self, DirEntry};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{pair, run};
use futures::future::join_all;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use handcar_executor::{spawn, yield_now};
use handcar_io_reactor::{TcpListener, TcpStream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits for its turn, and raises the limit of descriptors as far as that is allowed: many systems begin with 1024.
fn turn() -> MutexGuard<'static, ()> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < 4096) {
        let raised = limit.maximum.map_or(4096, |maximum| maximum.min(4096));
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).unwrap();
    }
    turn
}

/// How many sockets, pipes and descriptors of the reactor's own are open. Not files: the C library opens one now and then in
/// another thread.
fn descriptors() -> usize {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let is_ours = |entry: io::Result<DirEntry>| match fs::read_link(entry.unwrap().path()) {
        Ok(target) => !target.starts_with("/"),
        Err(error) => error.kind() != io::ErrorKind::NotFound, // closed by now
    };
    fs::read_dir(directory).unwrap().map(is_ours).filter(|&ours| ours).count()
}

async fn echo(mut stream: TcpStream) {
    let mut buf = [0; 64];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return,
            n => stream.write_all(&buf[..n]).await.unwrap(),
        }
    }
}

/// Runs an echo server as a task of the current runtime, and `clients` against it.
async fn serve(clients: impl AsyncFnOnce(std::net::SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = spawn(async move {
        let mut connections = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.push(spawn(echo(stream)));
            connections.retain(|connection| !connection.is_finished());
        }
    });
    clients(addr).await;
    server.cancel();
    assert!(server.await.unwrap_err().is_cancelled());
}

async fn ask(addr: std::net::SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"over and out").await.unwrap();
    stream.close().await.unwrap();
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).await.unwrap();
    assert_eq!(echoed, b"over and out");
}

#[test]
fn ten_thousand_connections_one_after_the_other_leave_no_descriptor_behind() {
    let _turn = turn();
    let before = descriptors();
    run(serve(async |addr| {
        ask(addr).await;
        let open = descriptors();
        for _ in 0..10_000 {
            ask(addr).await;
        }
        yield_now().await; // the server's side of the last one
        yield_now().await;
        assert!(descriptors() <= open + 1, "{} descriptors, {open} at the start", descriptors());
    }));
    assert_eq!(descriptors(), before);
}

#[test]
fn a_thousand_connections_at_once_leave_no_descriptor_behind() {
    let _turn = turn();
    let before = descriptors();
    run(serve(async |addr| {
        join_all((0..1000).map(|_| ask(addr))).await;
    }));
    assert_eq!(descriptors(), before);
}

#[test]
fn a_thousand_open_connections_that_are_dropped_unread_leave_no_descriptor_behind() {
    let _turn = turn();
    let before = descriptors();
    run(async {
        let tasks: Vec<_> = join_all((0..500).map(|_| pair())).await;
        let tasks: Vec<_> = tasks
            .into_iter()
            .map(|pair| {
                let (client, server) = pair.unwrap();
                [spawn(echo(client)), spawn(echo(server))]
            })
            .collect();
        yield_now().await;
        assert!(descriptors() >= before + 1000);
        drop(tasks);
        yield_now().await;
        assert!(descriptors() < before + 100);
    });
    assert_eq!(descriptors(), before);
}

#[test]
fn a_connection_that_fails_or_is_given_up_leaves_no_descriptor_behind() {
    let _turn = turn();
    let before = descriptors();
    run(async {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let open = descriptors();
        for _ in 0..100 {
            TcpStream::connect(nobody).await.unwrap_err();
            let connecting = spawn(TcpStream::connect(nobody));
            yield_now().await;
            drop(connecting);
        }
        yield_now().await;
        assert_eq!(descriptors(), open);
    });
    assert_eq!(descriptors(), before);
}

#[test]
fn a_thousand_runtimes_that_did_io_leave_no_descriptor_behind() {
    let _turn = turn();
    let before = descriptors();
    for _ in 0..1000 {
        handcar_executor::run(async { drop(pair().await.unwrap()) });
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn a_runtime_that_does_no_io_opens_no_descriptor() {
    let _turn = turn();
    let before = descriptors();
    handcar_executor::run(async {
        yield_now().await;
        assert_eq!(descriptors(), before);
    });
}
