//! The simulated clock: it jumps exactly when nothing else can happen, and tells when nothing ever will.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, ClockHold, Event, Instant, RunError, interval, sleep, spawn, spawn_named, timeout, to_thread,
    yield_now,
};

mod common;
use common::{Log, for_ever, panic_of, simulated, test_run, watchdog};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_starts_at_exactly_zero_and_stands_still_while_anything_can_run() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    assert_eq!(clock.now(), Instant::START);
    runtime.block_on(async {
        let sleeper = spawn(sleep(SECOND));
        for _ in 0..10_000 {
            yield_now().await;
            assert_eq!(Instant::now(), Instant::START);
        }
        assert!(!sleeper.is_finished());
        sleeper.await.unwrap();
        assert_eq!(Instant::now(), Instant::START + SECOND);
    });
    assert_eq!(clock.now(), Instant::START + SECOND);
}

#[test]
fn it_jumps_from_deadline_to_deadline() {
    let _dog = watchdog();
    let jumps = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&jumps);
    let runtime = Builder::new()
        .clock(Clock::simulated())
        .observe(move |event| match event {
            Event::Jumped { by } => seen.borrow_mut().push(by.as_secs()),
            Event::Parked { .. } => panic!("it never sleeps"),
            _ => {}
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks = [3, 1, 7, 3].map(|seconds| spawn(sleep(SECOND * seconds)));
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(jumps.take(), [1, 2, 4]);
}

#[test]
fn a_year_takes_no_time() {
    let _dog = watchdog();
    test_run(async {
        let mut ticker = interval(Duration::from_secs(3600));
        for _ in 0..365 * 24 {
            ticker.tick().await;
        }
        assert_eq!(Instant::now().since_start(), Duration::from_secs(3600) * (365 * 24 - 1));
    });
}

#[test]
fn an_advance_makes_due_what_it_passes() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let sleeper = spawn(sleep(SECOND));
        yield_now().await;
        yield_now().await;
        clock.advance(SECOND * 5);
        sleeper.await.unwrap();
        assert_eq!(Instant::now(), Instant::START + SECOND * 5);
    });
}

#[test]
fn the_systems_clock_cannot_be_advanced() {
    let _dog = watchdog();
    let clock = Clock::system();
    assert!(!clock.is_simulated());
    assert!(panic_of(|| clock.advance(SECOND)).contains("Clock::simulated()"));
    drop(clock.hold());
}

#[test]
fn a_deadlock_names_every_task_with_name_and_line_main_first() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let early_line = line!() + 1;
    let early = runtime.spawn(for_ever());
    runtime.block_on(async {});
    let named_line = Rc::new(std::cell::Cell::new(0));
    let set = Rc::clone(&named_line);
    let main_line = line!() + 1;
    let result = runtime.try_block_on(async {
        set.set(line!() + 1);
        let named = spawn_named("courier", async { sleep(Duration::MAX).await });
        early.await.unwrap();
        named.await.unwrap();
    });
    let Err(RunError::Deadlock(deadlock)) = result else { panic!("{result:?}") };
    let tasks: Vec<_> = deadlock.tasks().iter().map(|task| (task.name.as_deref(), task.spawned_at.line())).collect();
    assert_eq!(tasks, [(Some("main"), main_line), (None, early_line), (Some("courier"), named_line.get())]);
    assert!(deadlock.tasks().iter().all(|task| task.spawned_at.file() == file!()));
    let text = deadlock.to_string();
    for expected in ["deadlock", "task `main` #", "task `courier` #", &format!("simulated_clock.rs:{early_line}:")] {
        assert!(text.contains(expected), "{text}");
    }
    // The runtime is not spoilt.
    assert_eq!(runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn a_deadlock_is_a_panic_from_block_on() {
    let _dog = watchdog();
    let text = panic_of(|| test_run(for_ever()));
    assert!(text.starts_with("deadlock: ") && text.contains("`main`"), "{text}");
}

#[test]
fn tasks_that_wait_for_each_other_are_a_deadlock() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let result = runtime.try_block_on(async {
        let slot = Rc::new(RefCell::new(None::<handcar_executor::JoinHandle<()>>));
        let other = Rc::clone(&slot);
        let first = spawn(async move {
            yield_now().await;
            let second = other.borrow_mut().take().unwrap();
            second.await.unwrap();
        });
        *slot.borrow_mut() = Some(spawn(async move { first.await.unwrap() }));
        for_ever().await;
    });
    let Err(RunError::Deadlock(deadlock)) = result else { panic!("{result:?}") };
    assert_eq!(deadlock.tasks().len(), 3);
}

