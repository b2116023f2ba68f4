//! A channel of messages from many senders to one receiver.
//!
//! It is a `VecDeque` and a [`Semaphore`] whose permits are the free slots: who sends takes one, who receives gives one back.
//! The single receiver needs no queue, only a cell for its waker, and is woken on the edge from empty to not empty. A sender
//! that waits is granted its slot by the receiver; being polled, it moves its message in. So the message stays with the sender
//! until there is room for it, and in the channel until the poll of `recv` that returns it.
//!
//! A capacity is a limit and not a reservation: the buffer grows with what is in it, and a burst's memory is given back when the
//! channel runs empty. An [unbounded channel](unbounded_channel) is one with more slots than there is memory for.
//!
//! Capacity 0 is a rendezvous: there is one slot, but `send` returns only once the receiver has taken the message out of it,
//! and takes it back if that does not happen.
//!
//! ```
//! # use handcar_sync::mpsc;
//! # handcar_executor::run(async {
//! let (sender, mut receiver) = mpsc::channel(10);
//! sender.send("a").await.unwrap();
//! sender.clone().send("b").await.unwrap();
//! drop(sender);
//! assert_eq!(receiver.recv().await, Some("a"));
//! assert_eq!(receiver.recv().await, Some("b"));
//! assert_eq!(receiver.recv().await, None);
//! # });
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use handcar_executor::budget;

use crate::semaphore::{Semaphore, TryAcquireError};
use crate::wait_queue::{Outcome, Ticket, WaitQueue, WakerCell, polled_after_ready};

pub use sink::SenderSink;

pub mod error;
mod sink;

use error::{SendError, TryRecvError, TrySendError};

/// An empty buffer with more room than this is given back.
const KEPT_MESSAGES: usize = 4096;

/// Creates a channel that holds up to `capacity` messages; a capacity above [`Semaphore::MAX_PERMITS`] counts as that.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.min(Semaphore::MAX_PERMITS);
    let channel = Rc::new(Channel {
        messages: RefCell::new(VecDeque::new()),
        slots: Semaphore::new(capacity.max(1)),
        capacity,
        senders: Cell::new(1),
        receiver_lives: Cell::new(true),
        receiver: WakerCell::default(),
        departure: WaitQueue::new(),
        sent: Cell::new(0),
        handover: WakerCell::default(),
    });
    (Sender { channel: channel.clone() }, Receiver { channel })
}

/// Creates a channel that never is full, whose senders never wait.
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (bounded, receiver) = channel(usize::MAX);
    (UnboundedSender { bounded }, receiver)
}

struct Channel<T> {
    messages: RefCell<VecDeque<T>>,
    slots: Semaphore,
    /// What the user asked for: 0 has one slot all the same.
    capacity: usize,
    senders: Cell<usize>,
    receiver_lives: Cell<bool>,
    receiver: WakerCell,
    /// Those who wait in [`Sender::closed`].
    departure: WaitQueue,
    /// How many messages have gone in; a rendezvous knows its own by this number.
    sent: Cell<u64>,
    /// The sender whose rendezvous is under way.
    handover: WakerCell,
}

impl<T> Channel<T> {
    /// Moves a message into the slot that the caller has taken.
    #[inline]
    fn push(&self, message: T) -> Result<(), SendError<T>> {
        if !self.receiver_lives.get() {
            self.free_slots(1);
            return Err(SendError(message));
        }
        let mut messages = self.messages.borrow_mut();
        let was_empty = messages.is_empty();
        messages.push_back(message);
        drop(messages);
        self.sent.set(self.sent.get() + 1);
        if was_empty {
            self.receiver.wake();
        }
        Ok(())
    }

    /// Moves the oldest message out and frees its slot.
    #[inline]
    fn pop(&self) -> Option<T> {
        let mut messages = self.messages.borrow_mut();
        let message = messages.pop_front()?;
        if messages.is_empty() && messages.capacity() > KEPT_MESSAGES {
            *messages = VecDeque::new();
        }
        drop(messages);
        self.handover.wake();
        self.slots.release(1);
        Some(message)
    }

    /// Frees slots that nothing was put in.
    fn free_slots(&self, n: usize) {
        self.slots.release(n);
        if self.slots.is_closed() {
            // The receiver may have been waiting for just these.
            self.receiver.wake();
        }
    }

    /// Whether the channel is empty for good: it may be closed and still owe a message to a sender that has its slot.
    fn is_finished(&self) -> bool {
        self.senders.get() == 0 || (self.slots.is_closed() && self.slots.available_permits() == self.capacity.max(1))
    }

