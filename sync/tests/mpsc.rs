//! The channels of many messages, through their public API.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use common::{Hand, OnDrop, Once, now, panic_message, poll_once, poll_with};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use futures::{SinkExt, StreamExt};
use handcar_sync::mpsc::{self, error::*};

#[test]
fn messages_arrive_in_order_and_then_none() {
    let (sender, mut receiver) = mpsc::channel(3);
    for n in 0..3 {
        now(sender.send(n)).unwrap();
    }
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    drop(sender);
    assert_eq!((receiver.len(), receiver.is_closed()), (3, true));
    for n in 0..3 {
        assert_eq!(now(receiver.recv()), Some(n));
    }
    assert_eq!(now(receiver.recv()), None);
    assert_eq!(now(receiver.recv()), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn senders_that_wait_get_in_in_order_and_nobody_overtakes() {
    let (sender, mut receiver) = mpsc::channel(1);
    now(sender.send(0)).unwrap();
    let mut first = Hand::new(sender.send(1));
    let mut second = Hand::new(sender.send(2));
    assert!(first.is_pending() && second.is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    // The slot belongs to the first sender, though it has not run.
    assert_eq!((first.woken(), second.woken()), (1, 0));
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(first);
    assert_eq!(second.woken(), 1);
    second.ready().unwrap();
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn the_receiver_is_woken_on_the_edge_only() {
    let (sender, mut receiver) = mpsc::channel(9);
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    for n in 0..5 {
        sender.try_send(n).unwrap();
    }
    assert_eq!(recv.woken(), 1);
    assert_eq!(recv.ready(), Some(0));
}

#[test]
fn a_dropped_recv_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    sender.try_send("kept").unwrap();
    drop(recv);
    assert_eq!(now(receiver.recv()), Some("kept"));
}

#[test]
fn the_last_sender_wakes_the_receiver_as_it_goes() {
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let other = sender.clone();
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    drop(sender);
    assert!(recv.woken() == 0 && recv.is_pending());
    drop(other);
    assert_eq!(recv.woken(), 1);
    assert_eq!(recv.ready(), None);
}

#[test]
fn dropping_the_receiver_gives_messages_back_and_drops_the_unread() {
    let drops = Rc::new(Cell::new(0));
    let message = || {
        let drops = drops.clone();
        OnDrop(move || drops.set(drops.get() + 1))
    };
    let (sender, receiver) = mpsc::channel(1);
    assert!(sender.try_send(message()).is_ok());
    let mut waiting = Hand::new(sender.send(message()));
    let mut closed = Hand::new(sender.closed());
    assert!(waiting.is_pending() && closed.is_pending());
    drop(receiver);
    assert_eq!(drops.get(), 1);
    assert_eq!((waiting.woken(), closed.woken()), (1, 1));
    closed.ready();
    let SendError(back) = waiting.ready().err().unwrap();
    assert_eq!(drops.get(), 1);
    drop(back);
    assert!(matches!(sender.try_send(message()), Err(TrySendError::Closed(_))));
    assert!(now(sender.reserve()).is_err());
    assert_eq!(drops.get(), 3);
}

#[test]
fn close_lets_what_was_sent_or_reserved_through() {
    let (sender, mut receiver) = mpsc::channel(2);
    now(sender.send(1)).unwrap();
    let permit = now(sender.reserve()).unwrap();
    let mut waiting = Hand::new(sender.send(3));
    assert!(waiting.is_pending());
    receiver.close();
    assert_eq!(waiting.ready(), Err(SendError(3)));
    assert!(sender.is_closed());
    assert_eq!(now(receiver.recv()), Some(1));
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    permit.send(2);
    assert_eq!(recv.woken(), 1);
    assert_eq!(recv.ready(), Some(2));
    drop(recv);
    assert_eq!(now(receiver.recv()), None);
}

#[test]
fn a_reservation_given_up_after_close_ends_the_channel() {
    for granted_only in [true, false] {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let mut reserve = Hand::new(sender.reserve());
        assert!(reserve.is_pending());
        assert_eq!(receiver.try_recv(), Ok(1));
        receiver.close();
        let mut recv = Hand::new(receiver.recv());
        assert!(recv.is_pending());
        let permit = if granted_only { None } else { Some(reserve.ready()) };
        drop((reserve, permit));
        assert_eq!(recv.woken(), 1);
        assert_eq!(recv.ready(), None);
    }
}

#[test]
fn a_permit_keeps_room_and_gives_it_back() {
    let (sender, mut receiver) = mpsc::channel(1);
    assert_eq!((sender.capacity(), sender.max_capacity()), (1, 1));
    let permit = sender.try_reserve().unwrap();
    assert_eq!(sender.capacity(), 0);
    assert_eq!(sender.try_reserve().unwrap_err(), TrySendError::Full(()));
    drop(permit);
    sender.try_reserve().unwrap().send(1);
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn recv_many_takes_what_is_there_up_to_its_limit() {
    let (sender, mut receiver) = mpsc::channel(4);
    let mut buffer = vec![];
    assert_eq!(now(receiver.recv_many(&mut buffer, 0)), 0);
    assert!(Hand::new(receiver.recv_many(&mut buffer, 9)).is_pending());
    for n in 0..4 {
        sender.try_send(n).unwrap();
    }
    let mut waiting = Hand::new(sender.send(4));
    assert!(waiting.is_pending());
    assert_eq!(now(receiver.recv_many(&mut buffer, 3)), 3);
    waiting.ready().unwrap();
    drop(waiting);
    drop(sender);
    assert_eq!(now(receiver.recv_many(&mut buffer, usize::MAX)), 2);
    assert_eq!(buffer, [0, 1, 2, 3, 4]);
    assert_eq!(now(receiver.recv_many(&mut buffer, 1)), 0);
}

#[test]
fn a_rendezvous_is_over_only_when_the_message_was_taken() {
    let (sender, mut receiver) = mpsc::channel(0);
    assert_eq!((sender.max_capacity(), sender.capacity()), (0, 0));
    assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
    let mut first = Hand::new(sender.send(1));
    let mut second = Hand::new(sender.send(2));
    assert!(first.is_pending() && second.is_pending() && first.is_pending());
    assert_eq!(now(receiver.recv()), Some(1));
    assert!(second.is_pending());
    // The first is asked again while the second's message lies in the slot.
    first.ready().unwrap();
    let woken = second.woken();
    assert_eq!(now(receiver.recv()), Some(2));
    assert_eq!(second.woken(), woken + 1);
    second.ready().unwrap();
}

#[test]
fn a_rendezvous_that_does_not_come_about_gives_the_message_back() {
    let (sender, mut receiver) = mpsc::channel(0);
    let mut given_up = Hand::new(sender.send(1));
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending() && given_up.is_pending());
    assert_eq!(recv.woken(), 1);
    drop(given_up);
    assert!(recv.is_pending());
    drop(recv);

    let mut offered = Hand::new(sender.send(2));
    let mut waiting = Hand::new(sender.send(3));
    assert!(offered.is_pending() && waiting.is_pending());
    receiver.close();
    assert_eq!(waiting.ready(), Err(SendError(3)));
    assert!(offered.is_pending());
    let woken = offered.woken();
    drop(receiver);
    assert_eq!(offered.woken(), woken + 1);
    assert_eq!(offered.ready(), Err(SendError(2)));
}

#[test]
fn a_message_of_a_permit_goes_with_the_receiver_of_a_rendezvous() {
    let dropped = std::rc::Rc::new(std::cell::Cell::new(false));
    let witness = dropped.clone();
    let (sender, receiver) = mpsc::channel(0);
    now(sender.reserve()).unwrap().send(common::OnDrop(move || witness.set(true)));
    drop(receiver);
    assert!(dropped.get());
}

#[test]
fn an_unbounded_channel_never_is_full_and_gives_its_memory_back() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for n in 0..1_000_000 {
        sender.send(n).unwrap();
    }
    let mut sum = 0_u64;
    while let Ok(n) = receiver.try_recv() {
        sum += n;
    }
    assert_eq!(sum, 499_999_500_000);
    receiver.close();
    assert_eq!(sender.send(1), Err(SendError(1)));
    assert!(sender.is_closed());
    now(sender.closed());
}

#[test]
fn the_counts_of_an_unbounded_channel_add_up() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    assert_eq!(receiver.capacity(), receiver.max_capacity());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(receiver.capacity() + receiver.len(), receiver.max_capacity());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.capacity() + receiver.len(), receiver.max_capacity());
}

