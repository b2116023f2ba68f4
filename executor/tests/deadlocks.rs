//! Deadlocks: a run ends with an error when nobody can wake anybody any more, and not before.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, Deadlock, Delegates, Event, RunError, Runtime, Turn, is_same, keep, sleep, spawn, to_thread,
    yield_now,
};

mod common;
use common::watchdog;

/// Calls `test` with a builder for each of the two ways in which a deadlock is an error.
fn each_way(test: impl Fn(Builder)) {
    let _dog = watchdog();
    test(Builder::new().clock(Clock::simulated()));
    test(Builder::new().detect_deadlocks(true));
}

/// A runtime, and what hears each time it falls asleep: so it has not come to a verdict.
fn drowsy(builder: Builder) -> (Runtime, Receiver<()>) {
    let (parked, is_parked) = channel();
    let tell = move |event: &Event<'_>| {
        if let Event::Parked { .. } = event {
            let _ = parked.send(());
        }
    };
    (builder.observe(tell).build().unwrap(), is_parked)
}

fn deadlock<T>(result: Result<T, RunError>) -> Deadlock {
    match result {
        Err(RunError::Deadlock(deadlock)) => deadlock,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("no deadlock"),
    }
}

/// Ready when it is polled for the second time; the first one sends its waker away.
fn woken_by(wakers: &Sender<Waker>) -> impl Future<Output = ()> + use<> {
    let mut polls = 0;
    let wakers = wakers.clone();
    poll_fn(move |cx| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        wakers.send(cx.waker().clone()).unwrap();
        Poll::Pending
    })
}

/// Never ready; the first poll sends its waker away.
fn never(wakers: &Sender<Waker>) -> impl Future<Output = ()> + use<> {
    let mut sent = false;
    let wakers = wakers.clone();
    poll_fn(move |cx| {
        if !sent {
            sent = true;
            wakers.send(cx.waker().clone()).unwrap();
        }
        Poll::Pending
    })
}

#[test]
fn a_run_in_which_nobody_can_wake_anybody_ends_with_an_error() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let waits = runtime.spawn(pending::<()>());
        let told = deadlock(runtime.try_block_on(pending::<()>()));
        assert_eq!(told.tasks().len(), 2);
        assert_eq!(told.tasks()[0].name.as_deref(), Some("main"));
        assert_eq!(told.tasks()[1].id, waits.id());
    });
}

#[test]
#[should_panic(expected = "deadlock: nothing is runnable")]
fn block_on_panics_with_the_list() {
    let _dog = watchdog();
    Builder::new().detect_deadlocks(true).build().unwrap().block_on(pending::<()>());
}

#[test]
fn a_thread_that_keeps_a_waker_may_take_its_time() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = kept.recv().unwrap();
            is_parked.recv().unwrap(); // so it was no deadlock
            waker.wake();
        });
        runtime.block_on(async { spawn(woken_by(&wakers)).await.unwrap() });
        thread.join().unwrap();
    });
}

#[test]
fn when_the_last_kept_waker_is_dropped_the_verdict_comes() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = kept.recv().unwrap();
            let another = waker.clone();
            is_parked.recv().unwrap();
            drop(waker);
            drop(another);
        });
        let told = deadlock(runtime.try_block_on(async { spawn(never(&wakers)).await }));
        thread.join().unwrap();
        assert_eq!(told.tasks().len(), 2);
        let main: Vec<_> = told.waits().next().unwrap().1.to_vec();
        assert!(main[0].starts_with("the end of task #"), "it was asked now, not before: {main:?}");
    });
}

#[test]
fn a_wake_in_vain_by_the_last_waker_brings_the_verdict_too() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = kept.recv().unwrap();
            is_parked.recv().unwrap();
            waker.wake_by_ref();
            is_parked.recv().unwrap(); // it is kept still
            waker.wake();
        });
        deadlock(runtime.try_block_on(never(&wakers)));
        thread.join().unwrap();
    });
}

