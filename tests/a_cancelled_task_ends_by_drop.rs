//! Cancelling through the face: by handle, by drop, from within, from destructors, and what becomes of what a task held.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{Living, Log, OnDrop, run, simulated};
use futures::future::{AbortHandle, Abortable};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{
    Builder, CancelKind, JoinError, JoinHandle, Report, Reports, sleep, spawn, timeout, to_thread, yield_now,
};

#[track_caller]
fn assert_cancelled<T: std::fmt::Debug>(end: Result<T, JoinError>, kind: &CancelKind) {
    match end {
        Err(JoinError::Cancelled(reason)) => assert_eq!(reason.kind(), kind),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_that_cancels_itself_runs_on_to_its_next_suspension() {
    run(async {
        for suspends in [false, true] {
            let (tell, told) = oneshot::channel::<handcar::AbortHandle>();
            let task = spawn(async move {
                let own = told.await.unwrap();
                assert!(own.cancel());
                assert!(!own.cancel(), "once is enough");
                if suspends {
                    yield_now().await;
                    unreachable!("it was cancelled");
                }
                7
            });
            tell.send(task.abort_handle()).unwrap();
            let end = task.await;
            if suspends {
                assert_cancelled(end, &CancelKind::Explicit);
            } else {
                assert_eq!(end.unwrap(), 7, "its value counts");
            }
        }
    });
}

#[test]
fn a_task_that_drops_its_own_handle_ends_at_its_next_suspension() {
    run(async {
        let living = Living::default();
        let own: Rc<Cell<Option<JoinHandle<()>>>> = Rc::default();
        let (handle, token) = (Rc::clone(&own), living.token());
        own.set(Some(spawn(async move {
            let _token = token;
            drop(handle.take());
            yield_now().await;
            unreachable!("nobody holds it");
        })));
        sleep(Duration::ZERO).await;
        yield_now().await;
        yield_now().await;
        assert_eq!(living.count(), 0);
    });
}

#[test]
fn the_line_that_cancelled_is_told() {
    run(async {
        let task = spawn(pending::<()>());
        let line = line!() + 1;
        let end = task.cancel_and_wait().await.unwrap_err();
        let JoinError::Cancelled(reason) = &end else { panic!("{end}") };
        assert_eq!((reason.at().file(), reason.at().line()), (file!(), line));
        assert!(end.to_string().contains(&format!("{}:{line}", file!())), "{end}");
    });
}

#[test]
fn a_future_is_dropped_at_its_tasks_turn_and_never_inside_the_cancellers_call() {
    run(async {
        let log = Log::default();
        let inside = log.clone();
        let task = spawn(async move {
            let _says = OnDrop(|| inside.add("dropped"));
            pending::<()>().await;
        });
        yield_now().await;
        yield_now().await;
        task.cancel();
        log.add("cancel returned");
        drop(task.await);
        log.add("joined");
        assert_eq!(log.take(), ["cancel returned", "dropped", "joined"]);
    });
}

#[test]
fn what_a_task_held_goes_back_whether_it_is_cancelled_or_panics() {
    simulated(async {
        let semaphore = Rc::new(Semaphore::new(2));
        let (tx, mut rx) = mpsc::channel::<u32>(1);
        for n in 0..100 {
            let (permits, tx_of_task) = (Rc::clone(&semaphore), tx.clone());
            let task = spawn(async move {
                let _permit = permits.acquire().await.unwrap();
                let slot = tx_of_task.reserve().await.unwrap();
                sleep(Duration::from_secs(1)).await;
                assert!(n % 3 == 0, "on purpose");
                slot.send(n);
                pending::<()>().await;
            });
            let end = timeout(Duration::from_secs(2), task).await;
            assert_eq!(end.is_err(), n % 3 == 0, "every third waits for ever and is dropped by its timeout");
            if n % 3 == 0 {
                assert_eq!(rx.recv().await, Some(n));
            }
            yield_now().await;
            yield_now().await;
            assert_eq!((semaphore.available_permits(), tx.capacity()), (2, 1));
        }
    });
}

#[test]
fn a_message_is_never_lost_with_a_receiver_that_is_cancelled() {
    simulated(async {
        let (tx, rx) = mpsc::unbounded_channel();
        let rx = Rc::new(RefCell::new(rx));
        let received = Rc::new(RefCell::new(Vec::new()));
        let sender = spawn(async move {
            for n in 0..1000 {
                tx.send(n).unwrap();
                if n % 3 == 0 {
                    sleep(Duration::from_nanos(10)).await;
                }
            }
        });
        while !sender.is_finished() || received.borrow().len() < 1000 {
            let (rx, received) = (Rc::clone(&rx), Rc::clone(&received));
            let task = spawn(async move {
                loop {
                    let next = futures::future::poll_fn(|cx| rx.borrow_mut().poll_recv(cx)).await;
                    let Some(n) = next else { break };
                    received.borrow_mut().push(n);
                }
            });
            sleep(Duration::from_nanos(7)).await;
            drop(task);
        }
        assert_eq!(*received.borrow(), (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn destructors_of_a_cancelled_task_may_use_the_runtime() {
    run(async {
        let log = Log::default();
        let inside = log.clone();
        let task = spawn(async move {
            let _cleanup = OnDrop(|| {
                let log = inside.clone();
                spawn(async move {
                    sleep(Duration::from_micros(1)).await;
                    assert_eq!(to_thread(|| 7).await, 7);
                    log.add("cleaned up");
                })
                .detach();
            });
            pending::<()>().await;
        });
        yield_now().await;
        yield_now().await;
        assert_cancelled(task.cancel_and_wait().await, &CancelKind::Explicit);
        while log.take().is_empty() {
            yield_now().await;
        }
    });
}

#[test]
fn a_task_cancelled_before_its_first_poll_is_never_polled() {
    run(async {
        let living = Living::default();
        let token = living.token();
        let task = spawn(async move {
            let _token = token;
            unreachable!("it was cancelled before it began");
        });
        assert_cancelled::<()>(task.cancel_and_wait().await, &CancelKind::Explicit);
        assert_eq!(living.count(), 0);
    });
}

#[test]
fn a_task_that_is_ready_when_it_is_cancelled_keeps_its_value() {
    run(async {
        let task = spawn(async { 7 });
        yield_now().await;
        yield_now().await;
        assert!(task.is_finished());
        assert!(!task.cancel());
        assert_eq!(task.cancel_and_wait().await.unwrap(), 7);
    });
}

#[test]
fn foreign_aborts_are_no_cancellation_of_ours() {
    run(async {
        let (handle, registration) = AbortHandle::new_pair();
        let task = spawn(Abortable::new(pending::<()>(), registration));
        yield_now().await;
        handle.abort();
        assert!(task.await.unwrap().is_err(), "the task itself ended well");
    });
}

#[test]
fn a_future_that_panics_in_poll_and_in_drop_ends_once_with_the_first_panic() {
    struct Twice;
    impl Future for Twice {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("in poll");
        }
    }
    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let reports = Reports::new();
    Builder::new().on_report(reports.hook()).build().unwrap().block_on(async {
        let JoinError::Panicked(payload) = spawn(Twice).await.unwrap_err() else { panic!("no panic") };
        assert_eq!(payload.to_string(), "in poll");
        spawn(async {}).await.unwrap();
    });
    let [Report::Panicked { payload, .. }] = &reports.take()[..] else { panic!("the second one is reported") };
    assert_eq!(payload.to_string(), "in drop");
}

#[test]
fn a_handle_tells_its_result_once() {
    run(async {
        let mut task = spawn(async { 7 });
        assert_eq!((&mut task).await.unwrap(), 7);
        let again = spawn(async move {
            let _ = (&mut task).await;
        });
        let JoinError::Panicked(payload) = again.await.unwrap_err() else { panic!("no panic") };
        assert!(payload.to_string().contains("`JoinHandle` polled after"), "{payload}");
    });
}
