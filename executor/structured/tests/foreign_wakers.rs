//! Wakers of strangers, which call back or panic: nobody is forgotten, and nobody else is struck.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use handcar_structured::{CancelScope, GroupError, GroupHandle, Started, cancelled, scope, task_group, yield_now};

mod common;
use common::{Call, Reports, calling, for_ever, run_with_a_panic_of_a_waker, test_run, watchdog};

/// A waker that notes a wake.
fn noting(woken: &Rc<Cell<bool>>) -> impl Fn(Call) + 'static {
    let woken = Rc::clone(woken);
    move |call| {
        if matches!(call, Call::Wake | Call::WakeByRef) {
            woken.set(true);
        }
    }
}

#[test]
fn a_child_that_is_ready_while_the_waker_of_who_waits_is_cloned_is_heard() {
    test_run(async {
        let result: Result<(), GroupError<String>> = task_group(async |g| {
            let stash: Rc<RefCell<Option<Started<u8, String>>>> = Rc::default();
            let woken = Rc::new(Cell::new(false));
            let mut start = pin!(g.start(|started| {
                *stash.borrow_mut() = Some(started);
                async {
                    for_ever().await;
                    Ok(())
                }
            }));
            let (ready, note) = (Rc::clone(&stash), noting(&woken));
            let waker = calling(move |call| match call {
                Call::Clone => drop(ready.take().map(|started| started.ready(7))),
                call => note(call),
            });
            let first = start.as_mut().poll(&mut Context::from_waker(&waker.waker));
            assert!(first.is_ready() || woken.get(), "it is ready, and nobody is told");
            g.cancel();
            Ok(())
        })
        .await;
        assert!(result.is_ok());
    });
}

#[test]
fn a_cancel_while_the_waker_of_who_waits_for_it_is_cloned_is_heard() {
    test_run(async {
        let scope = CancelScope::new();
        let woken = Rc::new(Cell::new(true)); // for the first poll
        let (to_cancel, note) = (scope.clone(), noting(&woken));
        let waker = calling(move |call| match call {
            Call::Clone => _ = to_cancel.cancel(),
            call => note(call),
        });
        let mut heard = false;
        let mut waits = Box::pin(cancelled());
        // As a combinator that polls what was woken.
        let body = poll_fn(|_| {
            heard |= woken.take() && waits.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_ready();
            Poll::<()>::Pending
        });
        assert!(scope.run(body).await.is_err());
        assert!(heard, "cancelled, and who waited for that was not told");
    });
}

#[test]
fn a_waker_that_panics_takes_no_child_from_a_scope() {
    test_run(async {
        let armed = Rc::new(Cell::new(false));
        let to_panic = Rc::clone(&armed);
        let waker = calling(move |call| assert!(!(call == Call::Wake && to_panic.get()), "spite"));
        let (ran, turn) = (Cell::new(0), Cell::new(0));
        let mut future = Box::pin(scope(async |s| {
            s.spawn(async {
                for_ever().await;
                Ok::<_, String>(())
            });
            poll_fn(|_| if turn.get() > 0 { Poll::Ready(()) } else { Poll::Pending }).await;
            for _ in 0..3 {
                s.spawn(async {
                    ran.set(ran.get() + 1);
                    Ok(())
                });
            }
            for_ever().await;
            Ok(())
        }));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
        turn.set(1);
        armed.set(true);
        let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_ok_and(|is_pending| is_pending));
        armed.set(false);
        assert_eq!(ran.get(), 3);
    });
}

#[test]
fn a_child_says_that_it_has_started_to_a_waker_that_panics() {
    run_with_a_panic_of_a_waker(async {
        let waker = calling(|call| assert_ne!(call, Call::Wake, "spite"));
        let result = task_group(async |g| {
            let mut start = pin!(g.start(|started: Started<u8, String>| async move {
                started.ready(7);
                Ok(())
            }));
            assert!(start.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending());
            yield_now().await;
            assert!(matches!(start.await, Ok(7)));
            Ok::<_, String>(())
        });
        let ended = AssertUnwindSafe(result).catch_unwind().await;
        assert!(ended.is_ok_and(|result| result.is_ok()), "the child was struck by the panic of a waker");
    });
}

