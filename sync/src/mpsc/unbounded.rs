//! The channel without a limit: a bounded one with more slots than there is memory for.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use handcar_executor::budget;

use super::error::SendError;
use super::{Receiver, Sender, WeakUnboundedSender, channel};
use crate::event::EventWait;

/// Creates a channel that never is full, whose senders never wait.
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (bounded, receiver) = channel(usize::MAX);
    (UnboundedSender { bounded }, receiver)
}

/// The end that receives from an unbounded channel.
pub type UnboundedReceiver<T> = Receiver<T>;

/// The end that sends into an unbounded channel. Clone it for more senders.
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
    pub fn closed(&self) -> EventWait<'_> {
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

    /// As [`Sender::downgrade`].
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender { bounded: self.bounded.downgrade() }
    }

    /// How many senders there are; weak ones do not count.
    pub fn strong_count(&self) -> usize {
        self.bounded.strong_count()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        self.bounded.weak_count()
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { bounded: self.bounded.clone() }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bounded.fmt(f)
    }
}

impl<T> Sink<T> for UnboundedSender<T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        budget::poll(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, message: T) -> Result<(), SendError<T>> {
        budget::spend();
        self.send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        Poll::Ready(Ok(()))
    }
}
