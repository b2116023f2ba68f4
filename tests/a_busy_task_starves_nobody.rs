//! A task that never waits, for whatever reason, holds up nobody else: neither other tasks, nor timers, nor sockets, nor
//! wakes from other threads.
//!
//! Where time matters it is the simulated clock's, which the busy task itself moves on; so what is asserted is exact.

mod common;

use std::cell::Cell;
use std::future::{Future, pending};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use common::{pair, run, simulated, stream_and_peer, watchdog};
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, pin_mut};
use handcar::net::{TcpListener, TcpStream, lookup_host};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{
    Builder, Clock, Event, Instant, JoinHandle, MissedTickBehavior, interval, interval_at, sleep, spawn, timeout,
    timeout_at, to_thread, yield_now,
};

/// A task that wakes itself for ever; its counter tells how often it has been polled.
fn spinner() -> (JoinHandle<()>, Rc<Cell<u64>>) {
    let polls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&polls);
    let task = spawn(async move {
        loop {
            counter.set(counter.get() + 1);
            yield_now().await;
        }
    });
    (task, polls)
}

/// A task that computes for `work` of the simulated clock in each poll and wakes itself for ever.
fn worker(clock: &Clock, work: Duration) -> JoinHandle<()> {
    let clock = clock.clone();
    spawn(async move {
        loop {
            clock.advance(work);
            yield_now().await;
        }
    })
}

/// How many operations in one poll prove that a loop does not yield: far above any budget.
const TOO_MANY: u32 = 100_000;

/// Runs `hog` for ever beside another, which must get its turn again and again. `hog` calls `done` after each operation; one
/// that does too many in one go is caught there, and does not have to be killed.
fn assert_lets_others_run<H: Future<Output: 'static> + 'static>(hog: impl FnOnce(Done) -> H) {
    run(async {
        let since_others = Rc::new(Cell::new(0));
        let hog = spawn(hog(Done(Rc::clone(&since_others))));
        let busy_rounds = Rc::new(Cell::new(0));
        let counted = Rc::clone(&busy_rounds);
        let _other = spawn(async move {
            loop {
                yield_now().await;
                counted.set(counted.get() + u32::from(since_others.replace(0) > 0));
            }
        });
        while busy_rounds.get() < 20 {
            yield_now().await;
            assert!(!hog.is_finished(), "a busy loop does not end");
        }
        // Timers and other threads get their turn as well, however long the system takes for them.
        sleep(Duration::from_micros(100)).await;
        assert_eq!(to_thread(|| 7).await, 7);
    });
}

struct Done(Rc<Cell<u32>>);

impl Done {
    fn done(&self) {
        let count = self.0.get() + 1;
        self.0.set(count);
        assert!(count < TOO_MANY, "the loop did {count} operations and let nobody else run");
    }
}

#[test]
fn an_interval_ticks_beside_a_spinner() {
    run(async {
        let (_spinner, polls) = spinner();
        let mut ticks = interval(Duration::from_micros(200));
        for _ in 0..50 {
            ticks.tick().await;
        }
        assert!(polls.get() > 0);
    });
}

#[test]
fn an_interval_of_10_ms_ticks_beside_polls_of_200_us_each_with_less_than_one_poll_of_lateness() {
    let _watchdog = watchdog();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    runtime.block_on(async {
        let _worker = worker(&clock, Duration::from_micros(200));
        let mut ticks = interval(Duration::from_millis(10));
        for n in 0..100 {
            let due = ticks.tick().await;
            let late = Instant::now() - due;
            assert_eq!(due.since_start(), Duration::from_millis(10) * n);
            assert!(late <= Duration::from_micros(400), "tick {n} came {late:?} late");
        }
    });
}

