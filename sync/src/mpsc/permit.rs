//! Room that is kept for messages to come: waiting for it, and having it.
//!
//! There are three kinds (one slot, several, one with its sender), and one future, of whatever is made of the slots.

use std::borrow::Borrow;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::error::SendError;
use super::{Channel, Sender, leave};
use crate::sealed;
use crate::wait_queue::{Ticket, Wait, polled_after_ready};

static RESERVE: Wait = Wait::new("mpsc::Reserve", "reserve", "channel", ", which is full");

/// What [`Reserve`] is a future of. Implemented here only.
pub trait Room: Sized + sealed::Sealed {
    #[doc(hidden)]
    type Message;
    /// The sender, as this keeps it.
    #[doc(hidden)]
    type From: Borrow<Sender<Self::Message>> + Unpin;
    /// Makes it of slots that the caller has taken.
    #[doc(hidden)]
    fn new(from: Self::From, slots: usize) -> Self;
}

/// The future of [`Sender::reserve`] and its kin.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<R: Room> {
    /// `None` once it has returned.
    from: Option<R::From>,
    slots: usize,
    ticket: Ticket,
}

impl<R: Room> Reserve<R> {
    #[track_caller]
    pub(super) fn new(from: R::From, slots: usize) -> Self {
        Self { from: Some(from), slots, ticket: Ticket::new() }
    }
}

impl<R: Room> Future for Reserve<R> {
    type Output = Result<R, SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { from, slots, ticket } = &mut *self;
        let Some(sender) = from.as_ref().map(R::From::borrow) else { polled_after_ready(RESERVE.future) };
        if *slots > sender.channel.room() {
            ticket.refuse();
        }
        let taken = ready!(sender.channel.slots.poll_acquire(ticket, *slots, cx, &RESERVE));
        Poll::Ready(match from.take() {
            Some(from) if taken.is_ok() => Ok(R::new(from, *slots)),
            _ => Err(SendError(())),
        })
    }
}

impl<R: Room> Drop for Reserve<R> {
    fn drop(&mut self) {
        if let Some(from) = &self.from {
            leave(&from.borrow().channel, &mut self.ticket, self.slots, "reserve");
        }
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
        drop(channel.push_if_received(message));
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.channel.free_slots(1);
    }
}

/// Room for one message that keeps the sender, from [`Sender::reserve_owned`]. Dropping it frees the room.
#[derive(Debug)]
#[must_use = "dropping a permit frees the room that it keeps"]
pub struct OwnedPermit<T> {
    /// `None` once it was used.
    sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// [`Permit::send`]; gives the sender back.
    ///
    /// ```
    /// # use handcar_sync::mpsc;
    /// # handcar_executor::run(async {
    /// let (sender, mut receiver) = mpsc::channel(1);
    /// let permit = sender.reserve_owned().await.unwrap(); // may move into a task
    /// let sender = permit.send(1);
    /// assert_eq!(sender.capacity(), 0);
    /// assert_eq!(receiver.recv().await, Some(1));
    /// # });
    /// ```
    pub fn send(mut self, message: T) -> Sender<T> {
        let sender = self.take();
        drop(sender.channel.push_if_received(message));
        sender
    }

    /// Frees the room, and gives the sender back.
    pub fn release(mut self) -> Sender<T> {
        let sender = self.take();
        sender.channel.free_slots(1);
        sender
    }

    /// Whether both send into one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        match (&self.sender, &other.sender) {
            (Some(sender), Some(other)) => sender.same_channel(other),
            _ => false,
        }
    }

    /// Whether this and `sender` send into one channel.
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.sender.as_ref().is_some_and(|mine| mine.same_channel(sender))
    }

    fn take(&mut self) -> Sender<T> {
        self.sender.take().expect("a permit has its sender until it is used")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.channel.free_slots(1);
        }
    }
}

/// Room for several messages, from [`Sender::reserve_many`]: an iterator of [`Permit`]s. Dropping it frees what is left.
#[derive(Debug)]
#[must_use = "dropping it frees the room that it keeps"]
pub struct PermitIterator<'a, T> {
    channel: &'a Channel<T>,
    left: usize,
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Permit<'a, T>> {
        self.left = self.left.checked_sub(1)?;
        Some(Permit { channel: self.channel })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> std::iter::FusedIterator for PermitIterator<'_, T> {}

impl<T> Drop for PermitIterator<'_, T> {
    fn drop(&mut self) {
        self.channel.free_slots(self.left);
    }
}

impl<'a, T> Room for Permit<'a, T> {
    type Message = T;
    type From = &'a Sender<T>;

    fn new(from: &'a Sender<T>, _: usize) -> Self {
        Self { channel: &from.channel }
    }
}

impl<T> Room for OwnedPermit<T> {
    type Message = T;
    type From = Sender<T>;

    fn new(from: Sender<T>, _: usize) -> Self {
        Self { sender: Some(from) }
    }
}

impl<'a, T> Room for PermitIterator<'a, T> {
    type Message = T;
    type From = &'a Sender<T>;

    fn new(from: &'a Sender<T>, slots: usize) -> Self {
        Self { channel: &from.channel, left: slots }
    }
}

impl<T> sealed::Sealed for Permit<'_, T> {}
impl<T> sealed::Sealed for OwnedPermit<T> {}
impl<T> sealed::Sealed for PermitIterator<'_, T> {}
