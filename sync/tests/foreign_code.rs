//! Wakers that call back into the primitive they wait for, or panic: nothing is lost, nothing is borrowed.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use common::{Boxed, OnDrop, Once, Spite, Waiter, poll_once, poll_with, spiteful};
use futures::{SinkExt, StreamExt};
use handcar_executor::{run, spawn, yield_now};
use handcar_sync::{Barrier, Condition, Event, Mutex, Notify, OnceCell, Queue, RwLock, Semaphore};
use handcar_sync::{broadcast, mpsc, oneshot, remote, watch};

/// A primitive: how to wait for it, and how to let one waiter go (`serve`) as often as one likes.
struct Kind {
    name: &'static str,
    wait: Box<dyn Fn() -> Boxed<()>>,
    serve: Rc<dyn Fn()>,
}

fn kind(name: &'static str, wait: impl Fn() -> Boxed<()> + 'static, serve: impl Fn() + 'static) -> Kind {
    Kind { name, wait: Box::new(wait), serve: Rc::new(serve) }
}

/// Every primitive, in a state where a waiter waits until it is served.
#[allow(clippy::too_many_lines)] // it is a list
fn kinds() -> Vec<Kind> {
    let mut kinds = vec![];

    let semaphore = Rc::new(Semaphore::new(0));
    let other = semaphore.clone();
    kinds.push(kind(
        "semaphore",
        move || {
            let acquire = semaphore.clone().acquire_owned();
            Box::pin(async { acquire.await.unwrap().forget() })
        },
        move || other.add_permits(1),
    ));

    let mutex = Rc::new(Mutex::new(()));
    let held = Cell::new(Some(mutex.clone().try_lock_owned().unwrap()));
    kinds.push(kind(
        "mutex",
        move || {
            let lock = mutex.clone().lock_owned();
            Box::pin(async { drop(lock.await) })
        },
        move || drop(held.take()),
    ));

    let lock = Rc::new(RwLock::new(()));
    let held = Cell::new(Some(lock.clone().try_write_owned().unwrap()));
    kinds.push(kind(
        "read-write lock",
        move || {
            let read = lock.clone().read_owned();
            Box::pin(async { drop(read.await) })
        },
        move || drop(held.take()),
    ));

    let event = Rc::new(Event::new());
    let other = event.clone();
    kinds.push(kind(
        "event",
        move || {
            let event = event.clone();
            Box::pin(async move { event.wait().await })
        },
        move || {
            other.set();
            other.clear();
        },
    ));

    let notify = Rc::new(Notify::new());
    let other = notify.clone();
    kinds.push(kind("notify", move || Box::pin(notify.clone().notified_owned()), move || other.notify_one()));

    let barrier = Rc::new(Barrier::new(3));
    let other = barrier.clone();
    kinds.push(kind(
        "barrier",
        move || {
            let barrier = barrier.clone();
            Box::pin(async move { _ = barrier.wait().await })
        },
        // Two waiters and one that serves make a group.
        move || _ = common::poll_once(&mut other.wait()),
    ));

    let shared = Rc::new((Mutex::new(()), Condition::new()));
    let other = shared.clone();
    kinds.push(kind(
        "condition",
        move || {
            let shared = shared.clone();
            Box::pin(async move { drop(shared.1.wait(shared.0.lock().await).await) })
        },
        move || {
            if let Ok(guard) = other.0.try_lock() {
                other.1.notify_one(&guard);
            }
        },
    ));

    let queue = Rc::new(Queue::unbounded());
    let other = queue.clone();
    kinds.push(kind(
        "queue",
        move || {
            let queue = queue.clone();
            Box::pin(async move { queue.get().await.unwrap() })
        },
        move || other.try_put(()).unwrap(),
    ));

    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(()).unwrap();
    let receiver = Cell::new(Some(receiver));
    kinds.push(kind(
        "mpsc sender",
        move || {
            let sender = sender.clone();
            Box::pin(async move { sender.send(()).await.unwrap() })
        },
        move || {
            if let Some(mut taken) = receiver.take() {
                let _ = taken.try_recv();
                receiver.set(Some(taken));
            }
        },
    ));

    let (sender, receiver) = mpsc::channel(0);
    let receiver = Cell::new(Some(receiver));
    kinds.push(kind(
        "rendezvous",
        move || {
            let sender = sender.clone();
            Box::pin(async move { sender.send(()).await.unwrap() })
        },
        move || {
            if let Some(mut taken) = receiver.take() {
                let _ = taken.try_recv();
                receiver.set(Some(taken));
            }
        },
    ));

    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(()).unwrap();
    let receiver = Cell::new(Some(receiver));
    kinds.push(kind(
        "reserve",
        move || {
            let sender = sender.clone();
            Box::pin(async move { drop(sender.reserve_many(1).await.unwrap()) })
        },
        move || {
            if let Some(mut taken) = receiver.take() {
                let _ = taken.try_recv();
                receiver.set(Some(taken));
            }
        },
    ));

    let queue = Rc::new(Queue::unbounded());
    let other = queue.clone();
    kinds.push(kind(
        "stream of a queue",
        move || {
            let mut items = queue.clone().into_stream();
            Box::pin(async move { items.next().await.unwrap() })
        },
        move || other.try_put(()).unwrap(),
    ));

    let cell = Rc::new(OnceCell::new());
    let other = cell.clone();
    kinds.push(kind(
        "once cell, waited for",
        move || {
            let cell = cell.clone();
            Box::pin(async move { *cell.wait().await })
        },
        move || _ = other.set(()),
    ));

    let queue = Rc::new(Queue::new(1));
    queue.try_put(()).unwrap();
    let other = queue.clone();
    kinds.push(kind(
        "putter",
        move || {
            let queue = queue.clone();
            Box::pin(async move { queue.put(()).await.unwrap() })
        },
        move || _ = other.try_get(),
    ));

    let (sender, receiver) = broadcast::channel(100);
    kinds.push(kind(
        "broadcast",
        move || {
            let mut receiver = receiver.resubscribe();
            Box::pin(async move { receiver.recv().await.unwrap() })
        },
        move || _ = sender.send(()),
    ));

    let (sender, receiver) = watch::channel(());
    kinds.push(kind(
        "watch",
        move || {
            let mut receiver = receiver.clone();
            receiver.mark_unchanged();
            Box::pin(async move { receiver.changed().await.unwrap() })
        },
        move || sender.send(()).unwrap(),
    ));

    let cell = Rc::new(OnceCell::new());
    let maker = Cell::new(Some({
        let cell = cell.clone();
        let mut making: Boxed<()> = Box::pin(async move {
            cell.get_or_init(std::future::pending).await;
        });
        assert!(common::poll_once(&mut making).is_pending());
        making
    }));
    kinds.push(kind(
        "once cell",
        move || {
            let cell = cell.clone();
            Box::pin(async move { *cell.get_or_init(async || ()).await })
        },
        move || drop(maker.take()),
    ));
    kinds
}

