//! Fairness: nobody who is always busy keeps the others, the timers or the world outside waiting.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as SystemInstant};

use handcar_executor::{
    Builder, Clock, Event, Instant, budget, interval, run, sleep, sleep_until, spawn, timeout, to_thread, yield_now,
};

mod common;
use common::{calling, poll_once, simulated, test_run, watchdog};

/// A runtime that notes how many polls were made before each look.
fn counting_looks(clock: &Clock) -> (handcar_executor::Runtime, Rc<RefCell<Vec<u32>>>) {
    let looks = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&looks);
    let runtime = Builder::new()
        .clock(clock.clone())
        .observe(move |event| {
            if let Event::Looked { polls } = event {
                seen.borrow_mut().push(*polls);
            }
        })
        .build()
        .unwrap();
    (runtime, looks)
}

/// What a slow poll takes.
const WORK: Duration = Duration::from_micros(200);

/// Computes for that long of the clock's time in each poll.
async fn compute(clock: Clock) {
    loop {
        clock.advance(WORK);
        yield_now().await;
    }
}

async fn spin() {
    loop {
        yield_now().await;
    }
}

#[test]
fn a_task_that_wakes_itself_for_ever_starves_no_other_task() {
    let _dog = watchdog();
    test_run(async {
        let spinner = spawn(spin());
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let other = spawn(async move {
            for _ in 0..1000 {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for turn in 1..=1000 {
            yield_now().await;
            assert_eq!(polls.get(), turn, "one poll of each per round");
        }
        other.await.unwrap();
        drop(spinner);
    });
}

#[test]
fn cheap_polls_are_looked_at_often_enough() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, looks) = counting_looks(&clock);
    runtime.block_on(async {
        let spinner = spawn(spin());
        // Some timer, or else there is nothing to look for.
        let mut timer = sleep(Duration::from_secs(3600));
        assert!(poll_once(&mut timer).is_pending());
        for _ in 0..5000 {
            yield_now().await;
        }
        drop(spinner);
    });
    let looks = looks.take();
    assert!(looks.len() >= 10_000 / 300, "a few hundred polls at the most between two looks: {} looks", looks.len());
    assert!(looks.iter().all(|&polls| polls <= 300), "{looks:?}");
}

#[test]
fn a_spinning_task_does_not_starve_an_interval() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, looks) = counting_looks(&clock);
    let polls = Rc::new(Cell::new(0_u64));
    runtime.block_on(async {
        // A microsecond passes in each poll of the spinner.
        let (time, counted) = (clock.clone(), Rc::clone(&polls));
        let spinner = spawn(async move {
            loop {
                time.advance(Duration::from_micros(1));
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        let mut ticker = interval(Duration::from_millis(10));
        for _ in 0..=100 {
            let due = ticker.tick().await;
            let late = Instant::now() - due;
            assert!(late <= Duration::from_millis(1), "late by {late:?}");
        }
        drop(spinner);
    });
    assert!((1_000_000..=1_010_000).contains(&polls.get()), "{}", polls.get());
    let looks = looks.take();
    // About a look within 100 us: the first few may be nearer together, and one poll more makes no difference.
    assert!(looks.iter().all(|&polls| polls <= 130), "{:?}", looks.iter().max());
    assert!(looks.len() > 1_000_000 / 130);
}

#[test]
fn after_slow_polls_comes_a_look_each_time() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, looks) = counting_looks(&clock);
    runtime.block_on(async {
        // Cheap at first, so that the interval is long when the slow ones begin.
        let mut timer = sleep(Duration::from_secs(3600));
        assert!(poll_once(&mut timer).is_pending());
        for _ in 0..2000 {
            yield_now().await;
        }
        looks.take();
        for _ in 0..1000 {
            clock.advance(WORK);
            yield_now().await;
        }
    });
    let looks = looks.take();
    let adapted: Vec<_> = looks.iter().skip(1).copied().collect();
    assert!(looks[0] <= 300, "{looks:?}");
    assert!(adapted.iter().all(|&polls| polls == 1), "{adapted:?}");
    assert!(looks.len() >= 850);
}

