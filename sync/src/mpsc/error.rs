//! The error types of the channels; each gives back what was not sent.

use std::fmt;

use crate::semaphore::TryAcquireError;

/// The channel is closed; here is the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why nothing was sent; here is the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room, or others wait for it.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

/// Why no message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// There may be one later.
    Empty,
    /// There will be none.
    Disconnected,
}

impl<T> TrySendError<T> {
    pub(crate) fn new(refusal: TryAcquireError, message: T) -> Self {
        match refusal {
            TryAcquireError::NoPermits => Self::Full(message),
            TryAcquireError::Closed => Self::Closed(message),
        }
    }

    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        Self::Closed(message)
    }
}

// By hand, so that an error can be unwrapped and passed on whatever the message is.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

says!(SendError<T> { _ => "the channel is closed" });

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

says!(TrySendError<T> {
    Self::Full(_) => "the channel is full",
    Self::Closed(_) => "the channel is closed"
});

says!(TryRecvError {
    Self::Empty => "the channel is empty",
    Self::Disconnected => "the channel is closed and empty"
});
