//! Bad input and wrong calls: a typed error that loses nothing, or a panic that names the remedy at the caller's line.

mod common;

use std::cell::RefCell;
use std::panic::{self, Location};
use std::rc::Rc;
use std::time::Duration;

use common::{Hand, now, panic_message, poll_once};
use handcar_executor::{Builder, Clock};
use handcar_sync::mpsc::error::{SendError, TrySendError};
use handcar_sync::{
    Barrier, Condition, Event, LifoQueue, Mutex, Notify, OnceCell, PriorityQueue, Queue, RateLimiter, RwLock, Semaphore,
};
use handcar_sync::{broadcast, mpsc, oneshot, remote, watch};

/// Polls until it is ready, and once more.
#[track_caller]
fn once_too_often<F: Future>(name: &str, future: F) {
    let mut future = Hand::new(future);
    drop(future.ready());
    let message = panic_message(|| future.is_pending());
    assert!(message.starts_with(&format!("`{name}` was polled after")), "{name}: {message}");
}

#[test]
fn every_future_says_its_name_when_it_is_polled_after_ready() {
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let semaphore = Rc::new(Semaphore::new(3));
    once_too_often("Acquire", semaphore.acquire());
    once_too_often("Acquire", semaphore.clone().acquire_many_owned(2));
    semaphore.close();
    once_too_often("Acquire", semaphore.acquire());
    once_too_often("Lock", Mutex::new(()).lock());
    once_too_often("Lock", RwLock::new(()).read());
    once_too_often("Lock", RwLock::new(()).write());
    once_too_often("BarrierWait", Barrier::new(1).wait());
    let event = Event::new();
    event.set();
    once_too_often("EventWait", event.wait());
    let notify = Notify::new();
    notify.notify_one();
    once_too_often("Notified", notify.notified());
    once_too_often("EventWait", OnceCell::from(1).wait());
    runtime.enter(|| once_too_often("RateAcquire", RateLimiter::new(1, Duration::ZERO, 1).acquire()));

    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let mut wait = condition.wait(now(mutex.lock()));
    assert!(poll_once(&mut wait).is_pending());
    condition.notify_all(&now(mutex.lock()));
    once_too_often("ConditionWait", wait);
    once_too_often("ConditionWait", condition.wait_while(now(mutex.lock()), |()| false));

    let queue = Queue::new(9);
    once_too_often("queue::Put", queue.put(1));
    once_too_often("queue::Get", queue.get());
    queue.try_put(1).unwrap();
    once_too_often("queue::Get", queue.get_tracked());
    once_too_often("EventWait", Queue::<()>::new(1).join());
    queue.close();
    once_too_often("queue::Put", queue.put(1));
    once_too_often("queue::Get", queue.get());

    let (sender, receiver) = oneshot::channel();
    sender.send(1).unwrap();
    once_too_often("oneshot::Receiver", receiver);
    let (mut sender, receiver) = oneshot::channel::<()>();
    drop(receiver);
    once_too_often("oneshot::Closed", sender.closed());

    let (sender, mut receiver) = mpsc::channel(9);
    once_too_often("mpsc::Sending", sender.send(1));
    once_too_often("Recv", receiver.recv());
    once_too_often("mpsc::RecvMany", receiver.recv_many(&mut vec![], 0));
    once_too_often("mpsc::Reserve", sender.reserve());
    once_too_often("mpsc::Reserve", sender.reserve_many(2));
    once_too_often("mpsc::Reserve", sender.clone().reserve_owned());
    receiver.close();
    once_too_often("mpsc::Sending", sender.send(1));
    once_too_often("mpsc::Reserve", sender.reserve());
    once_too_often("EventWait", sender.closed());
    once_too_often("Recv", receiver.recv());

    let (sender, mut receiver) = broadcast::channel(1);
    sender.send(1).unwrap();
    once_too_often("Recv", receiver.recv());
    let (sender, mut receiver) = watch::channel(1);
    once_too_often("watch::Changed", receiver.wait_for(|_| true));
    sender.send(2).unwrap();
    once_too_often("watch::Changed", receiver.changed());
    let (sender, mut receiver) = remote::channel(1);
    sender.try_send(1).unwrap();
    once_too_often("Recv", receiver.recv());
}

