//! What `Builder::observe` is told, checked as a whole: each event must fit to those before it.

mod common;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{Dice, Log, pair, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt};
use handcar::sync::mpsc;
use handcar::task::TaskId;
use handcar::{Builder, Cause, Clock, Event, sleep, spawn, spawn_named, timeout, to_thread, yield_now};

/// What is known of a task between its `Spawned` and its `Ended`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Queued,
    Waiting,
}

/// Checks each event against those before it. A panic here might end up in a task, unseen: so what is wrong is noted.
#[derive(Default)]
struct Checker {
    tasks: HashMap<TaskId, State>,
    wrong: Vec<String>,
    spawned: u64,
    polls: u64,
    /// Polls that the looks told of.
    looked: u64,
    parked: bool,
}

impl Checker {
    fn check(&mut self, event: &Event<'_>) {
        let somebody_can_run = self.tasks.values().any(|state| *state == State::Queued);
        let fits = match *event {
            Event::Spawned { task, .. } => {
                self.spawned += 1;
                !self.parked && self.tasks.insert(task, State::Queued).is_none()
            }
            Event::Polled { task } => {
                self.polls += 1;
                !self.parked && self.tasks.insert(task, State::Waiting) == Some(State::Queued)
            }
            Event::Woken { task, .. } => self.tasks.insert(task, State::Queued) == Some(State::Waiting),
            Event::Ended { task } => !self.parked && self.tasks.remove(&task).is_some(),
            Event::Looked { polls } => {
                self.looked += u64::from(polls);
                !self.parked
            }
            Event::Parked { .. } => !std::mem::replace(&mut self.parked, true) && !somebody_can_run,
            Event::Unparked => std::mem::take(&mut self.parked),
            Event::Jumped { by } => !self.parked && !by.is_zero() && !somebody_can_run,
            _ => true,
        };
        if !fits {
            self.wrong.push(format!("{event:?} when parked: {}, tasks: {:?}", self.parked, self.tasks));
        }
    }
}

fn checked(builder: Builder, seed: u64, tasks: u64) {
    let _watchdog = watchdog();
    let checker = Rc::new(RefCell::new(Checker::default()));
    let observer = Rc::clone(&checker);
    let runtime = builder.observe(move |event| observer.borrow_mut().check(event)).build().unwrap();
    let mut dice = Dice::new(seed);
    runtime.block_on(async {
        let (tx, mut rx) = mpsc::channel::<u64>(3);
        let receiver = spawn(async move { while rx.recv().await.is_some() {} });
        let mut handles = Vec::new();
        for n in 0..tasks {
            let (kind, amount, tx) = (dice.roll(100), dice.roll(10), tx.clone());
            handles.push(spawn(async move {
                match kind {
                    0..20 => {}
                    20..40 => sleep(Duration::from_micros(amount)).await,
                    40..50 => {
                        let _ = timeout(Duration::from_micros(amount), pending::<()>()).await;
                    }
                    50..70 => drop(tx.send(n).await),
                    70 => assert_eq!(to_thread(|| 7).await, 7),
                    71 => {
                        let (mut ours, mut theirs) = pair().await.unwrap();
                        let mut byte = [0];
                        let (write, read) = futures::join!(ours.write_all(b"x"), theirs.read_exact(&mut byte));
                        write.and(read).unwrap();
                    }
                    72..74 => panic!("on purpose"),
                    _ => {
                        for _ in 0..amount {
                            yield_now().await;
                        }
                    }
                }
            }));
            if handles.len() > 50 {
                let handle = handles.swap_remove(usize::try_from(dice.roll(50)).unwrap());
                match dice.roll(4) {
                    0 => drop(handle),
                    1 => drop(handle.cancel_and_wait().await),
                    2 => handle.detach(),
                    _ => drop(handle.await),
                }
            }
        }
        for handle in handles {
            drop(handle.await);
        }
        drop(tx);
        receiver.await.unwrap();
    });
    drop(runtime);
    let checker = checker.borrow();
    assert_eq!(checker.wrong, [""; 0]);
    assert_eq!(checker.spawned, tasks + 2, "the receiver and main are tasks too");
    let since_last_look = checker.polls.checked_sub(checker.looked);
    assert!(since_last_look.is_some_and(|polls| polls < 300), "{since_last_look:?} polls in no look's count");
    assert!(checker.tasks.len() <= 1, "only main may be left: {:?}", checker.tasks);
}