#[test]
fn a_task_of_slow_polls_does_not_starve_an_interval() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, _) = counting_looks(&clock);
    runtime.block_on(async {
        let slow = spawn(compute(clock.clone()));
        let mut ticker = interval(Duration::from_millis(10));
        for tick in 0..=100 {
            let late = {
                let due = ticker.tick().await;
                Instant::now() - due
            };
            // The interval adapts from cheap polls to slow ones within one look.
            let allowed = Duration::from_micros(if tick < 3 { 26_000 } else { 600 });
            assert!(late <= allowed, "tick {tick} late by {late:?}");
        }
        drop(slow);
    });
}

/// A task that computes for 200 us of the clock in each poll, beside some that are woken again and again for a moment: however many
/// these are, there is a look after each computation.
#[test]
fn cheap_polls_do_not_keep_the_loop_from_looking_after_slow_ones() {
    let _dog = watchdog();
    for cheap in [1, 2, 3, 5, 6, 13, 40] {
        let clock = Clock::simulated();
        let (longest, since) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (most, unseen, seen) = (Rc::clone(&longest), Rc::clone(&since), Rc::clone(&since));
        let observer = move |event: &Event<'_>| {
            if let Event::Looked { .. } = event {
                seen.set(0);
            }
        };
        let runtime = Builder::new().clock(clock.clone()).observe(observer).build().unwrap();
        runtime.block_on(async {
            let computing = spawn(async move {
                loop {
                    clock.advance(WORK);
                    unseen.set(unseen.get() + 1);
                    most.set(most.get().max(unseen.get()));
                    yield_now().await;
                }
            });
            let others = (0..cheap).map(|_| {
                spawn(async {
                    loop {
                        sleep_until(Instant::now() + WORK / 2).await; // due at every look
                    }
                })
            });
            let others: Vec<_> = others.collect();
            sleep(100 * WORK).await; // by now the loop knows whose polls are slow
            assert!(longest.replace(0) > 0);
            sleep(1000 * WORK).await;
            assert_eq!(longest.get(), 1, "beside {cheap}: so many computations without a look");
            drop((computing, others));
        });
    }
}

#[test]
fn a_slow_task_does_not_hide_others_that_become_slow() {
    let _dog = watchdog();
    for cheap in [0, 6, 30, 127] {
        let clock = Clock::simulated();
        let (runtime, looks) = counting_looks(&clock);
        let is_slow = Rc::new(Cell::new(false));
        runtime.block_on(async {
            let first = spawn(compute(clock.clone()));
            let become_slow = async |clock: Clock, is_slow: Rc<Cell<bool>>| {
                while !is_slow.get() {
                    yield_now().await;
                }
                compute(clock).await;
            };
            let others: Vec<_> = (0..cheap).map(|_| spawn(become_slow(clock.clone(), Rc::clone(&is_slow)))).collect();
            sleep(1000 * WORK).await;
            is_slow.set(true);
            sleep(1000 * WORK).await;
            looks.take();
            sleep(1000 * WORK).await;
            drop((first, others));
        });
        let looks = looks.take();
        assert!(looks.iter().all(|&polls| polls <= 2), "beside {cheap}: {looks:?}"); // main is one of two
    }
}

#[test]
fn a_task_whose_polls_were_slow_and_are_cheap_again_is_looked_at_as_any_other() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, looks) = counting_looks(&clock);
    runtime.block_on(async {
        let mut timer = sleep(Duration::from_secs(3600)); // or else there is nothing to look for
        assert!(poll_once(&mut timer).is_pending());
        for _ in 0..100 {
            clock.advance(Duration::from_millis(1));
            yield_now().await;
        }
        assert!(looks.take().iter().skip(10).all(|&polls| polls == 1));
        for _ in 0..10_000 {
            yield_now().await;
        }
    });
    assert!(looks.take().len() < 200, "some hundred polls fit between two looks again");
}

#[test]
fn who_wakes_itself_before_a_look_lets_those_go_first_whom_the_look_wakes() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    runtime.block_on(async {
        let computing = spawn(compute(clock));
        sleep(100 * WORK).await; // by now the loop knows how long a poll takes
        for _ in 0..10 {
            let begun = Instant::now();
            sleep_until(begun + WORK * 3 / 2).await;
            assert_eq!(
                begun.elapsed(),
                2 * WORK,
                "it was due in the second poll, and was not kept waiting for a third"
            );
        }
        drop(computing);
    });
}

