//! The channel from other threads.

mod common;

use std::thread;

use common::{Hand, Once, now, panic_message, poll_once, poll_with};
use futures::StreamExt;
use std::cell::Cell;
use std::time::Duration;

use handcar_executor::{Builder, Clock, Event, Runtime, run, sleep, spawn, timeout};
use handcar_sync::mpsc::error::{SendError, TryRecvError, TrySendError};
use handcar_sync::remote;

#[test]
fn messages_of_each_thread_arrive_in_order_and_none_is_lost() {
    const EACH: usize = 20_000;
    let (sender, mut receiver) = remote::channel(64);
    let threads: Vec<_> = (0..4)
        .map(|who| {
            let sender = sender.clone();
            thread::spawn(move || (0..EACH).for_each(|n| sender.blocking_send((who, n)).unwrap()))
        })
        .collect();
    drop(sender);
    let mut next = [0; 4];
    run(async {
        while let Some((who, n)) = receiver.recv().await {
            assert_eq!(n, next[who]);
            next[who] += 1;
        }
    });
    assert_eq!(next, [EACH; 4]);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_send_from_another_thread_wakes_the_receiver() {
    let (sender, mut receiver) = remote::channel(1);
    let mut recv = Hand::new(receiver.recv());
    assert!(recv.is_pending());
    thread::spawn(move || sender.try_send(1).unwrap()).join().unwrap();
    assert!(recv.woken() > 0);
    assert_eq!(recv.ready(), Some(1));
    drop(recv);
    assert_eq!(now(receiver.next()), None);
}

#[test]
fn the_capacity_counts_what_the_receiver_has_not_taken_over() {
    let (sender, mut receiver) = remote::channel(2);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(receiver.try_recv(), Ok(1));
    sender.try_send(3).unwrap();
    sender.try_send(4).unwrap();
    assert_eq!(sender.try_send(5), Err(TrySendError::Full(5)));
    drop(sender);
    for n in 2..=4 {
        assert_eq!(receiver.try_recv(), Ok(n));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_receiver_may_wait_for_a_sender_that_waits_for_room_before_it_takes_the_rest() {
    let ((sender, mut receiver), (said, saying)) = (remote::channel(2), std::sync::mpsc::channel());
    let full = sender.clone();
    full.try_send(1).unwrap();
    full.try_send(2).unwrap();
    let thread = thread::spawn(move || {
        sender.blocking_send(3).unwrap();
        said.send("sent").unwrap();
    });
    assert_eq!(now(receiver.recv()), Some(1));
    assert_eq!(saying.recv_timeout(Duration::from_secs(60)), Ok("sent"));
    thread.join().unwrap();
}

#[test]
fn a_blocked_sender_is_let_go_when_the_receiver_goes() {
    let (sender, receiver) = remote::channel(1);
    sender.try_send(1).unwrap();
    let blocked = sender.clone();
    let thread = thread::spawn(move || blocked.blocking_send(2));
    drop(receiver);
    assert_eq!(thread.join().unwrap(), Err(SendError(2)));
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
}

#[test]
fn blocking_the_receivers_own_thread_for_ever_is_refused() {
    let (sender, _receiver) = remote::channel(1);
    sender.blocking_send(1).unwrap();
    let message = panic_message(|| sender.blocking_send(2));
    assert!(message.contains("use `try_send`"), "{message}");
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    let message = panic_message(|| remote::channel::<u8>(0));
    assert!(message.contains("capacity of 1"), "{message}");
    drop(remote::channel::<[u8; 1 << 20]>(usize::MAX));
}

#[test]
fn a_waker_may_send_on_the_channel_whose_receiver_it_wakes() {
    for moment in ["clone", "wake", "drop"] {
        let (sender, mut receiver) = remote::channel(4);
        let again = sender.clone();
        let waker = Once::at(moment, move || {
            again.try_send("from the waker").unwrap();
            drop(again);
        });
        let mut recv = receiver.recv();
        let mut polled = poll_with(&mut recv, &waker);
        if polled.is_pending() && moment == "wake" {
            sender.try_send("from outside").unwrap();
        }
        if polled.is_pending() {
            polled = poll_once(&mut recv);
        }
        let expected = if moment == "wake" { "from outside" } else { "from the waker" };
        // The drop of a waker may come after the last look: then the message is there at the next poll.
        if polled.is_pending() {
            polled = poll_once(&mut recv);
        }
        assert_eq!(polled, std::task::Poll::Ready(Some(expected)), "{moment}");
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// A runtime on a simulated clock that calls `asleep` whenever it has nothing left to do but wait for other threads.
fn simulated(asleep: impl Fn() + 'static) -> Runtime {
    let observe = move |event: &Event<'_>| {
        if let Event::Parked { .. } = event {
            asleep();
        }
    };
    Builder::new().clock(Clock::simulated()).observe(observe).build().unwrap()
}

#[test]
fn a_living_sender_holds_the_simulated_clock() {
    for made_inside in [true, false] {
        // The thread sends only when the runtime has gone to sleep: it does not sleep unless the clock is held.
        let (go, gone) = std::sync::mpsc::channel();
        let runtime = simulated(move || _ = go.send(()));
        let mut made = if made_inside { None } else { Some(remote::channel(1)) };
        runtime.block_on(async {
            let (sender, mut receiver) = made.take().unwrap_or_else(|| remote::channel(1));
            let thread = thread::spawn(move || {
                gone.recv().unwrap();
                sender.blocking_send(1).unwrap();
            });
            assert_eq!(timeout(HOUR, receiver.recv()).await.unwrap(), Some(1));
            assert_eq!(receiver.recv().await, None);
            thread.join().unwrap();
            // Nobody can send any more: the clock is free.
            sleep(HOUR).await;
        });
    }
}

#[test]
fn a_receiver_that_has_gone_lets_the_simulated_clock_go() {
    let (sender, receiver) = remote::channel::<u8>(1);
    simulated(|| panic!("it has no reason to sleep")).block_on(async move {
        let mut receiver = receiver;
        assert!(poll_once(&mut receiver.recv()).is_pending());
        drop(receiver);
        sleep(HOUR).await;
    });
    assert!(sender.is_closed());
}

#[test]
fn a_receiver_that_moves_to_another_runtime_holds_the_clock_of_that_one() {
    let (go, gone) = std::sync::mpsc::channel();
    let (sender, mut receiver) = remote::channel(1);
    let first = simulated(|| panic!("it has no reason to sleep"));
    first.enter(|| assert!(poll_once(&mut receiver.recv()).is_pending()));
    simulated(move || _ = go.send(())).block_on(async {
        // From here on the sender counts here, and there no more.
        assert!(poll_once(&mut receiver.recv()).is_pending());
        let thread = thread::spawn(move || {
            gone.recv().unwrap();
            sender.try_send(1).unwrap();
        });
        assert_eq!(receiver.recv().await, Some(1));
        thread.join().unwrap();
    });
    first.block_on(sleep(HOUR));
}

#[test]
fn the_last_sender_wakes_the_receiver_before_it_lets_the_clock_go() {
    for _ in 0..100 {
        let (go, gone) = std::sync::mpsc::channel();
        simulated(move || _ = go.send(())).block_on(async {
            let (sender, mut receiver) = remote::channel::<u8>(1);
            let thread = thread::spawn(move || {
                gone.recv().unwrap();
                drop(sender);
            });
            assert_eq!(timeout(HOUR, receiver.recv()).await.unwrap(), None);
            thread.join().unwrap();
        });
    }
}

#[test]
fn room_is_free_as_soon_as_the_message_is_taken() {
    let (sender, mut receiver) = remote::channel(1);
    for n in 0..10 {
        sender.try_send(n).unwrap();
        assert_eq!(receiver.try_recv(), Ok(n));
    }
    // And whoever waits for it hears of it then.
    sender.try_send(10).unwrap();
    let blocked = thread::spawn(move || sender.blocking_send(11));
    assert_eq!(now(receiver.recv()), Some(10));
    blocked.join().unwrap().unwrap();
    assert_eq!(receiver.try_recv(), Ok(11));
}

#[test]
fn a_task_may_own_the_receiver_that_its_runtime_is_dropped_with() {
    let (sender, mut receiver) = remote::channel::<u8>(1);
    let polled = std::rc::Rc::new(Cell::new(false));
    let seen = polled.clone();
    let runtime = simulated(|| ());
    runtime.enter(|| {
        spawn(async move {
            seen.set(true);
            receiver.recv().await;
        })
        .detach();
    });
    runtime.block_on(handcar_executor::yield_now());
    drop(runtime);
    assert!(polled.get() && sender.is_closed());
}
