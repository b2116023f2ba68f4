//! A panic of a waker, a destructor or a `Display`, in the middle of something: what was on its way arrives, or is dropped.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::{FutureExt, Stream, StreamExt};
use handcar_structured::{
    BracketError, CancelScope, DeferGuard, GroupError, Instant, StartError, Started, Yielder, bracket, context_var,
    defer, gather, race, spawn, task_group, timeout, try_generate, yield_now,
};

mod common;
use common::{Call, OnDrop, Reports, calling, for_ever, run_with_a_panic_of_a_waker, s, secs, test_run, watchdog};

/// A waker that panics once, when that is done to it after it was armed.
fn panicking(when: Call) -> (common::CallingWaker, Rc<Cell<bool>>) {
    let armed = Rc::new(Cell::new(false));
    let to_panic = Rc::clone(&armed);
    (calling(move |call| assert!(!(call == when && to_panic.take()), "spite")), armed)
}

#[test]
fn a_waker_that_panics_as_it_is_dropped_takes_no_cleanup_along() {
    run_with_a_panic_of_a_waker(async {
        let (waker, armed) = panicking(Call::Drop);
        let ran = Rc::new(Cell::new(false));
        let to_run = Rc::clone(&ran);
        let mut future = Box::pin(CancelScope::new().run(async move {
            let _guard = defer(async move {
                three_polls().await;
                to_run.set(true);
            });
        }));
        for _ in 0..2 {
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
        }
        armed.set(true);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        armed.set(false);
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(ran.get(), "the cleanup was lost");
        assert!(dropped.is_ok());
    });
}

