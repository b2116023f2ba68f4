//! Time through the face, exact under the simulated clock, and that clock beside sockets and blocking jobs.

mod common;

use std::cell::Cell;
use std::future::pending;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use common::{Dice, Log, pair, simulated, stream_and_peer, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream, lookup_host};
use handcar::{
    Builder, Clock, Elapsed, Event, Instant, MissedTickBehavior, RunError, interval, sleep, sleep_until, spawn,
    spawn_named, timeout, timeout_at, to_thread, yield_now,
};

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Duration {
    Instant::now().since_start()
}

#[test]
fn a_hundred_ticks_of_10_ms_take_exactly_a_second() {
    simulated(async {
        let mut ticks = interval(Duration::from_millis(10));
        for n in 0..=100 {
            let due = ticks.tick().await;
            assert_eq!((due.since_start(), now()), (Duration::from_millis(10) * n, Duration::from_millis(10) * n));
        }
        assert_eq!(now(), SECOND);
    });
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines_and_equal_ones_in_that_of_their_arming() {
    simulated(async {
        let log = Log::default();
        let tasks: Vec<_> = [3_u32, 1, 2, 1, 3]
            .into_iter()
            .enumerate()
            .map(|(n, seconds)| {
                let log = log.clone();
                spawn(async move {
                    sleep(SECOND * seconds).await;
                    log.add(format!("{n} at {:?}", now()));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), ["1 at 1s", "3 at 1s", "2 at 2s", "0 at 3s", "4 at 3s"]);
    });
}

#[test]
fn ten_thousand_timers_of_which_some_are_dropped_go_off_in_order() {
    simulated(async {
        let mut dice = Dice::new(9);
        let fired = Log::default();
        let mut expected = Vec::new();
        let mut tasks = Vec::new();
        for n in 0..10_000_u64 {
            let due = dice.roll(1000);
            let log = fired.clone();
            let task = spawn(async move {
                sleep(Duration::from_nanos(due)).await;
                assert_eq!(now(), Duration::from_nanos(due));
                log.add(format!("{due} {n}"));
            });
            if dice.roll(3) == 0 {
                drop(task);
            } else {
                expected.push((due, n));
                tasks.push(task);
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        expected.sort_unstable();
        let expected: Vec<_> = expected.iter().map(|(due, n)| format!("{due} {n}")).collect();
        assert_eq!(fired.take(), expected);
    });
}

#[test]
fn a_timeout_lets_a_body_win_that_is_ready_at_its_deadline_only_if_it_is_polled_first() {
    simulated(async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert_eq!(timeout(Duration::ZERO, yield_now()).await, Err(Elapsed));
        assert_eq!(timeout(SECOND, sleep(SECOND * 2)).await, Err(Elapsed));
        assert_eq!(now(), SECOND);
        assert_eq!(timeout(SECOND * 2, sleep(SECOND)).await, Ok(()));
        assert_eq!(timeout_at(Instant::NEVER, sleep(SECOND)).await, Ok(()));
        assert_eq!(timeout(Duration::MAX, sleep(SECOND)).await, Ok(()));
        assert_eq!(now(), SECOND * 4);
    });
}

#[test]
fn missed_ticks_burst_are_skipped_or_put_off() {
    for (behavior, expected) in [
        (MissedTickBehavior::Burst, [0, 1000, 2000, 3000, 4000]),
        (MissedTickBehavior::Skip, [0, 1000, 4000, 5000, 6000]),
        (MissedTickBehavior::Delay, [0, 1000, 4500, 5500, 6500]),
    ] {
        let clock = Clock::simulated();
        let runtime = Builder::new().clock(clock.clone()).build().unwrap();
        let due = runtime.block_on(async {
            let mut ticks = interval(SECOND);
            ticks.set_missed_tick_behavior(behavior);
            let mut due = vec![ticks.tick().await];
            clock.advance(Duration::from_millis(3500)); // busy: the tick of second 1 comes 2.5 s late
            for _ in 0..4 {
                due.push(ticks.tick().await);
            }
            due
        });
        assert_eq!(due, expected.map(|ms| Instant::START + Duration::from_millis(ms)), "{behavior:?}");
    }
}

#[test]
fn nothing_changes_with_the_age_of_the_clock() {
    let _watchdog = watchdog();
    for days in [0, 13, 25, 50, 3 * 365, 100 * 365] {
        let clock = Clock::simulated();
        clock.advance(SECOND * 86_400 * days);
        let runtime = Builder::new().clock(clock).build().unwrap();
        runtime.block_on(async {
            let start = Instant::now();
            let mut ticks = interval(SECOND);
            for n in 0..10 {
                assert_eq!(ticks.tick().await, start + SECOND * n);
            }
            assert!(timeout(SECOND, pending::<()>()).await.is_err());
            sleep_until(start + SECOND * 60).await;
            assert_eq!(start.elapsed(), SECOND * 60);
        });
    }
}

#[test]
fn a_deadlock_ends_the_run_and_names_every_task_and_the_line_that_spawned_it() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let result = runtime.try_block_on(async {
        let _unnamed = spawn(pending::<()>());
        let line = line!() - 1;
        let waits = spawn_named("waits", async move {
            sleep(SECOND).await;
            pending::<()>().await;
        });
        spawn_named("done", async {}).await.unwrap();
        sleep(SECOND * 2).await;
        assert_eq!(line, waits.spawned_at().line() - 2);
        pending::<()>().await;
    });
    let Err(RunError::Deadlock(deadlock)) = result else { panic!("{result:?}") };
    let said = deadlock.to_string();
    assert_eq!(deadlock.tasks().len(), 3, "{said}");
    assert!(said.contains("task `main`") && said.contains("task `waits`"), "{said}");
    assert!(deadlock.tasks().iter().all(|task| task.spawned_at.file() == file!()), "{said}");
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_deadlock_is_a_panic_of_block_on() {
    simulated(pending::<()>());
}

#[test]
fn a_waiting_socket_does_not_keep_the_clock_from_jumping() {
    simulated(async {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let reader = spawn(async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            byte[0]
        });
        sleep(SECOND * 3600).await;
        assert_eq!(now(), SECOND * 3600);
        peer.write_all(&[7]).unwrap();
        assert_eq!(reader.await.unwrap(), 7);
        assert_eq!(now(), SECOND * 3600, "an answer that is there takes no time");
    });
}

#[test]
fn the_outside_is_looked_at_before_the_clock_jumps() {
    simulated(async {
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
            // Loopback delivers within the call: a look is enough, and the timeout must not be jumped to.
            timeout(SECOND, client.read_exact(&mut byte)).await.unwrap().unwrap();
        }
        drop(client);
        echo.await.unwrap();
        assert_eq!(now(), Duration::ZERO);
    });
}

#[test]
fn a_waiting_socket_rules_out_a_deadlock() {
    simulated(async {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let (go, went) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            went.recv().unwrap();
            peer.write_all(&[7]).unwrap();
        });
        let mut byte = [0];
        let read = async { stream.read_exact(&mut byte).await.unwrap() };
        // The peer writes only when this task has had its say, most likely while the loop is parked.
        futures::join!(read, async { go.send(()).unwrap() });
        assert_eq!(byte, [7]);
        assert_eq!(now(), Duration::ZERO);
        other.join().unwrap();
    });
}

