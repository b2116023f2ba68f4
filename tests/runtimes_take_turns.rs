//! Several runtimes in one thread, each with tasks, timers and sockets of its own.

mod common;

use std::cell::RefCell;
use std::future::pending;
use std::io::{ErrorKind, Write};
use std::rc::Rc;
use std::time::Duration;

use common::{Living, pair, stream_and_peer, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::sync::mpsc;
use handcar::{Builder, Clock, Instant, Runtime, Turn, sleep, spawn, timeout, yield_now};

#[test]
fn two_runtimes_with_sockets_take_turns() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let mut listener = None;
    a.block_on(async { listener = Some(TcpListener::bind("127.0.0.1:0").await.unwrap()) });
    let listener = listener.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = a.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).await.unwrap() == 1 {
            stream.write_all(&[byte[0] + 1]).await.unwrap();
        }
    });
    let stream = Rc::new(b.block_on(TcpStream::connect(addr)).unwrap());
    let answers = Rc::new(RefCell::new(Vec::new()));
    let client = {
        let (stream, answers) = (Rc::clone(&stream), Rc::clone(&answers));
        b.spawn(async move {
            for n in 0..20 {
                (&*stream).write_all(&[n]).await.unwrap();
                let mut byte = [0];
                (&*stream).read_exact(&mut byte).await.unwrap();
                answers.borrow_mut().push(byte[0]);
            }
            (&*stream).close().await.unwrap();
        })
    };
    // Neither may wait for ever: the other one has to act.
    while !client.is_finished() || !server.is_finished() {
        a.turn().unwrap();
        b.turn().unwrap();
    }
    assert_eq!(*answers.borrow(), (1..=20).collect::<Vec<_>>());
}

#[test]
fn what_happened_while_the_other_one_ran_is_found_later() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (mut stream, mut peer) = a.block_on(stream_and_peer()).unwrap();
    let reader = a.spawn(async move {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    });
    a.block_on(yield_now());
    b.block_on(async {
        let (mut ours, mut theirs) = pair().await.unwrap();
        ours.write_all(b"x").await.unwrap();
        theirs.read_exact(&mut [0]).await.unwrap();
        peer.write_all(b"meanwhile").unwrap();
        drop(peer);
    });
    assert_eq!(a.block_on(reader).unwrap(), "meanwhile");
}