#[test]
fn panics_are_at_the_callers_line_and_name_the_remedy() {
    type Call<'a> = (&'static str, Box<dyn FnOnce() + 'a>);
    /// The message, and whether this file was blamed.
    fn blamed(f: impl FnOnce()) -> (String, bool) {
        thread_local!(static FILE: RefCell<String> = RefCell::default());
        let before = panic::take_hook();
        panic::set_hook(Box::new(|info| {
            FILE.set(info.location().map(Location::file).unwrap_or_default().to_owned());
        }));
        let message = panic_message(f);
        panic::set_hook(before);
        (message, FILE.take() == file!())
    }
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let other = Semaphore::new(1);
    let (mutex, stranger, condition) = (Mutex::new(()), Mutex::new(()), Condition::new());
    let mut waiting = condition.wait(now(mutex.lock()));
    assert!(poll_once(&mut waiting).is_pending());
    let leaked = || {
        let mutex = Mutex::new(1);
        std::mem::forget(now(mutex.lock()));
        mutex
    };
    let (level, watcher) = watch::channel(1);
    let seen = watcher.borrow();
    let calls: Vec<Call<'_>> = vec![
        ("at most `MAX_PERMITS`", Box::new(|| drop(Semaphore::new(usize::MAX)))),
        ("dropping a permit is enough", Box::new(|| semaphore.add_permits(1))),
        ("dropping a permit is enough", Box::new(|| semaphore.add_permits(usize::MAX))),
        ("belong to two", Box::new(|| semaphore.try_acquire().unwrap().merge(other.try_acquire().unwrap()))),
        ("take `unbounded()`", Box::new(|| drop(Queue::<()>::new(0)))),
        ("take `unbounded()`", Box::new(|| drop(LifoQueue::<()>::new(0)))),
        ("take `unbounded()`", Box::new(|| drop(PriorityQueue::<()>::new(0)))),
        ("calls it by itself", Box::new(|| Queue::<()>::new(1).task_done())),
        ("give it 1", Box::new(|| drop(broadcast::channel::<()>(0)))),
        ("give it 1", Box::new(|| drop(broadcast::Sender::<()>::new(0)))),
        ("give it a capacity of 1", Box::new(|| drop(remote::channel::<()>(0)))),
        ("use an `Event`", Box::new(|| drop(RateLimiter::new(0, Duration::ZERO, 1)))),
        ("give it 1 for evenly spaced", Box::new(|| drop(RateLimiter::new(1, Duration::ZERO, 0)))),
        ("call it inside", Box::new(|| _ = RateLimiter::new(1, Duration::ZERO, 1).try_acquire())),
        ("give it 1", Box::new(|| drop(RwLock::with_max_readers(1, 0)))),
        ("`new` gives it as many", Box::new(|| drop(RwLock::with_max_readers(1, u32::MAX)))),
        ("drop guards instead", Box::new(|| _ = leaked().into_inner())),
        ("drop guards instead", Box::new(|| *leaked().get_mut() = 2)),
        ("one condition for each mutex", Box::new(|| condition.notify_one(&now(stranger.lock())))),
        ("one condition for each mutex", Box::new(|| condition.notify_all(&now(stranger.lock())))),
        ("one condition for each mutex", Box::new(|| drop(condition.wait(now(stranger.lock()))))),
        ("use `send_replace`", Box::new(|| level.send_modify(|_| ()))),
        ("use `send_replace`", Box::new(|| _ = level.send_if_modified(|_| true))),
    ];
    for (remedy, call) in calls {
        let (message, here) = blamed(call);
        assert!(message.contains(remedy), "{remedy}: {message}");
        assert!(here, "{message}");
    }
    drop(seen);
    drop(waiting);
}

#[test]
fn huge_and_empty_requests_are_answered() {
    assert_eq!(now(Semaphore::new(0).acquire_many(0)).unwrap().num_permits(), 0);
    assert!(Hand::new(Semaphore::new(1).acquire_many(u32::MAX)).is_pending());
    assert!(Hand::new(Barrier::new(usize::MAX).wait()).is_pending());
    assert_eq!(RwLock::with_max_readers(7, 1).into_inner(), 7);

    let (sender, _receiver) = mpsc::channel::<()>(2);
    assert_eq!(now(sender.reserve_many(0)).unwrap().len(), 0);
    for n in [3, Semaphore::MAX_PERMITS, usize::MAX] {
        assert_eq!(now(sender.reserve_many(n)).unwrap_err(), SendError(()));
        assert_eq!(sender.try_reserve_many(n).unwrap_err(), TrySendError::Full(()));
    }
    assert_eq!((sender.capacity(), sender.max_capacity()), (2, 2));
    let (rendezvous, _receiver) = mpsc::channel::<()>(0);
    assert_eq!(rendezvous.try_reserve_many(1).unwrap_err(), TrySendError::Full(()));
    assert!(now(rendezvous.reserve_many(2)).is_err());
    let (endless, _receiver) = mpsc::channel::<()>(usize::MAX);
    assert_eq!(now(endless.reserve_many(Semaphore::MAX_PERMITS)).unwrap().len(), Semaphore::MAX_PERMITS);
}

#[test]
fn use_after_close_is_an_error_that_gives_back_what_was_not_sent() {
    let (sender, mut receiver) = mpsc::channel(1);
    receiver.close();
    assert_eq!(now(sender.send("back")), Err(SendError("back")));
    assert_eq!(sender.try_send("back"), Err(TrySendError::Closed("back")));
    assert_eq!(sender.try_reserve().unwrap_err(), TrySendError::Closed(()));
    assert_eq!(sender.try_reserve_many(0).unwrap_err(), TrySendError::Closed(()));
    let sender = match sender.try_reserve_owned() {
        Err(TrySendError::Closed(sender)) => sender,
        other => panic!("{other:?}"),
    };
    assert!(now(sender.reserve_owned()).is_err());

    let (sender, _) = watch::channel(1);
    assert_eq!(sender.send(2), Err(SendError(2)));
    let (sender, _) = broadcast::channel(1);
    assert_eq!(sender.send(2), Err(SendError(2)));
    let (sender, _) = remote::channel(1);
    assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(sender.blocking_send(2), Err(SendError(2)));
    let queue = Queue::new(1);
    queue.close();
    queue.close();
    assert_eq!(queue.close_now(), Vec::<&str>::new());
    assert_eq!(now(queue.put("back")), Err(SendError("back")));
}
