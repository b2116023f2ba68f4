//! The channel for one message.

use std::cell::RefCell;
use std::rc::Rc;

use handcar_sync::oneshot;

use crate::DEPTH;
use crate::common::{Model, Waiter, explore, poll_once};

#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
struct OneshotModel {
    sender: Rc<RefCell<Option<oneshot::Sender<u8>>>>,
    receiver: Waiter<Result<u8, ()>>,
    real: Rc<RefCell<oneshot::Receiver<u8>>>,
    message: Option<u8>,
    closed: bool,
    done: bool,
    waiting: bool,
    woken: bool,
}

impl Model for OneshotModel {
    const OPERATIONS: usize = 6;

    fn step(&mut self, operation: usize) -> bool {
        match operation {
            // Polls the receiver, by reference.
            0 => {
                if self.done {
                    return false;
                }
                let real = self.real.clone();
                let got = self.receiver.poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| {
                        std::pin::Pin::new(&mut *real.borrow_mut()).poll(cx).map_err(|_| ())
                    }))
                });
                let sender_lives = self.sender.borrow().is_some();
                let expected = match self.message.take() {
                    Some(message) => Some(Ok(message)),
                    None if self.closed || !sender_lives => Some(Err(())),
                    None => None,
                };
                assert_eq!(got, expected);
                self.done = got.is_some();
                self.waiting = !self.done;
            }
            1 => {
                let Some(sender) = self.sender.take() else { return false };
                assert_eq!(sender.is_closed(), self.closed);
                assert_eq!(sender.send(7), if self.closed { Err(7) } else { Ok(()) });
                self.message = (!self.closed).then_some(7);
                self.woken = std::mem::take(&mut self.waiting) && !self.closed;
            }
            2 => {
                if self.sender.take().is_none() {
                    return false;
                }
                self.woken = std::mem::take(&mut self.waiting) && !self.closed;
            }
            3 => {
                self.real.borrow_mut().close();
                self.closed |= self.message.is_none();
            }
            4 => {
                let sender_lives = self.sender.borrow().is_some();
                let expected = match self.message.take() {
                    Some(message) => Ok(message),
                    None if self.closed || !sender_lives => Err(oneshot::error::TryRecvError::Closed),
                    None => Err(oneshot::error::TryRecvError::Empty),
                };
                assert_eq!(self.real.borrow_mut().try_recv(), expected);
                self.closed |= expected.is_ok();
            }
            _ => {
                // The sender's wait for the receiver, begun anew each time.
                let mut sender = self.sender.borrow_mut();
                let Some(sender) = sender.as_mut() else { return false };
                assert_eq!(poll_once(&mut sender.closed()).is_ready(), self.closed);
            }
        }
        assert_eq!(self.receiver.was_woken(), std::mem::take(&mut self.woken));
        true
    }
}

#[test]
fn the_oneshot_channel_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, receiver) = oneshot::channel();
        OneshotModel {
            sender: Rc::new(RefCell::new(Some(sender))),
            receiver: Waiter::default(),
            real: Rc::new(RefCell::new(receiver)),
            message: None,
            closed: false,
            done: false,
            waiting: false,
            woken: false,
        }
    });
}
