//! The end of a watch channel that sets the value.

use std::cell::Cell;
use std::rc::Rc;

use super::error::SendError;
use super::{BEING_MODIFIED, CLOSED, Channel, Receiver, Ref};
use crate::event::{Event, EventWait};
use crate::senders::{Origin, Senders};
use crate::wait_queue::WaitQueue;

const BORROWED: &str =
    "a `Ref` to the value is alive, so it cannot be changed in place; drop it, or use `send_replace`";

/// The end that sets the value. Clone it for more senders.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
    origin: Origin,
}

impl<T> Sender<T> {
    /// Creates a channel that has no receiver yet.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self {
            channel: Rc::new(Channel {
                value: Cell::new(Some(Rc::new(value))),
                version: Cell::new(0),
                senders: Senders::new(),
                receivers: Cell::new(0),
                changes: WaitQueue::new(),
                closed: Event::new_set(),
            }),
            origin: None,
        }
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is no receiver.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.set(value);
        Ok(())
    }

    /// Sets the value, receivers or not, and returns the old one as readers have it.
    ///
    /// # Panics
    ///
    /// Panics inside the closure of [`send_modify`](Self::send_modify): use its argument.
    #[track_caller]
    pub fn send_replace(&self, value: T) -> Ref<T> {
        let old = Ref { value: self.channel.value(), has_changed: false };
        self.set(value);
        old
    }

    /// Changes the value in place, and notifies the receivers.
    ///
    /// ```
    /// # use handcar_sync::watch;
    /// let (names, watcher) = watch::channel(vec!["a"]);
    /// names.send_modify(|names| names.push("b"));
    /// assert_eq!(*watcher.borrow(), ["a", "b"]);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a [`Ref`] to the value is alive: use [`send_replace`](Self::send_replace), or drop it first.
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and notifies the receivers if `modify` says that it did.
    ///
    /// # Panics
    ///
    /// As [`send_modify`](Self::send_modify). A panic of `modify` leaves the value as it is then, and notifies nobody.
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let value = self.channel.value.take();
        let mut taken = Taken { channel: &self.channel, value };
        let value = taken.value.as_mut().expect(BEING_MODIFIED);
        let is_modified = modify(Rc::get_mut(value).expect(BORROWED));
        drop(taken);
        if is_modified {
            self.channel.advance();
        }
        is_modified
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Panics inside the closure of [`send_modify`](Self::send_modify): use its argument.
    #[track_caller]
    pub fn borrow(&self) -> Ref<T> {
        Ref { value: self.channel.value(), has_changed: false }
    }

    /// Creates a receiver that counts the present value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.channel, self.channel.version.get())
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.channel.senders.get()
    }

    /// Whether both set the value of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.channel.receivers.get()
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
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

    fn set(&self, value: T) {
        // Dropped at the end: the old value's drop is foreign code.
        let _old = self.channel.value.replace(Some(Rc::new(value)));
        self.channel.advance();
    }
}

/// Puts the value back, also when the closure that changes it panics.
struct Taken<'a, T> {
    channel: &'a Channel<T>,
    value: Option<Rc<T>>,
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        // A value that the closure itself has sent is newer, and stays.
        let newer = self.channel.value.take();
        self.channel.value.set(newer.or_else(|| self.value.take()));
    }
}

impl<T: Default> Default for Sender<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
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
            self.channel.changes.dismiss_all();
        }
    }
}

shows!(Sender<T> sender_count, receiver_count);
