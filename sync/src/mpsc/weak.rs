//! Senders that do not keep the channel open.
//!
//! They hold the channel's memory and nothing else, so the `Rc`'s own counts are all that they need. What tells whether the
//! channel still is open is the count of senders, since the receiver holds the `Rc` as well.

use std::marker::PhantomData;
use std::rc::Weak;

use handcar_executor::Recycled;

use super::{Bounded, Channel, Sender};

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
pub struct WeakSender<T, L = Bounded> {
    channel: Weak<Channel<T>>,
    limit: PhantomData<L>,
}

impl<T, L> WeakSender<T, L> {
    pub(super) fn new(channel: &Recycled<Channel<T>>) -> Self {
        Self { channel: Recycled::downgrade(channel), limit: PhantomData }
    }

    /// Makes a sender of it, if there is one left.
    #[track_caller]
    pub fn upgrade(&self) -> Option<Sender<T, L>> {
        let channel = self.channel.upgrade().filter(|channel| channel.senders.get() > 0)?;
        let origin = Some(channel.senders.join());
        Some(Sender::new(channel.into(), origin))
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

impl<T, L> Clone for WeakSender<T, L> {
    fn clone(&self) -> Self {
        Self { channel: self.channel.clone(), limit: PhantomData }
    }
}

shows!(WeakSender < T, L > strong_count);
