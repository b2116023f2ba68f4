//! Sleeps: order, zero, never, resets, and what dropping one leaves.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use handcar_executor::{Clock, Instant, RunError, run, sleep, sleep_until, spawn, timeout, yield_now};

mod common;
use common::{Call, Log, Reports, calling, panic_of, poll_once, simulated, test_run, watchdog};

const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms_since_start: u64) -> Instant {
    Instant::START + ms(ms_since_start)
}

#[test]
fn equal_deadlines_fire_in_the_order_of_arming() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let log = Log::new();
    runtime.block_on(async {
        // Each is armed at its first poll, so in the order of spawning; relative and absolute ones alternate, and so do
        // earlier and later ones.
        let tasks: Vec<_> = (0..100_u64)
            .map(|number| {
                let log = log.clone();
                spawn(async move {
                    let deadline = ms(10 * (1 + number % 2));
                    if number % 3 == 0 {
                        sleep(deadline).await;
                    } else {
                        sleep_until(Instant::START + deadline).await;
                    }
                    log.note(number);
                })
            })
            .collect();
        join_all(tasks).await;
    });
    let evens = (0..100).step_by(2);
    let odds = (1..100).step_by(2);
    let expected: Vec<_> = evens.chain(odds).map(|number| number.to_string()).collect();
    assert_eq!(log.take(), expected);
}

#[test]
fn dropping_some_timers_does_not_disturb_the_order_of_the_others() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let log = log.clone();
                spawn(async move {
                    sleep(ms(10)).await;
                    log.note(number);
                })
            })
            .collect();
        yield_now().await;
        let kept: Vec<_> =
            tasks.into_iter().enumerate().filter(|(number, _)| number % 7 == 0).map(|(_, task)| task).collect();
        join_all(kept).await;
        assert_eq!(log.take(), ["0", "7", "14", "21", "28", "35", "42", "49"]);
    });
}

#[test]
fn a_sleep_of_zero_yields_exactly_once() {
    let _dog = watchdog();
    test_run(async {
        let mut zero = sleep(Duration::ZERO);
        assert!(poll_once(&mut zero).is_pending());
        assert!(poll_once(&mut zero).is_ready());
        let log = Log::new();
        let other = log.clone();
        let task = spawn(async move {
            for turn in 0..3 {
                other.note(format!("other {turn}"));
                sleep(Duration::ZERO).await;
            }
        });
        for turn in 0..3 {
            log.note(format!("main {turn}"));
            sleep(Duration::ZERO).await;
        }
        task.await.unwrap();
        assert_eq!(log.take(), ["main 0", "other 0", "main 1", "other 1", "main 2", "other 2"]);
        assert_eq!(Instant::now(), Instant::START);
    });
}

#[test]
fn a_deadline_that_has_passed_yields_once() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        sleep(ms(10)).await;
        for deadline in [Instant::START, at(5), at(10)] {
            let mut passed = sleep_until(deadline);
            assert!(poll_once(&mut passed).is_pending());
            assert!(poll_once(&mut passed).is_ready());
        }
        assert_eq!(clock.now(), at(10));
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_duration_without_end_never_fires_and_occupies_no_timer() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let result = runtime.try_block_on(async {
        let mut for_ever = sleep(Duration::MAX);
        let mut never = sleep_until(Instant::NEVER);
        let mut almost = sleep(Duration::from_nanos(u64::MAX));
        assert!(poll_once(&mut for_ever).is_pending());
        assert!(poll_once(&mut never).is_pending());
        assert!(poll_once(&mut almost).is_pending());
        sleep(ms(1)).await;
        assert_eq!(for_ever.deadline(), Instant::NEVER);
        assert_eq!(never.deadline(), Instant::NEVER);
        clock.advance(Duration::MAX);
        yield_now().await;
        yield_now().await;
        assert!(poll_once(&mut for_ever).is_pending());
        assert!(timeout(Duration::MAX, pending::<()>()).await.is_ok());
    });
    assert!(matches!(result, Err(RunError::Deadlock(_))), "{result:?}");
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn no_sleep_ends_early() {
    let _dog = watchdog();
    run(async {
        let sleeps = (0..50_u64).map(|number| async move {
            let duration = Duration::from_nanos(number * 61_803);
            let begun = std::time::Instant::now();
            sleep(duration).await;
            assert!(begun.elapsed() >= duration, "{duration:?} took {:?}", begun.elapsed());
            let deadline = Instant::now() + duration;
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
        });
        join_all(sleeps).await;
    });
}

