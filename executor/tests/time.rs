//! Time itself: the age of the clock changes nothing, and at the end everything saturates.

use std::future::pending;
use std::time::Duration;

use handcar_executor::{Instant, MissedTickBehavior, interval, run, sleep, sleep_until, timeout, yield_now};

mod common;
use common::{Log, poll_once, simulated, watchdog};

const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms_since_start: u64) -> Instant {
    Instant::START + ms(ms_since_start)
}

/// A program with some of everything; what it does must not depend on how old the clock is.
fn story(age: Duration) -> Vec<String> {
    let (runtime, clock) = simulated();
    clock.advance(age);
    let log = Log::new();
    runtime.block_on(async {
        let base = Instant::now();
        let tell = |what: &str| log.note(format!("{what} at {:?}", base.elapsed()));
        let tell = &tell;
        let early = async {
            sleep(ms(5)).await;
            tell("early");
            sleep(Duration::from_secs(3600)).await;
            tell("an hour");
            assert!(timeout(DAY, pending::<()>()).await.is_err());
            tell("a day");
        };
        let ticking = async {
            let mut ticker = interval(Duration::from_secs(1000));
            ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
            for _ in 0..4 {
                let due = ticker.tick().await;
                tell(&format!("tick {:?}", due - base));
            }
            clock.advance(Duration::from_secs(1500));
            let due = ticker.tick().await;
            tell(&format!("late tick {:?}", due - base));
            let due = ticker.tick().await;
            tell(&format!("next tick {:?}", due - base));
        };
        let absolute = async {
            sleep_until(base + ms(5)).await;
            tell("absolute");
            let mut moved = sleep_until(base + DAY);
            assert!(poll_once(&mut moved).is_pending());
            moved.reset(base + Duration::from_secs(2));
            moved.await;
            tell("moved");
        };
        futures::join!(early, ticking, absolute);
        assert!(poll_once(&mut sleep(Duration::MAX)).is_pending());
    });
    log.take()
}

#[test]
fn the_age_of_the_clock_changes_nothing() {
    let _dog = watchdog();
    let young = story(Duration::ZERO);
    assert_eq!(young.len(), 11, "{young:#?}");
    for days in [13, 50, 3 * 365 + 1, 500 * 365] {
        assert_eq!(story(DAY * days), young, "after {days} days");
    }
    // Around the widths of counters of milliseconds and microseconds.
    for nanos in [(1_u64 << 32) * 1_000_000 - 3_000_000, (1 << 42) - 1, (1 << 53) - 1, (1 << 63) - 3_000_000] {
        assert_eq!(story(Duration::from_nanos(nanos)), young, "after {nanos} ns");
    }
}

#[test]
fn at_the_end_of_time_everything_saturates() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    clock.advance(Duration::from_nanos(u64::MAX - 1_000));
    runtime.block_on(async {
        sleep(Duration::from_nanos(10)).await;
        assert_eq!(clock.now().since_start(), Duration::from_nanos(u64::MAX - 990));
        assert_eq!(Instant::now() + Duration::from_secs(1), Instant::NEVER);
        assert_eq!(Instant::START - DAY, Instant::START);
        assert_eq!(Instant::START - Instant::NEVER, Duration::ZERO);
        let mut late = sleep(Duration::from_secs(1));
        assert!(poll_once(&mut late).is_pending());
        yield_now().await;
        yield_now().await;
        assert_eq!(late.deadline(), Instant::NEVER);
    });
}

#[test]
fn instants_convert_to_the_systems_and_back() {
    let _dog = watchdog();
    run(async {
        let now = Instant::now();
        assert_eq!(Instant::from_std(now.into_std()), now);
        assert!(now.into_std() <= std::time::Instant::now());
        assert!(Instant::NEVER.into_std() > std::time::Instant::now() + DAY * 365 * 60);
        assert_eq!(format!("{:?} {:?}", Instant::NEVER, at(1)), "never start + 1ms");
        let mut time = at(1);
        time += ms(2);
        assert_eq!((time, time.duration_since(at(5)), time - at(1)), (at(3), Duration::ZERO, ms(2)));
    });
}
