//! The end of a broadcast channel that sends.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use super::error::SendError;
use super::{CLOSED, Channel, Receiver, Ring, Slot};
use crate::event::{Event, EventWait};
use crate::senders::{Origin, Senders};
use crate::wait_queue::WaitQueue;

/// The end that sends. Clone it for more senders.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
    origin: Origin,
}

impl<T> Sender<T> {
    /// Creates a channel that has no receiver yet.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is 0.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a broadcast channel of capacity 0 could not hold a message; give it 1");
        Self {
            channel: Rc::new(Channel {
                ring: RefCell::new(Ring { slots: VecDeque::new(), first: 0 }),
                capacity,
                senders: Senders::new(),
                receivers: Cell::new(0),
                closed: Event::new_set(),
                queue: WaitQueue::new(),
            }),
            origin: None,
        }
    }

    /// Sends to all receivers, and says how many they are; it never waits.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is no receiver.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let channel = &*self.channel;
        let unseen = channel.receivers.get();
        if unseen == 0 {
            return Err(SendError(message));
        }
        let mut ring = channel.ring.borrow_mut();
        let oldest = if ring.slots.len() == channel.capacity { ring.pop() } else { None };
        ring.slots.push_back(Slot { message: Rc::new(message), unseen });
        drop(ring);
        channel.queue.dismiss_all();
        drop(oldest);
        Ok(unseen)
    }

    /// Creates a receiver of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.channel)
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    #[track_caller]
    pub fn closed(&self) -> EventWait<'_> {
        self.channel.closed.wait_as(&CLOSED)
    }

    /// Makes a sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { channel: Rc::downgrade(&self.channel) }
    }

    /// How many senders there are; weak ones do not count.
    pub fn strong_count(&self) -> usize {
        self.channel.senders.get()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        Rc::weak_count(&self.channel)
    }

    /// Whether both send into one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.channel.receivers.get()
    }

    /// How many messages are kept: those that some receiver has not seen.
    pub fn len(&self) -> usize {
        self.channel.ring.borrow().slots.len()
    }

    /// Whether every receiver has seen every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Sender<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), origin: Some(self.channel.senders.join()) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.channel.senders.leave(self.origin) {
            self.channel.queue.dismiss_all();
        }
    }
}

shows!(Sender<T> len, receiver_count);

/// A [`Sender`] that does not keep the channel open, made by [`Sender::downgrade`].
pub struct WeakSender<T> {
    channel: Weak<Channel<T>>,
}

impl<T> WeakSender<T> {
    /// Makes a sender of it, if there is one left.
    #[track_caller]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let channel = self.channel.upgrade().filter(|channel| channel.senders.get() > 0)?;
        let origin = Some(channel.senders.join());
        Some(Sender { channel, origin })
    }

    /// How many senders there are; weak ones do not count.
    pub fn strong_count(&self) -> usize {
        self.channel.upgrade().map_or(0, |channel| channel.senders.get())
    }

    /// How many weak senders there are, as long as there is anything else of the channel.
    pub fn weak_count(&self) -> usize {
        self.channel.weak_count()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone() }
    }
}

shows!(WeakSender<T> strong_count);
