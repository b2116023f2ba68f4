//! The observer: what a small program looks like, step by step.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use handcar_executor::{
    Builder, Cause, Clock, Event, Runtime, TaskId, sleep, spawn, spawn_named, to_thread, yield_now,
};

mod common;
use common::{for_ever, watchdog};

/// The events of a runtime, with tasks by name; one without a name gets a letter.
#[derive(Clone, Default)]
struct Events(Rc<RefCell<Seen>>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    names: HashMap<TaskId, String>,
}

impl Events {
    fn runtime(&self, clock: Clock) -> Runtime {
        let events = self.clone();
        Builder::new().clock(clock).observe(move |event| events.note(event)).build().unwrap()
    }

    fn note(&self, event: &Event<'_>) {
        let Seen { lines, names } = &mut *self.0.borrow_mut();
        if let Event::Spawned { task, name, .. } = event {
            let letter = char::from(b'a' + u8::try_from(names.len() % 26).unwrap());
            let name = name.map_or_else(|| letter.to_string(), str::to_owned);
            names.insert(*task, name);
        }
        let who = |task: &TaskId| names.get(task).cloned().unwrap_or_else(|| "?".to_owned());
        lines.push(match event {
            Event::Spawned { task, .. } => format!("spawned {}", who(task)),
            Event::Polled { task } => format!("polled {}", who(task)),
            Event::Woken { task, by: Cause::Task(by) } if by == task => format!("woken {} by itself", who(task)),
            Event::Woken { task, by: Cause::Task(by) } => format!("woken {} by {}", who(task), who(by)),
            Event::Woken { task, by } => format!("woken {} by {by}", who(task)),
            Event::Ended { task } => format!("ended {}", who(task)),
            Event::Looked { .. } | Event::Paused | Event::Entered { .. } | Event::Left => return,
            Event::Parked { timeout } => format!("parked {timeout:?}"),
            Event::Unparked => "unparked".to_owned(),
            Event::Jumped { by } => format!("jumped {by:?}"),
            other => format!("{other:?}"),
        });
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().lines)
    }
}

#[test]
fn a_small_program_step_by_step() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    runtime.block_on(async {
        let slow = spawn_named("slow", async {
            sleep(Duration::from_secs(1)).await;
            40
        });
        let fast = spawn_named("fast", async {
            yield_now().await;
            2
        });
        assert_eq!(slow.await.unwrap() + fast.await.unwrap(), 42);
    });
    assert_eq!(
        events.take(),
        [
            "spawned main",
            "polled main",
            "spawned slow",
            "spawned fast",
            "polled slow",
            "polled fast",
            "woken fast by itself",
            "polled fast",
            "ended fast",
            "jumped 1s",
            "woken slow by a timer",
            "polled slow",
            "woken main by slow",
            "ended slow",
            "polled main",
        ]
    );
    drop(runtime);
    assert_eq!(events.take(), [""; 0]);
}

#[test]
fn cancelling_is_told_as_that() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    runtime.block_on(async {
        let waits = spawn_named("waits", for_ever());
        yield_now().await;
        waits.cancel();
        assert!(waits.await.is_err());
    });
    assert_eq!(
        events.take(),
        [
            "spawned main",
            "polled main",
            "spawned waits",
            "woken main by itself",
            "polled waits",
            "polled main",
            "woken waits by a cancellation",
            "polled waits",
            "woken main by waits",
            "ended waits",
            "polled main",
        ]
    );
}

#[test]
fn the_end_of_the_runtime_is_told_too() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    runtime.spawn(for_ever()).detach();
    runtime.block_on(async {});
    events.take();
    drop(runtime);
    assert_eq!(events.take(), ["woken a by a cancellation", "polled a", "ended a"]);
}

#[test]
fn a_task_that_wakes_itself_in_its_last_poll_is_polled_once_and_ends_once() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    runtime.block_on(async {
        let task = spawn_named(
            "hasty",
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::Ready(())
            }),
        );
        task.await.unwrap();
        yield_now().await;
    });
    let lines = events.take();
    let hasty: Vec<_> = lines.iter().filter(|line| line.contains(" hasty")).collect();
    assert_eq!(hasty, ["spawned hasty", "polled hasty", "woken hasty by itself", "woken main by hasty", "ended hasty"]);
}

#[test]
fn a_wake_from_another_thread_comes_from_outside() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::system());
    runtime.block_on(async { to_thread(|| ()).await });
    let lines = events.take();
    let woken: Vec<_> = lines.iter().filter(|line| line.starts_with("woken")).collect();
    assert!(woken.is_empty() || woken == ["woken main by outside"], "it may have been done already: {lines:?}");
    let parked = lines.iter().filter(|line| line.starts_with("parked")).count();
    let unparked = lines.iter().filter(|line| *line == "unparked").count();
    assert_eq!(parked, unparked);
}

#[test]
fn a_wake_outside_the_runtime_comes_from_outside() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    let waker = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&waker);
    runtime
        .spawn(std::future::poll_fn(move |cx| {
            *slot.borrow_mut() = Some(cx.waker().clone());
            std::task::Poll::<()>::Pending
        }))
        .detach();
    let _ = runtime.turn().unwrap();
    events.take();
    waker.take().unwrap().wake();
    let _ = runtime.turn().unwrap();
    let _ = runtime.turn().unwrap();
    assert_eq!(events.take(), ["woken a by outside", "polled a"]);
}

#[test]
fn a_wake_of_what_is_queued_or_gone_is_no_event() {
    let _dog = watchdog();
    let events = Events::default();
    let runtime = events.runtime(Clock::simulated());
    runtime.block_on(async {
        let task = spawn_named("done", std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())));
        let stale = task.await.unwrap();
        stale.wake_by_ref();
        let again = spawn_named("again", async {});
        again.abort_handle().cancel(); // queued already for its first poll
        assert!(again.await.is_err());
    });
    let lines = events.take();
    assert!(!lines.contains(&"woken done by main".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("woken again")), "{lines:?}");
}

#[test]
fn looks_count_the_polls_between_them() {
    let _dog = watchdog();
    let polls = Rc::new(RefCell::new((0_u32, Vec::new())));
    let seen = Rc::clone(&polls);
    let runtime = Builder::new()
        .clock(Clock::simulated())
        .observe(move |event| {
            let (polled, looks) = &mut *seen.borrow_mut();
            match event {
                Event::Polled { .. } => *polled += 1,
                Event::Looked { polls } => looks.push((std::mem::take(polled), *polls)),
                _ => {}
            }
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..10).map(|_| spawn(sleep(Duration::from_secs(1)))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        for _ in 0..1000 {
            yield_now().await;
        }
    });
    let looks = polls.take().1;
    assert!(looks.len() > 5);
    assert!(looks.iter().all(|(polled, told)| polled == told), "{looks:?}");
}