/// Without the panics that the tasks are meant to have filling the output.
fn quietly(f: impl FnOnce() + Send + 'static) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"on purpose") {
            hook(info);
        }
    }));
    f();
}

#[test]
fn under_either_clock_every_event_fits_to_those_before() {
    quietly(|| {
        for seed in 0..5 {
            checked(Builder::new().on_report(drop), seed, 3000);
            checked(Builder::new().on_report(drop).clock(Clock::simulated()), seed, 3000);
        }
    });
}

#[test]
fn the_causes_of_wakes_are_named() {
    let _watchdog = watchdog();
    let log = Log::default();
    let seen = log.clone();
    let names = RefCell::new(HashMap::new());
    let observe = move |event: &Event<'_>| {
        let mut names = names.borrow_mut();
        let name = |names: &HashMap<TaskId, String>, task: &TaskId| names.get(task).cloned().unwrap_or_default();
        match event {
            Event::Spawned { task, name, .. } => drop(names.insert(*task, name.unwrap_or_default().to_owned())),
            Event::Woken { task, by: Cause::Task(by) } => {
                seen.add(format!("{} by {}", name(&names, task), name(&names, by)));
            }
            Event::Woken { task, by } => seen.add(format!("{} by {by}", name(&names, task))),
            _ => {}
        }
    };
    let runtime = Builder::new().observe(observe).build().unwrap();
    runtime.block_on(async {
        log.take();
        spawn_named("sleeper", sleep(Duration::from_micros(50))).await.unwrap();
        assert_eq!(log.take(), ["sleeper by a timer", "main by sleeper"]);

        spawn_named("yields", yield_now()).await.unwrap();
        assert_eq!(log.take(), ["yields by yields", "main by yields"]);

        let (tx, rx) = async_channel::bounded(1);
        let waiter = spawn_named("waits", async move { rx.recv().await.unwrap() });
        yield_now().await;
        yield_now().await;
        log.take();
        let other = std::thread::spawn(move || tx.send_blocking(()).unwrap());
        waiter.await.unwrap();
        other.join().unwrap();
        assert_eq!(log.take(), ["waits by outside", "main by waits"]);

        let (mut ours, mut theirs) = pair().await.unwrap();
        let reader = spawn_named("reader", async move { drop(ours.read(&mut [0]).await) });
        yield_now().await;
        yield_now().await;
        theirs.write_all(b"x").await.unwrap();
        log.take();
        reader.await.unwrap();
        assert_eq!(log.take(), ["reader by a source", "main by reader"]);
    });
}

#[test]
fn a_wake_between_the_last_look_and_the_first_sleep_is_not_lost() {
    let _watchdog = watchdog();
    let waiting = Arc::new(Mutex::new(None::<Waker>));
    let at_look = Arc::clone(&waiting);
    let observe = move |event: &Event<'_>| {
        // The loop has seen that nothing is runnable and no mail has come; it is about to sleep.
        if let Event::Looked { .. } = event
            && let Some(waker) = at_look.lock().unwrap().take()
        {
            std::thread::spawn(move || waker.wake()).join().unwrap();
        }
    };
    for with_a_reactor in [false, true] {
        let runtime = Builder::new().observe(observe.clone()).build().unwrap();
        if with_a_reactor {
            runtime.block_on(async { drop(pair().await.unwrap()) });
        }
        for _ in 0..3 {
            let mut polled = false;
            runtime.block_on(poll_fn(|cx| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(());
                }
                *waiting.lock().unwrap() = Some(cx.waker().clone());
                Poll::Pending
            }));
        }
    }
}
