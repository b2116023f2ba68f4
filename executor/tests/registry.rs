//! The registry of runtimes: how many there may be, and what their numbers do when they are used again.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use handcar_executor::{Builder, RunError, Runtime, spawn, yield_now};

mod common;
use common::watchdog;

/// In a binary of its own, because it takes every number of the process.
#[test]
fn there_may_be_as_many_runtimes_as_there_are_numbers() {
    let _dog = watchdog();
    let mut runtimes: Vec<Runtime> = Vec::new();
    let error = loop {
        match Runtime::new() {
            Ok(runtime) => runtimes.push(runtime),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, RunError::TooManyRuntimes), "{error:?}");
    assert_eq!(runtimes.len(), 0x7fff);
    assert!(handcar_executor::try_run(async {}).is_err());
    assert!(common::panic_of(|| handcar_executor::run(async {})).contains("too many runtimes"));

    // The one number that becomes free is used again at once. A late waker of its former owner can then hit a stranger's
    // task: that is one spurious poll and nothing else.
    let waker_of = |runtime: &Runtime| -> Waker { runtime.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone()))) };
    let last = runtimes.pop().unwrap();
    let late = waker_of(&last);
    drop(last);
    late.wake_by_ref();
    let heir = Runtime::new().unwrap();
    let mut polls = 0;
    let other = std::thread::spawn({
        let late = late.clone();
        move || late.wake()
    });
    other.join().unwrap();
    heir.block_on(async {
        poll_fn(|cx| {
            polls += 1;
            if polls > 3 {
                return Poll::Ready(());
            }
            late.wake_by_ref();
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        yield_now().await;
    });
    assert!(polls >= 4);
    drop(heir);

    // An heir that counts its wakers hears nothing of one that was not counted, and does not pass it on for ever.
    let heir = Builder::new().detect_deadlocks(true).build().unwrap();
    late.wake_by_ref();
    drop(late.clone());
    assert!(matches!(heir.try_block_on(std::future::pending::<()>()), Err(RunError::Deadlock(_))));
    drop(heir);

    // All of them still work, and afterwards there is room again.
    for (number, runtime) in runtimes.iter().enumerate().step_by(4099) {
        assert_eq!(runtime.block_on(async { spawn(async move { number }).await.unwrap() }), number);
    }
    drop(runtimes);
    assert_eq!(handcar_executor::run(async { 7 }), 7);
}
