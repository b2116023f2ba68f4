//! The sending ends of the channel.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::{SendError, TrySendError};
use super::{Channel, Permit, Reserve, SenderSink, Sending};
use crate::semaphore::TryAcquireError;
use crate::wait_queue::{Outcome, Ticket, WaitQueue};

/// The end that sends. Clone it for more senders.
pub struct Sender<T> {
    pub(super) channel: Rc<Channel<T>>,
}

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
        match self.try_take_slot() {
            Ok(()) => {
                self.channel.push(message);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(message)),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(message)),
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
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve::new(&self.channel)
    }

    /// [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    ///
    /// Says whether the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.try_take_slot() {
            Ok(()) => Ok(Permit::new(&self.channel)),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(())),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(())),
        }
    }

    /// Waits until the receiver has gone or has [closed](super::Receiver::close) the channel.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    pub fn closed(&self) -> Closed<'_> {
        Closed { departure: &self.channel.departure, ticket: Ticket::New }
    }

    /// Whether a message would come back.
    pub fn is_closed(&self) -> bool {
        self.channel.slots.is_closed()
    }

    /// How many messages would go in without waiting.
    pub fn capacity(&self) -> usize {
        self.channel.slots.available_permits().min(self.channel.capacity)
    }

    /// How many messages the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.channel.capacity
    }

    /// Whether both send into one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    /// Turns it into a [`Sink`](futures_sink::Sink).
    pub fn into_sink(self) -> SenderSink<T> {
        SenderSink::new(self)
    }

    #[inline]
    fn try_take_slot(&self) -> Result<(), TryAcquireError> {
        if self.channel.capacity == 0 && !self.is_closed() {
            return Err(TryAcquireError::NoPermits);
        }
        self.channel.slots.try_take(1)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.senders.set(self.channel.senders.get() + 1);
        Self { channel: self.channel.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // A count of its own: the one in the `Rc` still includes this sender.
        self.channel.senders.set(self.channel.senders.get() - 1);
        if self.channel.senders.get() == 0 {
            self.channel.receiver.wake();
        }
    }
}

/// The end that sends into an unbounded channel. Clone it for more senders.
#[derive(Clone, Debug)]
pub struct UnboundedSender<T> {
    pub(super) bounded: Sender<T>,
}

impl<T> UnboundedSender<T> {
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
        if self.bounded.channel.slots.try_take(1).is_err() {
            return Err(SendError(message));
        }
        self.bounded.channel.push(message);
        Ok(())
    }

    /// As [`Sender::closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    pub fn closed(&self) -> Closed<'_> {
        self.bounded.closed()
    }

    /// Whether a message would come back.
    pub fn is_closed(&self) -> bool {
        self.bounded.is_closed()
    }

    /// Whether both send into one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.bounded.same_channel(&other.bounded)
    }
}

/// The future of [`Sender::closed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a> {
    departure: &'a WaitQueue,
    ticket: Ticket,
}

impl Future for Closed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let departure = self.departure;
        let enter = || departure.is_closed().then_some(Outcome::Dismissed);
        departure.poll(&mut self.ticket, cx, "mpsc::Closed", enter).map(drop)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        drop(self.departure.leave(&mut self.ticket));
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.channel).finish()
    }
}
