//! The channel for one message, through its public API.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use common::{Hand, OnDrop, Once, now, panic_message, poll_once, poll_with};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use handcar_sync::oneshot::{self, error::TryRecvError};

#[test]
fn a_message_arrives_before_and_after_the_receiver_waits() {
    let (sender, receiver) = oneshot::channel();
    sender.send(1).unwrap();
    assert_eq!(now(receiver), Ok(1));

    let (sender, receiver) = oneshot::channel();
    let mut receiver = Hand::new(receiver);
    assert!(receiver.is_pending());
    sender.send(2).unwrap();
    assert_eq!(receiver.woken(), 1);
    assert_eq!(receiver.ready(), Ok(2));
}

#[test]
fn dropping_the_sender_tells_the_receiver() {
    let (sender, receiver) = oneshot::channel::<u8>();
    let mut receiver = Hand::new(receiver);
    assert!(receiver.is_pending());
    drop(sender);
    assert_eq!(receiver.woken(), 1);
    assert!(receiver.ready().is_err());
}

#[test]
fn a_message_for_nobody_comes_back() {
    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(7), Err(7));

    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    assert_eq!(sender.send(8), Err(8));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_sender_takes_its_waker_with_it() {
    let (mut sender, mut receiver) = oneshot::channel();
    let waker = Once::at("drop", || panic!("the waker panics"));
    assert!(sender.poll_closed(&mut Context::from_waker(&waker)).is_pending());
    assert!(panic_message(|| sender.send(1)).contains("the waker panics"));
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn what_was_sent_before_close_is_received() {
    let (sender, mut receiver) = oneshot::channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(9).unwrap();
    receiver.close();
    assert!(!receiver.is_empty());
    assert_eq!(receiver.try_recv(), Ok(9));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn the_sender_can_wait_for_the_receiver_to_go() {
    for close in [true, false] {
        let (mut sender, mut receiver) = oneshot::channel::<u8>();
        let mut closed = Hand::new(sender.closed());
        assert!(closed.is_pending());
        if close {
            receiver.close();
        }
        drop(receiver);
        assert_eq!(closed.woken(), 1);
        closed.ready();
    }
}

#[test]
fn waiting_can_be_given_up_and_taken_up_again() {
    let (sender, mut receiver) = oneshot::channel();
    assert!(poll_once(&mut receiver).is_pending());
    let mut receiver = Hand::new(receiver);
    assert!(receiver.is_pending() && receiver.is_pending());
    sender.send("kept").unwrap();
    assert_eq!(receiver.ready(), Ok("kept"));
}

#[test]
fn polling_again_after_the_result_panics_by_name() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(()).unwrap();
    assert!(poll_once(&mut receiver).is_ready());
    let message = panic_message(|| poll_once(&mut receiver));
    assert!(message.contains("`oneshot::Receiver` was polled after"), "{message}");
}

#[test]
fn a_waker_may_use_the_channel_it_waits_for() {
    for moment in ["clone", "wake", "drop"] {
        let (sender, mut receiver) = oneshot::channel();
        let sender = Rc::new(Cell::new(Some(sender)));
        let send = sender.clone();
        let waker = Once::at(moment, move || {
            if let Some(sender) = send.take() {
                sender.send("from the waker").unwrap();
            }
        });
        let at_once = poll_with(&mut receiver, &waker);
        match moment {
            "clone" => assert_eq!(at_once, Poll::Ready(Ok("from the waker"))),
            "drop" => {
                assert!(at_once.is_pending());
                // Another waker replaces the first, whose drop sends.
                assert_eq!(poll_with(&mut receiver, Waker::noop()), Poll::Ready(Ok("from the waker")));
            }
            _ => {
                sender.take().unwrap().send("from outside").unwrap();
                assert_eq!(poll_once(&mut receiver), Poll::Ready(Ok("from outside")));
            }
        }
        drop(waker);
    }
}

#[test]
fn a_message_is_dropped_once_and_may_use_the_other_end_then() {
    type Slot = Rc<RefCell<Option<oneshot::Sender<OnDrop<Box<dyn FnMut()>>>>>>;
    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = oneshot::channel();
    let other: Slot = Rc::default();
    let message: Box<dyn FnMut()> = {
        let (drops, other) = (drops.clone(), other.clone());
        Box::new(move || {
            drops.set(drops.get() + 1);
            assert!(other.borrow().as_ref().unwrap().is_closed());
        })
    };
    let (second, other_receiver) = oneshot::channel();
    *other.borrow_mut() = Some(second);
    drop(other_receiver);
    assert!(sender.send(OnDrop(message)).is_ok());
    drop(receiver);
    assert_eq!(drops.get(), 1);
}

#[test]
fn two_tasks_of_a_foreign_executor_talk() {
    let (sender, receiver) = oneshot::channel();
    let mut pool = LocalPool::new();
    let answer = pool.spawner();
    answer.spawn_local(async move { sender.send(42).unwrap() }).unwrap();
    assert_eq!(pool.run_until(receiver), Ok(42));
}
