//! Long random lives of a channel, a queue and a semaphore: whatever is dropped whenever, the books balance.

mod common;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::task::Poll;

use common::{Boxed, Dice, Waiter};
use handcar_sync::mpsc::{self, error::TryRecvError};
use handcar_sync::{Queue, Semaphore};

/// What became of a send.
enum Sent {
    Yes(Vec<u32>),
    No,
}

#[test]
fn every_message_that_was_sent_arrives_once_and_no_other_does() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let capacity = dice.below(4);
        let (sender, mut receiver) = mpsc::channel(capacity);
        let sender = Rc::new(sender);
        let mut in_flight: Vec<Waiter<Sent>> = vec![];
        let (mut next, mut sent, mut arrived) = (0, BTreeSet::new(), BTreeSet::new());
        let mut abandoned = BTreeSet::new();
        for _ in 0..500 {
            match dice.below(6) {
                0 | 1 => {
                    let (n, kind) = (1 + dice.below(3), dice.below(3));
                    let messages: Vec<u32> = (0..u32::try_from(n).unwrap()).map(|n| next + n).collect();
                    next += 3;
                    let sender = sender.clone();
                    let one = messages[0];
                    let future: Boxed<Sent> = match kind {
                        0 => {
                            abandoned.insert(one);
                            Box::pin(async move { sender.send(one).await.map_or(Sent::No, |()| Sent::Yes(vec![one])) })
                        }
                        1 => Box::pin(async move {
                            let Ok(permits) = sender.reserve_many(n).await else { return Sent::No };
                            permits.zip(&messages).for_each(|(permit, &message)| permit.send(message));
                            Sent::Yes(messages)
                        }),
                        _ => Box::pin(async move {
                            let Ok(permit) = (*sender).clone().reserve_owned().await else { return Sent::No };
                            drop(permit.send(one));
                            Sent::Yes(vec![one])
                        }),
                    };
                    in_flight.push(Waiter::of(future));
                }
                2 | 3 if !in_flight.is_empty() => {
                    let who = dice.below(in_flight.len());
                    if let Some(done) = in_flight[who].poll(|| unreachable!()) {
                        in_flight.swap_remove(who);
                        if let Sent::Yes(messages) = done {
                            for message in messages {
                                abandoned.remove(&message);
                                assert!(sent.insert(message));
                            }
                        }
                    }
                }
                4 if !in_flight.is_empty() => {
                    let who = dice.below(in_flight.len());
                    drop(in_flight.swap_remove(who));
                }
                _ => {
                    let mut buffer = vec![];
                    let limit = dice.below(3);
                    let polled = common::poll_once(&mut receiver.recv_many(&mut buffer, limit));
                    assert_eq!(
                        polled,
                        if buffer.is_empty() && limit > 0 { Poll::Pending } else { Poll::Ready(buffer.len()) }
                    );
                    for message in buffer {
                        assert!(arrived.insert(message), "seed {seed}: twice");
                    }
                }
            }
        }
        drop(in_flight);
        assert_eq!(sender.strong_count(), 1, "seed {seed}");
        while let Ok(message) = receiver.try_recv() {
            assert!(arrived.insert(message));
        }
        assert_eq!((sender.capacity(), receiver.len()), (capacity, 0), "seed {seed}");
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        if capacity == 0 {
            // A rendezvous may have come about, and its sender have gone before it heard of that.
            arrived.retain(|message| !abandoned.contains(message));
        }
        assert_eq!(sent, arrived, "seed {seed}");
    }
}

#[test]
fn every_item_and_every_permit_is_somewhere() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (queue, semaphore) = (Rc::new(Queue::new(1 + dice.below(3))), Rc::new(Semaphore::new(dice.below(4))));
        let all = semaphore.available_permits();
        let mut waiting: Vec<Waiter<(i32, usize)>> = vec![];
        let (mut balance, mut held) = (0, vec![]);
        for n in 0..500 {
            match dice.below(6) {
                kind @ 0..3 => {
                    let (queue, semaphore, many) = (queue.clone(), semaphore.clone(), dice.below(4));
                    let future: Boxed<(i32, usize)> = match kind {
                        0 => Box::pin(async move { (i32::from(queue.put(n).await.is_ok()), 0) }),
                        1 => Box::pin(async move { (-i32::from(queue.get_tracked().await.is_some()), 0) }),
                        _ => Box::pin(async move {
                            let permits = semaphore.acquire_many(u32::try_from(many).unwrap()).await.unwrap();
                            permits.forget();
                            (0, many)
                        }),
                    };
                    waiting.push(Waiter::of(future));
                }
                3 if !waiting.is_empty() => drop(waiting.swap_remove(dice.below(waiting.len()))),
                4 if !held.is_empty() => semaphore.add_permits(held.swap_remove(dice.below(held.len()))),
                _ if !waiting.is_empty() => {
                    let who = dice.below(waiting.len());
                    if let Some((items, permits)) = waiting[who].poll(|| unreachable!()) {
                        waiting.swap_remove(who);
                        balance += items;
                        held.push(permits);
                    }
                }
                _ => {}
            }
            assert!(semaphore.available_permits() + held.iter().sum::<usize>() <= all);
        }
        drop(waiting);
        assert_eq!(semaphore.available_permits() + held.iter().sum::<usize>(), all, "seed {seed}");
        assert_eq!(i32::try_from(queue.len()).unwrap(), balance, "seed {seed}");
        let left = queue.len();
        assert_eq!((queue.unfinished(), queue.close_now().len(), queue.unfinished()), (left, left, 0));
    }
}