#[test]
fn wakers_may_wait_serve_and_leave_wherever_they_run() {
    for moment in ["clone", "wake", "drop"] {
        for Kind { name, wait, serve } in kinds() {
            let wait = Rc::new(wait);
            let ran = Rc::new(Cell::new(false));
            let waker = {
                let (wait, serve, ran) = (wait.clone(), serve.clone(), ran.clone());
                Once::at(moment, move || {
                    ran.set(true);
                    let mut passing = wait();
                    let _ = common::poll_once(&mut passing);
                    serve();
                    drop(passing);
                })
            };
            let mut first = wait();
            let mut second = Waiter::default();
            let mut done = poll_with(&mut first, &waker).is_ready();
            let mut second_done = second.poll(|| wait()).is_some();
            serve();
            // At the latest when it is dropped, the waker has run.
            if !done {
                done = poll_with(&mut first, Waker::noop()).is_ready();
            }
            drop((first, waker));
            for _ in 0..3 {
                serve();
                second_done = second_done || second.poll(|| unreachable!()).is_some();
            }
            // A barrier's group can be broken up by those who leave: all others let both go.
            assert!((done && second_done) || name == "barrier", "{name}, {moment}: {done} {second_done}");
            assert!(ran.get(), "{name}, {moment}");
        }
    }
}

