//! The reactor as a part of its runtime: beside timers, other tasks and other threads.

mod common;

use std::io::{self, PipeReader, Read, Write};
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{pair, run, watchdog};
use futures::future::join_all;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use handcar_executor::park::Park;
use handcar_executor::{Builder, Clock, Instant, sleep, spawn, to_thread, yield_now};
use handcar_io_reactor::{Reactor, Source, TcpStream};

async fn byte(source: &Source<PipeReader>) -> io::Result<u8> {
    let mut byte = [0];
    source.read_with(|mut pipe| pipe.read_exact(&mut byte)).await.map(|()| byte[0])
}

#[test]
fn another_thread_ends_the_wait_whether_it_began_before_the_reactor_or_after() {
    run(async {
        let (start, begun) = channel();
        let before = spawn(to_thread(move || begun.recv().unwrap()));
        yield_now().await;
        let (reader, _writer) = io::pipe().unwrap();
        let reader = Source::new(reader).unwrap();
        let waiting = spawn(async move { byte(&reader).await });
        start.send("before").unwrap();
        assert_eq!(before.await.unwrap(), "before");
        for i in 0..1000 {
            assert_eq!(to_thread(move || i).await, i);
        }
        drop(waiting);
    });
}

#[test]
fn a_notification_ends_the_park_that_comes_after_it_and_only_that() {
    let _watchdog = watchdog();
    let reactor = Reactor::new().unwrap();
    let notifier = reactor.notifier();
    for _ in 0..3 {
        notifier.notify();
        notifier.notify();
        reactor.park(None).unwrap();
    }
    let notifying = thread::spawn(move || notifier.notify());
    reactor.park(None).unwrap();
    notifying.join().unwrap();
    let before = std::time::Instant::now();
    reactor.park(Some(Duration::from_millis(5))).unwrap();
    assert!(before.elapsed() >= Duration::from_millis(5), "a notification was kept too long");
}

#[test]
fn the_reactor_watches_while_somebody_waits_and_no_longer() {
    run(async {
        let reactor = Reactor::current().unwrap();
        let (mut client, server) = pair().await.unwrap();
        assert!(!reactor.is_watching());
        let waiting = spawn(async move { (&server).read(&mut [0; 8]).await.unwrap() });
        yield_now().await;
        assert!(reactor.is_watching());
        client.write_all(b"x").await.unwrap();
        waiting.await.unwrap();
        assert!(!reactor.is_watching());

        let waiting = spawn(async move { client.peek(&mut [0]).await });
        yield_now().await;
        assert!(reactor.is_watching());
        drop(waiting);
        yield_now().await;
        assert!(!reactor.is_watching());
    });
}

#[test]
fn a_busy_task_does_not_keep_others_from_their_sockets() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let echo = spawn(async move {
            let mut buf = [0; 1];
            while server.read(&mut buf).await.unwrap() > 0 {
                server.write_all(&buf).await.unwrap();
            }
        });
        for i in 0..100 {
            client.write_all(&[i]).await.unwrap();
            let mut answer = [0];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, [i]);
        }
        drop((busy, echo));
    });
}

#[test]
fn more_events_than_one_wait_brings_are_all_seen() {
    run(async {
        let sockets: Vec<_> = (0..1500)
            .map_while(|_| UdpSocket::bind("127.0.0.1:0").ok()) // as far as the descriptor limit allows
            .collect();
        let spare = sockets.len().saturating_sub(10);
        let sockets: Vec<_> = sockets.into_iter().take(spare).collect();
        let addrs: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let tasks: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                let socket = Source::new(socket).unwrap();
                spawn(async move { socket.read_with(|socket| socket.recv(&mut [0; 8])).await.unwrap() })
            })
            .collect();
        yield_now().await;
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for addr in addrs {
            sender.send_to(b"12345", addr).unwrap();
        }
        for received in join_all(tasks).await {
            assert_eq!(received.unwrap(), 5);
        }
    });
}

#[test]
fn a_waiting_socket_does_not_stop_simulated_time_and_is_no_deadlock() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    runtime.block_on(async {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Rc::new(Source::new(reader).unwrap());
        let waiting = spawn({
            let reader = Rc::clone(&reader);
            async move { byte(&reader).await.unwrap() }
        });
        let before = Instant::now();
        sleep(Duration::from_secs(1_000_000)).await;
        assert_eq!(Instant::now() - before, Duration::from_secs(1_000_000));

        let other = thread::spawn(move || writer.write_all(b"x").map(|()| writer));
        assert_eq!(waiting.await.unwrap(), b'x'); // nothing else could happen: it waits in earnest
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_stream_outlives_its_runtime_as_one_of_the_standard_library() {
    let mut stream = None;
    run(async { stream = Some(pair().await.unwrap()) });
    let (client, server) = stream.unwrap();
    let (mut client, server) = (client.into_std(), server.into_std());
    client.write_all(b"still here").unwrap();
    run(async {
        let mut server = TcpStream::from_std(server).unwrap();
        let mut got = [0; 10];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"still here");
    });
}