#[test]
fn a_channel_of_all_permits_has_a_limit_like_any_other() {
    let (sender, mut receiver) = mpsc::channel(usize::MAX);
    let permit = sender.try_reserve().unwrap();
    sender.try_send(1).unwrap();
    assert_eq!(sender.max_capacity() - sender.capacity(), 2);
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    permit.send(2);
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_huge_capacity_costs_nothing() {
    let (sender, receiver) = mpsc::channel::<[u8; 1 << 20]>(usize::MAX);
    assert_eq!(sender.max_capacity(), handcar_sync::Semaphore::MAX_PERMITS);
    drop(receiver);
}

#[test]
fn a_million_senders_wait_and_half_of_them_leave() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let mut waiting: Vec<_> = (1..=1_000_000_u32).map(|n| Some(sender.send(n))).collect();
    for sending in waiting.iter_mut().flatten() {
        assert!(poll_once(sending).is_pending());
    }
    for sending in waiting.iter_mut().step_by(2) {
        *sending = None;
    }
    assert_eq!(receiver.try_recv(), Ok(0));
    for sending in waiting.iter_mut().flatten() {
        assert!(poll_once(sending).is_ready());
        receiver.try_recv().unwrap();
    }
}

#[test]
fn it_is_a_stream_and_a_sink() {
    let (sender, receiver) = mpsc::channel(1);
    let mut pool = LocalPool::new();
    let task = async move {
        let mut sink = sender.into_sink();
        for n in 0..10 {
            sink.feed(n).await.unwrap();
        }
        sink.close().await.unwrap();
        assert!(sink.send(11).await.is_err());
    };
    pool.spawner().spawn_local(task).unwrap();
    let all: Vec<_> = pool.run_until(receiver.collect());
    assert_eq!(all, (0..10).collect::<Vec<_>>());

    let (mut sender, receiver) = mpsc::unbounded_channel();
    now(sender.send_all(&mut futures::stream::iter([Ok(1), Ok(2)]))).unwrap();
    drop(sender);
    assert_eq!(now(receiver.collect::<Vec<_>>()), [1, 2]);
}

