//! Senders that do not keep the channel open.
//!
//! They hold the channel's memory and nothing else, so the `Rc`'s own counts are all that they need. What tells whether the
//! channel still is open is the count of senders, since the receiver holds the `Rc` as well.

use std::fmt;
use std::rc::{Rc, Weak};

use super::{Channel, Sender, UnboundedSender};

/// A [`Sender`] that does not keep the channel open, made by [`Sender::downgrade`].
///
/// ```
/// # use handcar_sync::mpsc;
/// # handcar_executor::run(async {
/// let (sender, mut receiver) = mpsc::channel(1);
/// let weak = sender.downgrade();
/// weak.upgrade().unwrap().send(1).await.unwrap();
/// drop(sender);
/// assert!(weak.upgrade().is_none());
/// assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), None));
/// # });
/// ```
pub struct WeakSender<T> {
    channel: Weak<Channel<T>>,
}

impl<T> WeakSender<T> {
    pub(super) fn new(channel: &Rc<Channel<T>>) -> Self {
        Self { channel: Rc::downgrade(channel) }
    }

    /// Makes a sender of it, if there is one left.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let channel = self.channel.upgrade().filter(|channel| channel.senders.get() > 0)?;
        channel.senders.set(channel.senders.get() + 1);
        Some(Sender { channel })
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

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("senders", &self.strong_count()).finish()
    }
}

/// An [`UnboundedSender`] that does not keep the channel open, made by [`UnboundedSender::downgrade`].
pub struct WeakUnboundedSender<T> {
    pub(super) bounded: WeakSender<T>,
}

impl<T> WeakUnboundedSender<T> {
    /// Makes a sender of it, if there is one left.
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        self.bounded.upgrade().map(|bounded| UnboundedSender { bounded })
    }

    /// As [`WeakSender::strong_count`].
    pub fn strong_count(&self) -> usize {
        self.bounded.strong_count()
    }

    /// As [`WeakSender::weak_count`].
    pub fn weak_count(&self) -> usize {
        self.bounded.weak_count()
    }
}

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { bounded: self.bounded.clone() }
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bounded.fmt(f)
    }
}