/// Panics at its moment, as long as it is armed.
struct Panic(&'static str, Rc<Cell<bool>>);

impl Panic {
    fn at(&self, moment: &str) {
        assert!(!(self.1.get() && moment == self.0), "the waker panics");
    }
}

impl Spite for Panic {
    fn on_clone(&self) {
        self.at("clone");
    }
    fn on_wake(&self) {
        self.at("wake");
    }
    fn on_drop(&self) {
        self.at("drop");
    }
}

#[test]
fn wakers_that_panic_take_nothing_from_the_others() {
    for moment in ["clone", "wake", "drop"] {
        for Kind { name, wait, serve } in kinds() {
            let armed = Rc::new(Cell::new(true));
            let waker = spiteful(Panic(moment, armed.clone()));
            let mut bad = wait();
            let polled = catch_unwind(AssertUnwindSafe(|| poll_with(&mut bad, &waker).is_pending()));
            assert_eq!(polled.is_err(), moment == "clone", "{name}");
            let mut good = Waiter::default();
            assert!(good.poll(&wait).is_none(), "{name}, {moment}");
            // Its wake panics in the middle of the service, and that panic goes no further.
            serve();
            // Its drop panics out of the drop of its future, after what it was granted has been handed on.
            let dropped = catch_unwind(AssertUnwindSafe(move || drop(bad)));
            drop(dropped);
            armed.set(false);
            if name == "barrier" {
                continue;
            }
            assert!(good.was_woken(), "{name}, {moment}");
            let mut done = good.poll(|| unreachable!()).is_some();
            if name == "rendezvous" && moment != "clone" {
                // The other's message was taken; its own turn was to offer one.
                assert!(!done, "{moment}");
                serve();
                done = good.poll(|| unreachable!()).is_some();
            }
            assert!(done, "{name}, {moment}");
        }
    }
}

#[test]
fn wakers_may_poll_what_they_wake_then_and_there() {
    for Kind { name, wait, serve } in kinds() {
        let waiting = Rc::new(RefCell::new(wait()));
        let done = Rc::new(Cell::new(false));
        let waker = {
            let (waiting, done) = (waiting.clone(), done.clone());
            Once::at("wake", move || done.set(common::poll_once(&mut *waiting.borrow_mut()).is_ready()))
        };
        // Another one stands before it, and is woken and polled in the usual way.
        let mut first = Waiter::default();
        assert!(first.poll(&wait).is_none(), "{name}");
        assert!(poll_with(&mut *waiting.borrow_mut(), &waker).is_pending(), "{name}");
        let mut first_done = false;
        for _ in 0..3 {
            serve();
            first_done = first_done || first.poll(|| unreachable!()).is_some();
        }
        // A rendezvous is offered by the poll in the wake, and the mutex is locked when a condition is notified.
        assert!(done.get() || name == "rendezvous" || name == "condition", "{name}");
        assert!(done.get() || common::poll_once(&mut *waiting.borrow_mut()).is_ready(), "{name}");
        assert!(first_done, "{name}");
    }
}

/// What only ever has one waiter: how to wait for the message 7, or the other end to go, and how to bring that about once.
type End = (&'static str, Boxed<u8>, Box<dyn FnOnce()>);

fn ends() -> Vec<End> {
    let mut ends: Vec<End> = vec![];
    let (sender, receiver) = oneshot::channel();
    ends.push(("oneshot", Box::pin(async { receiver.await.unwrap() }), Box::new(|| _ = sender.send(7))));
    let (sender, receiver) = oneshot::channel::<u8>();
    ends.push(("oneshot, lost", Box::pin(async { receiver.await.map_or(7, |_| 0) }), Box::new(|| drop(sender))));
    let (mut sender, receiver) = oneshot::channel::<u8>();
    let gone = async move {
        sender.closed().await;
        7
    };
    ends.push(("oneshot, closed", Box::pin(gone), Box::new(|| drop(receiver))));
    let (sender, mut receiver) = mpsc::channel(1);
    ends.push((
        "mpsc",
        Box::pin(async move { receiver.recv().await.unwrap() }),
        Box::new(move || _ = sender.try_send(7)),
    ));
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let left = async move { receiver.recv().await.map_or(7, |_| 0) };
    ends.push(("mpsc, left", Box::pin(left), Box::new(|| drop(sender))));
    let (sender, mut receiver) = remote::channel(1);
    ends.push((
        "remote",
        Box::pin(async move { receiver.recv().await.unwrap() }),
        Box::new(move || _ = sender.try_send(7)),
    ));
    ends
}

#[test]
fn wakers_of_the_only_waiter_may_panic_and_nothing_is_lost() {
    for moment in ["clone", "wake", "drop"] {
        for (name, mut wait, serve) in ends() {
            let armed = Rc::new(Cell::new(true));
            let waker = spiteful(Panic(moment, armed.clone()));
            let polled = catch_unwind(AssertUnwindSafe(|| poll_with(&mut wait, &waker).is_pending()));
            assert_eq!(polled.is_err(), moment == "clone", "{name}");
            let served = catch_unwind(AssertUnwindSafe(serve));
            // Only the drop of a waker that nobody wakes comes out; here it is woken.
            assert!(served.is_ok(), "{name}, {moment}");
            armed.set(false);
            if moment != "clone" {
                assert_eq!(poll_once(&mut wait), Poll::Ready(7), "{name}, {moment}");
            }
        }
    }
}

#[test]
fn a_waker_that_panics_when_it_is_replaced_leaves_the_wait_intact() {
    let panicking = || {
        let armed = Rc::new(Cell::new(false));
        (spiteful(Panic("drop", armed.clone())), armed)
    };
    let (sender, mut receiver) = oneshot::channel();
    let (waker, armed) = panicking();
    assert!(poll_with(&mut receiver, &waker).is_pending());
    armed.set(true);
    catch_unwind(AssertUnwindSafe(|| poll_once(&mut receiver).is_pending())).unwrap_err();
    armed.set(false);
    assert!(poll_once(&mut receiver).is_pending());
    sender.send(7).unwrap();
    assert_eq!(poll_once(&mut receiver), Poll::Ready(Ok(7)));

    let (sender, mut receiver) = mpsc::channel(1);
    let (waker, armed) = panicking();
    let mut recv = receiver.recv();
    assert!(poll_with(&mut recv, &waker).is_pending());
    armed.set(true);
    catch_unwind(AssertUnwindSafe(|| poll_once(&mut recv).is_pending())).unwrap_err();
    armed.set(false);
    sender.try_send(7).unwrap();
    assert_eq!(poll_once(&mut recv), Poll::Ready(Some(7)));

    let (sender, mut receiver) = remote::channel(1);
    let (waker, armed) = panicking();
    let mut recv = receiver.recv();
    assert!(poll_with(&mut recv, &waker).is_pending());
    armed.set(true);
    catch_unwind(AssertUnwindSafe(|| poll_once(&mut recv).is_pending())).unwrap_err();
    armed.set(false);
    sender.try_send(7).unwrap();
    assert_eq!(poll_once(&mut recv), Poll::Ready(Some(7)));

    let semaphore = Semaphore::new(0);
    let (waker, armed) = panicking();
    let mut acquire = semaphore.acquire();
    assert!(poll_with(&mut acquire, &waker).is_pending());
    armed.set(true);
    catch_unwind(AssertUnwindSafe(|| poll_once(&mut acquire).is_pending())).unwrap_err();
    armed.set(false);
    semaphore.add_permits(1);
    assert!(poll_once(&mut acquire).is_ready());
    drop(acquire);
    assert_eq!(semaphore.available_permits(), 1);
}

/// A message whose drop, once, spawns a task, lets it wait, and cancels it: all on the primitive that it came from.
type Unruly = OnDrop<Box<dyn FnMut()>>;

fn unruly(drops: &Rc<Cell<u32>>, wait: impl Fn() -> Boxed<()> + 'static) -> Unruly {
    let drops = drops.clone();
    OnDrop(Box::new(move || {
        drops.set(drops.get() + 1);
        let mut first = wait();
        let _ = poll_once(&mut first);
        let cancelled = spawn(wait());
        cancelled.cancel();
        drop(cancelled);
        spawn(wait()).detach();
        drop(first);
    }))
}

#[test]
fn a_message_may_spawn_wait_and_cancel_on_its_own_channel_as_it_is_dropped() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        // Received and dropped, and dropped with the receiver.
        let (sender, mut receiver) = mpsc::channel(2);
        for _ in 0..2 {
            let sender_of = sender.clone();
            let wait = move || -> Boxed<()> {
                let sender = sender_of.clone();
                Box::pin(async move { drop(sender.reserve().await) })
            };
            assert!(sender.try_send(unruly(&drops, wait)).is_ok());
        }
        drop(receiver.recv().await);
        drop(receiver);
        assert_eq!(drops.replace(0), 2, "mpsc");

        let queue = Rc::new(Queue::new(2));
        for _ in 0..2 {
            let weak = Rc::downgrade(&queue);
            let wait = move || -> Boxed<()> {
                let queue = weak.upgrade();
                Box::pin(async move {
                    if let Some(queue) = queue {
                        drop(queue.get().await);
                    }
                })
            };
            assert!(queue.try_put(unruly(&drops, wait)).is_ok());
        }
        drop(queue.get().await);
        drop(queue.close_now());
        yield_now().await;
        assert_eq!(drops.replace(0), 2, "queue");

        let (sender, mut one) = broadcast::channel(1);
        let other = sender.subscribe();
        for _ in 0..3 {
            let sender_of = sender.clone();
            let wait = move || -> Boxed<()> {
                let mut receiver = sender_of.subscribe();
                Box::pin(async move { drop(receiver.recv().await) })
            };
            // Each one pushes the one before it out of the ring.
            assert!(sender.send(Rc::new(unruly(&drops, wait))).is_ok());
        }
        drop(one.recv().await);
        drop(one.recv().await);
        drop((one, other));
        // Those who came meanwhile have the last one to see.
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(drops.replace(0), 3, "broadcast");

        let (sender, receiver) = watch::channel(unruly(&drops, || Box::pin(async {})));
        let sender = Rc::new(sender);
        for _ in 0..2 {
            let (sender_of, receiver_of) = (Rc::downgrade(&sender), receiver.clone());
            let wait = move || -> Boxed<()> {
                let mut receiver = receiver_of.clone();
                if let Some(sender) = sender_of.upgrade() {
                    drop(sender.borrow());
                }
                Box::pin(async move { _ = receiver.changed().await })
            };
            assert!(sender.send(unruly(&drops, wait)).is_ok());
        }
        // The last of them holds a receiver, and so the channel that it lies in.
        assert!(sender.send(OnDrop(Box::new(|| ()))).is_ok());
        assert_eq!(drops.replace(0), 3, "watch");

        let mutex = Rc::new(Mutex::new(None));
        let lock = Rc::new(RwLock::new(None));
        let (mutex_of, lock_of) = (Rc::downgrade(&mutex), Rc::downgrade(&lock));
        *mutex.lock().await = Some(unruly(&drops, move || {
            let mutex = mutex_of.upgrade();
            Box::pin(async move {
                if let Some(mutex) = mutex {
                    _ = mutex.lock().await;
                }
            })
        }));
        *lock.write().await = Some(unruly(&drops, move || {
            let lock = lock_of.upgrade();
            Box::pin(async move {
                if let Some(lock) = lock {
                    drop(lock.read().await);
                }
            })
        }));
        *mutex.lock().await = None;
        *lock.write().await = None;
        yield_now().await;
        assert!(mutex.try_lock().is_ok() && lock.try_write().is_ok());
        assert_eq!(drops.replace(0), 2, "locks");
    });
}

