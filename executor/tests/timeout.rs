//! Timeouts: who wins, and what is left.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use handcar_executor::{Elapsed, Instant, sleep, spawn, timeout, timeout_at, yield_now};

mod common;
use common::{Call, Drops, Reports, calling, panic_of, poll_once, simulated, test_run, watchdog};

const DAY: Duration = Duration::from_secs(86_400);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms_since_start: u64) -> Instant {
    Instant::START + ms(ms_since_start)
}

#[test]
fn a_timeout_polls_its_body_first() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert_eq!(timeout_at(Instant::START, async { 7 }).await, Ok(7));
        clock.advance(ms(10));
        assert_eq!(timeout_at(at(5), async { 7 }).await, Ok(7));
        assert_eq!(timeout(Duration::ZERO, yield_now()).await, Err(Elapsed), "what suspends has lost");
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_timeout_expires_exactly_then_and_a_body_as_fast_wins() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        assert_eq!(timeout(ms(10), sleep(ms(20))).await, Err(Elapsed));
        assert_eq!(Instant::now(), at(10));
        assert_eq!(
            timeout(ms(10), sleep(ms(10))).await,
            Ok(()),
            "both have fired when it is polled: the body is first"
        );
        assert_eq!(timeout_at(at(50), sleep(ms(10))).await, Ok(()));
        assert_eq!(timeout_at(at(50), sleep(ms(100))).await, Err(Elapsed));
        assert_eq!(Instant::now(), at(50));
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_timeout_that_is_done_holds_no_timer_even_before_it_is_dropped() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let mut done = Box::pin(timeout(DAY, sleep(ms(1))));
        (&mut done).await.unwrap();
        assert_eq!(runtime.metrics().timers, 0);
        drop(done);
        let mut expired = Box::pin(timeout(ms(1), sleep(DAY)));
        (&mut expired).await.unwrap_err();
        assert_eq!(runtime.metrics().timers, 1, "the body's own, until it is dropped");
    });
    assert_eq!(runtime.metrics().timers, 0);
}

#[test]
fn a_timeout_polled_after_it_ended_panics_with_its_name() {
    let _dog = watchdog();
    test_run(async {
        let mut expired = Box::pin(timeout(ms(1), pending::<()>()));
        assert!((&mut expired).await.is_err());
        assert!(panic_of(|| assert!(poll_once(&mut expired).is_ready())).contains("`Timeout` polled after"));
        let mut done = Box::pin(timeout(ms(1), async {}));
        assert!((&mut done).await.is_ok());
        assert!(panic_of(|| assert!(poll_once(&mut done).is_ready())).contains("`Timeout` polled after"));
    });
}

#[test]
fn a_timeout_drops_its_body_with_itself_and_no_sooner() {
    let _dog = watchdog();
    test_run(async {
        let drops = Drops::new();
        let token = drops.token();
        let mut expired = Box::pin(timeout(ms(1), async move {
            let _token = token;
            pending::<()>().await;
        }));
        assert!((&mut expired).await.is_err());
        assert_eq!(drops.count(), 0);
        drop(expired);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_panic_in_a_timeouts_body_leaves_no_timer() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let task = spawn(timeout(DAY, async {
            yield_now().await;
            panic!("in the body");
        }));
        assert!(task.await.map(|_: Result<(), _>| ()).unwrap_err().is_panic());
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn elapsed_fits_into_io_errors() {
    let _dog = watchdog();
    let error = std::io::Error::from(Elapsed);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the time was up");
}

#[test]
fn a_spent_budget_costs_no_timeout_its_ready_body() {
    let _dog = watchdog();
    let runtime = handcar_executor::Builder::new().clock(handcar_executor::Clock::simulated()).poll_budget(1).build();
    runtime.unwrap().block_on(async {
        let tasks: Vec<_> = (0..5).map(|number| spawn(async move { number })).collect();
        yield_now().await;
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(timeout(Duration::ZERO, task).await.expect("it was ready").unwrap(), number);
        }
    });
}

#[test]
fn a_value_is_not_lost_to_a_waker_that_panics_as_it_is_dropped() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let armed = Rc::new(Cell::new(false));
        let to_panic = Rc::clone(&armed);
        let waker = calling(move |call| assert!(!(call == Call::Drop && to_panic.take()), "spite"));
        let come = Cell::new(false);
        let mut future =
            Box::pin(timeout(Duration::MAX, poll_fn(|_| if come.get() { Poll::Ready(7) } else { Poll::Pending })));
        assert!(waker.poll(&mut future).is_pending());
        armed.set(true);
        come.set(true);
        let polled = catch_unwind(AssertUnwindSafe(|| waker.poll(&mut future)));
        assert!(matches!(polled, Ok(Poll::Ready(Ok(7)))));
    });
    assert_eq!(reports.take().len(), 1);
}
