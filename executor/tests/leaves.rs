//! Everything that waits, in every stage of its life: dropped, forgotten by its runtime, panicked at, and called back from
//! the wakers that it was given.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, Delegates, Instant, Runtime, interval_at, sleep, sleep_until, spawn, timeout, timeout_at,
    to_thread, yield_now,
};

mod common;
use common::{Call, Reports, calling, for_ever, watchdog};

type Leaf = Pin<Box<dyn Future<Output = ()>>>;
type MakeLeaf = fn() -> Leaf;

const SECOND: Duration = Duration::from_secs(1);

/// Polls its children when they are woken.
fn all(children: Vec<Leaf>) -> impl Future<Output = ()> {
    let mut delegates = Delegates::new();
    let mut children: Vec<_> = children.into_iter().map(Some).collect();
    for _ in &children {
        delegates.insert();
    }
    poll_fn(move |cx| {
        delegates.begin(cx);
        while let Some(index) = delegates.next() {
            let waker = delegates.waker(index);
            let child = children[index].as_mut().expect("a removed child is never returned");
            if child.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                children[index] = None;
                delegates.remove(index);
            }
        }
        if delegates.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// What waits, with its name. Each is made inside a runtime, and ends within two seconds of it, or never.
fn leaves() -> Vec<(&'static str, MakeLeaf)> {
    vec![
        ("sleep", || Box::pin(sleep(SECOND))),
        ("sleep of zero", || Box::pin(sleep(Duration::ZERO))),
        ("sleep without end", || Box::pin(sleep(Duration::MAX))),
        ("sleep_until", || Box::pin(sleep_until(Instant::now() + SECOND))),
        ("sleep_until the past", || Box::pin(sleep_until(Instant::START))),
        ("timeout that expires", || Box::pin(async { assert!(timeout(SECOND, pending::<()>()).await.is_err()) })),
        ("timeout of zero", || Box::pin(async { assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err()) })),
        ("timeout that does not", || {
            Box::pin(async { assert!(timeout_at(Instant::NEVER, sleep(SECOND)).await.is_ok()) })
        }),
        ("tick", || {
            Box::pin(async {
                let mut ticker = interval_at(Instant::now() + SECOND, SECOND);
                ticker.tick().await;
                ticker.tick().await;
            })
        }),
        ("handle of a task that ends", || Box::pin(async { drop(spawn(sleep(SECOND)).await) })),
        ("handle of a task that does not", || Box::pin(async { drop(spawn(for_ever()).await) })),
        ("handle of a task that panics", || {
            Box::pin(async {
                let task = spawn(async { std::panic::resume_unwind(Box::new("task")) });
                assert!(task.await.map(|(): ()| ()).is_err());
            })
        }),
        ("yield", || Box::pin(yield_now())),
        ("delegates", || {
            Box::pin(all(vec![
                Box::pin(sleep(SECOND)),
                Box::pin(yield_now()),
                Box::pin(async { drop(spawn(yield_now()).await) }),
                Box::pin(all(vec![Box::pin(sleep(SECOND * 2))])),
            ]))
        }),
        ("futures' own", || {
            Box::pin(async {
                futures::join!(sleep(SECOND), yield_now(), async { drop(spawn(yield_now()).await) });
            })
        }),
    ]
}

/// What a test does to a runtime between two polls of a leaf: everything that is due happens, and nobody polls the leaf.
fn let_time_pass(runtime: &Runtime, clock: &Clock) {
    for _ in 0..4 {
        let _ = runtime.turn().unwrap();
    }
    clock.advance(SECOND);
    for _ in 0..4 {
        let _ = runtime.turn().unwrap();
    }
}

/// A runtime whose reports go nowhere: one of the leaves is of a task that panics, and is dropped unread.
fn unheard() -> (Runtime, Clock) {
    let clock = Clock::simulated();
    (Builder::new().clock(clock.clone()).on_report(drop).build().unwrap(), clock)
}

fn assert_nothing_is_left(runtime: &Runtime, what: &str) {
    for _ in 0..8 {
        let _ = runtime.turn().unwrap(); // cancelled tasks take their turn
    }
    let metrics = runtime.metrics();
    assert_eq!((metrics.tasks, metrics.timers), (0, 0), "{what}");
}

/// Counts a waker's clones and ends; a waker that was cloned and neither dropped nor woken by value has leaked.
fn balanced(count: &Rc<Cell<i32>>) -> common::CallingWaker {
    let count = Rc::clone(count);
    calling(move |call| {
        count.set(
            count.get()
                + match call {
                    Call::Clone => 1,
                    Call::Wake | Call::Drop => -1,
                    Call::WakeByRef => 0,
                },
        );
    })
}

#[test]
fn dropped_at_any_stage_it_leaves_nothing_behind() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        for polls in 0..5 {
            for passes in [false, true] {
                let what = format!("{name}, polled {polls} times, time passes: {passes}");
                let (runtime, clock) = unheard();
                let count = Rc::new(Cell::new(0));
                let wakers = [balanced(&count), balanced(&count)];
                let mut leaf = runtime.enter(make);
                let mut ready = false;
                for poll in 0..polls {
                    if !ready {
                        ready = runtime.enter(|| wakers[poll % 2].poll(&mut leaf)).is_ready();
                    }
                    if passes {
                        let_time_pass(&runtime, &clock);
                    }
                }
                runtime.enter(|| drop(leaf));
                assert_nothing_is_left(&runtime, &what);
                assert_eq!(count.get(), 0, "{what}: wakers that were cloned and never ended");
            }
        }
    }
}