#[test]
fn a_sink_gives_its_slot_back() {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut sink = sender.clone().into_sink();
    assert!(sink.poll_ready_unpin(&mut context()).is_ready());
    assert!(sender.try_send(1).is_err());
    assert!(sink.poll_ready_unpin(&mut context()).is_ready());
    drop(sink);
    sender.try_send(2).unwrap();
    let mut sink = sender.clone().into_sink();
    assert!(sink.poll_ready_unpin(&mut context()).is_pending());
    assert_eq!(receiver.try_recv(), Ok(2));
    drop(sink);
    sender.try_send(3).unwrap();
    let message = panic_message(|| sender.clone().into_sink().start_send_unpin(4));
    assert!(message.contains("poll_ready"), "{message}");
}

fn context() -> std::task::Context<'static> {
    std::task::Context::from_waker(std::task::Waker::noop())
}

#[test]
fn futures_polled_after_ready_panic_by_name() {
    let (sender, mut receiver) = mpsc::channel(2);
    let mut sending = sender.send(1);
    assert!(poll_once(&mut sending).is_ready());
    let message = panic_message(|| poll_once(&mut sending));
    assert!(message.contains("`mpsc::Sending` was polled after"), "{message}");
    let mut recv = receiver.recv();
    assert!(poll_once(&mut recv).is_ready());
    let message = panic_message(|| poll_once(&mut recv));
    assert!(message.contains("`Recv` was polled after"), "{message}");
    drop(recv);
    let mut buffer = vec![];
    let mut recv_many = receiver.recv_many(&mut buffer, 0);
    assert!(poll_once(&mut recv_many).is_ready());
    let message = panic_message(|| poll_once(&mut recv_many));
    assert!(message.contains("`mpsc::RecvMany` was polled after"), "{message}");
}