#[test]
fn whom_a_look_wakes_does_not_wait_for_a_second_computation_however_many_they_are() {
    let _dog = watchdog();
    for others in [1, 2, 5, 6, 13, 40] {
        let (runtime, clock) = simulated();
        runtime.block_on(async {
            let computing = spawn(compute(clock));
            let latest = Rc::new(Cell::new(Duration::ZERO));
            let others = (0..others).map(|_| {
                let latest = Rc::clone(&latest);
                spawn(async move {
                    loop {
                        let due = Instant::now() + WORK / 2;
                        sleep_until(due).await;
                        latest.set(latest.get().max(Instant::now() - due));
                    }
                })
            });
            let tasks: Vec<_> = others.collect();
            sleep(100 * WORK).await; // by now the loop knows whose polls are slow
            latest.take();
            sleep(1000 * WORK).await;
            assert_eq!(latest.get(), WORK / 2, "of {} tasks", tasks.len());
            drop(computing);
        });
    }
}

#[test]
fn who_yields_alone_is_polled_however_often_others_are_woken() {
    let _dog = watchdog();
    test_run(async {
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let spinning = spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for round in 1..1000 {
            sleep_until(Instant::now()).await;
            yield_now().await;
            assert!(polls.get() >= round);
        }
        drop(spinning);
    });
}

#[test]
fn who_yields_alone_is_not_lost_where_the_look_ends_by_a_panic() {
    let _dog = watchdog();
    let rounds = Rc::new(Cell::new(0));
    let (counted, seen, panics) = (Rc::clone(&rounds), Rc::clone(&rounds), Cell::new(true));
    let observer = move |event: &Event<'_>| {
        let is_late = matches!(event, Event::Looked { .. }) && seen.get() > 5000;
        assert!(!(is_late && panics.take()), "the observer fails");
    };
    let runtime = Builder::new().clock(Clock::simulated()).observe(observer).build().unwrap();
    let computing = runtime.spawn(async move {
        while counted.get() < 10_000 {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
        "through"
    });
    let run = AssertUnwindSafe(|| runtime.block_on(pending::<()>()));
    assert!(catch_unwind(run).is_err());
    assert!(rounds.get() < 10_000);
    assert_eq!(runtime.block_on(computing).unwrap(), "through");
}

#[test]
fn an_interval_ticks_beside_a_spinning_task_under_the_systems_clock() {
    let _dog = watchdog();
    run(async {
        let spinner = spawn(spin());
        let mut ticker = interval(Duration::from_millis(1));
        for _ in 0..10 {
            ticker.tick().await;
        }
        let slow = spawn(async {
            loop {
                let begun = SystemInstant::now();
                while begun.elapsed() < Duration::from_micros(200) {}
                yield_now().await;
            }
        });
        for _ in 0..10 {
            ticker.tick().await;
        }
        drop((spinner, slow));
    });
}

#[test]
fn a_spinning_task_does_not_starve_the_mailbox() {
    let _dog = watchdog();
    run(async {
        let spinner = spawn(spin());
        assert_eq!(to_thread(|| 7).await, 7);
        drop(spinner);
    });
}

#[test]
fn a_spinning_main_starves_nobody() {
    let _dog = watchdog();
    test_run(async {
        let done = spawn(async {
            sleep(Duration::from_nanos(1)).await;
            7
        });
        // Under the simulated clock time stands still while main spins: move it.
        let clock = handcar_executor::Instant::now();
        assert_eq!(clock, Instant::START);
        for _ in 0..1000 {
            yield_now().await;
        }
        assert!(!done.is_finished());
        assert_eq!(done.await.unwrap(), 7);
    });
}

/// A leaf operation that is always ready.
fn always_ready() -> impl Future<Output = ()> {
    poll_fn(|cx: &mut Context<'_>| {
        std::task::ready!(budget::poll(cx));
        budget::spend();
        Poll::Ready(())
    })
}

#[test]
fn a_loop_over_what_is_always_ready_yields() {
    let _dog = watchdog();
    test_run(async {
        let operations = Rc::new(Cell::new(0_u32));
        let counted = Rc::clone(&operations);
        let greedy = spawn(async move {
            loop {
                always_ready().await;
                counted.set(counted.get() + 1);
            }
        });
        for turn in 1..=10 {
            yield_now().await;
            assert_eq!(operations.get(), turn * budget::DEFAULT);
        }
        drop(greedy);
    });
}

