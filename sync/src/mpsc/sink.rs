//! The sending end as a `Sink`.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use handcar_executor::budget;

use super::error::SendError;
use super::{Sender, Unbounded, leave};
use crate::wait_queue::{Ticket, Wait};

static READY: Wait = Wait::new("SenderSink", "poll_ready", "channel", ", which is full");

/// A [`Sender`] as a [`Sink`], made by [`Sender::into_sink`].
///
/// `poll_ready` takes a slot and keeps it for the message that follows, so a sink that is dropped between the two gives it back.
///
/// ```
/// # use futures::SinkExt;
/// # use handcar_sync::mpsc;
/// # handcar_executor::run(async {
/// let (sender, mut receiver) = mpsc::channel(2);
/// let mut sink = sender.into_sink();
/// sink.send(1).await.unwrap();
/// assert_eq!(receiver.recv().await, Some(1));
/// sink.close().await.unwrap();
/// assert_eq!(receiver.recv().await, None);
/// # });
/// ```
#[derive(Debug)]
#[must_use = "sinks do nothing unless sent into"]
pub struct SenderSink<T> {
    /// `None` once closed.
    sender: Option<Sender<T>>,
    /// Spent means that a slot is held.
    ticket: Ticket,
}

impl<T> SenderSink<T> {
    pub(super) fn new(sender: Sender<T>) -> Self {
        Self { sender: Some(sender), ticket: Ticket::New(None) }
    }

    fn give_up_slot(&mut self) {
        let Some(sender) = &self.sender else { return };
        // First: the drop of a waker may panic, and no slot is held any more then.
        match std::mem::replace(&mut self.ticket, Ticket::New(None)) {
            Ticket::Spent => sender.channel.free_slots(1),
            mut ticket => leave(&sender.channel, &mut ticket, 1, "into_sink"),
        }
    }
}

impl<T> Sink<T> for SenderSink<T> {
    type Error = SendError<()>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        let this = &mut *self;
        let Some(sender) = &this.sender else {
            return Poll::Ready(Err(SendError(())));
        };
        if let Ticket::Spent = this.ticket {
            return Poll::Ready(Ok(()));
        }
        let poll = sender.channel.slots.poll_acquire(&mut this.ticket, 1, cx, &READY);
        if let Poll::Ready(Err(_)) = poll {
            this.ticket = Ticket::New(None);
        }
        poll.map_err(|_| SendError(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError<()>> {
        let Ticket::Spent = self.ticket else {
            panic!("`SenderSink::start_send` without a slot; call it after `poll_ready` has returned `Ok`");
        };
        self.ticket = Ticket::New(None);
        let Some(sender) = &self.sender else {
            return Err(SendError(()));
        };
        sender.channel.push_if_received(message).map_err(|_| SendError(()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        self.give_up_slot();
        self.sender = None;
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for SenderSink<T> {
    fn drop(&mut self) {
        self.give_up_slot();
    }
}

/// Closing this sink does nothing, since the sender stays; the channel ends when it is dropped.
impl<T> Sink<T> for Sender<T, Unbounded> {
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