#[test]
fn a_socket_that_nobody_waits_for_does_not_rule_out_a_deadlock() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let result = runtime.try_block_on(async {
        let _listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        pending::<()>().await;
    });
    assert!(matches!(result, Err(RunError::Deadlock(_))), "{result:?}");
}

#[test]
fn a_named_wait_that_was_given_up_does_not_rule_out_a_deadlock() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let result = runtime.try_block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(timeout(SECOND, listener.accept()).await.is_err());
        assert_eq!(now(), SECOND);
        pending::<()>().await;
    });
    assert!(matches!(result, Err(RunError::Deadlock(_))), "{result:?}");
}

#[test]
fn a_blocking_job_stops_the_clock_until_its_result_is_there() {
    simulated(async {
        let answer = timeout(Duration::from_nanos(1), to_thread(|| (0..1000).sum::<u32>())).await;
        assert_eq!(answer, Ok(499_500));
        assert_eq!(now(), Duration::ZERO);
    });
}

#[test]
fn a_look_up_stops_the_clock_too() {
    simulated(async {
        assert!(timeout(Duration::from_nanos(1), lookup_host("localhost:1")).await.is_ok());
        assert_eq!(now(), Duration::ZERO);
    });
}

#[test]
fn a_hold_stops_the_clock_until_another_thread_drops_it() {
    let _watchdog = watchdog();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    runtime.block_on(async {
        let (tx, rx) = async_channel::bounded(1);
        let hold = clock.hold();
        let other = std::thread::spawn(move || {
            tx.send_blocking(7).unwrap();
            drop(hold);
        });
        assert_eq!(timeout(Duration::from_nanos(1), rx.recv()).await, Ok(Ok(7)));
        assert_eq!(now(), Duration::ZERO);
        other.join().unwrap();
        sleep(SECOND).await;
        assert_eq!(now(), SECOND);
    });
}

