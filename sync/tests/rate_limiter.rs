//! The rate limiter, on a simulated clock.

mod common;

use std::time::Duration;

use common::panic_message;
use futures::FutureExt;
use handcar_executor::{Builder, Clock, Instant, sleep};
use handcar_sync::RateLimiter;

const SECOND: Duration = Duration::from_secs(1);

fn simulate<F: Future>(future: F) -> F::Output {
    Builder::new().clock(Clock::simulated()).build().unwrap().block_on(future)
}

#[test]
fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
    simulate(async {
        let limiter = RateLimiter::new(4, SECOND, 2);
        let mut times = vec![];
        for _ in 0..5 {
            limiter.acquire().await;
            times.push(Instant::now().since_start().as_millis());
        }
        assert_eq!(times, [0, 0, 250, 500, 750]);
        // A rest refills the burst, and no more than that.
        sleep(SECOND * 100).await;
        assert!(limiter.try_acquire() && limiter.try_acquire() && !limiter.try_acquire());
    });
}

#[test]
fn waiters_go_in_order_and_one_that_gives_up_uses_nothing() {
    simulate(async {
        let limiter = RateLimiter::new(1, SECOND, 1);
        limiter.acquire().await;
        let order = std::cell::RefCell::new(vec![]);
        let enter = |who: u32| {
            let (limiter, order) = (&limiter, &order);
            async move {
                limiter.acquire().await;
                order.borrow_mut().push((who, Instant::now().since_start().as_secs()));
            }
        };
        // The first in line sleeps already when it gives up.
        let mut gives_up = Box::pin(enter(1));
        assert!(gives_up.as_mut().now_or_never().is_none());
        let (mut second, mut third) = (Box::pin(enter(2)), Box::pin(enter(3)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        assert!(!limiter.try_acquire());
        drop(gives_up);
        futures::join!(third, second);
        assert_eq!(order.into_inner(), [(2, 1), (3, 2)]);
    });
}

#[test]
fn a_rate_that_does_not_divide_is_never_exceeded() {
    simulate(async {
        let limiter = RateLimiter::new(3, Duration::from_nanos(10), 1);
        for _ in 0..4 {
            limiter.acquire().await;
        }
        assert_eq!(Instant::now().since_start(), Duration::from_nanos(12));
        let never = RateLimiter::new(1, Duration::MAX, 1);
        never.acquire().await;
        assert!(never.acquire().now_or_never().is_none());
    });
}

#[test]
fn a_burst_of_more_than_the_clock_can_count_has_an_end_too() {
    simulate(async {
        let century = SECOND * 86_400 * 36_525;
        for per in [century, Duration::MAX] {
            let limiter = RateLimiter::new(1, per, 10);
            assert_eq!((0..20).filter(|_| limiter.try_acquire()).count(), 10);
            assert!(limiter.acquire().now_or_never().is_none());
        }
    });
}

#[test]
fn a_runtime_does_not_wait_for_the_clock_of_an_earlier_one() {
    let limiter = RateLimiter::new(1, SECOND, 2);
    simulate(async {
        sleep(SECOND * 3600).await;
        limiter.acquire().await;
    });
    simulate(async {
        limiter.acquire().await;
        assert!(Instant::now().since_start() <= SECOND);
    });
}

#[test]
fn misuse_panics_with_the_remedy() {
    assert!(panic_message(|| RateLimiter::new(0, SECOND, 1)).contains("`Event`"));
    assert!(panic_message(|| RateLimiter::new(1, SECOND, 0)).contains("give it 1"));
    assert!(panic_message(|| RateLimiter::new(1, SECOND, 1).try_acquire()).contains("runtime"));
}

#[test]
fn a_call_outside_a_runtime_holds_up_nobody() {
    let limiter = RateLimiter::new(1, Duration::from_secs(1), 1);
    panic_message(|| common::now(limiter.acquire()));
    panic_message(|| limiter.try_acquire());
    simulate(limiter.acquire());
}