#[test]
fn a_remote_message_may_use_its_own_channel_as_it_is_dropped() {
    struct Chatty(remote::Sender<Option<Chatty>>);
    impl Drop for Chatty {
        fn drop(&mut self) {
            let _ = self.0.try_send(None);
            drop(self.0.clone());
        }
    }
    let (sender, mut receiver) = remote::channel(4);
    for _ in 0..2 {
        assert!(sender.try_send(Some(Chatty(sender.clone()))).is_ok());
    }
    assert!(receiver.try_recv().is_ok_and(|message| message.is_some()));
    // The other one goes with the receiver, together with what the first has sent.
    drop(receiver);
    assert!(sender.is_closed());
}

/// Panics once, when it is dropped after it was armed.
struct PanicsWhenDropped(Rc<Cell<bool>>);

impl Spite for PanicsWhenDropped {
    fn on_drop(&self) {
        assert!(!self.0.take(), "spite");
    }
}

#[test]
fn a_sink_that_is_closed_while_its_waker_panics_gives_up_no_slot_that_it_has_not() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut sink = sender.clone().into_sink();
    let armed = Rc::new(Cell::new(false));
    let waker = spiteful(PanicsWhenDropped(armed.clone()));
    assert!(sink.poll_ready_unpin(&mut Context::from_waker(&waker)).is_pending());
    armed.set(true);
    let close = || sink.poll_close_unpin(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(close)).is_err());
    drop(sink);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(sender.try_send(2), Ok(()));
    assert!(sender.try_send(3).is_err(), "two messages in a channel of capacity 1");
}