#[test]
fn a_hold_rules_out_a_deadlock() {
    let _watchdog = watchdog();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    let hold = clock.hold();
    let result = runtime.try_block_on(async {
        let other = std::thread::spawn(move || drop(hold));
        yield_now().await;
        other.join().unwrap();
        pending::<()>().await;
    });
    assert!(matches!(result, Err(RunError::Deadlock(_))), "{result:?}");
}

#[test]
fn the_clock_jumps_once_for_each_deadline_and_never_while_something_can_run() {
    let _watchdog = watchdog();
    let log = Log::default();
    let seen = log.clone();
    let observe = move |event: &Event<'_>| {
        if let Event::Jumped { by } = event {
            seen.add(format!("{by:?}"));
        }
    };
    let runtime = Builder::new().clock(Clock::simulated()).observe(observe).build().unwrap();
    runtime.block_on(async {
        let polls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&polls);
        let busy = spawn(async move {
            for _ in 0..10_000 {
                counter.set(counter.get() + 1);
                yield_now().await;
            }
        });
        sleep(SECOND).await;
        assert_eq!(polls.get(), 10_000, "everything that can run does so before time passes");
        sleep(SECOND * 2).await;
        sleep_until(Instant::START + SECOND * 10).await;
        busy.await.unwrap();
    });
    assert_eq!(log.take(), ["1s", "2s", "7s"]);
}

#[test]
fn a_server_with_timeouts_gives_the_same_log_each_time() {
    let run = || {
        let log = Log::default();
        let inside = log.clone();
        simulated(async move {
            let log = inside;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let server = spawn(async move {
                let mut connections = Vec::new();
                for delay in [1, 5, 2] {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    connections.push(spawn(async move {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).await.unwrap();
                        sleep(SECOND * delay).await;
                        stream.write_all(&byte).await.unwrap();
                    }));
                }
                for connection in connections {
                    connection.await.unwrap();
                }
            });
            for n in 0..3 {
                let mut stream = TcpStream::connect(addr).await.unwrap();
                stream.write_all(&[n]).await.unwrap();
                let answer = timeout(SECOND * 3, stream.read_exact(&mut [0])).await.is_ok();
                log.add(format!("{n}: {answer} at {:?}", now()));
            }
            server.await.unwrap();
            log.add(format!("end at {:?}", now()));
        });
        log.take()
    };
    for _ in 0..20 {
        assert_eq!(run(), ["0: true at 1s", "1: false at 4s", "2: true at 6s", "end at 6s"]);
    }
}
