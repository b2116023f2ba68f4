//! Timers that are armed on one runtime and polled, reset or dropped on another.

use std::time::Duration;

use handcar_executor::{Instant, RunError, sleep, sleep_until};

mod common;
use common::{poll_once, simulated, watchdog};

const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms_since_start: u64) -> Instant {
    Instant::START + ms(ms_since_start)
}

#[test]
fn a_sleep_moved_to_another_runtime_waits_for_what_is_left() {
    let _dog = watchdog();
    for relative in [true, false] {
        let (a, a_clock) = simulated();
        let (b, b_clock) = simulated();
        a_clock.advance(DAY);
        let mut asleep = if relative { sleep(ms(100)) } else { sleep_until(a_clock.now() + ms(100)) };
        a.block_on(async {
            assert!(poll_once(&mut asleep).is_pending());
            sleep(ms(40)).await;
        });
        assert_eq!(a.metrics().timers, 1);
        b.block_on(async {
            assert!(poll_once(&mut asleep).is_pending());
            assert_eq!(a.metrics().timers, 0, "it has moved");
            (&mut asleep).await;
        });
        assert_eq!(b_clock.now(), at(60), "relative: {relative}");
    }
}

#[test]
fn a_staged_sleep_may_move_before_it_has_a_deadline() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, b_clock) = simulated();
    let mut asleep = sleep(ms(100));
    a.enter(|| assert!(poll_once(&mut asleep).is_pending()));
    b.block_on(&mut asleep);
    assert_eq!(b_clock.now(), at(100));
    assert_eq!(a.metrics().timers, 0);
}

#[test]
fn a_sleep_without_end_stays_so_when_it_moves() {
    let _dog = watchdog();
    for mut asleep in [sleep(Duration::MAX), sleep_until(Instant::NEVER)] {
        let (a, a_clock) = simulated();
        let (b, _) = simulated();
        a_clock.advance(DAY);
        a.block_on(async {
            sleep(ms(1)).await;
            assert!(poll_once(&mut asleep).is_pending());
        });
        assert!(matches!(b.try_block_on(&mut asleep), Err(RunError::Deadlock(_))));
    }
}

#[test]
fn a_sleep_outlives_its_runtime_and_goes_on_in_another() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let mut kept = sleep(ms(100));
    let mut dropped = sleep(ms(100));
    a.block_on(async {
        assert!(poll_once(&mut kept).is_pending());
        assert!(poll_once(&mut dropped).is_pending());
        sleep(ms(40)).await;
    });
    drop(a);
    drop(dropped);
    let (b, b_clock) = simulated();
    b.block_on(&mut kept);
    assert_eq!(b_clock.now(), at(60));
}

#[test]
fn a_sleep_that_is_reset_on_another_runtime_obeys_that_ones_clock() {
    let _dog = watchdog();
    let (a, a_clock) = simulated();
    let (b, b_clock) = simulated();
    a_clock.advance(DAY);
    let mut asleep = sleep(ms(100));
    a.block_on(async {
        assert!(poll_once(&mut asleep).is_pending());
        sleep(ms(40)).await;
    });
    b.block_on(async {
        asleep.reset(Instant::now() + ms(10));
        (&mut asleep).await;
        assert_eq!(b_clock.now(), at(10));
    });
    assert_eq!(a.metrics().timers, 0);
}

#[test]
fn asking_for_a_deadline_on_another_runtime_disturbs_no_timer() {
    let _dog = watchdog();
    let (a, a_clock) = simulated();
    let (b, _) = simulated();
    a_clock.advance(DAY);
    let mut one = sleep(ms(100));
    let mut two = sleep(ms(50));
    a.enter(|| {
        assert!(poll_once(&mut one).is_pending());
        assert!(poll_once(&mut two).is_pending());
    });
    b.enter(|| assert_eq!(one.deadline(), Instant::START + DAY + ms(100), "by its own clock"));
    a.block_on(async {
        two.await;
        assert_eq!(Instant::now(), Instant::START + DAY + ms(50));
        one.await;
        assert_eq!(Instant::now(), Instant::START + DAY + ms(100));
    });
}
