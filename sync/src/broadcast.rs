//! A channel in which every receiver gets every message.
//!
//! The messages lie in one ring, each with a count of the receivers that have not seen it yet; a receiver is a position in the
//! ring. The last one to see a message gets the original, the others clones. When the ring is full, the oldest message makes way:
//! a sender never waits, and a receiver that was too slow is told how many it missed.
//!
//! A message is in an `Rc` of its own, because cloning it is foreign code and must not run while the ring is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::event::Event;
use crate::senders::Senders;
use crate::wait_queue::{Wait, WaitQueue};

pub mod error;
mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::{Sender, WeakSender};

/// An empty ring with more room than this is given back.
const KEPT_SLOTS: usize = 1024;

static RECV: Wait = Wait::new("broadcast::Recv", "recv", "broadcast channel", "");
static CLOSED: Wait = Wait::new("EventWait", "closed", "broadcast channel", ", which has receivers");

/// Creates a channel that keeps up to `capacity` messages, and its first receiver.
///
/// ```
/// # use handcar_sync::broadcast;
/// # handcar_executor::run(async {
/// let (sender, mut one) = broadcast::channel(16);
/// let mut other = sender.subscribe();
/// sender.send("to all").unwrap();
/// assert_eq!(one.recv().await, Ok("to all"));
/// assert_eq!(other.recv().await, Ok("to all"));
/// # });
/// ```
///
/// # Panics
///
/// Panics if `capacity` is 0.
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Channel<T> {
    ring: RefCell<Ring<T>>,
    capacity: usize,
    senders: Senders,
    receivers: Cell<usize>,
    /// Set while there is no receiver.
    closed: Event,
    queue: WaitQueue,
}

struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    /// The number of the message in the first slot.
    first: u64,
}

struct Slot<T> {
    message: Rc<T>,
    /// How many receivers have not seen it. It never falls from one slot to the next, for they all see in order.
    unseen: usize,
}

impl<T> Ring<T> {
    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn pop(&mut self) -> Option<Rc<T>> {
        let slot = self.slots.pop_front()?;
        self.first += 1;
        self.give_back();
        Some(slot.message)
    }

    /// Gives back the memory of a burst that everybody has seen.
    fn give_back(&mut self) {
        if self.slots.is_empty() && self.slots.capacity() > KEPT_SLOTS {
            self.slots = VecDeque::new();
        }
    }
}

impl<T> Channel<T> {
    /// For a deadlock report.
    fn waits_for_message(&self) -> String {
        RECV.told(self.queue.made_at()) + &self.senders.told(self.queue.made_at())
    }

    fn has_news(&self, next: u64) -> bool {
        self.senders.get() == 0 || next < self.ring.borrow().end()
    }
}