#[test]
fn a_send_that_is_given_up_while_its_waker_panics_drops_its_message() {
    for capacity in [0, 1] {
        let (sender, _receiver) = mpsc::channel(capacity);
        let drops = Rc::new(Cell::new(0));
        let message = || {
            let drops = drops.clone();
            OnDrop(move || drops.set(drops.get() + 1))
        };
        if capacity > 0 {
            assert!(sender.try_send(message()).is_ok());
        }
        let armed = Rc::new(Cell::new(false));
        let waker = spiteful(PanicsWhenDropped(armed.clone()));
        let mut send = sender.send(message());
        assert!(poll_with(&mut send, &waker).is_pending());
        armed.set(true);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(send))).is_err());
        assert_eq!(drops.get(), 1, "the message was leaked, capacity {capacity}");
    }
}

#[test]
fn a_message_that_comes_while_the_waker_is_cloned_is_not_lost_to_its_drop() {
    struct SendsAndPanics(RefCell<Option<oneshot::Sender<u8>>>, Cell<bool>);
    impl Spite for SendsAndPanics {
        fn on_clone(&self) {
            if let Some(sender) = self.0.take() {
                sender.send(7).unwrap();
                self.1.set(true);
            }
        }
        fn on_drop(&self) {
            assert!(!self.1.take(), "spite");
        }
    }
    let (sender, mut receiver) = oneshot::channel();
    let waker = spiteful(SendsAndPanics(RefCell::new(Some(sender)), Cell::new(false)));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_with(&mut receiver, &waker))).is_err());
    assert_eq!(poll_once(&mut receiver), Poll::Ready(Ok(7)));
}

