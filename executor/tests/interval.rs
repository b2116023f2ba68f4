//! Intervals: ticks, and tokio's tables of missed ones.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use handcar_executor::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep, spawn, timeout};

mod common;
use common::{panic_of, poll_once, simulated, test_run, watchdog};

const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms_since_start: u64) -> Instant {
    Instant::START + ms(ms_since_start)
}

/// Ticks after being busy for each of `busy` milliseconds, and says when each tick came and when it was due.
fn ticks(behavior: MissedTickBehavior, period: u64, busy: &[u64]) -> Vec<(u64, u64)> {
    let (runtime, clock) = simulated();
    let nanos = |instant: Instant| u64::try_from(instant.since_start().as_millis()).unwrap();
    runtime.block_on(async {
        let mut ticker = interval(ms(period));
        ticker.set_missed_tick_behavior(behavior);
        assert_eq!((ticker.period(), ticker.missed_tick_behavior()), (ms(period), behavior));
        let mut seen = Vec::new();
        for &busy in busy {
            clock.advance(ms(busy));
            let due = ticker.tick().await;
            seen.push((nanos(clock.now()), nanos(due)));
        }
        seen
    })
}

#[test]
fn burst_catches_up() {
    let _dog = watchdog();
    let seen = ticks(MissedTickBehavior::Burst, 50, &[0, 200, 0, 0, 0, 0, 20]);
    assert_eq!(seen, [(0, 0), (200, 50), (200, 100), (200, 150), (200, 200), (250, 250), (300, 300)]);
    assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
}

#[test]
fn delay_starts_anew() {
    let _dog = watchdog();
    let seen = ticks(MissedTickBehavior::Delay, 50, &[0, 200, 0, 20, 0]);
    assert_eq!(seen, [(0, 0), (200, 50), (250, 250), (300, 300), (350, 350)]);
}

#[test]
fn skip_keeps_to_the_multiples() {
    let _dog = watchdog();
    let seen = ticks(MissedTickBehavior::Skip, 50, &[0, 75, 0, 0, 126, 0]);
    assert_eq!(seen, [(0, 0), (75, 50), (100, 100), (150, 150), (276, 200), (300, 300)]);
    let on_a_multiple = ticks(MissedTickBehavior::Skip, 50, &[0, 200, 0]);
    assert_eq!(on_a_multiple, [(0, 0), (200, 50), (250, 250)]);
}

#[test]
fn ordinary_lateness_of_up_to_five_milliseconds_is_no_miss() {
    let _dog = watchdog();
    for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
        assert_eq!(ticks(behavior, 50, &[0, 55, 0]), [(0, 0), (55, 50), (100, 100)], "{behavior:?}");
    }
    assert_eq!(ticks(MissedTickBehavior::Delay, 50, &[0, 56, 0]), [(0, 0), (56, 50), (106, 106)]);
}

#[test]
fn a_tick_that_is_dropped_is_not_lost() {
    let _dog = watchdog();
    test_run(async {
        let mut ticker = interval_at(at(10), ms(10));
        drop(ticker.tick());
        {
            let mut tick = ticker.tick();
            assert!(poll_once(&mut tick).is_pending());
        }
        assert!(timeout(ms(5), ticker.tick()).await.is_err());
        assert_eq!(ticker.tick().await, at(10));
        {
            let mut tick = ticker.tick();
            assert!(poll_once(&mut tick).is_pending());
            sleep(ms(15)).await; // it was woken
        }
        assert_eq!(ticker.tick().await, at(20));
        assert_eq!(Instant::now(), at(25));
        assert_eq!(ticker.tick().await, at(30));
    });
}

#[test]
fn an_interval_may_be_reset_and_start_late() {
    let _dog = watchdog();
    test_run(async {
        let mut ticker = interval_at(at(100), ms(10));
        assert_eq!(ticker.tick().await, at(100));
        sleep(ms(7)).await;
        ticker.reset();
        assert_eq!(ticker.tick().await, at(117));
        let mut never = interval_at(Instant::NEVER, ms(10));
        assert!(timeout(DAY, never.tick()).await.is_err());
        let mut once = interval(Duration::MAX);
        once.tick().await;
        assert!(timeout(DAY, once.tick()).await.is_err());
    });
}

#[test]
fn an_interval_of_zero_is_refused() {
    let _dog = watchdog();
    test_run(async {
        assert!(panic_of(|| drop(interval(Duration::ZERO))).contains("above zero"));
    });
}

#[test]
fn a_dropped_interval_leaves_no_timer() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let mut ticker: Interval = interval_at(at(10), ms(10));
        assert!(poll_once(&mut ticker.tick()).is_pending());
        assert_eq!(runtime.metrics().timers, 1);
        drop(ticker);
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn who_waits_for_a_tick_goes_on_waiting_when_another_resets_the_interval() {
    let _dog = watchdog();
    test_run(async {
        let ticker = Rc::new(RefCell::new(interval_at(at(100), ms(100))));
        let shared = Rc::clone(&ticker);
        let waiting = spawn(poll_fn(move |cx| shared.borrow_mut().poll_tick(cx)));
        sleep(ms(50)).await;
        ticker.borrow_mut().reset();
        assert_eq!(waiting.await.unwrap(), at(150));
        assert_eq!(Instant::now(), at(150));
    });
}
