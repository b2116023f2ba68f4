//! Reservations: slots that are waited for together, kept, and used one after the other.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use handcar_sync::mpsc::{self, error::*};

use crate::common::{Model, Waiter, explore};
use crate::line::{Line, Stand};
use crate::{DEPTH, compare_wakes};

/// What a reserving future and the test tell each other.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Desk {
    Waits,
    Has,
    IsToSend,
}

struct ReserveModel {
    sender: Rc<mpsc::Sender<usize>>,
    receiver: Option<mpsc::Receiver<usize>>,
    waiters: [Waiter<Result<(), ()>>; 3],
    desks: [Rc<Cell<Desk>>; 3],
    capacity: usize,
    slots: Line,
    messages: usize,
}

impl ReserveModel {
    fn new(capacity: usize, needs: [usize; 3]) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        Self {
            sender: Rc::new(sender),
            receiver: Some(receiver),
            waiters: Default::default(),
            desks: std::array::from_fn(|_| Rc::new(Cell::new(Desk::Waits))),
            capacity,
            slots: Line { permits: capacity, needs, ..Line::default() },
            messages: 0,
        }
    }

    fn poll(&mut self, who: usize) -> Option<Result<(), ()>> {
        let (sender, desk, n) = (self.sender.clone(), self.desks[who].clone(), self.slots.needs[who]);
        self.waiters[who].poll(|| {
            Box::pin(async move {
                desk.set(Desk::Waits);
                let permits = sender.reserve_many(n).await.map_err(|_| ())?;
                desk.set(Desk::Has);
                poll_fn(|_| if desk.get() == Desk::IsToSend { Poll::Ready(()) } else { Poll::Pending }).await;
                permits.for_each(|permit| permit.send(n));
                Ok(())
            })
        })
    }

    fn free(&mut self, slots: usize) {
        self.slots.permits += slots;
        self.slots.grant();
    }
}

impl Model for ReserveModel {
    const OPERATIONS: usize = 12;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            // Polls.
            0..3 => {
                if self.slots.stands[who] == Stand::Holding {
                    return false;
                }
                let expected = match self.slots.poll(who) {
                    _ if self.slots.needs[who] > self.capacity => {
                        self.slots.order.retain(|&other| other != who);
                        Some(Err(()))
                    }
                    expected => expected,
                };
                let got = self.poll(who);
                assert_eq!(got, expected.filter(Result::is_err));
                self.slots.stands[who] = match expected {
                    Some(Ok(())) => Stand::Holding,
                    Some(Err(())) => Stand::Absent,
                    None => Stand::Waiting,
                };
                assert_eq!(self.desks[who].get() == Desk::Has, self.slots.stands[who] == Stand::Holding);
            }
            // Drops, what waits and what has its slots.
            3..6 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.desks[who].set(Desk::Waits);
                self.slots.drop(who);
            }
            // Sends.
            6..9 => {
                if self.slots.stands[who] != Stand::Holding {
                    return false;
                }
                self.desks[who].set(Desk::IsToSend);
                assert_eq!(self.poll(who), Some(Ok(())));
                self.slots.stands[who] = Stand::Absent;
                if self.receiver.is_some() {
                    self.messages += self.slots.needs[who];
                } else {
                    self.free(self.slots.needs[who]);
                }
            }
            9 => {
                let Some(receiver) = &mut self.receiver else { return false };
                let got = receiver.try_recv();
                let expected = if self.messages > 0 {
                    Ok(())
                } else if self.slots.closed && self.slots.permits == self.capacity {
                    Err(TryRecvError::Disconnected)
                } else {
                    Err(TryRecvError::Empty)
                };
                assert_eq!(got.map(drop), expected);
                if expected.is_ok() {
                    self.messages -= 1;
                    self.free(1);
                }
            }
            10 => {
                let Some(receiver) = &mut self.receiver else { return false };
                receiver.close();
                self.slots.close();
            }
            _ => {
                if self.receiver.take().is_none() {
                    return false;
                }
                self.slots.close();
                self.messages = 0;
            }
        }
        if self.receiver.is_some() {
            assert_eq!(self.sender.capacity(), self.slots.permits);
        }
        compare_wakes(&mut self.waiters, &mut self.slots.woken);
        true
    }
}

#[test]
fn reservations_agree_with_their_model() {
    for (capacity, needs) in [(2, [2, 1, 1]), (3, [2, 2, 4])] {
        explore(DEPTH - 1, || ReserveModel::new(capacity, needs));
    }
}