#[test]
fn a_timer_beside_a_crowd_of_short_polls_is_late_by_about_one_looks_distance() {
    let _watchdog = watchdog();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    runtime.block_on(async {
        // Polls of 1 us: a look within about 100 us means one after about 100 polls.
        let _crowd: Vec<_> = (0..10).map(|_| worker(&clock, Duration::from_micros(1))).collect();
        sleep(Duration::from_millis(1)).await; // the pace settles
        for _ in 0..100 {
            let start = Instant::now();
            sleep(Duration::from_millis(1)).await;
            let late = Instant::now() - (start + Duration::from_millis(1));
            // It is staged for up to one look, fires up to one look late, and stands in the queue behind the crowd.
            assert!(late <= Duration::from_micros(2 * 128 + 2 * 10), "late by {late:?}");
        }
    });
}

#[test]
fn between_two_looks_there_are_never_more_than_a_few_hundred_polls() {
    let _watchdog = watchdog();
    let most = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    let observe = move |event: &Event<'_>| {
        if let Event::Looked { polls } = event {
            seen.set(seen.get().max(*polls));
        }
    };
    let runtime = Builder::new().observe(observe).build().unwrap();
    runtime.block_on(async {
        let (_spinner, polls) = spinner();
        while polls.get() < 100_000 {
            yield_now().await;
        }
    });
    assert!((1..=300).contains(&most.get()), "{} polls without a look", most.get());
}

#[test]
fn with_polls_of_200_us_there_is_a_look_after_every_one() {
    let _watchdog = watchdog();
    let clock = Clock::simulated();
    let most = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    let observe = move |event: &Event<'_>| {
        if let Event::Looked { polls } = event {
            seen.set(seen.get().max(*polls));
        }
    };
    let runtime = Builder::new().clock(clock.clone()).observe(observe).build().unwrap();
    runtime.block_on(async {
        let _worker = worker(&clock, Duration::from_micros(200));
        let timer = sleep(Duration::from_secs(1)); // an idle timer, so that the loop reads the clock
        pin_mut!(timer);
        let settled = async {
            for _ in 0..100 {
                sleep(Duration::from_micros(1)).await;
            }
        };
        pin_mut!(settled);
        let Either::Right(((), timer)) = select(timer, settled).await else { panic!("starved") };
        most.set(0);
        timer.await;
    });
    assert!(most.get() <= 2, "{} polls without a look", most.get());
}

#[test]
fn other_tasks_run_in_turn_with_a_spinner() {
    run(async {
        let (_spinner, polls) = spinner();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                spawn(async {
                    for _ in 0..100 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // First in, first out: one poll of the spinner for each round of the others.
        assert!(polls.get() <= 110, "the spinner was polled {} times in 100 rounds", polls.get());
    });
}

#[test]
fn an_echo_goes_to_and_fro_beside_a_spinner() {
    run(async {
        let (_spinner, _) = spinner();
        let (mut client, mut server) = pair().await.unwrap();
        let echo = spawn(async move {
            let mut byte = [0];
            while server.read(&mut byte).await.unwrap() == 1 {
                server.write_all(&byte).await.unwrap();
            }
        });
        for n in 0..100 {
            client.write_all(&[n]).await.unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [n]);
        }
        drop(client);
        echo.await.unwrap();
    });
}

#[test]
fn an_echo_for_another_thread_goes_to_and_fro_beside_a_spinner_and_polls_that_compute() {
    let _watchdog = watchdog();
    let clock = Clock::system();
    let runtime = Builder::new().clock(clock).build().unwrap();
    runtime.block_on(async {
        let (_spinner, _) = spinner();
        let _computes = spawn(async {
            loop {
                let until = std::time::Instant::now() + Duration::from_micros(200);
                while std::time::Instant::now() < until {}
                yield_now().await;
            }
        });
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let peer = std::thread::spawn(move || {
            for n in 0..20 {
                peer.write_all(&[n]).unwrap();
                let mut byte = [0];
                peer.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [n]);
            }
        });
        let mut byte = [0];
        while stream.read(&mut byte).await.unwrap() == 1 {
            stream.write_all(&byte).await.unwrap();
        }
        peer.join().unwrap();
    });
}

#[test]
fn a_listener_accepts_beside_a_spinner() {
    run(async {
        let (_spinner, _) = spinner();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = std::thread::spawn(move || {
            for _ in 0..20 {
                std::net::TcpStream::connect(addr).unwrap();
            }
        });
        listener.incoming().take(20).for_each(async |stream| drop(stream.unwrap())).await;
        clients.join().unwrap();
    });
}

