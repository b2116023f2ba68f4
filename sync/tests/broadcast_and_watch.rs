//! The channels in which every receiver hears of every message, or of the latest.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use common::{Hand, OnDrop, now, panic_message, poll_once};
use futures::StreamExt;
use handcar_sync::broadcast::{self, error::RecvError, error::TryRecvError};
use handcar_sync::watch;

#[test]
fn every_receiver_gets_every_message() {
    let (sender, mut one) = broadcast::channel(4);
    let mut other = sender.subscribe();
    let mut recv = Hand::new(one.recv());
    assert!(recv.is_pending());
    assert_eq!(sender.send('a').unwrap(), 2);
    assert_eq!(recv.woken(), 1);
    assert_eq!(recv.ready(), Ok('a'));
    drop(recv);
    let mut late = other.resubscribe();
    assert_eq!(sender.send('b').unwrap(), 3);
    assert_eq!((other.try_recv(), other.try_recv()), (Ok('a'), Ok('b')));
    assert_eq!((one.try_recv(), late.try_recv()), (Ok('b'), Ok('b')));
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    assert!(sender.is_empty());
}

#[test]
fn a_slow_receiver_is_told_how_many_it_missed() {
    let (sender, mut receiver) = broadcast::channel(2);
    for n in 0..5 {
        sender.send(n).unwrap();
    }
    assert_eq!(receiver.len(), 5);
    assert_eq!(now(receiver.recv()), Err(RecvError::Lagged(3)));
    assert_eq!(now(receiver.recv()), Ok(3));
    drop(sender);
    assert_eq!(now(receiver.recv()), Ok(4));
    assert_eq!(now(receiver.recv()), Err(RecvError::Closed));
}

#[test]
fn the_last_to_see_a_message_gets_the_original() {
    #[derive(Debug)]
    struct Counted(Rc<Cell<u32>>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Counted(self.0.clone())
        }
    }
    let clones = Rc::new(Cell::new(0));
    let (sender, mut one) = broadcast::channel(2);
    let mut other = sender.subscribe();
    sender.send(Counted(clones.clone())).unwrap();
    one.try_recv().unwrap();
    other.try_recv().unwrap();
    assert_eq!(clones.get(), 1);
}

#[test]
fn without_receivers_a_message_comes_back_and_nothing_is_kept() {
    let drops = Rc::new(Cell::new(0));
    let count = || {
        let drops = drops.clone();
        Rc::new(OnDrop(move || drops.set(drops.get() + 1)))
    };
    let (sender, receiver) = broadcast::channel(9);
    assert!(sender.send(count()).is_ok() && sender.send(count()).is_ok());
    drop(receiver);
    assert_eq!(drops.get(), 2);
    assert_eq!(sender.receiver_count(), 0);
    assert!(sender.send(count()).is_err());
    let message = panic_message(|| broadcast::channel::<u8>(0));
    assert!(message.contains("give it 1"), "{message}");
    drop(broadcast::channel::<u8>(usize::MAX));
}

#[test]
fn a_broadcast_receiver_is_a_stream_that_ends_with_the_senders() {
    let (sender, receiver) = broadcast::channel(2);
    for n in 0..3 {
        sender.send(n).unwrap();
    }
    drop(sender);
    let all: Vec<_> = now(receiver.collect());
    assert_eq!(all, [Err(RecvError::Lagged(1)), Ok(1), Ok(2)]);
}

#[test]
fn a_message_may_use_the_channel_as_it_is_cloned_and_dropped() {
    type Shared = Rc<RefCell<Option<broadcast::Sender<Chatty>>>>;
    struct Chatty(Shared, u32);
    impl Clone for Chatty {
        fn clone(&self) -> Self {
            let sender = self.0.borrow().clone();
            if let Some(sender) = sender.filter(|_| self.1 > 0) {
                let _ = sender.send(Chatty(self.0.clone(), self.1 - 1));
            }
            Chatty(self.0.clone(), 0)
        }
    }
    impl Drop for Chatty {
        fn drop(&mut self) {
            let sender = self.0.borrow().clone();
            assert!(sender.is_none_or(|sender| sender.subscribe().try_recv().is_err()));
        }
    }
    let shared = Shared::default();
    let (sender, mut one) = broadcast::channel(1);
    let other = sender.subscribe();
    *shared.borrow_mut() = Some(sender.clone());
    assert!(sender.send(Chatty(shared.clone(), 3)).is_ok());
    while one.try_recv().is_ok() {}
    drop((one, other));
    shared.borrow_mut().take();
    assert!(sender.is_empty());
}

#[test]
fn a_message_whose_clone_panics_or_outlives_its_slot_is_still_to_be_seen_once() {
    type OnClone = Box<dyn FnMut()>;
    struct Fickle(Rc<RefCell<OnClone>>, u32);
    fn refuse() {
        panic!("no clone");
    }
    impl Clone for Fickle {
        fn clone(&self) -> Self {
            (self.0.borrow_mut())();
            Fickle(self.0.clone(), self.1)
        }
    }
    let on_clone = Rc::new(RefCell::new(Box::new(refuse) as OnClone));
    let (sender, mut one) = broadcast::channel(1);
    let other = sender.subscribe();
    assert!(sender.send(Fickle(on_clone.clone(), 1)).is_ok());
    assert!(panic_message(|| one.try_recv()).contains("no clone"));
    // It makes way for another one while it is cloned, and that one can be seen.
    let next = Fickle(on_clone.clone(), 2);
    let mut send = Some((sender.clone(), next, other));
    *on_clone.borrow_mut() = Box::new(move || {
        if let Some((sender, next, other)) = send.take() {
            assert!(sender.send(next).is_ok());
            drop(other);
        }
    });
    assert_eq!(one.try_recv().map(|message| message.1), Ok(1));
    assert_eq!(one.try_recv().map(|message| message.1), Ok(2));
    assert!(sender.is_empty());
}

