//! Waiting for a message: the one future behind every `recv`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::sealed;
use crate::wait_queue::polled_after_ready;

/// The receiving end of a channel. Implemented here only.
pub trait Receive: sealed::Sealed {
    /// What [`Recv`] returns.
    type Received;
    #[doc(hidden)]
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Self::Received>;
    /// Undoes what a poll has registered.
    #[doc(hidden)]
    fn unregister(&mut self);
}

/// The future of the next message of a receiver `R`.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, R: Receive> {
    /// `None` once it has returned a message.
    pub(crate) receiver: Option<&'a mut R>,
}

impl<'a, R: Receive> Recv<'a, R> {
    #[inline]
    pub(crate) fn new(receiver: &'a mut R) -> Self {
        Self { receiver: Some(receiver) }
    }
}

impl<R: Receive> Future for Recv<'_, R> {
    type Output = R::Received;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Received> {
        let Some(receiver) = &mut self.receiver else { polled_after_ready("Recv") };
        let message = ready!(receiver.poll_receive(cx));
        self.receiver = None;
        Poll::Ready(message)
    }
}

impl<R: Receive> Drop for Recv<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.unregister();
        }
    }
}