#[test]
fn messages_may_use_the_channel_as_they_are_dropped() {
    struct Chatty(Rc<RefCell<Option<mpsc::Sender<Chatty>>>>, Rc<Cell<u32>>);
    impl Drop for Chatty {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            let sender = self.0.borrow().clone();
            if let Some(sender) = sender.filter(|_| self.1.get() < 10) {
                // A message sent during the drop comes back and is dropped in turn.
                let _ = sender.try_send(Chatty(self.0.clone(), self.1.clone()));
            }
        }
    }
    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = mpsc::channel(2);
    let shared = Rc::new(RefCell::new(Some(sender.clone())));
    for _ in 0..2 {
        assert!(sender.try_send(Chatty(shared.clone(), drops.clone())).is_ok());
    }
    drop(receiver);
    assert_eq!(drops.get(), 11);
    shared.borrow_mut().take();
}

#[test]
fn a_waker_may_send_and_receive_on_the_channel_it_waits_for() {
    for moment in ["clone", "wake", "drop"] {
        let (sender, mut receiver) = mpsc::channel(1);
        let ran = Rc::new(Cell::new(false));
        let waker = {
            let (sender, ran) = (sender.clone(), ran.clone());
            Once::at(moment, move || {
                ran.set(true);
                let _ = sender.try_send("from the waker");
                assert!(Hand::new(sender.send("too many")).is_pending());
            })
        };
        let mut recv = receiver.recv();
        match poll_with(&mut recv, &waker) {
            Poll::Ready(message) => {
                assert_eq!((moment, message), ("clone", Some("from the waker")));
            }
            Poll::Pending => {
                assert_eq!(poll_once(&mut recv).is_ready(), moment == "drop");
                drop(recv);
                let mut recv = receiver.recv();
                if poll_with(&mut recv, &waker).is_pending() {
                    sender.try_send("from outside").unwrap();
                    assert_eq!(poll_once(&mut recv), Poll::Ready(Some("from outside")));
                }
            }
        }
        drop(waker);
        assert!(ran.get(), "{moment}");
    }
}

#[test]
fn a_waker_may_receive_then_and_there() {
    for capacity in [0, 1] {
        let (sender, receiver) = mpsc::channel(capacity);
        let receiver = Rc::new(RefCell::new(receiver));
        let taken = Rc::new(Cell::new(None));
        let waker = {
            let (receiver, taken) = (receiver.clone(), taken.clone());
            Once::at("wake", move || taken.set(receiver.borrow_mut().try_recv().ok()))
        };
        let mut context = std::task::Context::from_waker(&waker);
        assert!(receiver.borrow_mut().poll_recv(&mut context).is_pending());
        now(sender.send(1)).unwrap();
        assert_eq!(taken.get(), Some(1));
        let mut next = Hand::new(sender.send(2));
        assert_eq!(next.is_pending(), capacity == 0);
        assert_eq!(receiver.borrow_mut().try_recv(), Ok(2));
    }
}

