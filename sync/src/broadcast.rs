//! A channel in which every receiver gets every message.
//!
//! The messages lie in one ring, each with a count of the receivers that have not seen it yet; a receiver is a position in the
//! ring. The last one to see a message gets the original, the others clones. When the ring is full, the oldest message makes way:
//! a sender never waits, and a receiver that was too slow is told how many it missed.
//!
//! A message is in an `Rc` of its own, because cloning it is foreign code and must not run while the ring is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::event::{Event, EventWait};
use crate::recv::{Receive, Recv};
use crate::sealed;
use crate::wait_queue::{Outcome, Ticket, WaitQueue};

/// Error types, under the path that they have in tokio.
pub mod error {
    pub use super::{RecvError, TryRecvError};
    pub use crate::mpsc::error::SendError;
}

use error::SendError;

/// An empty ring with more room than this is given back.
const KEPT_SLOTS: usize = 1024;

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
    senders: Cell<usize>,
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

/// The end that sends. Clone it for more senders.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
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
                senders: Cell::new(1),
                receivers: Cell::new(0),
                closed: Event::new_set(),
                queue: WaitQueue::new(),
            }),
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
    pub fn closed(&self) -> EventWait<'_> {
        self.channel.closed.wait()
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
    fn clone(&self) -> Self {
        self.channel.senders.set(self.channel.senders.get() + 1);
        Self { channel: self.channel.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.senders.set(self.channel.senders.get() - 1);
        if self.channel.senders.get() == 0 {
            self.channel.queue.dismiss_all();
        }
    }
}

/// A [`Sender`] that does not keep the channel open, made by [`Sender::downgrade`].
pub struct WeakSender<T> {
    channel: Weak<Channel<T>>,
}

impl<T> WeakSender<T> {
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
    pub fn recv(&mut self) -> Recv<'_, Self> {
        Recv::new(self)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Empty`](TryRecvError::Empty) if there may be one later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let message = self.take()?;
        // The last one has the original.
        Ok(Rc::try_unwrap(message).unwrap_or_else(|shared| T::clone(&shared)))
    }

    /// Polls for what [`recv`](Self::recv) waits for. The last waker counts.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        loop {
            let (channel, next) = (&*self.channel, self.next);
            let enter = || channel.has_news(next).then_some(Outcome::Dismissed);
            ready!(channel.queue.poll(&mut self.ticket, cx, "broadcast::Recv", enter));
            self.ticket = Ticket::New;
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
    pub fn len(&self) -> u64 {
        self.channel.ring.borrow().end() - self.next
    }

    /// Whether it has seen every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn new(channel: &Rc<Channel<T>>) -> Self {
        channel.receivers.set(channel.receivers.get() + 1);
        channel.closed.clear();
        let next = channel.ring.borrow().end();
        Self { channel: channel.clone(), next, ticket: Ticket::New }
    }

    fn take(&mut self) -> Result<Rc<T>, TryRecvError> {
        let mut ring = self.channel.ring.borrow_mut();
        let Some(ahead) = self.next.checked_sub(ring.first) else {
            let missed = ring.first - self.next;
            self.next = ring.first;
            return Err(TryRecvError::Lagged(missed));
        };
        let Some(slot) = usize::try_from(ahead).ok().and_then(|ahead| ring.slots.get_mut(ahead)) else {
            let closed = self.is_closed();
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        };
        self.next += 1;
        slot.unseen -= 1;
        let shared = if slot.unseen > 0 { Some(slot.message.clone()) } else { None };
        // Seen by all: it is the first, since counts never fall along the ring.
        let message = shared.or_else(|| ring.pop());
        Ok(message.expect("a slot that was found is in the ring"))
    }
}

impl<T> Channel<T> {
    fn has_news(&self, next: u64) -> bool {
        self.senders.get() == 0 || next < self.ring.borrow().end()
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
        let _left = channel.queue.leave(&mut self.ticket);
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
        let _left = self.channel.queue.leave(&mut self.ticket);
        self.ticket = Ticket::New;
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("unseen", &self.len()).finish_non_exhaustive()
    }
}

/// Why no message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// All senders have gone, and all messages were seen.
    Closed,
    /// So many messages made way before they were seen.
    Lagged(u64),
}

/// Why no message was received at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// There may be one later.
    Empty,
    /// All senders have gone, and all messages were seen.
    Closed,
    /// So many messages made way before they were seen.
    Lagged(u64),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the channel is closed"),
            Self::Lagged(missed) => write!(f, "the receiver was too slow and missed {missed}"),
        }
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the channel is empty"),
            Self::Closed => RecvError::Closed.fmt(f),
            Self::Lagged(missed) => RecvError::Lagged(*missed).fmt(f),
        }
    }
}

impl std::error::Error for TryRecvError {}
