//! Parkers: a reactor of the test's own takes the thread parker's place in mid-run.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use handcar_executor::park::{self, Notify, Park};
use handcar_executor::{Builder, Cause, Clock, Event, Instant, RunError, Runtime, run, sleep, spawn, yield_now};

mod common;
use common::{for_ever, panic_of, simulated, watchdog};

/// A parker whose one source is "ready" when the test says so.
#[derive(Default)]
struct Toy {
    bell: Arc<Bell>,
    parks: RefCell<Vec<Option<Duration>>>,
    watching: Cell<bool>,
    /// Woken by the next park.
    source: RefCell<Option<Waker>>,
    error: Cell<Option<io::ErrorKind>>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Notify for Bell {
    fn notify(&self) {
        *self.rung.lock().unwrap() = true;
        self.ring.notify_all();
    }
}

impl Park for Toy {
    fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.parks.borrow_mut().push(timeout);
        if let Some(kind) = self.error.take() {
            return Err(kind.into());
        }
        let source = self.source.borrow_mut().take();
        if let Some(waker) = source {
            waker.wake();
            return Ok(());
        }
        let mut rung = self.bell.rung.lock().unwrap();
        match timeout {
            Some(Duration::ZERO) => {}
            Some(timeout) => rung = self.bell.ring.wait_timeout_while(rung, timeout, |rung| !*rung).unwrap().0,
            None => rung = self.bell.ring.wait_while(rung, |rung| !*rung).unwrap(),
        }
        *rung = false;
        Ok(())
    }

    fn is_watching(&self) -> bool {
        self.watching.get()
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::clone(&self.bell) as Arc<dyn Notify>
    }
}

fn install() -> Rc<Toy> {
    park::installed(|| Ok(Toy::default())).unwrap()
}

/// Waits for the toy's source, once.
async fn source(toy: &Rc<Toy>) {
    let mut polled = false;
    poll_fn(|cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        *toy.source.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

#[test]
fn the_first_who_needs_it_makes_it_and_the_next_ones_share_it() {
    let _dog = watchdog();
    run(async {
        let toy = install();
        let again = park::installed::<Toy>(|| unreachable!("there is one")).unwrap();
        assert!(Rc::ptr_eq(&toy, &again));
        assert!(park::is_current(&toy));
        assert!(!park::is_current(&Rc::new(Toy::default())));
        let (other, _) = simulated();
        assert!(!other.enter(|| park::is_current(&toy)));
    });
    assert!(panic_of(|| drop(install())).contains("a source needs a runtime"));
}

#[test]
fn an_error_of_its_making_is_passed_on_and_changes_nothing() {
    let _dog = watchdog();
    run(async {
        let error = park::installed::<Toy>(|| Err(io::ErrorKind::OutOfMemory.into())).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        sleep(Duration::from_nanos(1)).await;
    });
}

#[test]
fn an_idle_loop_parks_there_until_the_next_deadline() {
    let _dog = watchdog();
    run(async {
        let toy = install();
        sleep(Duration::from_millis(2)).await;
        let parks = toy.parks.take();
        assert!(!parks.is_empty());
        assert!(parks.iter().all(|timeout| timeout.is_some_and(|left| left <= Duration::from_millis(2))), "{parks:?}");
    });
}

#[test]
fn a_source_wakes_its_task_and_the_observer_hears_who_it_was() {
    let _dog = watchdog();
    let causes = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&causes);
    let runtime = Builder::new()
        .observe(move |event| {
            if let Event::Woken { by, .. } = event {
                seen.borrow_mut().push(*by);
            }
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let toy = install();
        source(&toy).await;
    });
    assert_eq!(causes.take(), [Cause::Source]);
}

#[test]
fn while_there_is_something_to_run_it_is_asked_only_if_it_watches() {
    let _dog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let toy = install();
        for _ in 0..2000 {
            yield_now().await;
        }
        assert_eq!(toy.parks.take(), []);
        toy.watching.set(true);
        for _ in 0..2000 {
            yield_now().await;
        }
        let parks = toy.parks.take();
        assert!(parks.len() >= 5, "{}", parks.len());
        assert!(parks.iter().all(|timeout| *timeout == Some(Duration::ZERO)), "it must not block: {parks:?}");
    });
}

#[test]
fn a_spinning_task_does_not_starve_a_source() {
    let _dog = watchdog();
    run(async {
        let toy = install();
        toy.watching.set(true);
        let spinner = spawn(async {
            loop {
                yield_now().await;
            }
        });
        for _ in 0..100 {
            source(&toy).await;
        }
        drop(spinner);
    });
}

#[test]
fn an_error_of_the_system_call_ends_the_run_and_only_that_one() {
    let _dog = watchdog();
    let runtime = Runtime::new().unwrap();
    let drops = common::Drops::new();
    let token = drops.token();
    let result = runtime.try_block_on(async {
        let _token = token;
        install().error.set(Some(io::ErrorKind::PermissionDenied));
        for_ever().await;
    });
    let Err(RunError::Io(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(drops.count(), 1);
    assert_eq!(runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
    runtime.enter(|| {
        let toy = install();
        toy.watching.set(true);
        toy.error.set(Some(io::ErrorKind::Interrupted));
    });
    let result = runtime.turn();
    assert!(matches!(result, Err(RunError::Io(_))), "a host hears of it too: {result:?}");
    assert!(runtime.turn().is_ok());
}

#[test]
fn a_wake_from_another_thread_ends_the_park_before_and_after_the_parker_changes() {
    let _dog = watchdog();
    run(async {
        for round in 0..50 {
            let mut sent = false;
            let mut woken = None;
            poll_fn(|cx| {
                if sent {
                    return Poll::Ready(());
                }
                sent = true;
                let waker = cx.waker().clone();
                let thread = std::thread::spawn(move || waker.wake());
                if round == 25 {
                    // The wake has gone to the old parker when the new one comes.
                    thread.join().unwrap();
                    install();
                } else {
                    woken = Some(thread);
                }
                Poll::Pending
            })
            .await;
            if let Some(thread) = woken {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn a_waiting_source_stops_no_jump_of_the_simulated_clock_and_rules_out_deadlock() {
    let _dog = watchdog();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    runtime.block_on(async {
        let toy = install();
        toy.watching.set(true);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(Instant::now(), Instant::START + Duration::from_secs(1));
        assert!(
            toy.parks.take().iter().all(|timeout| *timeout == Some(Duration::ZERO)),
            "it looks, and does not sleep"
        );
        // No timer is armed: only a notification from outside ends this, and it is no deadlock.
        let handle = Arc::clone(&toy.bell);
        let mut sent = false;
        poll_fn(|cx| {
            if sent {
                return Poll::Ready(());
            }
            sent = true;
            let waker = cx.waker().clone();
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || {
                handle.notify();
                waker.wake();
            });
            Poll::Pending
        })
        .await;
    });
    assert_eq!(clock.now(), Instant::START + Duration::from_secs(1));
}

#[test]
fn a_source_that_is_ready_comes_before_a_jump() {
    let _dog = watchdog();
    common::test_run(async {
        let toy = install();
        toy.watching.set(true);
        let sleeper = spawn(sleep(Duration::from_secs(1)));
        source(&toy).await;
        assert_eq!(Instant::now(), Instant::START);
        sleeper.await.unwrap();
    });
}

#[test]
fn it_goes_with_its_runtime() {
    let _dog = watchdog();
    let toy = run(async { install() });
    assert_eq!(Rc::strong_count(&toy), 1);
    assert_eq!(Arc::strong_count(&toy.bell), 1, "the mailbox has let it go as well");
}