/// Ready when it is polled for the third time.
async fn three_polls() {
    let mut polls = 0;
    poll_fn(|_| {
        polls += 1;
        if polls > 2 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn a_deadline_that_is_taken_away_while_the_waker_is_cloned_stays_away() {
    test_run(async {
        let scope = CancelScope::with_deadline(Instant::now() + s(1));
        let to_free = scope.clone();
        let clones = Rc::new(Cell::new(0));
        let counted = Rc::clone(&clones);
        let waker = calling(move |call| {
            if call == Call::Clone {
                counted.set(counted.get() + 1);
                if counted.get() == 2 {
                    to_free.set_deadline(None); // the first one is kept for a cancel, the second for the deadline
                }
            }
        });
        let mut future = Box::pin(scope.run(secs(2)));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
        assert!(clones.get() > 1);
        assert_eq!(scope.deadline(), Instant::NEVER);
        assert!(future.await.is_ok());
    });
}

#[test]
fn a_deadline_is_heard_though_the_waker_of_the_one_before_panics_as_it_is_dropped() {
    run_with_a_panic_of_a_waker(async {
        let (waker, armed) = panicking(Call::Drop);
        let scope = CancelScope::with_deadline(Instant::now() + s(1000));
        let mut future = Box::pin(scope.run(for_ever()));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
        armed.set(true);
        let moved = catch_unwind(AssertUnwindSafe(|| scope.set_deadline(Some(Instant::now()))));
        assert!(moved.is_ok());
        armed.set(false);
        assert!(future.await.is_err());
    });
}

#[test]
fn an_error_of_a_child_that_was_to_start_is_not_lost_to_a_waker_that_panics() {
    test_run(async {
        let result: Result<(), GroupError<String>> = task_group(async |g| {
            let (waker, armed) = panicking(Call::Clone);
            let mut start = pin!(g.start(|_started: Started<u8, String>| async {
                let _guard = defer(async { yield_now().await });
                Err("no route".to_owned())
            }));
            assert!(start.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
            yield_now().await;
            let (other, _) = panicking(Call::Clone);
            armed.set(true);
            let _ = other;
            let again = calling({
                let armed = Rc::new(Cell::new(true));
                move |call| assert!(!(call == Call::Clone && armed.take()), "spite")
            });
            let poll = || start.as_mut().poll(&mut Context::from_waker(&again.waker)).is_pending();
            assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
            assert!(matches!(start.await, Err(StartError::Failed(error)) if error == "no route"));
            Ok(())
        })
        .await;
        assert!(result.is_ok());
    });
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("spite");
    }
}

#[test]
fn a_start_that_is_given_up_cancels_its_child_though_the_value_panics_as_it_is_dropped() {
    test_run(async {
        let result: Result<(), GroupError<String>> = task_group(async |g| {
            let mut start = Box::pin(g.start(|started: Started<PanicsWhenDropped, String>| async move {
                started.ready(PanicsWhenDropped);
                for_ever().await;
                Ok(())
            }));
            assert!(futures::poll!(&mut start).is_pending());
            yield_now().await;
            assert!(catch_unwind(AssertUnwindSafe(|| drop(start))).is_err());
            Ok(())
        })
        .await;
        assert!(result.is_ok());
    });
}

#[test]
fn a_value_that_panics_as_it_is_dropped_takes_no_error_of_its_group_along() {
    let _dog = watchdog();
    let reports = Reports::default();
    let result = reports.builder().build().unwrap().block_on(async {
        let group = task_group(async |g| {
            g.spawn(async { Err::<(), _>("no route") });
            Ok(PanicsWhenDropped)
        });
        AssertUnwindSafe(group).catch_unwind().await
    });
    assert!(result.is_ok_and(|result| result.is_err_and(|error| error.first() == Some(&"no route"))));
    assert!(reports.take().concat().contains("spite"), "it was not reported");
}

#[test]
fn nor_an_error_of_a_release() {
    let _dog = watchdog();
    let reports = Reports::default();
    let result = reports.builder().build().unwrap().block_on(async {
        let bracket = bracket(async { Ok(()) }, async |()| Ok(PanicsWhenDropped), async |()| Err("no route"));
        AssertUnwindSafe(bracket).catch_unwind().await
    });
    assert!(result.is_ok_and(|result| matches!(result, Err(BracketError::Release("no route")))));
    assert!(reports.take().concat().contains("spite"), "it was not reported");
}

/// Counts its drops.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn the_winner_of_a_race_is_dropped_where_a_loser_panics_as_it_is() {
    test_run(async {
        let drops = Rc::new(Cell::new(0));
        let both = race((
            async {
                yield_now().await;
                Counted(Rc::clone(&drops))
            },
            async {
                yield_now().await;
                PanicsWhenDropped
            },
        ));
        assert!(AssertUnwindSafe(async { drop(both.await) }).catch_unwind().await.is_err());
        assert_eq!(drops.get(), 1, "it was leaked");
    });
}

#[test]
fn what_a_generator_has_ended_with_is_not_lost_to_a_waker_that_panics() {
    test_run(async {
        let calls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&calls);
        let waker = calling(move |call| {
            if call == Call::Clone {
                counted.set(counted.get() + 1);
                assert_ne!(counted.get(), 1, "spite");
            }
        });
        let ran = Rc::new(Cell::new(false));
        let to_run = Rc::clone(&ran);
        let mut stream = Box::pin(try_generate(async move |_: &mut Yielder<u8>| {
            let _guard = defer(async move { to_run.set(true) });
            Err("no route")
        }));
        let poll = || stream.as_mut().poll_next(&mut Context::from_waker(&waker.waker)).is_pending();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
        assert_eq!(stream.next().await, Some(Err("no route")));
        assert!(ran.get());
    });
}

handcar_structured::context_var! {
    local static TOUCHY: Rc<PanicsWhenDropped>
}

#[test]
fn what_comes_out_of_a_scope_of_a_variable_is_dropped_where_its_value_panics_as_it_is() {
    let drops = Rc::new(Cell::new(0));
    let scope = || drop(TOUCHY.sync_scope(Rc::new(PanicsWhenDropped), || Counted(Rc::clone(&drops))));
    assert!(catch_unwind(AssertUnwindSafe(scope)).is_err());
    assert_eq!(drops.get(), 1, "it was leaked");
}

/// An error that cannot be told.
#[derive(Debug)]
struct Untold;

impl std::fmt::Display for Untold {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("untold")
    }
}

#[test]
fn a_panic_of_a_child_is_not_lost_to_an_error_that_cannot_be_told() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ended = reports.builder().build().unwrap().block_on(async {
        let group = task_group(async |g| {
            g.spawn(async {
                yield_now().await;
                Err::<(), _>(Untold)
            });
            g.spawn(async {
                let _panics = OnDrop::new(|| panic!("the child"));
                std::future::pending::<Result<(), Untold>>().await
            });
            for_ever().await;
            Ok(())
        });
        AssertUnwindSafe(group).catch_unwind().await
    });
    let payload = ended.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"the child"));
    assert_eq!(reports.take().len(), 1);
}

#[test]
fn a_second_panic_is_told_also_where_no_task_runs() {
    #[allow(clippy::unused_async)] // it is a branch
    async fn panics(with: &'static str) {
        std::panic::panic_any(with)
    }
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    let first = runtime.enter(|| {
        let mut both = Box::pin(gather([panics("first"), panics("second")]));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        catch_unwind(AssertUnwindSafe(|| both.as_mut().poll(&mut cx).is_ready())).unwrap_err()
    });
    assert_eq!(first.downcast_ref::<&str>(), Some(&"first"));
    assert!(reports.take().concat().contains("second"), "the second was lost");
}