#[test]
fn wakes_from_another_thread_arrive_beside_a_spinner() {
    run(async {
        let (_spinner, _) = spinner();
        let (to, from) = async_channel::bounded(1);
        let other = std::thread::spawn(move || {
            for n in 0..100 {
                to.send_blocking(n).unwrap();
            }
        });
        for n in 0..100 {
            assert_eq!(from.recv().await, Ok(n));
        }
        other.join().unwrap();
    });
}

#[test]
fn a_main_that_spins_starves_nobody_either() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let echo = spawn(async move {
            sleep(Duration::from_micros(50)).await;
            let mut byte = [0];
            server.read_exact(&mut byte).await.unwrap();
            server.write_all(&byte).await.unwrap();
        });
        let answer = spawn(async move {
            client.write_all(&[7]).await.unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).await.unwrap();
            byte[0]
        });
        while !answer.is_finished() {
            yield_now().await;
        }
        assert_eq!(answer.await.unwrap(), 7);
        echo.await.unwrap();
    });
}

#[test]
fn a_loop_over_a_bounded_channel_that_always_has_room_and_a_message_yields() {
    assert_lets_others_run(async |done| {
        let (tx, mut rx) = mpsc::channel(1);
        loop {
            tx.send(()).await.unwrap();
            rx.recv().await.unwrap();
            done.done();
        }
    });
}

