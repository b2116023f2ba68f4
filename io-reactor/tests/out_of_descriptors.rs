//! A server at the descriptor limit. A process of its own, for the limit is the process's; under the simulated clock, which
//! tells a wait for a descriptor from a wait for the time, and both from spinning.

#[path = "../../executor/tests/common/calling.rs"]
mod calling;
mod common;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use common::watchdog;
use futures::future::join_all;
use futures::io::AsyncReadExt;
use handcar_executor::{Builder, Clock, Instant, sleep, spawn, timeout, yield_now};
use handcar_io_reactor::{TcpListener, TcpStream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Opens files until there is no descriptor left.
fn fill() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) if is_exhaustion(&error) => return files,
            Err(error) => panic!("{error}"),
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

/// Four tasks are enough to be told apart, and more than one waits at a time.
const ACCEPTORS: usize = 4;

#[test]
fn accept_at_the_descriptor_limit_neither_spins_nor_dies() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), maximum: limit.maximum }).unwrap();
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    runtime.block_on(async {
        a_closing_source_frees_the_acceptor().await;
        a_source_that_closes_while_the_waker_is_cloned_frees_the_acceptor().await;
        a_descriptor_given_back_otherwise_is_found_after_a_while().await;
        an_acceptor_that_is_dropped_at_the_limit_leaves_the_others_to_go_on().await;
    });
}

/// A listener that knows it is at the limit, with a connection waiting that it could not accept; and another connection,
/// which may be closed.
async fn starved() -> (TcpListener, TcpStream, [TcpStream; 2], Vec<File>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let waiting = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let files = fill();
    let error = listener.accept().await.unwrap_err();
    assert!(is_exhaustion(&error), "{error}");
    (listener, waiting, [client, accepted], files)
}

async fn a_closing_source_frees_the_acceptor() {
    let (listener, waiting, other, files) = starved().await;
    let started = Instant::now();
    let closing = async {
        yield_now().await;
        drop(other);
    };
    let (accepted, ()) = futures::join!(listener.accept(), closing);
    assert_eq!(accepted.unwrap().1, waiting.local_addr().unwrap());
    assert_eq!(Instant::now(), started, "it waited for the time");
    drop(files);
}

async fn a_source_that_closes_while_the_waker_is_cloned_frees_the_acceptor() {
    let (listener, waiting, other, files) = starved().await;
    let (other, woken) = (RefCell::new(Some(other)), Rc::new(Cell::new(false)));
    let to_note = Rc::clone(&woken);
    let waker = calling::calling(move |call| match call {
        calling::Call::Clone => drop(other.take()),
        call => to_note.set(to_note.get() || call != calling::Call::Drop),
    });
    let mut accept = listener.accept();
    let accepted = waker.poll(&mut accept);
    assert!(woken.get() || accepted.is_ready(), "it waits for the time");
    drop((accepted, accept, waiting, files));
}

async fn a_descriptor_given_back_otherwise_is_found_after_a_while() {
    let (listener, waiting, other, mut files) = starved().await;
    let listener = Rc::new(listener);
    let errors = Rc::new(Cell::new(0));
    let acceptors: Vec<_> = (0..ACCEPTORS)
        .map(|_| {
            let (listener, errors) = (Rc::clone(&listener), Rc::clone(&errors));
            spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((_, peer)) => return peer,
                        Err(_) => errors.set(errors.get() + 1),
                    }
                }
            })
        })
        .collect();
    // Each error is followed by a pause of 100 ms for all of them.
    sleep(Duration::from_millis(50)).await;
    for expected in 0..5 {
        assert_eq!(errors.get(), expected);
        sleep(Duration::from_millis(100)).await;
    }

    files.clear();
    let more: Vec<_> = (1..ACCEPTORS).map(|_| TcpStream::connect(listener.local_addr().unwrap())).collect();
    let more = join_all(more).await;
    let mut peers: Vec<_> = join_all(acceptors).await.into_iter().map(Result::unwrap).collect();
    let mut expected = vec![waiting.local_addr().unwrap()];
    expected.extend(more.iter().map(|stream| stream.as_ref().unwrap().local_addr().unwrap()));
    peers.sort();
    expected.sort();
    assert_eq!(peers, expected);
    drop(other);
}

async fn an_acceptor_that_is_dropped_at_the_limit_leaves_the_others_to_go_on() {
    let (listener, mut waiting, other, files) = starved().await;
    for _ in 0..50 {
        // Given up again and again, sooner than the pause: it counts from the error on, not from each new accept.
        let given_up = timeout(Duration::from_millis(5), listener.accept()).await;
        if let Ok(Err(error)) = given_up {
            assert!(is_exhaustion(&error), "{error}");
            drop(files);
            let (stream, peer) = loop {
                if let Ok(accepted) = listener.accept().await {
                    break accepted;
                }
            };
            assert_eq!(peer, waiting.local_addr().unwrap());
            drop(stream);
            assert_eq!(waiting.read(&mut [0]).await.unwrap(), 0);
            drop(other);
            return;
        }
    }
    panic!("250 ms have passed, and no accept has tried again");
}