#[test]
fn the_builders_budget_counts() {
    let _dog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).poll_budget(5).build().unwrap();
    runtime.block_on(async {
        let operations = Rc::new(Cell::new(0));
        let counted = Rc::clone(&operations);
        let greedy = spawn(async move {
            loop {
                always_ready().await;
                counted.set(counted.get() + 1);
            }
        });
        yield_now().await;
        yield_now().await;
        assert_eq!(operations.get(), 10);
        drop(greedy);
        // Main has a budget as well.
        for _ in 0..5 {
            assert!(!budget::is_spent());
            always_ready().await;
        }
        assert!(budget::is_spent());
        always_ready().await;
        assert!(!budget::is_spent());
    });
}

#[test]
fn joining_finished_tasks_spends_the_budget_and_loses_nothing() {
    let _dog = watchdog();
    test_run(async {
        let tasks: Vec<_> = (0..1000).map(|number| spawn(async move { number })).collect();
        yield_now().await;
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        let beside = spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for (number, task) in tasks.into_iter().enumerate() {
            assert!(task.is_finished());
            assert_eq!(task.await.unwrap(), number);
        }
        assert!(turns.get() >= 7, "{}", turns.get());
        drop(beside);
    });
}

#[test]
fn a_timeout_around_a_greedy_loop_expires() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, _) = counting_looks(&clock);
    runtime.block_on(async {
        let time = clock.clone();
        let greedy = async move {
            loop {
                always_ready().await;
                time.advance(Duration::from_micros(1));
            }
        };
        assert!(timeout(Duration::from_millis(10), greedy).await.is_err());
    });
}

#[test]
fn always_due_timers_do_not_starve_the_others() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, _) = counting_looks(&clock);
    runtime.block_on(async {
        clock.advance(Duration::from_secs(1000));
        let greedy = spawn(async {
            // Behind by a hundred thousand ticks: each is due at once.
            let mut ticker = handcar_executor::interval_at(Instant::START, Duration::from_millis(10));
            loop {
                ticker.tick().await;
            }
        });
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        drop(greedy);
    });
}

#[test]
fn outside_a_poll_the_budget_is_unlimited() {
    let _dog = watchdog();
    let waker = calling(|_| {});
    for _ in 0..10_000 {
        assert!(waker.poll(&mut Box::pin(always_ready())).is_ready());
    }
    test_run(async { always_ready().await });
    for _ in 0..10_000 {
        assert!(waker.poll(&mut Box::pin(always_ready())).is_ready());
    }
}

#[test]
fn another_runtime_that_ends_inside_a_poll_leaves_the_polls_budget_alone() {
    let _dog = watchdog();
    let (inner, _) = common::simulated();
    inner.spawn(common::for_ever()).detach();
    inner.block_on(yield_now());
    Builder::new().clock(Clock::simulated()).poll_budget(3).build().unwrap().block_on(async move {
        yield_now().await;
        drop(inner);
        for _ in 0..3 {
            budget::spend();
        }
        assert!(budget::is_spent(), "this poll may still do three operations and no more");
    });
}

#[test]
fn each_child_of_a_join_shares_the_budget_of_its_task() {
    let _dog = watchdog();
    test_run(async {
        let counts = Rc::new(RefCell::new([0_u32; 2]));
        let mut both = Box::pin(futures::future::join(
            {
                let counts = Rc::clone(&counts);
                async move {
                    loop {
                        always_ready().await;
                        counts.borrow_mut()[0] += 1;
                    }
                }
            },
            {
                let counts = Rc::clone(&counts);
                async move {
                    loop {
                        always_ready().await;
                        counts.borrow_mut()[1] += 1;
                    }
                }
            },
        ));
        let _: Poll<((), ())> = poll_fn(|cx| Poll::Ready(Pin::new(&mut both).poll(cx))).await;
        let [first, second] = *counts.borrow();
        assert_eq!((first, second), (budget::DEFAULT, 0));
    });
}

#[test]
fn who_gets_the_slot_of_a_slow_task_that_has_ended_is_looked_at_as_any_other() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let (runtime, looks) = counting_looks(&clock);
    runtime.block_on(async {
        for _ in 0..5 {
            let time = clock.clone();
            spawn(async move { time.advance(Duration::from_millis(1)) }).await.unwrap();
        }
        for _ in 0..2000 {
            yield_now().await;
        }
        looks.take();
        for _ in 0..5 {
            spawn(async {}).await.unwrap();
            for _ in 0..500 {
                yield_now().await;
            }
        }
        let looks = looks.take();
        assert!(looks.iter().all(|&polls| polls == 128), "{looks:?}");
    });
}