/// A scope whose waker panics when it is woken, and that is cancelled by its body, or from outside.
fn ends_when_it_is_cancelled(from_outside: bool) {
    let _dog = watchdog();
    let reports = Reports::default();
    let ended = reports.builder().build().unwrap().block_on(async {
        let (armed, turn) = (Rc::new(Cell::new(false)), Cell::new(false));
        let to_panic = Rc::clone(&armed);
        let waker = calling(move |call| assert!(!(call == Call::Wake && to_panic.get()), "spite"));
        let around = CancelScope::new();
        let mut future = Box::pin(around.run(scope(async |s| {
            for _ in 0..3 {
                s.spawn(async {
                    for_ever().await;
                    Ok::<_, String>(())
                });
            }
            poll_fn(|_| if turn.get() { Poll::Ready(()) } else { Poll::Pending }).await;
            s.cancel();
            for_ever().await;
            Ok(())
        })));
        let mut is_ready = || {
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_ready();
            catch_unwind(AssertUnwindSafe(poll)).unwrap()
        };
        assert!(!is_ready());
        armed.set(true);
        if from_outside {
            let _ = catch_unwind(AssertUnwindSafe(|| around.cancel()));
        } else {
            turn.set(true);
        }
        (0..5).any(|_| {
            let ended = is_ready();
            armed.set(false);
            ended
        })
    });
    assert!(ended, "its children were not told, and it waits for them for ever");
    assert!(reports.take().concat().contains("spite"), "it was not reported");
}

#[test]
fn a_waker_that_panics_keeps_no_child_from_a_cancel_by_the_body() {
    ends_when_it_is_cancelled(false);
}

#[test]
fn a_waker_that_panics_keeps_no_child_from_a_cancel_from_outside() {
    ends_when_it_is_cancelled(true);
}

#[test]
fn who_waits_for_a_cancel_in_another_scope_hears_of_one_in_the_drop_of_the_waker_it_had() {
    test_run(async {
        let (before, now) = (CancelScope::new(), CancelScope::new());
        let (armed, woken) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (is_armed, to_cancel, note) = (Rc::clone(&armed), now.clone(), Rc::clone(&woken));
        let first = calling(move |call| {
            if call == Call::Drop && is_armed.get() {
                to_cancel.cancel();
            }
        });
        let second = calling(move |call| note.set(note.get() || matches!(call, Call::Wake | Call::WakeByRef)));
        let mut wait = cancelled();
        let is_pending = before.run(poll_fn(|_| Poll::Ready(first.poll(&mut wait).is_pending()))).await;
        assert!(is_pending.unwrap());
        armed.set(true);
        let mut heard = false;
        let once = poll_fn(|_| {
            heard = second.poll(&mut wait).is_ready();
            Poll::Ready(())
        });
        let _cancelled = now.run(once).await;
        assert!(now.cancel_called());
        assert!(heard || woken.get(), "cancelled, and who waited for that was not told");
    });
}

#[test]
fn a_stranger_whom_a_scope_wakes_in_its_poll_is_not_taken_for_its_last_child() {
    test_run(async {
        let slot: Rc<RefCell<Option<GroupHandle<()>>>> = Rc::default();
        let hook = Rc::clone(&slot);
        let waker = calling(move |call| {
            if call == Call::WakeByRef
                && let Some(mut handle) = hook.take()
            {
                let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
        });
        let mut future = Box::pin(scope(async |s| {
            *slot.borrow_mut() = Some(s.spawn(async {
                s.spawn(async { Ok::<_, String>(()) }); // so the scope wakes itself
                for_ever().await;
                Ok::<_, String>(())
            }));
            for_ever().await;
            Ok(())
        }));
        let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_pending();
        assert!(catch_unwind(AssertUnwindSafe(poll)).is_ok());
    });
}

#[test]
fn a_waker_that_panics_when_it_is_woken_in_the_poll_ends_no_combinator() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let armed = Rc::new(Cell::new(true));
        let to_panic = Rc::clone(&armed);
        let waker = calling(move |call| assert!(!(call == Call::WakeByRef && to_panic.get()), "spite"));
        let ran = Cell::new(0);
        let mut future = Box::pin(scope(async |s| {
            s.spawn(async {
                // So the scope wakes itself.
                s.spawn(async {
                    ran.set(1);
                    Ok::<_, String>(())
                });
                Ok::<_, String>(())
            });
            Ok(())
        }));
        let mut poll = || {
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker.waker)).is_ready();
            catch_unwind(AssertUnwindSafe(poll)).expect("the waker's panic is passed on, and the child is lost")
        };
        assert!(!poll());
        assert!(poll());
        assert_eq!(ran.get(), 1);
    });
    assert!(reports.take().concat().contains("spite"));
}
