//! The receiving end of the channel.

use std::future::Future;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Recycled, budget, question};

use super::error::TryRecvError;
use super::{Channel, is_large};
use crate::recv::{Receive, Recv};
use crate::sealed;
use crate::wait_queue::polled_after_ready;

/// The end that receives; also a [`Stream`].
pub struct Receiver<T> {
    pub(super) channel: Recycled<Channel<T>>,
}

impl<T> Receiver<T> {
    /// Waits for the next message, or for `None`, which says that there will be no more: all senders have gone, or the channel
    /// is [closed](Self::close), and everything sent has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes the message in the poll that returns it.
    #[inline]
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, Self> {
        Recv::new(self)
    }

    /// Waits for a message, then appends up to `limit` of those that are there to `buffer` and says how many. Zero means that
    /// there will be no more, or that `limit` is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes messages only in the poll that returns.
    ///
    /// ```
    /// # use handcar_sync::mpsc;
    /// # handcar_executor::run(async {
    /// let (sender, mut receiver) = mpsc::unbounded_channel();
    /// for n in 0..5 {
    ///     sender.send(n).unwrap();
    /// }
    /// let mut buffer = vec![];
    /// assert_eq!(receiver.recv_many(&mut buffer, 3).await, 3);
    /// assert_eq!(buffer, [0, 1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn recv_many<'a>(&'a mut self, buffer: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
        RecvMany { unpolled: Unpolled::new(&"recv_many"), recv: Recv::known(self), buffer, limit }
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether there may still be one later.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.channel
            .pop()
            .ok_or_else(|| if self.channel.is_finished() { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }

    /// Polls for what [`recv`](Self::recv) waits for. The last waker counts.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let channel = &*self.channel;
        if !question::has_left() || channel.is_attended() {
            return self.poll_slow(cx);
        }
        let Some(message) = channel.messages.pop() else {
            return self.poll_slow(cx);
        };
        if channel.has_limit {
            channel.slots.put_back(1);
        }
        budget::spend();
        Poll::Ready(Some(message))
    }

    /// Polls for what [`recv_many`](Self::recv_many) waits for. The last waker counts.
    pub fn poll_recv_many(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<T>, limit: usize) -> Poll<usize> {
        if limit == 0 {
            ready!(budget::poll(cx));
            budget::spend();
            return Poll::Ready(0);
        }
        let Some(first) = ready!(self.poll_recv(cx)) else { return Poll::Ready(0) };
        let before = buffer.len();
        buffer.push(first);
        buffer.extend(iter::from_fn(|| self.channel.pop()).take(limit - 1));
        Poll::Ready(buffer.len() - before)
    }

    /// Mostly the channel is empty and a wait begins, which runs no foreign code, and so needs no frame.
    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let channel = &*self.channel;
        let nothing_to_do = || channel.messages.is_empty() && !is_large(&channel.messages) && !channel.is_finished();
        if question::has_left() && nothing_to_do() && channel.receiver.register_first(cx.waker()) {
            return Poll::Pending;
        }
        self.poll_rare(cx)
    }

    /// Apart: all of this may run foreign code, or give back memory, and so needs a frame.
    #[inline(never)]
    fn poll_rare(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(question::poll_telling(cx, || self.channel.waits_for_message()));
        let channel = &*self.channel;
        let message = channel.pop();
        if message.is_none() && !channel.is_finished() {
            channel.receiver.register(cx.waker());
            // Registering runs foreign code: look again.
            if channel.messages.is_empty() && !channel.is_finished() {
                return Poll::Pending;
            }
            return self.take_after_all();
        }
        budget::spend();
        Poll::Ready(message)
    }

    /// While the waker was cloned, a message has come or the channel has ended.
    #[cold]
    fn take_after_all(&self) -> Poll<Option<T>> {
        budget::spend();
        Poll::Ready(self.channel.pop())
    }

    /// Closes the channel: nothing more can be sent, what has been sent or [reserved](super::Sender::reserve) can still be received.
    pub fn close(&mut self) {
        self.channel.close();
    }

    /// Whether nothing more can be sent: the channel is closed, or all senders have gone.
    pub fn is_closed(&self) -> bool {
        self.channel.slots.is_closed() || self.channel.senders.get() == 0
    }

    /// How many messages are in the channel.
    pub fn len(&self) -> usize {
        self.channel.messages.len()
    }

    /// Whether no message is in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages would go in without waiting.
    pub fn capacity(&self) -> usize {
        self.channel.free_room()
    }

    /// How many messages the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.channel.capacity
    }

    /// How many senders there are; weak ones do not count.
    pub fn sender_strong_count(&self) -> usize {
        self.channel.senders.get()
    }

    /// How many weak senders there are.
    pub fn sender_weak_count(&self) -> usize {
        Recycled::weak_count(&self.channel)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.receiver_lives.set(false);
        // Its waker is not left for the senders to drop: it may hold the task, and the task a sender.
        let _waker = self.channel.receiver.take();
        self.channel.close();
        if self.channel.is_offered() {
            // The message of a rendezvous goes back to its sender.
            self.channel.handover.wake();
        } else {
            drop(self.channel.messages.take());
        }
    }
}

impl<T> sealed::Sealed for Receiver<T> {}

impl<T> Receive for Receiver<T> {
    type Received = Option<T>;

    #[inline]
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }

    fn unregister(&mut self) {
        drop(self.channel.receiver.take());
    }
}

/// The future of [`Receiver::recv_many`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct RecvMany<'a, T> {
    unpolled: Unpolled,
    recv: Recv<'a, Receiver<T>>,
    buffer: &'a mut Vec<T>,
    limit: usize,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let Self { unpolled, recv, buffer, limit } = &mut *self;
        unpolled.forget();
        let Some(receiver) = &mut recv.receiver else { polled_after_ready("mpsc::RecvMany") };
        let count = ready!(receiver.poll_recv_many(cx, buffer, *limit));
        recv.receiver = None;
        Poll::Ready(count)
    }
}

shows!(Receiver<T> len, max_capacity, is_closed, sender_strong_count);