#[test]
fn relative_sleeps_count_from_the_next_look() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let mut begun = sleep(ms(10));
        assert!(poll_once(&mut begun).is_pending());
        clock.advance(ms(3)); // passes before the loop looks
        begun.await;
        assert_eq!(Instant::now(), at(13));
    });
}

#[test]
fn asking_for_a_deadline_settles_it() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let mut asleep = sleep(ms(10));
        assert_eq!(asleep.deadline(), at(10), "unpolled: from now");
        assert!(poll_once(&mut asleep).is_pending());
        clock.advance(ms(3));
        assert_eq!(asleep.deadline(), at(13));
        clock.advance(ms(3));
        assert_eq!(asleep.deadline(), at(13));
        (&mut asleep).await;
        assert_eq!(Instant::now(), at(13));
        assert!(asleep.is_elapsed());
        sleep(ms(100)).await;
        assert_eq!(asleep.deadline(), at(13), "afterwards too");
    });
}

#[test]
fn the_deadline_of_a_fired_but_unpolled_sleep_is_what_it_was() {
    let _dog = watchdog();
    test_run(async {
        let mut asleep = sleep(ms(10));
        assert!(poll_once(&mut asleep).is_pending());
        sleep(ms(100)).await;
        assert_eq!(asleep.deadline(), at(10));
        assert!(!asleep.is_elapsed());
        asleep.await;
    });
}

#[test]
fn a_sleep_can_be_reset_by_its_own_deadline_again_and_again() {
    let _dog = watchdog();
    test_run(async {
        let mut asleep = sleep(ms(10));
        for round in 1..=5 {
            (&mut asleep).await;
            assert_eq!(Instant::now(), at(10 * round));
            let next = asleep.deadline() + ms(10);
            asleep.reset(next);
            assert!(!asleep.is_elapsed());
        }
    });
}

#[test]
fn a_reset_moves_the_deadline_either_way() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        for (first, polled, then) in [(20, true, 10), (20, true, 30), (20, false, 10), (20, false, 30)] {
            let base = Instant::now();
            let mut asleep = sleep(ms(first));
            if polled {
                assert!(poll_once(&mut asleep).is_pending());
            }
            asleep.reset(base + ms(then));
            assert_eq!(asleep.deadline(), base + ms(then));
            (&mut asleep).await;
            assert_eq!(base.elapsed(), ms(then), "from {first} to {then}, polled {polled}");
        }
        // After its expiry, polled or not, and to a time that has passed.
        let mut asleep = sleep(ms(10));
        (&mut asleep).await;
        let base = Instant::now();
        asleep.reset(base + ms(5));
        (&mut asleep).await;
        assert_eq!(base.elapsed(), ms(5));
        asleep.reset(base + ms(50));
        assert!(poll_once(&mut asleep).is_pending());
        sleep(ms(100)).await; // it has fired
        asleep.reset(base + ms(200));
        (&mut asleep).await;
        assert_eq!(base.elapsed(), ms(200));
        asleep.reset(base);
        assert!(poll_once(&mut asleep).is_pending(), "a deadline that has passed yields once");
        assert!(poll_once(&mut asleep).is_ready());
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_sleep_that_is_reset_to_never_stays_silent() {
    let _dog = watchdog();
    test_run(async {
        let mut asleep = sleep(ms(10));
        assert!(poll_once(&mut asleep).is_pending());
        asleep.reset(Instant::NEVER);
        assert!(timeout(DAY, &mut asleep).await.is_err());
        asleep.reset(Instant::now() + ms(1));
        asleep.await;
    });
}