#[test]
fn a_deadline_is_not_lost_to_a_waker_that_panics_as_it_is_cloned() {
    test_run(async {
        let clones = Rc::new(Cell::new(0));
        let counted = Rc::clone(&clones);
        let waker = calling(move |call| {
            if call == Call::Clone {
                counted.set(counted.get() + 1);
                assert_ne!(counted.get(), 2, "spite"); // the first one is kept for a cancel, the second for the deadline
            }
        });
        let mut future = Box::pin(CancelScope::with_deadline(Instant::now() + s(1)).run(secs(9)));
        let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
        assert!(future.await.is_err());
    });
}

#[test]
fn values_are_not_lost_to_the_waker_that_their_combinator_was_polled_with() {
    run_with_a_panic_of_a_waker(async {
        let (waker, armed) = panicking(Call::Drop);
        let mut all = gather([async {
            yield_now().await;
            7
        }]);
        assert!(waker.poll(&mut all).is_pending());
        let values = waker.poll(&mut all);
        armed.set(true);
        drop(all);
        assert_eq!(values, Poll::Ready(vec![7]));
    });
}

#[test]
fn nor_is_a_timeout_to_the_waker_that_a_handle_was_polled_with() {
    run_with_a_panic_of_a_waker(async {
        let (waker, armed) = panicking(Call::Drop);
        let mut limited = Box::pin(timeout(s(1), spawn(for_ever())));
        assert!(waker.poll(&mut limited).is_pending());
        armed.set(true);
        secs(2).await;
        assert!(matches!(waker.poll(&mut limited), Poll::Ready(Err(_))));
    });
}

#[test]
fn a_start_that_is_given_up_has_no_child_struck_by_its_waker() {
    run_with_a_panic_of_a_waker(async {
        let (waker, armed) = panicking(Call::Drop);
        let result: Result<(), GroupError<String>> = task_group(async |g| {
            let mut start = Box::pin(g.start(|_started: Started<(), String>| async {
                for_ever().await;
                Ok(())
            }));
            assert!(waker.poll(&mut start).is_pending());
            armed.set(true);
            drop(start);
            Ok(())
        })
        .await;
        assert!(result.is_ok());
    });
}

#[test]
fn a_value_that_panics_as_it_is_dropped_beside_the_panic_of_a_child_is_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let group = async {
            let group = task_group(async |g| {
                g.spawn(async {
                    yield_now().await;
                    std::panic::panic_any("the child");
                    #[allow(unreachable_code)]
                    Ok(())
                });
                Ok::<_, String>(PanicsWhenDropped)
            });
            group.await.map(drop)
        };
        let payload = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the child"));
    });
    assert_eq!(reports.take(), ["drop panicked: spite"]);
}

context_var! { local static HELD: Rc<PanicsWhenDropped> }

/// A guard whose cleanup panics with "first", and is the last to hold a value that panics with "spite" as it is dropped.
async fn guard_of_two_panics() -> DeferGuard<impl Future<Output = ()>> {
    HELD.scope(Rc::new(PanicsWhenDropped), async { defer(async { std::panic::panic_any("first") }) }).await
}

#[test]
fn a_panic_of_a_cleanup_that_is_awaited_in_line_is_not_lost_to_that_of_a_value_of_its_context() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let guard = guard_of_two_panics().await;
        let payload = AssertUnwindSafe(guard.run()).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
    });
    assert_eq!(reports.take(), ["cleanup panicked: spite"]);
}

#[test]
fn nor_is_that_of_one_that_runs_as_a_task() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    let guard = runtime.block_on(guard_of_two_panics());
    drop(guard);
    runtime.block_on(secs(1));
    assert_eq!(reports.take(), ["cleanup panicked: spite", "panicked: first"]);
}

#[test]
fn a_grace_period_does_not_begin_again_where_a_waker_panics_as_it_is_cloned() {
    let _dog = watchdog();
    // One clone is kept for a cancel, one for the grace period, one for the cleanup.
    for last in 1..=3 {
        let reports = Reports::default();
        reports.builder().build().unwrap().block_on(async {
            let clones = Cell::new(0);
            let waker = calling(move |call| {
                if call == Call::Clone {
                    clones.set(clones.get() + 1);
                    assert_ne!(clones.get(), last, "spite");
                }
            });
            let scope = CancelScope::new().grace(Some(s(3)));
            let token = scope.token();
            let mut future = Box::pin(scope.run(async {
                let _guard = defer(secs(9));
                for_ever().await;
            }));
            token.cancel();
            assert!(futures::poll!(&mut future).is_pending());
            secs(2).await;
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending();
            assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
            assert!(future.await.is_err());
            assert_eq!(Instant::now().since_start(), s(3), "at clone {last}");
        });
        assert_eq!(reports.take(), ["cut short: a cleanup"]);
    }
}
