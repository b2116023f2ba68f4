//! The channel from other threads, as seen from one: what is in the channel, and what the receiver has taken in a batch.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

use handcar_sync::mpsc::error::{TryRecvError, TrySendError};
use handcar_sync::remote;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

struct RemoteModel {
    senders: [Option<remote::Sender<usize>>; 2],
    real: Rc<RefCell<Option<remote::Receiver<usize>>>>,
    receiver: [Waiter<Option<usize>>; 1],
    capacity: usize,
    sent: VecDeque<usize>,
    batch: VecDeque<usize>,
    registered: bool,
    lives: bool,
    woken: [bool; 1],
}

impl RemoteModel {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = remote::channel(capacity);
        Self {
            senders: [Some(sender.clone()), Some(sender)],
            real: Rc::new(RefCell::new(Some(receiver))),
            receiver: Default::default(),
            capacity,
            sent: VecDeque::new(),
            batch: VecDeque::new(),
            registered: false,
            lives: true,
            woken: [false],
        }
    }

    fn take(&mut self) -> Option<usize> {
        if self.batch.is_empty() {
            mem::swap(&mut self.batch, &mut self.sent);
        }
        self.batch.pop_front()
    }

    fn is_closed(&self) -> bool {
        self.senders.iter().all(Option::is_none)
    }

    fn wake(&mut self) {
        self.woken[0] |= mem::take(&mut self.registered);
    }
}

impl Model for RemoteModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 2;
        match operation {
            0..2 => {
                let Some(sender) = &self.senders[who] else { return false };
                assert_eq!(sender.is_closed(), !self.lives);
                let expected = if !self.lives {
                    Err(TrySendError::Closed(who))
                } else if self.sent.len() == self.capacity {
                    Err(TrySendError::Full(who))
                } else {
                    Ok(())
                };
                assert_eq!(sender.try_send(who), expected);
                if expected.is_ok() {
                    self.sent.push_back(who);
                    self.wake();
                }
            }
            2..4 => {
                if self.senders[who].take().is_none() {
                    return false;
                }
                if self.is_closed() {
                    self.wake();
                }
            }
            4 => {
                if !self.lives {
                    return false;
                }
                let message = self.take();
                let expected = if message.is_some() || self.is_closed() { Some(message) } else { None };
                self.registered = expected.is_none();
                let real = self.real.clone();
                let got = self.receiver[0].poll(|| {
                    #[allow(clippy::await_holding_refcell_ref)] // nobody else borrows it while this lives
                    Box::pin(async move { real.borrow_mut().as_mut().unwrap().recv().await })
                });
                assert_eq!(got, expected);
            }
            5 => {
                if self.receiver[0].future.take().is_none() {
                    return false;
                }
                self.registered = false;
            }
            6 | 7 => {
                if self.receiver[0].future.is_some() || !self.lives {
                    return false;
                }
                if operation == 7 {
                    self.real.take();
                    self.lives = false;
                    return true;
                }
                let expected = match self.take() {
                    Some(message) => Ok(message),
                    None if self.is_closed() => Err(TryRecvError::Disconnected),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(self.real.borrow_mut().as_mut().unwrap().try_recv(), expected);
            }
            _ => unreachable!(),
        }
        compare_wakes(&mut self.receiver, &mut self.woken);
        true
    }
}

#[test]
fn the_remote_channel_agrees_with_its_model() {
    for capacity in [1, 2] {
        explore(DEPTH, || RemoteModel::new(capacity));
    }
}
