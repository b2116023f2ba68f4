//! Event, notify and barrier, through their public API; and what a crowd of waiters costs.

mod common;

use std::rc::Rc;

use common::{Hand, now, panic_message, poll_once};
use handcar_executor::{run, spawn, yield_now};
use handcar_sync::{Barrier, Event, Notify, Queue};

#[test]
fn clear_right_after_set_does_not_take_the_wake_back() {
    let event = Event::new();
    let mut waiter = Hand::new(event.wait());
    assert!(waiter.is_pending());
    event.set();
    event.clear();
    assert_eq!(waiter.woken(), 1);
    waiter.ready();
    assert!(Hand::new(event.wait()).is_pending());
}

#[test]
fn an_event_that_is_set_holds_nobody_up() {
    let event = Event::default();
    event.set();
    assert!(event.is_set());
    now(event.wait());
    let mut wait = event.wait();
    assert!(poll_once(&mut wait).is_ready());
    assert!(panic_message(|| poll_once(&mut wait)).contains("`EventWait`"));
}

#[test]
fn who_joins_while_an_event_wakes_the_others_waits_for_the_next() {
    let event = Rc::new(Event::new());
    let late = Rc::new(std::cell::RefCell::new(None));
    let waker = {
        let (event, late) = (event.clone(), late.clone());
        common::Once::at("wake", move || {
            event.clear();
            let event = event.clone();
            let mut wait = Box::pin(async move { event.wait().await });
            assert!(poll_once(&mut wait).is_pending());
            *late.borrow_mut() = Some(wait);
        })
    };
    let mut first = event.wait();
    assert!(common::poll_with(&mut first, &waker).is_pending());
    let mut second = Hand::new(event.wait());
    assert!(second.is_pending());
    event.set();
    second.ready();
    assert!(poll_once(&mut first).is_ready());
    assert!(poll_once(&mut late.take().unwrap()).is_pending());
}

#[test]
fn one_notification_is_kept_and_no_more() {
    let notify = Notify::default();
    notify.notify_one();
    notify.notify_one();
    now(notify.notified());
    assert!(Hand::new(notify.notified()).is_pending());
}

#[test]
fn notify_waiters_reaches_futures_that_were_never_polled() {
    let notify = Rc::new(Notify::new());
    let before = notify.clone().notified_owned();
    notify.notify_waiters();
    now(before);
    assert!(Hand::new(notify.notified()).is_pending());
}

#[test]
fn a_barrier_lets_groups_through_and_names_one_leader_each() {
    run(async {
        let barrier = Rc::new(Barrier::new(3));
        let tasks: Vec<_> = (0..9)
            .map(|_| {
                let barrier = barrier.clone();
                spawn(async move { barrier.wait().await.is_leader() })
            })
            .collect();
        let mut leaders = 0;
        for task in tasks {
            leaders += usize::from(task.await.unwrap());
        }
        assert_eq!(leaders, 3);
    });
    assert!(now(Barrier::new(0).wait()).is_leader());
    assert!(Hand::new(Barrier::new(usize::MAX).wait()).is_pending());
}

#[test]
fn a_barrier_whose_waiter_goes_while_the_others_are_woken_counts_on() {
    let barrier = Rc::new(Barrier::new(3));
    let wait = || {
        let barrier = barrier.clone();
        Box::pin(async move { barrier.wait().await.is_leader() })
    };
    let second = Rc::new(std::cell::RefCell::new(Some(wait())));
    let is_gone = Rc::new(std::cell::Cell::new(false));
    let (dropped, gone) = (second.clone(), is_gone.clone());
    let waker = common::Once::at("wake", move || {
        drop(dropped.take());
        gone.set(true);
    });
    let mut first = wait();
    assert!(common::poll_with(&mut first, &waker).is_pending());
    assert!(poll_once(second.borrow_mut().as_mut().unwrap()).is_pending());
    assert!(now(wait()));
    assert!(is_gone.get(), "dropping it panicked");
    assert!(poll_once(&mut first).is_ready());
    // The next group needs three again.
    let (mut one, mut two) = (wait(), wait());
    assert!(poll_once(&mut one).is_pending());
    assert!(poll_once(&mut two).is_pending());
    assert!(now(wait()));
}

#[test]
fn a_notification_given_while_all_are_notified_is_kept_for_the_next() {
    let notify = Rc::new(Notify::new());
    let inner = notify.clone();
    let waker = common::Once::at("wake", move || inner.notify_one());
    let mut first = notify.notified();
    assert!(common::poll_with(&mut first, &waker).is_pending());
    let mut second = Hand::new(notify.notified());
    assert!(second.is_pending());
    notify.notify_waiters();
    assert_eq!(second.woken(), 1);
    second.ready();
    assert!(poll_once(&mut first).is_ready());
    now(notify.notified());
}

#[test]
fn a_million_wait_for_one_event() {
    let event = Event::new();
    let mut waiters: Vec<_> = (0..1_000_000).map(|_| event.wait()).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter).is_pending());
    }
    event.set();
    for waiter in &mut waiters[..500_000] {
        assert!(poll_once(waiter).is_ready());
    }
    drop(waiters);
    now(event.wait());
}

#[test]
fn a_million_getters_wait_for_one_queue_and_leave_back_to_front() {
    let queue = Queue::unbounded();
    let mut waiters: Vec<_> = (0..1_000_000).map(|_| queue.get()).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter).is_pending());
    }
    while waiters.len() > 1 {
        waiters.pop();
    }
    queue.try_put(1).unwrap();
    assert_eq!(now(waiters.pop().unwrap()), Some(1));
}

#[test]
fn a_million_tasks_on_handcar_wait_for_one_event() {
    run(async {
        let event = Rc::new(Event::new());
        let tasks: Vec<_> = (0..1_000_000)
            .map(|_| {
                let event = event.clone();
                spawn(async move { event.wait().await })
            })
            .collect();
        yield_now().await;
        event.set();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn the_last_who_waits_is_notified_last_in_first_out() {
    let notify = Notify::new();
    let mut waiters: Vec<_> = (0..3).map(|_| Hand::new(notify.notified())).collect();
    for waiter in &mut waiters {
        assert!(waiter.is_pending());
    }
    notify.notify_last();
    assert_eq!(waiters.iter().map(Hand::woken).collect::<Vec<_>>(), [0, 0, 1]);
    // Dropped before it has run, it passes the notification on to the first.
    drop(waiters.pop());
    assert_eq!(waiters.iter().map(Hand::woken).collect::<Vec<_>>(), [1, 0]);
    drop(waiters);
    now(notify.notified());
    notify.notify_last();
    now(notify.notified());
}

#[test]
fn an_enabled_wait_stands_in_line_before_it_is_polled() {
    let notify = Notify::new();
    let mut early = std::pin::pin!(notify.notified());
    assert!(!early.as_mut().enable() && !early.as_mut().enable());
    let mut late = Hand::new(notify.notified());
    assert!(late.is_pending());
    notify.notify_one();
    assert_eq!(late.woken(), 0);
    assert!(early.as_mut().enable());
    now(early);
    // What an enabled wait was granted goes on like any other's.
    let mut granted = Box::pin(notify.notified());
    assert!(!granted.as_mut().enable());
    notify.notify_one();
    late.ready();
    drop(granted);
    notify.notify_one();
    let mut kept = Box::pin(notify.notified());
    assert!(kept.as_mut().enable());
    drop(kept);
    now(notify.notified());
}
