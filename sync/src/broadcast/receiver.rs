//! The end of a broadcast channel that receives.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use handcar_executor::question;

use super::error::{RecvError, TryRecvError};
use super::{Channel, RECV};
use crate::recv::{Receive, Recv};
use crate::sealed;
use crate::wait_queue::{Outcome, Ticket};

/// The end that receives; also a [`Stream`], which ends with the senders.
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
    /// The number of the next message to see.
    next: u64,
    ticket: Ticket,
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// [`Lagged`](RecvError::Lagged) says how many messages made way before they were seen; the next call returns the oldest that
    /// is left. [`Closed`](RecvError::Closed) says that there will be no more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes the message in the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, Self> {
        Recv::new(self)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) if there may be one later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let (message, is_last) = self.look()?;
        if is_last {
            drop(self.see());
            return Ok(Rc::try_unwrap(message).unwrap_or_else(|shared| T::clone(&shared)));
        }
        let clone = T::clone(&message);
        // Only now: the clone was foreign code, and might have panicked.
        let seen = self.see();
        // The original may be dropped here. Should that panic, the clone is dropped as well; later, as the function's value, it
        // would leak.
        drop((seen, message));
        Ok(clone)
    }

    /// Polls for what [`recv`](Self::recv) waits for. The last waker counts.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        if !question::has_left() {
            return question::suspend_telling(cx, || self.channel.waits_for_message());
        }
        loop {
            let (channel, next) = (&*self.channel, self.next);
            let enter = || channel.has_news(next).then_some(Outcome::Dismissed);
            ready!(channel.queue.poll(&mut self.ticket, cx, &RECV, enter));
            self.ticket = Ticket::New(None);
            match self.try_recv() {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(TryRecvError::Lagged(missed)) => return Poll::Ready(Err(RecvError::Lagged(missed))),
                Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError::Closed)),
                // `try_recv` has been called between the wake and this poll.
                Err(TryRecvError::Empty) => {}
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Creates a receiver of what is sent from now on.
    pub fn resubscribe(&self) -> Self {
        Self::new(&self.channel)
    }

    /// Whether both receive from one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    /// Whether all senders have gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        self.channel.senders.get() == 0
    }

    /// How many senders there are; weak ones do not count.
    pub fn sender_strong_count(&self) -> usize {
        self.channel.senders.get()
    }

    /// How many weak senders there are.
    pub fn sender_weak_count(&self) -> usize {
        Rc::weak_count(&self.channel)
    }

    /// How many messages it has not seen, those that made way included.
    pub fn len(&self) -> usize {
        usize::try_from(self.channel.ring.borrow().end() - self.next).unwrap_or(usize::MAX)
    }

    /// Whether it has seen every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn new(channel: &Rc<Channel<T>>) -> Self {
        channel.receivers.set(channel.receivers.get() + 1);
        channel.closed.clear();
        let next = channel.ring.borrow().end();
        Self { channel: channel.clone(), next, ticket: Ticket::New(None) }
    }

    /// The next message if there is one, and whether all others have seen it.
    fn look(&mut self) -> Result<(Rc<T>, bool), TryRecvError> {
        let ring = self.channel.ring.borrow();
        let Some(ahead) = self.next.checked_sub(ring.first) else {
            let missed = ring.first - self.next;
            self.next = ring.first;
            return Err(TryRecvError::Lagged(missed));
        };
        let Some(slot) = usize::try_from(ahead).ok().and_then(|ahead| ring.slots.get(ahead)) else {
            let closed = self.is_closed();
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        };
        Ok((slot.message.clone(), slot.unseen == 1))
    }

    /// Counts the next message as seen, and takes it out if all have seen it.
    fn see(&mut self) -> Option<Rc<T>> {
        let mut ring = self.channel.ring.borrow_mut();
        let ahead = self.next.checked_sub(ring.first);
        self.next += 1;
        // It may have made way while it was cloned.
        let slot = ahead.and_then(|ahead| ring.slots.get_mut(usize::try_from(ahead).ok()?))?;
        slot.unseen -= 1;
        // Seen by all: it is the first, since counts never fall along the ring.
        if slot.unseen == 0 { ring.pop() } else { None }
    }
}

impl<T: Clone> Stream for Receiver<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_recv(cx)) {
            Err(RecvError::Closed) => None,
            result => Some(result),
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let channel = &*self.channel;
        channel.receivers.set(channel.receivers.get() - 1);
        let _left = channel.queue.leave(&mut self.ticket, "recv");
        let mut ring = channel.ring.borrow_mut();
        let seen = usize::try_from(self.next.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        for slot in ring.slots.iter_mut().skip(seen) {
            slot.unseen -= 1;
        }
        let seen_by_all = ring.slots.iter().take_while(|slot| slot.unseen == 0).count();
        ring.first += seen_by_all as u64;
        let _messages: Vec<_> = ring.slots.drain(..seen_by_all).collect();
        ring.give_back();
        // Before the messages, whose drop is foreign code, and before those who wait for this.
        drop(ring);
        if channel.receivers.get() == 0 {
            channel.closed.set();
        }
    }
}

impl<T> sealed::Sealed for Receiver<T> {}

impl<T: Clone> Receive for Receiver<T> {
    type Received = Result<T, RecvError>;

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Self::Received> {
        self.poll_recv(cx)
    }

    fn unregister(&mut self) {
        let _left = self.channel.queue.leave(&mut self.ticket, "recv");
        self.ticket = Ticket::New(None);
    }
}

shows!(Receiver<T> len, is_closed);