#[test]
fn a_loop_over_an_unbounded_channel_that_always_has_a_message_yields() {
    assert_lets_others_run(async |done| {
        let (tx, mut rx) = mpsc::unbounded_channel();
        loop {
            tx.send(()).unwrap();
            rx.recv().await.unwrap();
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_channel_as_a_stream_yields() {
    assert_lets_others_run(async |done| {
        let (tx, mut rx) = mpsc::unbounded_channel();
        tx.send(()).unwrap();
        while let Some(()) = rx.next().await {
            tx.send(()).unwrap();
            done.done();
        }
    });
}

#[test]
fn a_loop_over_recv_many_yields() {
    assert_lets_others_run(async |done| {
        let (tx, mut rx) = mpsc::unbounded_channel();
        loop {
            tx.send(()).unwrap();
            rx.recv_many(&mut Vec::new(), 10).await;
            done.done();
        }
    });
}

#[test]
fn a_loop_over_reservations_yields() {
    assert_lets_others_run(async |done| {
        let (tx, _rx) = mpsc::channel::<()>(1);
        loop {
            drop(tx.reserve().await.unwrap());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_closed_channel_yields() {
    assert_lets_others_run(async |done| {
        let (_, mut rx) = mpsc::channel::<()>(1);
        loop {
            assert_eq!(rx.recv().await, None);
            done.done();
        }
    });
}

#[test]
fn a_loop_of_failing_sends_yields() {
    assert_lets_others_run(async |done| {
        let (tx, _) = mpsc::channel(1);
        loop {
            assert!(tx.send(()).await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_semaphore_that_always_has_a_permit_yields() {
    assert_lets_others_run(async |done| {
        let semaphore = Semaphore::new(1);
        loop {
            drop(semaphore.acquire().await.unwrap());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_closed_semaphore_yields() {
    assert_lets_others_run(async |done| {
        let semaphore = Semaphore::new(1);
        semaphore.close();
        loop {
            assert!(semaphore.acquire().await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_oneshots_that_have_their_message_yields() {
    assert_lets_others_run(async |done| {
        loop {
            let (tx, rx) = oneshot::channel();
            tx.send(()).unwrap();
            rx.await.unwrap();
            done.done();
        }
    });
}

#[test]
fn a_loop_over_oneshots_whose_sender_has_gone_yields() {
    assert_lets_others_run(async |done| {
        loop {
            let (_, rx) = oneshot::channel::<()>();
            assert!(rx.await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_tasks_that_have_ended_yields() {
    assert_lets_others_run(async |done| {
        let mut ended = Vec::new();
        loop {
            if ended.is_empty() {
                ended.extend((0..1000).map(|_| spawn(async {})));
                yield_now().await;
            }
            while let Some(task) = ended.pop() {
                if task.await.is_err() {
                    return; // the run is over, and cancels what it finds
                }
                done.done();
            }
        }
    });
}

#[test]
fn a_loop_over_sleeps_of_no_length_yields() {
    assert_lets_others_run(async |done| {
        loop {
            sleep(Duration::ZERO).await;
            done.done();
        }
    });
}

#[test]
fn a_loop_over_an_interval_that_has_much_to_catch_up_with_yields() {
    assert_lets_others_run(async |done| {
        yield_now().await;
        let mut ticks = interval_at(Instant::START, Duration::from_nanos(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            ticks.tick().await;
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_socket_that_always_has_data_yields() {
    assert_lets_others_run(async |done| {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let flood = std::thread::spawn(move || while peer.write(&[0; 16_000]).is_ok() {});
        let mut byte = [0];
        while stream.read(&mut byte).await.unwrap() == 1 {
            done.done();
        }
        flood.join().unwrap();
    });
}

#[test]
fn a_loop_over_a_socket_at_its_end_yields() {
    assert_lets_others_run(async |done| {
        let (mut stream, _) = stream_and_peer().await.unwrap();
        loop {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_socket_that_always_takes_more_yields() {
    assert_lets_others_run(async |done| {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let _drain = std::thread::spawn(move || while peer.read(&mut [0; 16_000]).is_ok_and(|n| n > 0) {});
        while stream.write(&[0]).await.is_ok() {
            done.done();
        }
    });
}

#[test]
fn a_loop_over_readiness_yields() {
    assert_lets_others_run(async |done| {
        let (stream, mut peer) = stream_and_peer().await.unwrap();
        peer.write_all(b"never read").unwrap();
        loop {
            stream.readable().await.unwrap();
            stream.writable().await.unwrap();
            stream.peek(&mut [0]).await.unwrap();
            done.done();
        }
    });
}

#[test]
fn a_server_that_always_has_a_connection_to_accept_yields() {
    assert_lets_others_run(async |done| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        loop {
            let _client = TcpStream::connect(addr).await.unwrap();
            listener.accept().await.unwrap();
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_timeout_that_has_passed_yields() {
    assert_lets_others_run(async |done| {
        loop {
            assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_over_a_deadline_that_has_passed_yields() {
    assert_lets_others_run(async |done| {
        loop {
            assert!(timeout_at(Instant::START, pending::<()>()).await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_timeout_of_zero_never_beats_a_message_that_is_there() {
    simulated(async {
        let (tx, mut rx) = mpsc::unbounded_channel();
        for n in 0..1000 {
            tx.send(n).unwrap();
        }
        for n in 0..1000 {
            assert_eq!(timeout(Duration::ZERO, rx.recv()).await, Ok(Some(n)));
        }
    });
}

#[test]
fn a_timeout_ends_a_body_that_is_always_busy() {
    run(async {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let busy = async {
            loop {
                tx.send(()).unwrap();
                rx.recv().await.unwrap();
            }
        };
        assert!(timeout(Duration::from_micros(500), busy).await.is_err());
    });
}

#[test]
fn a_timeout_ends_a_body_that_yields_for_ever() {
    run(async {
        let restless = async {
            loop {
                yield_now().await;
            }
        };
        assert!(timeout(Duration::from_micros(500), restless).await.is_err());
    });
}

#[test]
fn a_loop_that_tries_to_bind_an_address_in_use_yields() {
    assert_lets_others_run(async |done| {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = taken.local_addr().unwrap();
        loop {
            assert!(TcpListener::bind(addr).await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_of_connections_that_fail_at_once_yields() {
    assert_lets_others_run(async |done| {
        let none: &[SocketAddr] = &[];
        loop {
            assert!(TcpStream::connect(none).await.is_err());
            done.done();
        }
    });
}

#[test]
fn a_loop_of_look_ups_that_need_no_thread_yields() {
    assert_lets_others_run(async |done| {
        loop {
            lookup_host("127.0.0.1:80").await.unwrap();
            done.done();
        }
    });
}
