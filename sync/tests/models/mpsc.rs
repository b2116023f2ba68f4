//! The channel of many messages, with capacities 0, 1 and 2.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use handcar_sync::mpsc::{self, error::*};

use crate::common::{Model, Waiter, explore};
use crate::line::{Line, Stand};
use crate::{DEPTH, Sent, compare_wakes};

struct MpscModel {
    sender: Rc<mpsc::Sender<usize>>,
    real: Rc<RefCell<Option<mpsc::Receiver<usize>>>>,
    senders: [Waiter<Sent>; 3],
    receiver: [Waiter<Option<usize>>; 1],
    rendezvous: bool,
    /// The reference: slots and their line, messages with whose rendezvous they are, and the receiver's registration.
    line: Line,
    capacity: usize,
    messages: VecDeque<usize>,
    offered: [bool; 3],
    registered: bool,
    recv_woken: [bool; 1],
}

impl MpscModel {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        let slots = capacity.max(1);
        Self {
            sender: Rc::new(sender),
            real: Rc::new(RefCell::new(Some(receiver))),
            senders: Default::default(),
            receiver: Default::default(),
            rendezvous: capacity == 0,
            line: Line { permits: slots, needs: [1; 3], ..Line::default() },
            capacity: slots,
            messages: VecDeque::new(),
            offered: [false; 3],
            registered: false,
            recv_woken: [false],
        }
    }

    fn wake_receiver(&mut self) {
        self.recv_woken[0] |= std::mem::take(&mut self.registered);
    }

    fn free_slot(&mut self) {
        self.line.permits += 1;
        self.line.grant();
    }

    fn pop(&mut self) -> Option<usize> {
        let message = self.messages.pop_front()?;
        if std::mem::take(&mut self.offered[message]) {
            self.line.woken[message] = true;
        }
        self.free_slot();
        Some(message)
    }

    fn is_finished(&self) -> bool {
        self.line.closed && self.line.permits == self.capacity
    }

    fn poll_send(&mut self, who: usize) -> Option<Sent> {
        if self.senders[who].future.is_some() && self.line.stands[who] == Stand::Holding {
            // Its message was offered. Is it still there?
            let offered = std::mem::take(&mut self.offered[who]);
            if offered && self.real.borrow().is_some() {
                self.offered[who] = true;
                return None;
            }
            self.line.stands[who] = Stand::Absent;
            if offered {
                self.messages.pop_front();
                self.free_slot();
                return Some(Err(SendError(who)));
            }
            return Some(Ok(()));
        }
        let slot = self.line.poll(who)?;
        self.line.stands[who] = Stand::Absent;
        if slot.is_err() {
            return Some(Err(SendError(who)));
        }
        if self.real.borrow().is_none() {
            self.free_slot();
            return Some(Err(SendError(who)));
        }
        self.messages.push_back(who);
        if self.messages.len() == 1 {
            self.wake_receiver();
        }
        if self.rendezvous {
            self.offered[who] = true;
            self.line.stands[who] = Stand::Holding;
            return None;
        }
        Some(Ok(()))
    }
}

impl Model for MpscModel {
    const OPERATIONS: usize = 10;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let expected = self.poll_send(who);
                let sender = self.sender.clone();
                let got = self.senders[who].poll(|| Box::pin(async move { sender.send(who).await }));
                assert_eq!(got, expected);
            }
            3..6 => {
                if self.senders[who].future.take().is_none() {
                    return false;
                }
                let granted = matches!(self.line.stands[who], Stand::Granted | Stand::Refused);
                if std::mem::take(&mut self.offered[who]) {
                    self.messages.pop_front();
                    self.line.stands[who] = Stand::Absent;
                    self.free_slot();
                } else if self.line.stands[who] == Stand::Holding {
                    self.line.stands[who] = Stand::Absent;
                } else {
                    self.line.drop(who);
                }
                if granted && self.line.closed {
                    self.wake_receiver();
                }
            }
            6 => {
                if self.real.borrow().is_none() {
                    return false;
                }
                let expected = match self.pop() {
                    None if !self.is_finished() => None,
                    message => Some(message),
                };
                self.registered = expected.is_none();
                let real = self.real.clone();
                let got = self.receiver[0].poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| real.borrow_mut().as_mut().unwrap().poll_recv(cx)))
                });
                assert_eq!(got, expected);
            }
            7 => {
                let Some(receiver) = &mut *self.real.borrow_mut() else { return false };
                receiver.close();
                self.line.close();
            }
            8 => {
                if self.real.take().is_none() {
                    return false;
                }
                self.receiver[0].future = None;
                self.registered = false;
                self.line.close();
                if self.rendezvous {
                    for (offered, woken) in self.offered.iter().zip(&mut self.line.woken) {
                        *woken |= offered;
                    }
                } else {
                    self.messages.clear();
                }
            }
            _ => {
                let Some(receiver) = &mut *self.real.borrow_mut() else { return false };
                let got = receiver.try_recv();

                let expected = match self.messages.front() {
                    Some(_) => Ok(()),
                    None if self.is_finished() => Err(TryRecvError::Disconnected),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(got.map(drop), expected);
                assert_eq!(got.ok(), {
                    let message = self.messages.pop_front();
                    if let Some(message) = message {
                        if std::mem::take(&mut self.offered[message]) {
                            self.line.woken[message] = true;
                        }
                        self.line.permits += 1;
                        self.line.grant();
                    }
                    message
                });
            }
        }
        compare_wakes(&mut self.senders, &mut self.line.woken);
        compare_wakes(&mut self.receiver, &mut self.recv_woken);
        true
    }
}

#[test]
fn the_bounded_channel_agrees_with_its_model() {
    explore(DEPTH, || MpscModel::new(1));
    explore(DEPTH, || MpscModel::new(2));
}

#[test]
fn the_rendezvous_channel_agrees_with_its_model() {
    explore(DEPTH, || MpscModel::new(0));
}
