//! Embedding: a host loop that turns the runtime, and several runtimes that share a thread.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, Instant, RunError, Runtime, Spawner, Turn, current_task, sleep, spawn, to_thread, try_run,
    yield_now,
};

mod common;
use common::{Log, for_ever, panic_of, simulated, test_run, watchdog};

fn turn_until_idle(runtime: &Runtime) {
    while runtime.turn().unwrap() == Turn::More {}
}

#[test]
fn an_idle_runtime_has_nothing_to_turn() {
    let _dog = watchdog();
    let runtime = Runtime::new().unwrap();
    for _ in 0..3 {
        assert_eq!(runtime.turn().unwrap(), Turn::Idle);
    }
    assert_eq!(runtime.next_deadline(), None);
    let metrics = runtime.metrics();
    assert_eq!((metrics.tasks, metrics.timers), (0, 0));
}

#[test]
fn turns_run_what_is_runnable_and_never_block() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let task = runtime.spawn(async {
        yield_now().await;
        sleep(Duration::from_secs(10)).await;
        7
    });
    assert_eq!(runtime.metrics().tasks, 1);
    turn_until_idle(&runtime);
    assert!(!task.is_finished());
    assert_eq!(runtime.next_deadline(), Some(Instant::START + Duration::from_secs(10)));
    assert_eq!(clock.now(), Instant::START, "a host's clock does not jump");
    clock.advance(Duration::from_secs(10));
    turn_until_idle(&runtime);
    assert!(task.is_finished());
    assert_eq!(runtime.next_deadline(), None);
    let metrics = runtime.metrics();
    assert_eq!((metrics.tasks, metrics.timers), (0, 0));
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn a_turn_ends_although_a_task_wakes_itself_for_ever() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    let task = runtime.spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    for _ in 0..10 {
        let before = polls.get();
        assert_eq!(runtime.turn().unwrap(), Turn::More);
        assert!((1..=300).contains(&(polls.get() - before)));
    }
    drop(task);
}

#[test]
fn metrics_count_what_lives_and_not_main() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        assert_eq!(runtime.metrics().tasks, 0);
        let tasks: Vec<_> = (0..5).map(|_| spawn(sleep(Duration::from_secs(1)))).collect();
        yield_now().await;
        yield_now().await;
        let metrics = runtime.metrics();
        assert_eq!((metrics.tasks, metrics.timers), (5, 5));
        drop(tasks);
        yield_now().await;
        let metrics = runtime.metrics();
        assert_eq!((metrics.tasks, metrics.timers), (0, 0));
    });
    assert_eq!(runtime.metrics().tasks, 0);
}

#[test]
fn two_runtimes_take_turns_on_one_thread() {
    let _dog = watchdog();
    let log = Log::new();
    let (a, _) = simulated();
    let (b, _) = simulated();
    for (name, runtime) in [("a", &a), ("b", &b)] {
        let log = log.clone();
        runtime
            .spawn(async move {
                for step in 0..3 {
                    log.note(format!("{name}{step}"));
                    sleep(Duration::ZERO).await;
                }
                spawn(async move { log.note(format!("{name} child")) }).await.unwrap();
            })
            .detach();
    }
    while (a.turn().unwrap(), b.turn().unwrap()) != (Turn::Idle, Turn::Idle) {}
    let log = log.take();
    let of = |name: &str| log.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["a0", "a1", "a2", "a child"]);
    assert_eq!(of("b"), ["b0", "b1", "b2", "b child"]);
    assert_ne!(log[..4], of("a")[..], "they were mixed");
}

#[test]
fn runtimes_on_one_thread_may_wait_for_each_others_tasks() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, _) = simulated();
    let first = a.spawn(async {
        yield_now().await;
        1
    });
    let second = b.spawn(async { first.await.unwrap() + 1 });
    let third = a.spawn(async { second.await.unwrap() + 1 });
    while !third.is_finished() {
        let _ = (a.turn().unwrap(), b.turn().unwrap());
    }
    assert_eq!(a.block_on(third).unwrap(), 3);
}

#[test]
fn enter_makes_a_runtime_current_and_puts_back_what_was() {
    let _dog = watchdog();
    let (a, a_clock) = simulated();
    let (b, _) = simulated();
    a_clock.advance(Duration::from_secs(1));
    let one = Instant::START + Duration::from_secs(1);
    a.enter(|| {
        assert_eq!(Instant::now(), one);
        b.enter(|| {
            assert_eq!(Instant::now(), Instant::START);
            drop(spawn(for_ever()));
        });
        assert_eq!(Instant::now(), one);
        assert!(current_task().is_none(), "no task is polled here");
        assert_eq!(panic_of(|| b.enter(|| panic!("inside"))), "inside");
        assert_eq!(Instant::now(), one, "after a panic too");
    });
    assert!(panic_of(|| assert_eq!(Instant::now(), one)).contains("needs a runtime"));
    assert_eq!((a.metrics().tasks, b.metrics().tasks), (0, 1));
    b.block_on(async { a.enter(|| assert_eq!(Instant::now(), one)) });
    assert_eq!(a.enter(|| 7), 7);
}

