//! The sending end of the channel.

use std::marker::PhantomData;

use handcar_executor::Recycled;

use super::error::{SendError, TrySendError};
use super::{CLOSED, Channel, OwnedPermit, Permit, PermitIterator, Reserve, Room, Sending, WeakSender};
use crate::event::EventWait;
use crate::semaphore::TryAcquireError;
use crate::senders::Origin;

/// The end that sends. Clone it for more senders.
///
/// `L` says whether the channel has a limit; name it [`UnboundedSender`](super::UnboundedSender) if it has none.
pub struct Sender<T, L = Bounded> {
    pub(super) channel: Recycled<Channel<T>>,
    origin: Origin,
    limit: PhantomData<L>,
}

/// Says that a channel has a limit, and `send` may have to wait.
#[derive(Debug)]
pub enum Bounded {}

/// Says that a channel has no limit, and `send` never waits.
#[derive(Debug)]
pub enum Unbounded {}

impl<T> Sender<T> {
    /// Waits for room, and sends.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone or has [closed](super::Receiver::close) the channel.
    ///
    /// # Cancel safety
    ///
    /// A message is either sent, and `Ready` says so, or dropped together with the future. To keep it in the second case,
    /// [`reserve`](Self::reserve) a slot first.
    #[track_caller]
    pub fn send(&self, message: T) -> Sending<'_, T> {
        Sending::new(&self.channel, message)
    }

    /// Sends if there is room. Never into a rendezvous channel, since nobody could promise that the receiver will take it.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is full, or others wait for room, or it is closed.
    ///
    /// ```
    /// # use handcar_sync::mpsc::{self, error::TrySendError};
    /// let (sender, receiver) = mpsc::channel(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_take_slots(1) {
            Ok(()) => {
                self.channel.push(message);
                Ok(())
            }
            Err(refusal) => Err(TrySendError::new(refusal, message)),
        }
    }

    /// Waits for room and keeps it, for a message that need not exist yet.
    ///
    /// In a rendezvous channel the message of a permit waits for the receiver by itself.
    ///
    /// # Errors
    ///
    /// Fails if the receiver has gone or has [closed](super::Receiver::close) the channel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and nothing else.
    ///
    /// ```
    /// # use handcar_sync::mpsc;
    /// # handcar_executor::run(async {
    /// let (sender, mut receiver) = mpsc::channel(1);
    /// let permit = sender.reserve().await.unwrap();
    /// assert!(sender.try_send(1).is_err());
    /// permit.send(2);
    /// assert_eq!(receiver.recv().await, Some(2));
    /// # });
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> Reserve<Permit<'_, T>> {
        Reserve::new(self, 1)
    }

    /// [`reserve`](Self::reserve) for `n` messages at once.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and at once if the channel never has that much room.
    ///
    /// # Cancel safety
    ///
    /// As [`reserve`](Self::reserve).
    ///
    /// ```
    /// # use handcar_sync::mpsc;
    /// # handcar_executor::run(async {
    /// let (sender, mut receiver) = mpsc::channel(3);
    /// for (n, permit) in sender.reserve_many(2).await.unwrap().enumerate() {
    ///     permit.send(n);
    /// }
    /// assert_eq!((receiver.recv().await, receiver.recv().await), (Some(0), Some(1)));
    /// assert!(sender.reserve_many(4).await.is_err());
    /// # });
    /// ```
    #[track_caller]
    pub fn reserve_many(&self, n: usize) -> Reserve<PermitIterator<'_, T>> {
        Reserve::new(self, n)
    }

    /// [`reserve`](Self::reserve) for a permit that keeps the sender and can move into a task.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    ///
    /// As [`reserve`](Self::reserve); the sender goes with the future.
    #[track_caller]
    pub fn reserve_owned(self) -> Reserve<OwnedPermit<T>> {
        Reserve::new(self, 1)
    }

    /// [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    ///
    /// Says whether the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.try_take_slots(1).map(|()| Permit::new(self, 1)).map_err(|refusal| TrySendError::new(refusal, ()))
    }

    /// [`reserve_many`](Self::reserve_many), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve).
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        self.try_take_slots(n).map(|()| PermitIterator::new(self, n)).map_err(|refusal| TrySendError::new(refusal, ()))
    }

    /// [`reserve_owned`](Self::reserve_owned), if there is room now.
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve); gives the sender back.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.try_take_slots(1) {
            Ok(()) => Ok(OwnedPermit::new(self, 1)),
            Err(refusal) => Err(TrySendError::new(refusal, self)),
        }
    }

    /// How many messages would go in without waiting.
    pub fn capacity(&self) -> usize {
        self.channel.free_room()
    }

    /// How many messages the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.channel.capacity
    }

    /// Turns it into a [`Sink`](futures_sink::Sink).
    #[cfg(feature = "sink")]
    pub fn into_sink(self) -> super::SenderSink<T> {
        super::SenderSink::new(self)
    }

    #[inline]
    fn try_take_slots(&self, n: usize) -> Result<(), TryAcquireError> {
        if self.channel.capacity == 0 && !self.is_closed() {
            return Err(TryAcquireError::NoPermits);
        }
        self.channel.slots.try_take(n)
    }
}

impl<T> Sender<T, Unbounded> {
    /// Sends; it never waits.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone or has [closed](super::Receiver::close) the channel.
    ///
    /// ```
    /// # use handcar_sync::mpsc::{self, error::SendError};
    /// let (sender, mut receiver) = mpsc::unbounded_channel();
    /// sender.send(1).unwrap();
    /// receiver.close();
    /// assert_eq!(sender.send(2), Err(SendError(2)));
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(message));
        }
        self.channel.push(message);
        Ok(())
    }
}

impl<T, L> Sender<T, L> {
    pub(super) fn new(channel: Recycled<Channel<T>>, origin: Origin) -> Self {
        Self { channel, origin, limit: PhantomData }
    }

    /// Waits until the receiver has gone or has [closed](super::Receiver::close) the channel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    #[track_caller]
    pub fn closed(&self) -> EventWait<'_> {
        self.channel.closed().wait_as(&CLOSED)
    }

    /// Whether a message would come back.
    pub fn is_closed(&self) -> bool {
        self.channel.slots.is_closed()
    }

    /// Whether both send into one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Recycled::ptr_eq(&self.channel, &other.channel)
    }

    /// Makes a sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T, L> {
        WeakSender::new(&self.channel)
    }

    /// How many senders there are; weak ones do not count.
    pub fn strong_count(&self) -> usize {
        self.channel.senders.get()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        Recycled::weak_count(&self.channel)
    }
}

impl<T, L> Clone for Sender<T, L> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::new(self.channel.clone(), Some(self.channel.senders.join()))
    }
}

impl<T, L> Drop for Sender<T, L> {
    fn drop(&mut self) {
        // A count of its own: the one in the `Rc` still includes this sender.
        if self.channel.senders.leave(self.origin) {
            self.channel.receiver.wake();
        }
    }
}

shows!(Sender < T, L > is_closed, strong_count);