#[test]
fn a_hold_keeps_it_from_jumping_until_it_goes() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let (hand_over, handed) = channel::<ClockHold>();
    let (woken, wake) = channel::<std::task::Waker>();
    let other = std::thread::spawn(move || {
        let hold = handed.recv().unwrap();
        wake.recv().unwrap().wake();
        drop(hold);
    });
    let hold = clock.hold();
    runtime.block_on(async {
        let sleeper = spawn(sleep(SECOND));
        let log = Log::new();
        let mut polled = false;
        let heard = std::future::poll_fn(|cx| {
            if polled {
                return std::task::Poll::Ready(());
            }
            polled = true;
            woken.send(cx.waker().clone()).unwrap();
            std::task::Poll::Pending
        });
        hand_over.send(hold).unwrap();
        timeout(Duration::from_nanos(1), heard).await.expect("no time passes while somebody outside is at work");
        log.note(format!("{:?}", Instant::now()));
        sleeper.await.unwrap();
        log.note(format!("{:?}", Instant::now()));
        assert_eq!(log.take(), ["start + 0ns", "start + 1s"]);
    });
    other.join().unwrap();
}

#[test]
fn a_hold_rules_out_deadlock_until_it_goes() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let (one, two) = (clock.hold(), clock.hold());
    let other = std::thread::spawn(move || {
        drop(one);
        drop(two);
    });
    assert!(matches!(runtime.try_block_on(for_ever()), Err(RunError::Deadlock(_))));
    other.join().unwrap();
}

#[test]
fn what_is_due_fires_even_while_the_clock_is_held() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let hold = clock.hold();
    runtime.block_on(async {
        let sleeper = spawn(sleep(SECOND));
        yield_now().await;
        yield_now().await;
        clock.advance(SECOND);
        sleeper.await.unwrap();
        assert_eq!(Instant::now(), Instant::START + SECOND);
    });
    drop(hold);
}

#[test]
fn a_zero_length_timeout_of_a_job_needs_no_jump() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let (go, wait) = channel::<()>();
        let job = to_thread(move || wait.recv().is_ok());
        let result = timeout(Duration::ZERO, job).await;
        assert!(result.is_err());
        drop(go);
    });
    assert_eq!(clock.now(), Instant::START);
}

#[test]
fn blocking_jobs_and_timers_mix() {
    let _dog = watchdog();
    test_run(async {
        for round in 1..=20 {
            let value = to_thread(move || round).await;
            assert_eq!(value, round);
            assert_eq!(Instant::now(), Instant::START + SECOND * (round - 1));
            sleep(SECOND).await;
        }
    });
}

#[test]
fn one_clock_may_serve_one_runtime_after_another() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    for round in 1..=3 {
        let runtime = Builder::new().clock(clock.clone()).build().unwrap();
        runtime.block_on(async {
            sleep(SECOND).await;
            to_thread(|| ()).await;
        });
        assert_eq!(clock.now(), Instant::START + SECOND * round);
    }
}

#[test]
fn the_same_program_does_the_same_each_time() {
    let _dog = watchdog();
    let story = || {
        let log = Log::new();
        test_run(async {
            let tasks: Vec<_> = (0..20_u32)
                .map(|number| {
                    let log = log.clone();
                    spawn(async move {
                        for step in 0..5 {
                            sleep(Duration::from_millis(u64::from((number * 7 + step * 13) % 11))).await;
                            log.note(format!("{number}.{step} at {:?}", Instant::now()));
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        log.take()
    };
    assert_eq!(story(), story());
}