#[test]
fn whoever_waits_goes_on_waiting_when_somebody_else_resets_the_sleep() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    for (first, then) in [(10, 5), (10, 20), (u64::MAX, 5)] {
        runtime.block_on(async {
            let base = Instant::now();
            let shared = Rc::new(RefCell::new(sleep(ms(first))));
            let waits = Rc::clone(&shared);
            let task = spawn(std::future::poll_fn(move |cx| Pin::new(&mut *waits.borrow_mut()).poll(cx)));
            yield_now().await;
            yield_now().await;
            shared.borrow_mut().reset(base + ms(then));
            task.await.unwrap();
            assert_eq!(base.elapsed(), ms(then), "from {first} to {then}");
        });
    }
}

#[test]
fn a_reset_gives_a_new_place_among_equal_deadlines() {
    let _dog = watchdog();
    test_run(async {
        let log = Log::new();
        let sleeps: Vec<_> = (0..3).map(|_| Rc::new(RefCell::new(sleep_until(at(10))))).collect();
        let tasks: Vec<_> = sleeps
            .iter()
            .enumerate()
            .map(|(number, asleep)| {
                let (asleep, log) = (Rc::clone(asleep), log.clone());
                spawn(async move {
                    std::future::poll_fn(move |cx| Pin::new(&mut *asleep.borrow_mut()).poll(cx)).await;
                    log.note(number);
                })
            })
            .collect();
        yield_now().await;
        sleeps[0].borrow_mut().reset(at(10));
        join_all(tasks).await;
        assert_eq!(log.take(), ["1", "2", "0"]);
    });
}

#[test]
fn dropping_a_timer_removes_exactly_that_one() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let mut sleeps: Vec<_> = (0..20).map(|number| sleep(ms(1 + number))).collect();
        for asleep in &mut sleeps {
            assert!(poll_once(asleep).is_pending());
        }
        assert_eq!(runtime.metrics().timers, 20);
        drop(sleeps.split_off(15)); // while they are staged
        assert_eq!(runtime.metrics().timers, 15);
        yield_now().await;
        yield_now().await;
        sleeps.drain(..5); // on the heap
        assert_eq!(runtime.metrics().timers, 10);
        sleep(ms(10)).await; // those of 6 to 10 ms have fired
        assert_eq!(runtime.metrics().timers, 5);
        drop(sleeps);
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn a_sleep_polled_after_it_ended_panics_with_its_name_and_line() {
    let _dog = watchdog();
    test_run(async {
        let line = line!() + 1;
        let mut asleep = sleep(Duration::ZERO);
        assert_eq!(asleep.made_at().line(), line);
        (&mut asleep).await;
        let text = panic_of(|| assert!(poll_once(&mut asleep).is_ready()));
        assert!(text.contains("`Sleep` polled after") && text.contains(&format!("sleep.rs:{line}")), "{text}");
    });
}

#[test]
fn a_sleep_outside_a_runtime_panics_with_the_remedy() {
    let _dog = watchdog();
    let text = panic_of(|| assert!(poll_once(&mut sleep(ms(1))).is_ready()));
    assert!(text.contains("`handcar::run`"), "{text}");
    drop(sleep(ms(1))); // unpolled it needs none
}

#[test]
fn a_yield_polled_after_it_ended_panics_with_its_name() {
    let _dog = watchdog();
    let mut once = yield_now();
    assert!(poll_once(&mut once).is_pending());
    assert!(poll_once(&mut once).is_ready());
    assert!(panic_of(|| assert!(poll_once(&mut once).is_ready())).contains("`YieldNow` polled after"));
}