#[test]
fn a_weak_sender_keeps_nothing_open_and_comes_back_while_there_is_a_strong_one() {
    struct NotClone;
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let (weak, other) = (sender.downgrade(), sender.downgrade().clone());
    assert_eq!((sender.strong_count(), sender.weak_count()), (1, 2));
    assert_eq!((receiver.sender_strong_count(), receiver.sender_weak_count()), (1, 2));
    let second = weak.upgrade().unwrap();
    assert!(second.same_channel(&sender));
    assert_eq!((weak.strong_count(), weak.weak_count()), (2, 2));
    drop(sender);
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    drop(second);
    assert_eq!((recv.woken(), recv.ready()), (1, None));
    drop(recv);
    // The channel is there, held by its receiver, and yet nobody may send again.
    assert!(other.upgrade().is_none());
    assert_eq!((weak.strong_count(), weak.weak_count()), (0, 2));
    drop(receiver);
    assert_eq!((weak.upgrade().is_none(), weak.strong_count(), weak.weak_count()), (true, 0, 0));

    let (sender, mut receiver) = mpsc::unbounded_channel();
    let weak = sender.downgrade();
    assert!(weak.clone().upgrade().unwrap().clone().send(NotClone).is_ok());
    assert_eq!((weak.strong_count(), sender.strong_count(), sender.weak_count()), (1, 1, 1));
    assert!(receiver.try_recv().is_ok());
}

#[test]
fn a_sender_that_waits_with_an_owned_permit_keeps_the_channel_open() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut reserve = Hand::new(sender.reserve_owned());
    assert!(reserve.is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    let permit = reserve.ready().unwrap();
    let (stranger, _receiver) = mpsc::channel::<i32>(1);
    assert!(!permit.same_channel_as_sender(&stranger));
    let sender = permit.release();
    let permit = sender.clone().try_reserve_owned().unwrap();
    assert!(permit.same_channel_as_sender(&sender) && permit.same_channel(&permit));
    assert_eq!(sender.clone().try_reserve_owned().unwrap_err().into_inner().strong_count(), 3);
    drop(sender);
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    let sender = permit.send(2);
    assert_eq!(recv.ready(), Some(2));
    drop(recv);
    // A permit that is dropped frees its room, and then goes as a sender.
    drop(sender.reserve_owned());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn several_slots_are_reserved_in_turn_and_what_is_left_of_them_comes_back() {
    let (sender, mut receiver) = mpsc::channel(3);
    sender.try_send(0).unwrap();
    let mut many = Hand::new(sender.reserve_many(3));
    let mut one = Hand::new(sender.send(9));
    // There would be room for one, but three come first.
    assert!(many.is_pending() && one.is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    let mut permits = many.ready().unwrap();
    drop(many);
    assert_eq!((permits.len(), sender.capacity(), receiver.capacity()), (3, 0, 0));
    permits.next().unwrap().send(1);
    let second = permits.next().unwrap();
    drop(permits);
    assert_eq!(one.ready(), Ok(()));
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Ok(9)));
    second.send(2);
    assert_eq!((receiver.try_recv(), receiver.max_capacity()), (Ok(2), 3));
    let mut all = sender.try_reserve_many(3).unwrap();
    all.by_ref().take(2).for_each(drop);
    assert_eq!((sender.capacity(), all.len()), (2, 1));
    drop(all);
    assert_eq!(sender.capacity(), 3);
}

#[test]
fn several_slots_that_were_granted_go_on_when_their_waiter_is_dropped() {
    let (sender, mut receiver) = mpsc::channel(2);
    now(sender.send(1)).unwrap();
    let mut many = Hand::new(sender.reserve_many(2));
    let mut next = Hand::new(sender.send(2));
    assert!(many.is_pending() && next.is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!((many.woken(), next.woken()), (1, 0));
    drop(many);
    assert_eq!(next.woken(), 1);
    next.ready().unwrap();
    assert_eq!((receiver.try_recv(), sender.capacity()), (Ok(2), 2));
}

#[test]
fn poll_recv_many_leaves_the_last_waker() {
    let (sender, mut receiver) = mpsc::channel(2);
    let mut buffer = vec![];
    let mut poll = Hand::new(std::future::poll_fn(|cx| receiver.poll_recv_many(cx, &mut buffer, 5)));
    assert!(poll.is_pending());
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!((poll.woken(), poll.ready()), (1, 2));
    drop(poll);
    assert_eq!(buffer, [1, 2]);
}
