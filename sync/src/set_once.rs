//! The cell that is set once, and waited for.

use std::cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::event::{Event, EventWait};

/// A place for a value that somebody sets once and others wait for: an [`Event`] that carries something.
///
/// Where those who wait can make the value themselves, it is a [`OnceCell`](crate::OnceCell).
///
/// ```
/// # use handcar_sync::SetOnce;
/// # handcar_executor::run(async {
/// let address = SetOnce::new();
/// let client = async { *address.wait().await };
/// let server = async { address.set("127.0.0.1:80").unwrap() };
/// assert_eq!(futures::join!(client, server).0, "127.0.0.1:80");
/// # });
/// ```
pub struct SetOnce<T> {
    value: cell::OnceCell<T>,
    is_set: Event,
}

impl<T> SetOnce<T> {
    /// Creates an empty cell.
    pub const fn new() -> Self {
        Self { value: cell::OnceCell::new(), is_set: Event::new() }
    }

    /// Creates a cell with a value, or an empty one.
    pub fn new_with(value: Option<T>) -> Self {
        value.map_or_else(Self::new, Self::from)
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value, and releases all who wait for it.
    ///
    /// # Errors
    ///
    /// Gives it back if there is one already.
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        self.value.set(value).map_err(SetOnceError)?;
        self.is_set.set();
        Ok(())
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Waits for the value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    pub fn wait(&self) -> SetOnceWait<'_, T> {
        SetOnceWait { value: &self.value, wait: self.is_set.wait() }
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> Self {
        Self { value: value.into(), is_set: Event::new_set() }
    }
}

/// A cell of its own, with a clone of the value if there is one.
impl<T: Clone> Clone for SetOnce<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetOnce").field(&self.get()).finish()
    }
}

/// The future of [`SetOnce::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct SetOnceWait<'a, T> {
    value: &'a cell::OnceCell<T>,
    wait: EventWait<'a>,
}

impl<'a, T> Future for SetOnceWait<'a, T> {
    type Output = &'a T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'a T> {
        ready!(Pin::new(&mut self.wait).poll(cx));
        Poll::Ready(self.value.get().expect("it is set before those who wait are released"))
    }
}

/// The cell has a value already; here is the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cell has a value")
    }
}

impl<T: fmt::Debug> std::error::Error for SetOnceError<T> {}