#[test]
fn a_watcher_sees_the_latest_value_only() {
    let (sender, mut receiver) = watch::channel(0);
    assert_eq!(receiver.has_changed(), Ok(false));
    let mut changed = Hand::new(receiver.changed());
    assert!(changed.is_pending());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(changed.woken(), 1);
    changed.ready().unwrap();
    drop(changed);
    assert_eq!(*receiver.borrow(), 2);
    assert_eq!(receiver.has_changed(), Ok(false));
    receiver.mark_changed();
    assert!(receiver.borrow_and_update().has_changed());
    assert!(!receiver.borrow().has_changed());
    sender.send(3).unwrap();
    drop(sender);
    assert_eq!(now(receiver.changed()), Ok(()));
    assert!(now(receiver.changed()).is_err());
    assert_eq!(*receiver.borrow(), 3);
}

#[test]
fn a_reader_holds_up_nobody() {
    let (sender, receiver) = watch::channel(String::from("old"));
    let old = receiver.borrow();
    sender.send(String::from("new")).unwrap();
    assert_eq!((&**old, &**receiver.borrow()), ("old", "new"));
    assert_eq!(*sender.send_replace(String::from("newer")), "new");
}

#[test]
fn a_value_is_changed_in_place() {
    let (sender, mut receiver) = watch::channel(vec![1]);
    sender.send_modify(|value| value.push(2));
    assert_eq!(now(receiver.changed()), Ok(()));
    assert!(!sender.send_if_modified(|value| value.is_empty()));
    assert_eq!(receiver.has_changed(), Ok(false));

    let reader = receiver.borrow();
    let message = panic_message(|| sender.send_modify(Vec::clear));
    assert!(message.contains("send_replace"), "{message}");
    assert_eq!(*reader, [1, 2]);
    drop(reader);
    let message = panic_message(|| sender.send_modify(|_| drop(receiver.borrow())));
    assert!(message.contains("the closure's argument"), "{message}");
    panic_message(|| sender.send_modify(|_| panic!("in the closure")));
    assert_eq!(*sender.borrow(), [1, 2]);
    sender.send_modify(|_| sender.send(vec![9]).unwrap());
    assert_eq!(*sender.borrow(), [9]);
}

#[test]
fn a_watcher_waits_for_what_it_wants() {
    let (sender, mut receiver) = watch::channel(5);
    let mut wanted = Hand::new(receiver.wait_for(|value| *value > 6));
    assert!(wanted.is_pending());
    sender.send(6).unwrap();
    assert!(wanted.woken() == 1 && wanted.is_pending());
    sender.send(7).unwrap();
    assert_eq!(*wanted.ready().unwrap(), 7);
    drop(wanted);
    assert_eq!(*now(receiver.wait_for(|value| *value == 7)).unwrap(), 7);
    drop(sender);
    assert!(now(receiver.wait_for(|value| *value == 8)).is_err());
}

#[test]
fn the_sender_can_wait_for_the_watchers_to_go() {
    let (sender, receiver) = watch::channel(());
    let other = receiver.clone();
    assert!(other.same_channel(&receiver));
    let mut closed = Hand::new(sender.closed());
    assert!(closed.is_pending());
    drop(receiver);
    assert!(closed.is_pending());
    drop(other);
    assert_eq!(closed.woken(), 1);
    closed.ready();
    assert!(sender.send(()).is_err());
    let mut receiver = sender.subscribe();
    assert!(poll_once(&mut receiver.changed()).is_pending());
    sender.send(()).unwrap();
}

#[test]
fn the_sender_of_a_broadcast_can_wait_for_the_receivers_to_go() {
    let sender = broadcast::Sender::new(1);
    now(sender.closed());
    let (one, other) = (sender.subscribe(), sender.subscribe());
    assert!(one.same_channel(&other) && !one.is_closed());
    let mut closed = Hand::new(sender.closed());
    assert!(closed.is_pending());
    drop(one);
    assert_eq!(closed.woken(), 0);
    drop(other);
    assert_eq!(closed.woken(), 1);
    // Who comes now does not take it back.
    let _late = sender.subscribe();
    closed.ready();
    assert!(Hand::new(sender.closed()).is_pending());
    assert_eq!(sender.send(1).unwrap(), 1);
}

#[test]
fn a_weak_sender_of_a_broadcast_keeps_nothing_open() {
    let (sender, mut receiver) = broadcast::channel(1);
    let weak = sender.downgrade();
    assert_eq!((sender.strong_count(), sender.weak_count()), (1, 1));
    assert_eq!((receiver.sender_strong_count(), receiver.sender_weak_count()), (1, 1));
    let second = weak.clone().upgrade().unwrap();
    assert!(second.same_channel(&sender));
    drop(sender);
    second.send(1).unwrap();
    drop(second);
    assert!(weak.upgrade().is_none() && receiver.is_closed());
    assert_eq!((weak.strong_count(), weak.weak_count()), (0, 1));
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
}

#[test]
fn a_watch_knows_its_ends() {
    let sender = watch::Sender::<u8>::default();
    assert!(sender.is_closed());
    now(sender.closed());
    let receiver = sender.subscribe();
    let second = sender.clone();
    assert!(second.same_channel(&sender) && !receiver.is_closed());
    assert_eq!((sender.sender_count(), sender.receiver_count()), (2, 1));
    drop((sender, second));
    assert!(receiver.is_closed());
}