#[test]
fn a_socket_that_has_to_wait_under_another_runtime_is_an_error_and_no_hang() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (mut stream, mut peer) = a.block_on(stream_and_peer()).unwrap();
    let listener = a.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    for with_a_reactor in [false, true] {
        b.block_on(async {
            if with_a_reactor {
                pair().await.unwrap();
            }
            let error = stream.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Other);
            assert!(error.to_string().contains("make it in the runtime that uses it"), "{error}");
            assert!(listener.accept().await.is_err());
            assert!(stream.readable().await.is_err());
            assert!(stream.peek(&mut [0]).await.is_err());
            let task = spawn(async { yield_now().await });
            task.await.unwrap();
        });
    }
    // Under its own it goes on as if nothing had been.
    peer.write_all(b"x").unwrap();
    a.block_on(async {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn a_socket_that_need_not_wait_works_under_another_runtime() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (mut ours, mut theirs) = a.block_on(pair()).unwrap();
    b.block_on(async { ours.write_all(b"from b").await }).unwrap();
    let mut buf = [0; 6];
    a.block_on(theirs.read_exact(&mut buf)).unwrap();
    assert_eq!(&buf, b"from b");
}

#[test]
fn a_socket_polled_outside_every_runtime_is_an_error_and_no_panic() {
    let _watchdog = watchdog();
    let (mut stream, _peer) = handcar::run(stream_and_peer()).unwrap();
    let error = futures_lite::future::block_on(stream.read(&mut [0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
}

#[test]
fn one_runtime_wakes_the_tasks_of_the_other() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (tx, mut rx) = mpsc::channel(1);
    let sum = a.spawn(async move {
        let mut sum = 0;
        while let Some(n) = rx.recv().await {
            sum += n;
        }
        sum
    });
    let sender = b.spawn(async move {
        for n in 1..=100 {
            tx.send(n).await.unwrap();
        }
    });
    while !sum.is_finished() {
        while a.turn().unwrap() == Turn::More {}
        while b.turn().unwrap() == Turn::More {}
    }
    assert_eq!(a.block_on(sum).unwrap(), 5050);
    b.block_on(sender).unwrap();
}

#[test]
fn a_join_handle_may_be_awaited_in_another_runtime() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let mut task = a.spawn(async { 7 });
    b.block_on(async {
        assert!(futures::poll!(&mut task).is_pending());
        a.enter(|| ()); // it runs no task
    });
    a.block_on(yield_now());
    assert_eq!(b.block_on(task).unwrap(), 7);
}

#[test]
fn a_task_of_one_that_spawns_while_the_other_is_entered_spawns_there() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let mut task = None;
    a.block_on(async { task = Some(b.enter(|| spawn(async { handcar::task::id() }))) });
    let task = task.unwrap();
    assert_eq!(a.metrics().tasks, 0);
    let id = task.id();
    assert_eq!(b.block_on(task).unwrap(), Some(id));
}

#[test]
fn each_has_a_clock_of_its_own() {
    let _watchdog = watchdog();
    let a = Builder::new().clock(Clock::simulated()).build().unwrap();
    let b = Builder::new().clock(Clock::simulated()).build().unwrap();
    a.block_on(sleep(Duration::from_secs(5)));
    b.block_on(sleep(Duration::from_secs(7)));
    a.block_on(sleep(Duration::from_secs(5)));
    assert_eq!(a.clock().now().since_start(), Duration::from_secs(10));
    assert_eq!(b.enter(Instant::now).since_start(), Duration::from_secs(7));
}

#[test]
fn a_timer_between_two_calls_of_block_on_goes_off_in_the_second() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let task = runtime.spawn(async {
        sleep(Duration::from_secs(10)).await;
        Instant::now().since_start()
    });
    runtime.block_on(sleep(Duration::from_secs(4)));
    assert!(!task.is_finished());
    runtime.block_on(sleep(Duration::from_secs(4)));
    assert!(!task.is_finished());
    assert_eq!(runtime.block_on(task).unwrap(), Duration::from_secs(10));
}

#[test]
fn a_hundred_runtimes_in_one_thread() {
    let _watchdog = watchdog();
    let living = Living::default();
    let runtimes: Vec<_> = (0..100).map(|_| Runtime::new().unwrap()).collect();
    let (tx, mut rx) = mpsc::unbounded_channel();
    for (n, runtime) in runtimes.iter().enumerate() {
        let (tx, token) = (tx.clone(), living.token());
        runtime
            .spawn(async move {
                let _token = token;
                let (mut ours, mut theirs) = pair().await.unwrap();
                timeout(Duration::from_secs(20), ours.write_all(b"x")).await.unwrap().unwrap();
                theirs.read_exact(&mut [0]).await.unwrap();
                tx.send(n).unwrap();
            })
            .detach();
    }
    drop(tx);
    while living.count() > 0 {
        for runtime in &runtimes {
            runtime.turn().unwrap();
        }
    }
    let mut all = Vec::new();
    runtimes[0].block_on(rx.recv_many(&mut all, 1000));
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_task_may_be_cancelled_from_another_runtime() {
    let _watchdog = watchdog();
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let living = Living::default();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let token = living.token();
            a.spawn(async move {
                let _token = token;
                pending::<()>().await;
            })
        })
        .collect();
    a.block_on(yield_now());
    let mut tasks = tasks.into_iter();
    b.block_on(async {
        assert!(tasks.next().unwrap().cancel());
        drop(tasks);
        yield_now().await;
    });
    assert_eq!(living.count(), 2, "its future is dropped by its own runtime");
    a.block_on(sleep(Duration::ZERO));
    assert_eq!(living.count(), 0);
}

#[test]
fn two_threads_with_a_runtime_each_talk_to_each_other() {
    let (to_them, from_us) = async_channel::bounded(1);
    let (to_us, from_them) = async_channel::bounded(1);
    let other = std::thread::spawn(move || {
        common::run(async {
            while let Ok(n) = from_us.recv().await {
                to_us.send(n + 1).await.unwrap();
            }
        });
    });
    common::run(async {
        for n in 0..1000 {
            to_them.send(n).await.unwrap();
            assert_eq!(from_them.recv().await, Ok(n + 1));
        }
        drop(to_them);
    });
    other.join().unwrap();
}
