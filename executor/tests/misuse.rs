//! Misuse is answered at the line that is to blame: the caller's, not one of ours.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use handcar_executor::{
    Builder, Clock, Instant, JoinHandle, Runtime, Spawner, interval, run, sleep, spawn, spawn_named, to_thread,
    yield_now,
};

thread_local!(static PANICKED_IN: RefCell<Option<String>> = const { RefCell::new(None) });

type Misuse = (&'static str, Box<dyn FnOnce()>);

/// The file in which `misuse` panicked.
fn blamed(misuse: impl FnOnce()) -> String {
    PANICKED_IN.set(None);
    catch_unwind(AssertUnwindSafe(misuse)).expect_err("that is misuse");
    PANICKED_IN.take().unwrap()
}

#[test]
fn a_call_outside_a_runtime_is_blamed_on_the_caller() {
    set_hook(Box::new(|info| PANICKED_IN.set(info.location().map(|at| at.file().to_owned()))));
    let second = Duration::from_secs(1);
    let ended = Runtime::new().unwrap().spawner();
    let misuses: [Misuse; 13] = [
        ("spawn", Box::new(|| spawn(yield_now()).detach())),
        ("spawn_named", Box::new(|| spawn_named("lost", yield_now()).detach())),
        ("Spawner::current", Box::new(|| drop(Spawner::current()))),
        ("Spawner::spawn", Box::new(move || ended.spawn(yield_now()).detach())),
        ("to_thread", Box::new(|| drop(to_thread(|| ())))),
        ("interval", Box::new(move || drop(interval(second)))),
        ("an interval of zero", Box::new(|| run(async { drop(interval(Duration::ZERO)) }))),
        ("Interval::reset", Box::new(move || run(async move { interval(second) }).reset())),
        ("Instant::now", Box::new(|| drop(Rc::new(Instant::now())))),
        ("Instant::elapsed", Box::new(|| drop(Rc::new(Instant::START.elapsed())))),
        ("Sleep::deadline", Box::new(move || drop(Rc::new(sleep(second).deadline())))),
        ("Clock::advance", Box::new(move || Clock::system().advance(second))),
        ("Builder::poll_budget", Box::new(|| drop(Builder::new().poll_budget(0)))),
    ];
    for (what, misuse) in misuses {
        assert_eq!(blamed(misuse), file!(), "{what}");
    }
}

/// Dropped by the panic, and not before it: a destructor that looks knows that something has gone wrong already.
#[test]
fn a_future_that_cannot_be_spawned_is_dropped_by_the_panic() {
    struct Asks(Rc<RefCell<Vec<bool>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.borrow_mut().push(thread::panicking());
        }
    }
    let was_panicking = Rc::new(RefCell::new(Vec::new()));
    for named in [false, true] {
        let asks = Asks(Rc::clone(&was_panicking));
        let future = async move { drop(asks) };
        let task = AssertUnwindSafe(|| if named { spawn_named("lost", future) } else { spawn(future) });
        catch_unwind(task).map(JoinHandle::detach).expect_err("there is no runtime");
    }
    assert_eq!(*was_panicking.borrow(), [true, true]);
}