#[test]
fn free_functions_outside_a_runtime_panic_with_their_name_and_the_remedy() {
    let _dog = watchdog();
    let expect = |what: &str, text: String| {
        assert!(text.starts_with(what) && text.contains("`handcar::run`"), "{what}: {text}");
    };
    expect("spawn needs", panic_of(|| drop(spawn(async {}))));
    expect("spawn_named needs", panic_of(|| drop(handcar_executor::spawn_named("name", async {}))));
    expect("to_thread needs", panic_of(|| drop(to_thread(|| ()))));
    expect("interval needs", panic_of(|| drop(handcar_executor::interval(Duration::from_secs(1)))));
    expect("Spawner::current needs", panic_of(|| drop(Spawner::current())));
    expect("Instant::now needs", panic_of(|| assert!(Instant::now() > Instant::START)));
    assert!(current_task().is_none());
}

#[test]
fn a_nested_run_is_refused_and_names_the_outer_line() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let (other, _) = simulated();
    let line = line!() + 1;
    runtime.block_on(async {
        let is_outer = |result: Result<(), RunError>| match result {
            Err(RunError::Nested { outer }) => assert_eq!((outer.file(), outer.line()), (file!(), line)),
            result => panic!("{result:?}"),
        };
        is_outer(try_run(async {}));
        is_outer(other.try_block_on(async {}));
        is_outer(runtime.try_block_on(async {}));
        is_outer(runtime.turn().map(drop));
        is_outer(other.turn().map(drop));
        is_outer(spawn(async { try_run(async {}) }).await.unwrap());
        is_outer(other.enter(|| try_run(async {})));
        let text = panic_of(|| handcar_executor::run(async {}));
        assert!(text.contains(&format!("embedding.rs:{line}:")), "{text}");
        let text = panic_of(|| other.block_on(async {}));
        assert!(text.contains(&format!("embedding.rs:{line}:")), "{text}");
    });
    // Not inside another thread, nor afterwards.
    test_run(async { std::thread::spawn(|| test_run(async {})).join().unwrap() });
    try_run(async {}).unwrap();
}

#[test]
fn a_turn_inside_a_turn_is_an_error_and_names_the_outer_one() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let runtime = Rc::new(runtime);
    let inner = Rc::clone(&runtime);
    let task = runtime.spawn(async move { inner.turn() });
    let line = line!() + 1;
    let _ = runtime.turn().unwrap();
    let result = runtime.block_on(task).unwrap();
    let Err(RunError::Nested { outer }) = result else { panic!("{result:?}") };
    assert_eq!(outer.line(), line);
}

#[test]
fn a_refused_run_drops_its_future_and_spoils_nothing() {
    let _dog = watchdog();
    let drops = common::Drops::new();
    let (other, _) = simulated();
    test_run(async {
        let token = drops.token();
        let result = other.try_block_on(async move {
            let _token = token;
        });
        assert!(matches!(result, Err(RunError::Nested { .. })));
        assert_eq!(drops.count(), 1);
    });
    assert_eq!(other.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn a_runtime_may_end_inside_anothers_poll() {
    let _dog = watchdog();
    let drops = common::Drops::new();
    test_run(async {
        let (inner, _) = simulated();
        let token = drops.token();
        inner
            .spawn(async move {
                let _token = token;
                for_ever().await;
            })
            .detach();
        drop(inner);
        assert_eq!(drops.count(), 1);
        assert!(current_task().is_some(), "back in the outer one's task");
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn a_spawner_serves_while_its_runtime_lives() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let spawner = runtime.spawner();
    let again = spawner.clone();
    let task = spawner.spawn(async { 7 }); // outside
    let nested = runtime.block_on(async move {
        let from_inside = again.spawn(async { 8 });
        from_inside.await.unwrap() + task.await.unwrap()
    });
    assert_eq!(nested, 15);
    let line = line!() + 1;
    assert_eq!(spawner.spawn(async {}).spawned_at().line(), line);
    drop(runtime);
    assert!(panic_of(|| drop(spawner.spawn(async {}))).contains("has ended"));
}

#[test]
fn what_is_spawned_between_two_runs_is_run_by_the_next() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.block_on(async {});
    let task = runtime.enter(|| spawn(async { 7 }));
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn main_may_borrow() {
    let _dog = watchdog();
    let mut words = vec![String::from("borrowed")];
    let (runtime, _) = simulated();
    let length = runtime.block_on(async {
        words.push(String::from("mutably"));
        yield_now().await;
        words.iter().map(String::len).sum::<usize>()
    });
    assert_eq!(length, 15);
}

#[test]
fn the_builder_refuses_what_cannot_work() {
    let _dog = watchdog();
    assert!(panic_of(|| drop(Builder::new().blocking_threads(0))).contains("at least one"));
    assert!(panic_of(|| drop(Builder::new().poll_budget(0))).contains("at least one"));
    assert!(format!("{:?}", Builder::default().clock(Clock::simulated())).contains("simulated"));
}

#[test]
fn public_things_can_be_printed() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    assert_eq!(format!("{runtime:?}"), "Runtime { tasks: 0, .. }");
    runtime.block_on(async {
        let things: [&dyn std::fmt::Debug; 8] = [
            &sleep(Duration::ZERO),
            &yield_now(),
            &to_thread(|| ()),
            &Spawner::current(),
            &clock,
            &clock.hold(),
            &handcar_executor::Delegates::new(),
            &handcar_executor::timeout(Duration::ZERO, async {}),
        ];
        for thing in things {
            assert!(!format!("{thing:?}").is_empty());
        }
        let error = try_run(async {}).unwrap_err();
        assert!(std::error::Error::source(&error).is_none());
        assert!(error.to_string().contains("already running"), "{error}");
    });
}