#[test]
fn a_waker_that_panics_when_cloned_costs_no_other_timer() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let bad = calling(|call| assert_ne!(call, Call::Clone, "in clone"));
    runtime.block_on(async {
        let other = spawn(sleep(ms(20)));
        yield_now().await;
        yield_now().await;
        let mut asleep = sleep(ms(10));
        let text = panic_of(|| assert!(bad.poll(&mut asleep).is_pending()));
        assert!(text.contains("in clone"), "{text}");
        drop(asleep);
        let mut asleep = sleep(ms(10));
        assert!(poll_once(&mut asleep).is_pending());
        panic_of(|| assert!(bad.poll(&mut asleep).is_pending()));
        (&mut asleep).await;
        assert_eq!(Instant::now(), at(10), "it still works");
        other.await.unwrap();
        assert_eq!(Instant::now(), at(20));
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_waker_that_panics_when_woken_is_reported_and_the_other_timers_fire() {
    let _dog = watchdog();
    let reports = common::Reports::new();
    let runtime = reports.builder().build().unwrap();
    let bad = calling(|call| assert_ne!(call, Call::Wake, "in wake"));
    runtime.block_on(async {
        let others = [spawn(sleep(ms(10))), spawn(sleep(ms(10)))];
        let mut asleep = sleep(ms(10));
        assert!(bad.poll(&mut asleep).is_pending());
        for other in others {
            other.await.unwrap();
        }
        assert!(bad.poll(&mut asleep).is_ready());
    });
    let heard = reports.take();
    assert!(heard.len() == 1 && heard[0].contains("in wake"), "{heard:?}");
}

#[test]
fn a_waker_that_panics_when_dropped_costs_no_other_timer() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().clock(Clock::simulated()).build().unwrap();
    let bad = calling(|call| assert_ne!(call, Call::Drop, "in drop"));
    runtime.block_on(async {
        let other = spawn(sleep(ms(20)));
        let mut replaced = sleep(ms(10));
        assert!(bad.poll(&mut replaced).is_pending());
        let text = panic_of(|| assert!(poll_once(&mut replaced).is_pending()));
        assert!(text.contains("in drop"), "{text}");
        (&mut replaced).await;
        let mut dropped = sleep(ms(5));
        assert!(bad.poll(&mut dropped).is_pending());
        drop(dropped);
        assert!(reports.take().concat().contains("in drop"));
        other.await.unwrap();
        assert_eq!(Instant::now(), at(20));
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_timer_that_fires_inside_its_wakers_clone_is_not_lost() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let runtime = Rc::new(runtime);
    let fired = Rc::new(Cell::new(false));
    let first = calling(|_| {});
    let (in_hook, woken) = (Rc::clone(&runtime), Rc::clone(&fired));
    let in_clone = clock.clone();
    let second = calling(move |call| match call {
        Call::Clone => {
            in_clone.advance(ms(20));
            let _ = in_hook.turn().unwrap();
        }
        Call::Wake | Call::WakeByRef => woken.set(true),
        Call::Drop => {}
    });
    let mut asleep = sleep(ms(10));
    let _ = runtime.enter(|| {
        assert!(first.poll(&mut asleep).is_pending());
        let _ = runtime.turn().unwrap();
        let ready = second.poll(&mut asleep).is_ready();
        assert!(ready || fired.get(), "ready, or woken to look again");
        ready
    });
}

#[test]
fn ten_thousand_timers_fire_in_order() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let order = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let mut random = 1_u64;
        let tasks: Vec<_> = (0..10_000_u64)
            .map(|number| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (deadline, order) = (random >> 52, Rc::clone(&order));
                spawn(async move {
                    sleep(Duration::from_nanos(1 + deadline)).await;
                    order.borrow_mut().push((deadline, number));
                })
            })
            .collect();
        join_all(tasks).await;
    });
    let order = order.take();
    assert_eq!(order.len(), 10_000);
    assert!(order.is_sorted());
}

#[test]
fn the_deadline_of_a_sleep_that_fired_late_is_what_it_was() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let mut asleep = sleep(ms(10));
        assert!(poll_once(&mut asleep).is_pending());
        assert_eq!(asleep.deadline(), at(10));
        clock.advance(ms(500));
        (&mut asleep).await;
        assert_eq!((asleep.deadline(), Instant::now()), (at(10), at(500)));
    });
}
