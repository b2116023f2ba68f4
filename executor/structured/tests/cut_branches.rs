//! Combinators whose branches were ended from outside, or that are polled after their end: they say so, and wait for nothing.

mod common;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use common::{panic_of, simulated, watchdog};
use futures::Stream;
use handcar_structured::{as_completed, gather, gather_results, race, shield, sleep, timeout, try_gather};

/// Polls a combinator by reference, beside a shield, in a scope that is cancelled meanwhile; then awaits it outside.
async fn cut_and_awaited<F: Future>(combinator: F) {
    let mut combinator = pin!(combinator);
    let seconds = |n| Duration::from_secs(n);
    let beside = async { futures::join!(combinator.as_mut(), shield(sleep(seconds(2)))).1 };
    let _ = timeout(seconds(1), beside).await;
    let _ = timeout(seconds(20), combinator).await;
}

async fn nap() -> Result<(), ()> {
    sleep(Duration::from_secs(5)).await;
    Ok(())
}

#[test]
fn a_combinator_whose_branches_a_foreign_scope_has_ended_says_so_and_does_not_wait_for_ever() {
    let _watchdog = watchdog();
    let said = [
        panic_of(|| simulated().block_on(cut_and_awaited(gather([nap(), nap()])))),
        panic_of(|| simulated().block_on(cut_and_awaited(try_gather([nap(), nap()])))),
        panic_of(|| simulated().block_on(cut_and_awaited(gather_results([nap(), nap()])))),
        panic_of(|| simulated().block_on(cut_and_awaited(race([nap(), nap()])))),
        panic_of(|| simulated().block_on(cut_and_awaited(race((nap(), nap()))))),
        panic_of(|| simulated().block_on(cut_and_awaited(gather!(nap(), nap())))),
        panic_of(|| simulated().block_on(cut_and_awaited(try_gather!(nap(), nap())))),
        panic_of(|| {
            simulated().block_on(async {
                let mut values = pin!(as_completed([nap(), nap()]));
                cut_and_awaited(poll_fn(|cx| values.as_mut().poll_next(cx))).await;
            });
        }),
    ];
    for said in said {
        assert!(said.contains("give that scope the combinator itself"), "{said}");
    }
}

#[test]
fn a_combinator_that_is_polled_after_its_end_panics_with_its_name() {
    let _watchdog = watchdog();
    let again = panic_of(|| {
        simulated().block_on(async {
            let mut all = gather([1, 2].map(std::future::ready));
            assert_eq!((&mut all).await, [1, 2]);
            (&mut all).await
        })
    });
    assert!(again.starts_with("`Gather` has no value: it was polled after it had ended"), "{again}");
}