#[test]
fn dropped_outside_the_runtime_it_leaves_nothing_behind_either() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        let (runtime, _) = unheard();
        let count = Rc::new(Cell::new(0));
        let waker = balanced(&count);
        let mut leaf = runtime.enter(make);
        let _ = runtime.enter(|| waker.poll(&mut leaf));
        let _ = runtime.turn().unwrap();
        drop(leaf);
        assert_nothing_is_left(&runtime, name);
        assert_eq!(count.get(), 0, "{name}");
    }
}

#[test]
fn a_pending_one_is_woken_when_its_time_has_come_and_then_ready() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        if name.contains("without end") || name.contains("does not") && name.contains("handle") {
            continue;
        }
        let (runtime, clock) = common::simulated();
        let woken = Rc::new(Cell::new(true));
        let heard = Rc::clone(&woken);
        let waker = calling(move |call| {
            if matches!(call, Call::Wake | Call::WakeByRef) {
                heard.set(true);
            }
        });
        let mut leaf = runtime.enter(make);
        for round in 0..20 {
            assert!(round < 19, "{name} never ends");
            // Polled only when it was woken.
            if woken.replace(false) && runtime.enter(|| waker.poll(&mut leaf)).is_ready() {
                break;
            }
            let_time_pass(&runtime, &clock);
        }
        assert_nothing_is_left(&runtime, name);
    }
}

#[test]
fn spurious_polls_with_changing_wakers_change_nothing() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        if name.contains("yield") || name.contains("zero") || name.contains("past") || name == "delegates" {
            continue; // these are ready at the second poll, as they should be
        }
        let (runtime, _) = common::simulated();
        let mut leaf = runtime.enter(make);
        let wakers = [calling(|_| {}), calling(|_| {}), calling(|_| {})];
        let mut pending = 0;
        for poll in 0..30 {
            let _ = runtime.turn().unwrap();
            if runtime.enter(|| wakers[poll % 3].poll(&mut leaf)).is_pending() {
                pending += 1;
            } else {
                assert!(name.contains("panics"), "{name} ended although no time passed");
                break;
            }
        }
        assert!(pending == 30 || name.contains("panics"), "{name}");
        runtime.enter(|| drop(leaf));
        assert_nothing_is_left(&runtime, name);
    }
}

#[test]
fn the_runtime_may_be_dropped_under_it() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        for polls in 0..3 {
            let (runtime, clock) = common::simulated();
            let count = Rc::new(Cell::new(0));
            let waker = balanced(&count);
            let mut leaf = runtime.enter(make);
            let mut ready = false;
            for _ in 0..polls {
                ready = ready || runtime.enter(|| waker.poll(&mut leaf)).is_ready();
                let _ = runtime.turn().unwrap();
            }
            clock.advance(SECOND);
            drop(runtime);
            // It may go on elsewhere, but nothing obliges it to end.
            let (other, _) = common::simulated();
            if !ready {
                let _ = other.enter(|| catch_unwind(AssertUnwindSafe(|| waker.poll(&mut leaf))));
            }
            other.enter(|| drop(leaf));
            assert_nothing_is_left(&other, name);
            drop(other);
            assert_eq!(count.get(), 0, "{name} after {polls} polls");
        }
    }
}

#[test]
fn a_panic_beside_it_drops_it_cleanly() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        let (runtime, _) = common::simulated();
        let result = runtime.block_on(async move {
            let mut leaf = make();
            spawn(async move {
                let _ = poll_fn(|cx| Poll::Ready(leaf.as_mut().poll(cx))).await;
                std::panic::resume_unwind(Box::new("beside"));
            })
            .await
            .map(|(): ()| ())
        });
        assert!(result.unwrap_err().is_panic(), "{name}");
        assert_nothing_is_left(&runtime, name);
    }
}