#[test]
fn the_waker_of_a_task_that_has_ended_keeps_nobody_waiting() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let (wakers, kept) = channel::<Waker>();
        deadlock(runtime.try_block_on(async {
            let task = spawn(woken_by(&wakers));
            yield_now().await;
            let waker = kept.recv().unwrap();
            waker.wake_by_ref();
            task.await.unwrap();
            pending::<()>().await;
            drop(waker); // never reached: it is kept until the run has ended
        }));
    });
}

#[test]
fn the_waker_of_a_child_counts_until_the_child_is_removed() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let (first, second) = (kept.recv().unwrap(), kept.recv().unwrap());
            is_parked.recv().unwrap();
            second.wake();
            let _: Option<Waker> = kept.recv().ok(); // until the run has ended: the first child is gone by then
            drop(first);
        });
        let mut children = Delegates::new();
        let (first, second) = (children.insert(), children.insert());
        let mut begun = false;
        let combinator = poll_fn(|cx| {
            children.begin(cx);
            while let Some(child) = children.next() {
                if !begun {
                    wakers.send(children.waker(child).clone()).unwrap();
                } else if child == second && children.len() == 2 {
                    children.remove(first);
                }
            }
            begun = true;
            Poll::<()>::Pending
        });
        // The second one's waker is used up, the first one's reaches nobody.
        deadlock(runtime.try_block_on(combinator));
        drop(wakers);
        thread.join().unwrap();
    });
}

#[test]
fn what_keeps_a_waker_by_our_own_rule_does_not_count() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let kept = Cell::new(None);
        deadlock(runtime.try_block_on(poll_fn(|cx| {
            let waker = keep(cx.waker());
            assert!(is_same(&waker, cx.waker()) && !is_same(&waker, Waker::noop()));
            kept.set(Some(waker));
            Poll::<()>::Pending
        })));
    });
    // On another thread it is a clone like any other: there it may be reached from anywhere.
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = keep(&kept.recv().unwrap());
            is_parked.recv().unwrap();
            waker.wake();
        });
        runtime.block_on(woken_by(&wakers));
        thread.join().unwrap();
    });
}

#[test]
fn a_wake_handle_wakes_nobody_and_so_does_not_count() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let handle = runtime.wake_handle();
        deadlock(runtime.try_block_on(pending::<()>()));
        handle.wake();
    });
}

#[test]
fn whoever_holds_the_clock_may_wake_somebody() {
    let _dog = watchdog();
    let clock = Clock::system();
    let hold = clock.hold(); // before there is a runtime
    let (runtime, is_parked) = drowsy(Builder::new().clock(clock.clone()).detect_deadlocks(true));
    // Another one with the same clock; both are notified when the last hold goes.
    let _other = Builder::new().clock(clock).detect_deadlocks(true).build().unwrap();
    let thread = thread::spawn(move || {
        is_parked.recv().unwrap();
        drop(hold);
    });
    deadlock(runtime.try_block_on(pending::<()>()));
    thread.join().unwrap();
}

#[test]
fn a_blocking_job_is_waited_for_even_if_nobody_awaits_it_any_more() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (begun, has_begun) = channel();
        let told = deadlock(runtime.try_block_on(async {
            let job = to_thread(move || {
                begun.send(()).unwrap();
                is_parked.recv().unwrap();
            });
            has_begun.recv().unwrap();
            drop(job);
            pending::<()>().await;
        }));
        assert_eq!(told.tasks().len(), 1);
        assert_eq!(runtime.block_on(async { to_thread(|| 7).await }), 7);
    });
}

#[test]
fn an_armed_timer_comes_first() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let slept = Cell::new(false);
        deadlock(runtime.try_block_on(async {
            sleep(Duration::from_millis(1)).await;
            slept.set(true);
            pending::<()>().await;
        }));
        assert!(slept.get());
    });
}

#[test]
fn a_runtime_that_was_not_asked_to_waits() {
    let _dog = watchdog();
    let (runtime, is_parked) = drowsy(Builder::new());
    let (wakers, kept) = channel::<Waker>();
    let thread = thread::spawn(move || {
        let waker = kept.recv().unwrap();
        drop(waker.clone());
        is_parked.recv().unwrap();
        waker.wake();
    });
    runtime.block_on(woken_by(&wakers));
    thread.join().unwrap();
}

