//! Room that is kept for a message to come.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::error::SendError;
use super::{Channel, leave};
use crate::wait_queue::Ticket;

/// The future of [`Sender::reserve`](super::Sender::reserve).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Reserve<'a, T> {
    channel: &'a Channel<T>,
    ticket: Ticket,
}

impl<'a, T> Reserve<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        Self { channel, ticket: Ticket::New }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = self.channel;
        let slot = ready!(channel.slots.poll_acquire(&mut self.ticket, 1, cx, "mpsc::Reserve"));
        Poll::Ready(slot.map(|()| Permit::new(channel)).map_err(|_| SendError(())))
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        leave(self.channel, &mut self.ticket);
    }
}

/// Room for one message, from [`Sender::reserve`](super::Sender::reserve). Dropping it frees the room.
#[derive(Debug)]
#[must_use = "dropping a permit frees the room that it keeps"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
}

impl<'a, T> Permit<'a, T> {
    /// Makes the permit of a slot that the caller has taken.
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        Self { channel }
    }

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