    fn close(&self) {
        self.slots.close();
        self.departure.close();
    }

    /// The number of the newest message that has been taken out.
    fn received(&self) -> u64 {
        self.sent.get() - self.messages.borrow().len() as u64
    }
}

/// The end that sends. Clone it for more senders.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Waits for room, and sends.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone or has [closed](Receiver::close) the channel.
    ///
    /// # Cancel safety
    ///
    /// A message is either sent, and `Ready` says so, or dropped together with the future. To keep it in the second case,
    /// [`reserve`](Self::reserve) a slot first.
    pub fn send(&self, message: T) -> Sending<'_, T> {
        let stage = Stage::Waiting(Ticket::New, message);
        Sending { channel: &self.channel, stage }
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
            Ok(()) => Ok(self.channel.push(message)?),
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
    /// Fails if the receiver has gone or has [closed](Receiver::close) the channel.
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
        Reserve { channel: &self.channel, ticket: Ticket::New }
    }

    /// [`reserve`](Self::reserve), if there is room now.
    ///
    /// # Errors
    ///
    /// Says whether the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        match self.try_take_slot() {
            Ok(()) => Ok(Permit { channel: &self.channel }),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(())),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(())),
        }
    }

    /// Waits until the receiver has gone or has [closed](Receiver::close) the channel.
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
    bounded: Sender<T>,
}

impl<T> UnboundedSender<T> {
    /// Sends; it never waits.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone or has [closed](Receiver::close) the channel.
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
        match self.bounded.channel.slots.try_take(1) {
            Ok(()) => self.bounded.channel.push(message),
            Err(_) => Err(SendError(message)),
        }
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

/// The end that receives; also a [`Stream`].
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
}

/// The end that receives from an unbounded channel.
pub type UnboundedReceiver<T> = Receiver<T>;

impl<T> Receiver<T> {
    /// Waits for the next message, or for `None`, which says that there will be no more: all senders have gone, or the channel
    /// is [closed](Self::close), and everything sent has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes the message in the poll that returns it.
    #[inline]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv { receiver: Some(self) }
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
    pub fn recv_many<'a>(&'a mut self, buffer: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
        RecvMany { recv: self.recv(), buffer, limit }
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether there may still be one later.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.channel.pop() {
            Some(message) => Ok(message),
            None if self.channel.is_finished() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Polls for what [`recv`](Self::recv) waits for. The last waker counts.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(budget::poll(cx));
        let mut result = self.try_recv();
        if let Err(TryRecvError::Empty) = result {
            self.channel.receiver.register(cx.waker());
            // Registering runs foreign code: look again.
            result = self.try_recv();
        }
        if let Err(TryRecvError::Empty) = result {
            return Poll::Pending;
        }
        budget::spend();
        Poll::Ready(result.ok())
    }

    /// Closes the channel: nothing more can be sent, what has been sent or [reserved](Sender::reserve) can still be received.
    pub fn close(&mut self) {
        self.channel.close();
    }

    /// Whether nothing more can be sent: the channel is closed, or all senders have gone.
    pub fn is_closed(&self) -> bool {
        self.channel.slots.is_closed() || self.channel.senders.get() == 0
    }

    /// How many messages are in the channel.
    pub fn len(&self) -> usize {
        self.channel.messages.borrow().len()
    }

    /// Whether no message is in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        if self.channel.capacity == 0 {
            // The message of a rendezvous goes back to its sender.
            self.channel.handover.wake();
        } else {
            let unread = mem::take(&mut *self.channel.messages.borrow_mut());
            drop(unread);
        }
    }
}

/// The future of [`Sender::send`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'a, T> {
    channel: &'a Channel<T>,
    stage: Stage<T>,
}

enum Stage<T> {
    /// For a slot.
    Waiting(Ticket, T),
    /// For the receiver to take the message of this number out of a rendezvous channel.
    Offered(u64),
    Done,
}

// Nothing in it is ever pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = self.channel;
        match &mut self.stage {
            Stage::Waiting(ticket, _) => {
                let slot = ready!(channel.slots.poll_acquire(ticket, 1, cx, "Sending"));
                let Stage::Waiting(_, message) = mem::replace(&mut self.stage, Stage::Done) else {
                    unreachable!("the stage was looked at above");
                };
                let result = if slot.is_ok() { channel.push(message) } else { Err(SendError(message)) };
                if channel.capacity > 0 || result.is_err() {
                    return Poll::Ready(result);
                }
                self.stage = Stage::Offered(channel.sent.get());
                self.poll_offered(cx)
            }
            Stage::Offered(_) => self.poll_offered(cx),
            Stage::Done => polled_after_ready("mpsc::Sending"),
        }
    }
}