#[test]
fn who_wants_no_verdict_gets_none_under_a_simulated_clock_either() {
    let _dog = watchdog();
    let (parked, is_parked) = channel();
    // It waits for ever, on a thread that nobody waits for.
    thread::spawn(move || {
        let (runtime, falls_asleep) = drowsy(Builder::new().clock(Clock::simulated()).detect_deadlocks(false));
        parked.send(falls_asleep).unwrap();
        runtime.block_on(pending::<()>());
    });
    is_parked.recv().unwrap().recv().expect("it sleeps in place of ending");
}

#[test]
fn a_host_loop_gets_no_verdict() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let task = runtime.spawn(pending::<()>());
        for _ in 0..3 {
            assert_eq!(runtime.turn().unwrap(), Turn::Idle);
        }
        assert!(!task.is_finished());
    });
}

#[test]
fn two_runtimes_of_one_thread_are_judged_each_by_itself() {
    each_way(|builder| {
        let (runtime, other) = (builder.build().unwrap(), Runtime::new().unwrap());
        let (wakers, kept) = channel::<Waker>();
        let foreign = other.spawn(never(&wakers));
        assert_eq!(other.turn().unwrap(), Turn::Idle);
        let _kept = kept.recv().unwrap(); // of the other one
        deadlock(runtime.try_block_on(pending::<()>()));
        assert!(!foreign.is_finished());
    });
}

#[test]
fn who_gives_its_waker_away_only_when_asked_is_waited_for() {
    each_way(|builder| {
        let (runtime, is_parked) = drowsy(builder);
        let (wakers, kept) = channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = kept.recv().unwrap();
            is_parked.recv().unwrap();
            waker.wake();
        });
        let polls = Cell::new(0);
        runtime.block_on(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            match polls.get() {
                1 => return Poll::Pending,
                2 => wakers.send(cx.waker().clone()).unwrap(),
                _ => return Poll::Ready(()),
            }
            Poll::Pending
        }));
        thread.join().unwrap();
    });
}

#[test]
fn who_wakes_another_when_asked_is_asked_a_few_times_only() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        let other = Rc::new(Cell::new(None::<Waker>));
        let woken = Rc::clone(&other);
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        runtime
            .spawn(poll_fn(move |cx| {
                counted.set(counted.get() + 1);
                other.set(Some(keep(cx.waker())));
                Poll::Pending
            }))
            .detach();
        deadlock(runtime.try_block_on(poll_fn(|_| {
            if let Some(waker) = woken.take() {
                waker.wake();
            }
            Poll::<()>::Pending
        })));
        assert!((2..100).contains(&polls.get()), "{polls:?}");
    });
}

#[test]
fn a_second_run_that_comes_to_a_halt_says_why_as_the_first_did() {
    each_way(|builder| {
        let runtime = builder.build().unwrap();
        for _ in 0..20 {
            let told = deadlock(runtime.try_block_on(sleep(Duration::MAX)));
            let (_, waits) = told.waits().next().unwrap();
            assert!(waits[0].starts_with("the sleep made at "), "{waits:?}");
        }
    });
}

#[test]
fn a_late_waker_of_a_runtime_that_has_ended_counts_for_nobody() {
    each_way(|builder| {
        let (wakers, kept) = channel::<Waker>();
        let runtime = builder.build().unwrap();
        let mut future = pin!(never(&wakers));
        deadlock(runtime.try_block_on(poll_fn(|cx: &mut Context<'_>| {
            let _: Poll<()> = future.as_mut().poll(cx);
            drop(kept.try_recv());
            Poll::<()>::Pending
        })));
        let late = runtime.spawn(never(&wakers));
        while runtime.turn().unwrap() == Turn::More {}
        let waker = kept.recv().unwrap();
        drop((late, runtime));
        waker.wake_by_ref();
        drop(waker.clone());
        drop(waker);
    });
}