#[test]
fn a_message_is_given_back_though_the_senders_waker_panics_as_it_is_dropped() {
    struct ClosesAndPanics(RefCell<Option<oneshot::Receiver<u8>>>, Cell<bool>);
    impl Spite for ClosesAndPanics {
        fn on_clone(&self) {
            if self.0.take().is_some() {
                self.1.set(true);
            }
        }
        fn on_drop(&self) {
            assert!(!self.1.take(), "spite");
        }
    }
    let (mut sender, receiver) = oneshot::channel();
    let waker = spiteful(ClosesAndPanics(RefCell::new(Some(receiver)), Cell::new(false)));
    let _ = catch_unwind(AssertUnwindSafe(|| sender.poll_closed(&mut Context::from_waker(&waker))));
    let sent = catch_unwind(AssertUnwindSafe(|| sender.send(7)));
    assert!(matches!(sent, Ok(Err(7))), "the message was lost");
}

#[derive(Clone, Copy, PartialEq)]
enum Original {
    Quiet,
    Panics,
}

#[test]
fn a_clone_of_a_broadcast_message_is_dropped_where_the_original_panics_as_it_is() {
    struct Message {
        kind: Original,
        clones_dropped: Rc<Cell<u32>>,
        lets_go: Rc<RefCell<Option<broadcast::Receiver<Message>>>>,
    }
    impl Clone for Message {
        fn clone(&self) -> Self {
            drop(self.lets_go.take());
            Message { kind: Original::Quiet, clones_dropped: self.clones_dropped.clone(), lets_go: Rc::default() }
        }
    }
    impl Drop for Message {
        fn drop(&mut self) {
            match self.kind {
                Original::Quiet => self.clones_dropped.set(self.clones_dropped.get() + 1),
                Original::Panics => panic!("spite"),
            }
        }
    }
    let (sender, mut receiver) = broadcast::channel(4);
    let lets_go = Rc::new(RefCell::new(Some(sender.subscribe())));
    let clones_dropped = Rc::new(Cell::new(0));
    let message = Message { kind: Original::Panics, clones_dropped: clones_dropped.clone(), lets_go };
    assert!(sender.send(message).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver.try_recv()))).is_err());
    assert_eq!(clones_dropped.get(), 1, "the clone was leaked");
}