impl<T> Sending<'_, T> {
    #[cold]
    fn poll_offered(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        if self.awaits_handover() {
            let waker = cx.waker().clone();
            // The clone was foreign code: look again. Whose message lies in the slot also owns the cell.
            if self.awaits_handover() {
                let _old = self.channel.handover.replace(waker);
                return Poll::Pending;
            }
        }
        Poll::Ready(self.withdraw().map_or(Ok(()), |message| Err(SendError(message))))
    }

    fn awaits_handover(&self) -> bool {
        self.channel.receiver_lives.get() && self.is_offered()
    }

    /// Whether the message still lies in the channel.
    fn is_offered(&self) -> bool {
        matches!(self.stage, Stage::Offered(number) if self.channel.received() < number)
    }

    /// Ends a rendezvous, and takes the message back if nobody else has.
    fn withdraw(&mut self) -> Option<T> {
        let is_offered = self.is_offered();
        self.stage = Stage::Done;
        if !is_offered {
            return None;
        }
        // Or `pop` would wake the one who withdraws.
        let _waker = self.channel.handover.take();
        self.channel.pop()
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.stage {
            Stage::Done => {}
            Stage::Waiting(ticket, _) => leave(self.channel, ticket),
            Stage::Offered(_) => drop(self.withdraw()),
        }
    }
}

/// Gives up a wait for a slot.
#[inline]
fn leave<T>(channel: &Channel<T>, ticket: &mut Ticket) {
    if !matches!(ticket, Ticket::New | Ticket::Spent) {
        channel.slots.leave(ticket, 1);
        channel.free_slots(0);
    }
}

/// The future of [`Sender::reserve`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'a, T> {
    channel: &'a Channel<T>,
    ticket: Ticket,
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = self.channel;
        let slot = ready!(channel.slots.poll_acquire(&mut self.ticket, 1, cx, "mpsc::Reserve"));
        Poll::Ready(slot.map(|()| Permit { channel }).map_err(|_| SendError(())))
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        leave(self.channel, &mut self.ticket);
    }
}

/// Room for one message, from [`Sender::reserve`]. Dropping it frees the room.
#[derive(Debug)]
#[must_use = "dropping a permit frees the room that it keeps"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
}

impl<T> Permit<'_, T> {
    /// Sends; it never waits. Should the receiver have gone in the meantime, the message is dropped.
    pub fn send(self, message: T) {
        let channel = self.channel;
        mem::forget(self);
        drop(channel.push(message));
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.channel.free_slots(1);
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
        departure.poll(&mut self.ticket, 0, cx, "mpsc::Closed", enter).map(drop)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        drop(self.departure.leave(&mut self.ticket));
    }
}

/// The future of [`Receiver::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T> {
    receiver: Option<&'a mut Receiver<T>>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(receiver) = &mut self.receiver else { polled_after_ready("mpsc::Recv") };
        let message = ready!(receiver.poll_recv(cx));
        self.receiver = None;
        Poll::Ready(message)
    }
}

impl<T> Drop for Recv<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(receiver) = &self.receiver {
            drop(receiver.channel.receiver.take());
        }
    }
}

/// The future of [`Receiver::recv_many`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct RecvMany<'a, T> {
    recv: Recv<'a, T>,
    buffer: &'a mut Vec<T>,
    limit: usize,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = &mut *self;
        let Some(receiver) = &mut this.recv.receiver else { polled_after_ready("mpsc::RecvMany") };
        let before = this.buffer.len();
        if this.limit > 0 {
            let Some(first) = ready!(receiver.poll_recv(cx)) else {
                this.recv.receiver = None;
                return Poll::Ready(0);
            };
            this.buffer.push(first);
            let more = std::iter::from_fn(|| receiver.channel.pop());
            this.buffer.extend(more.take(this.limit - 1));
        }
        this.recv.receiver = None;
        Poll::Ready(this.buffer.len() - before)
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("messages", &self.messages.borrow().len())
            .field("capacity", &self.capacity)
            .field("senders", &self.senders.get())
            .field("closed", &self.slots.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.channel).finish()
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sending").field(self.channel).finish()
    }
}