/// What a waker does when it is called: everything that may be done to the runtime from there.
fn nuisance(runtime: &Rc<Runtime>, deep: &Rc<Cell<u32>>) -> impl Fn(Call) + 'static + use<> {
    let (runtime, deep) = (Rc::clone(runtime), Rc::clone(deep));
    let held = RefCell::new(Vec::new());
    // A task whose waker is woken from inside the others.
    let waker = Rc::new(RefCell::new(None::<Waker>));
    let slot = Rc::clone(&waker);
    let woken = runtime.spawn(poll_fn(move |cx| {
        let old = slot.borrow_mut().replace(cx.waker().clone());
        drop(old);
        Poll::<()>::Pending
    }));
    move |_| {
        assert!(!woken.is_finished());
        if deep.get() > 3 {
            return;
        }
        deep.set(deep.get() + 1);
        runtime.enter(|| {
            let task = spawn(for_ever());
            let abort = task.abort_handle();
            drop(spawn(async {})); // cancels
            spawn(yield_now()).detach();
            abort.cancel();
            task.cancel();
            let mut timer = sleep(SECOND);
            assert!(common::poll_once(&mut timer).is_pending());
            timer.reset(Instant::now() + SECOND * 2);
            let old = held.borrow_mut().pop();
            drop(old);
            held.borrow_mut().push((task, timer));
            let waker = waker.borrow().clone();
            waker.iter().for_each(Waker::wake_by_ref);
            let mut waits = spawn(for_ever());
            let again = common::poll_once(&mut waits);
            assert!(again.is_pending());
            assert!(runtime.metrics().tasks > 0);
            let _ = runtime.next_deadline();
        });
        deep.set(deep.get() - 1);
    }
}

#[test]
fn wakers_may_do_anything_from_wherever_they_are_called() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        for polls in 1..4 {
            for passes in [false, true] {
                let (runtime, clock) = unheard();
                let runtime = Rc::new(runtime);
                let deep = Rc::new(Cell::new(0));
                let wakers = [calling(nuisance(&runtime, &deep)), calling(nuisance(&runtime, &deep))];
                let mut leaf = runtime.enter(make);
                let mut ready = false;
                for poll in 0..polls {
                    ready = ready || runtime.enter(|| wakers[poll % 2].poll(&mut leaf)).is_ready();
                    if passes {
                        let_time_pass(&runtime, &clock);
                    }
                }
                runtime.enter(|| drop(leaf));
                drop(wakers);
                assert_nothing_is_left(&runtime, &format!("{name}, polled {polls} times, time passes: {passes}"));
                assert_eq!(Rc::strong_count(&runtime), 1);
            }
        }
    }
}

#[test]
fn wakers_may_panic_wherever_they_are_called_and_cost_nobody_else_anything() {
    let _dog = watchdog();
    for (name, make) in leaves() {
        for bad in [Call::Clone, Call::Wake, Call::WakeByRef, Call::Drop] {
            for polls in 1..4 {
                let what = format!("{name}, polled {polls} times, a panic in {bad:?}");
                let reports = Reports::new();
                let clock = Clock::simulated();
                let runtime =
                    handcar_executor::Builder::new().clock(clock.clone()).on_report(reports.hook()).build().unwrap();
                let armed = Rc::new(Cell::new(true));
                let panics = || {
                    let armed = Rc::clone(&armed);
                    calling(move |call| {
                        // Without a message: the panic hook would print thousands.
                        if call == bad && armed.get() && !std::thread::panicking() {
                            std::panic::resume_unwind(Box::new("waker"));
                        }
                    })
                };
                let wakers = [panics(), panics()];
                let other = runtime.spawn(async {
                    sleep(SECOND / 2).await;
                    yield_now().await;
                    7
                });
                let _ = runtime.turn().unwrap();
                let mut leaf = runtime.enter(make);
                let mut over = false;
                for poll in 0..polls {
                    if !over {
                        let result =
                            catch_unwind(AssertUnwindSafe(|| runtime.enter(|| wakers[poll % 2].poll(&mut leaf))));
                        // What panicked in its own poll may be spoilt, but must bear being dropped.
                        over = !matches!(result, Ok(Poll::Pending));
                    }
                    let_time_pass(&runtime, &clock);
                }
                let _ = catch_unwind(AssertUnwindSafe(|| runtime.enter(|| drop(leaf))));
                armed.set(false);
                assert_eq!(runtime.block_on(other).unwrap(), 7, "{what}");
                assert_nothing_is_left(&runtime, &what);
            }
        }
    }
}

#[test]
fn a_job_bears_all_of_this_too() {
    let _dog = watchdog();
    for bad in [None, Some(Call::Clone), Some(Call::Drop)] {
        for polls in 0..3 {
            let (runtime, _) = common::simulated();
            let runtime = Rc::new(runtime);
            let armed = Rc::new(Cell::new(true));
            let deep = Rc::new(Cell::new(0));
            let wakers: [_; 2] = std::array::from_fn(|_| {
                let (armed, nuisance) = (Rc::clone(&armed), nuisance(&runtime, &deep));
                calling(move |call| {
                    if Some(call) == bad && armed.get() && !std::thread::panicking() {
                        std::panic::resume_unwind(Box::new("waker"));
                    }
                    nuisance(call);
                })
            });
            let (go, wait) = channel::<()>();
            let mut job = runtime.enter(|| to_thread(move || wait.recv().is_err()));
            for poll in 0..polls {
                let poll = || runtime.enter(|| wakers[poll % 2].poll(&mut job));
                assert!(!matches!(catch_unwind(AssertUnwindSafe(poll)), Ok(Poll::Ready(_))));
            }
            armed.set(false);
            drop(go);
            assert!(runtime.block_on(job), "its result arrives");
            drop(wakers);
            assert_nothing_is_left(&runtime, "a job");
        }
    }
}