#[test]
fn a_stream_of_items_goes_on_after_a_comparison_has_panicked() {
    #[derive(PartialEq, Eq)]
    struct Touchy(u8, Rc<Cell<bool>>);
    impl PartialOrd for Touchy {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Touchy {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            assert!(!self.1.take(), "spite");
            self.0.cmp(&other.0)
        }
    }
    let armed = Rc::new(Cell::new(false));
    let queue = handcar_sync::PriorityQueue::unbounded();
    for n in 0..4 {
        assert!(queue.try_put(Touchy(n, armed.clone())).is_ok());
    }
    let mut items = queue.stream();
    armed.set(true);
    let poll = || items.poll_next_unpin(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_err());
    armed.set(false);
    let poll = || items.poll_next_unpin(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(poll)).is_ok_and(|is_ready| is_ready));
}

#[test]
fn the_turn_of_a_rate_limiter_is_not_lost_to_a_waker_that_panics_as_it_is_dropped() {
    use std::time::Duration;
    let clock = handcar_executor::Clock::simulated();
    let reports = handcar_executor::Reports::new();
    let builder = handcar_executor::Builder::new().clock(clock.clone()).on_report(reports.hook());
    builder.build().unwrap().block_on(async {
        let limiter = handcar_sync::RateLimiter::new(1, Duration::from_secs(1), 1);
        assert!(limiter.try_acquire());
        let armed = Rc::new(Cell::new(false));
        let waker = spiteful(PanicsWhenDropped(armed.clone()));
        let mut acquire = limiter.acquire();
        assert!(poll_with(&mut acquire, &waker).is_pending());
        clock.advance(Duration::from_secs(1)); // its timer is still armed
        armed.set(true);
        let acquired = catch_unwind(AssertUnwindSafe(|| poll_with(&mut acquire, &waker)));
        assert!(acquired.is_ok_and(|poll| poll.is_ready()));
        drop(acquire);
        clock.advance(Duration::from_secs(1));
        assert!(limiter.try_acquire(), "the turn was lost");
    });
}
