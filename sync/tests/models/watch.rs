//! Watch: a version, and which one each receiver has seen.

use std::cell::RefCell;
use std::rc::Rc;

use handcar_sync::watch;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

struct WatchModel {
    sender: Option<watch::Sender<u64>>,
    real: [Rc<RefCell<watch::Receiver<u64>>>; 2],
    receivers: [Waiter<Result<(), ()>>; 2],
    version: u64,
    seen: [u64; 2],
    waiting: [bool; 2],
    woken: [bool; 2],
}

impl Model for WatchModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 2;
        match operation {
            0..2 => {
                let expected = if self.seen[who] != self.version {
                    Some(Ok(()))
                } else if self.sender.is_none() {
                    Some(Err(()))
                } else {
                    None
                };
                let real = self.real[who].clone();
                let got = self.receivers[who].poll(|| {
                    #[allow(clippy::await_holding_refcell_ref)] // nobody else borrows it while this lives
                    Box::pin(async move { real.borrow_mut().changed().await.map_err(|_| ()) })
                });
                assert_eq!(got, expected);
                self.waiting[who] = expected.is_none();
                if expected.is_some() {
                    self.seen[who] = self.version;
                }
            }
            2..4 => {
                if self.receivers[who].future.take().is_none() {
                    return false;
                }
                self.waiting[who] = false;
            }
            4..6 => {
                if self.receivers[who].future.is_some() {
                    return false;
                }
                assert_eq!(*self.real[who].borrow_mut().borrow_and_update(), self.version);
                self.seen[who] = self.version;
            }
            _ => {
                if operation == 6 {
                    let Some(sender) = &self.sender else { return false };
                    self.version += 1;
                    sender.send(self.version).unwrap();
                } else if self.sender.take().is_none() {
                    return false;
                }
                for (waiting, woken) in self.waiting.iter_mut().zip(&mut self.woken) {
                    *woken |= std::mem::take(waiting);
                }
            }
        }
        compare_wakes(&mut self.receivers, &mut self.woken);
        true
    }
}

#[test]
fn watch_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, first) = watch::channel(0);
        let second = sender.subscribe();
        WatchModel {
            sender: Some(sender),
            real: [Rc::new(RefCell::new(first)), Rc::new(RefCell::new(second))],
            receivers: Default::default(),
            version: 0,
            seen: [0; 2],
            waiting: [false; 2],
            woken: [false; 2],
        }
    });
}
