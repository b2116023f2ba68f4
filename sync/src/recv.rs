//! Waiting for a message: the one future behind every `recv`.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::unpolled;

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
    /// The line, until it is polled or has nothing left to wait for.
    made_at: Option<&'static Location<'static>>,
}

impl<'a, R: Receive> Recv<'a, R> {
    #[inline]
    #[track_caller]
    pub(crate) fn new(receiver: &'a mut R) -> Self {
        Self { receiver: Some(receiver), made_at: Some(Location::caller()) }
    }

    /// Within another future.
    pub(crate) fn known(receiver: &'a mut R) -> Self {
        Self { receiver: Some(receiver), made_at: None }
    }
}

impl<R: Receive> Future for Recv<'_, R> {
    type Output = R::Received;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Received> {
        let Some(receiver) = &mut self.receiver else { polled_after_ready("Recv") };
        let Poll::Ready(message) = receiver.poll_receive(cx) else {
            self.made_at = None;
            return Poll::Pending;
        };
        self.receiver = None;
        Poll::Ready(message)
    }
}

impl<R: Receive> Drop for Recv<'_, R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            match self.made_at {
                Some(made_at) => unpolled::report("recv", made_at),
                None => receiver.unregister(),
            }
        }
    }
}
