//! Broadcast: how many were sent, and how far each receiver is.

use std::cell::RefCell;
use std::rc::Rc;

use handcar_sync::broadcast;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

struct BroadcastModel {
    sender: Option<broadcast::Sender<u64>>,
    real: [Rc<RefCell<Option<broadcast::Receiver<u64>>>>; 2],
    receivers: [Waiter<Result<u64, broadcast::error::RecvError>>; 2],
    /// How many were sent, and what each receiver sees next.
    sent: u64,
    next: [Option<u64>; 2],
    waiting: [bool; 2],
    woken: [bool; 2],
}

impl Model for BroadcastModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        const CAPACITY: u64 = 2;
        let who = operation % 2;
        match operation {
            0..2 => {
                let Some(next) = self.next[who] else { return false };
                // Messages are numbers, so what is received says which it was.
                let kept = self.sent.saturating_sub(CAPACITY);
                let expected = if next < kept {
                    self.next[who] = Some(kept);
                    Some(Err(broadcast::error::RecvError::Lagged(kept - next)))
                } else if next < self.sent {
                    self.next[who] = Some(next + 1);
                    Some(Ok(next))
                } else if self.sender.is_none() {
                    Some(Err(broadcast::error::RecvError::Closed))
                } else {
                    None
                };
                self.waiting[who] = expected.is_none();
                let real = self.real[who].clone();
                let got = self.receivers[who].poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| real.borrow_mut().as_mut().unwrap().poll_recv(cx)))
                });
                assert_eq!(got, expected);
            }
            2 => {
                let Some(sender) = &self.sender else { return false };
                let receivers = self.next.iter().flatten().count();
                assert_eq!(sender.send(self.sent).ok(), (receivers > 0).then_some(receivers));
                if receivers == 0 {
                    return true;
                }
                self.sent += 1;
                self.wake_all();
            }
            3 => {
                if self.sender.take().is_none() {
                    return false;
                }
                self.wake_all();
            }
            4..6 => {
                if self.next[who].take().is_none() {
                    return false;
                }
                self.real[who].take();
                self.receivers[who].future = None;
                self.waiting[who] = false;
            }
            _ => {
                let Some(sender) = self.sender.as_ref().filter(|_| self.next[who].is_none()) else { return false };
                self.real[who].replace(Some(sender.subscribe()));
                self.next[who] = Some(self.sent);
            }
        }
        if let Some(sender) = &self.sender {
            // Nothing is kept that everybody has seen.
            let oldest = self.next.iter().flatten().min().copied().unwrap_or(self.sent);
            assert_eq!(sender.len() as u64, (self.sent - oldest).min(CAPACITY));
        }
        compare_wakes(&mut self.receivers, &mut self.woken);
        true
    }
}

impl BroadcastModel {
    fn wake_all(&mut self) {
        for (waiting, woken) in self.waiting.iter_mut().zip(&mut self.woken) {
            *woken |= std::mem::take(waiting);
        }
    }
}

#[test]
fn broadcast_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, first) = broadcast::channel(2);
        let second = sender.subscribe();
        BroadcastModel {
            sender: Some(sender),
            real: [Rc::new(RefCell::new(Some(first))), Rc::new(RefCell::new(Some(second)))],
            receivers: Default::default(),
            sent: 0,
            next: [Some(0); 2],
            waiting: [false; 2],
            woken: [false; 2],
        }
    });
}
