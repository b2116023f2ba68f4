//! The once cell: a value that is made once, by a future, however many ask for it.

use std::cell;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::budget;

use crate::event::{Event, EventWait};
use crate::lock::{Lock, LockGuard};
use crate::sealed;
use crate::semaphore::{Semaphore, TryAcquireError};
use crate::wait_queue::Wait;

static WAIT: Wait = Wait::new("EventWait", "wait", "once cell", ", which has no value");

/// A place for a value that is set once, by hand or by the first task that asks for it.
///
/// ```
/// # use handcar_sync::OnceCell;
/// # handcar_executor::run(async {
/// let config = OnceCell::new();
/// assert_eq!(*config.get_or_init(async || "read from disk").await, "read from disk");
/// assert_eq!(*config.get_or_init(async || "never called").await, "read from disk");
/// # });
/// ```
pub struct OnceCell<T> {
    value: cell::OnceCell<T>,
    /// Held by whoever is making the value.
    turn: Semaphore,
    /// Set when there is a value.
    made: Event,
}

impl<T> OnceCell<T> {
    /// Creates an empty cell.
    #[track_caller]
    pub const fn new() -> Self {
        Self { value: cell::OnceCell::new(), turn: Semaphore::new(1), made: Event::new() }
    }

    /// Creates a cell with a value, or an empty one.
    #[track_caller]
    pub fn new_with(value: Option<T>) -> Self {
        match value {
            Some(value) => Self::from(value),
            None => Self::new(),
        }
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one, to be changed.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.value.get().is_some()
    }

    /// Takes the value out and leaves the cell empty.
    pub fn take(&mut self) -> Option<T> {
        self.made.clear();
        self.value.take()
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives it back if there is one already, or somebody is making one.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.initialized() {
            return Err(SetError::AlreadyInitializedError(value));
        }
        match self.turn.try_acquire() {
            Ok(_turn) => {
                self.make(value);
                Ok(())
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(SetError::InitializingError(value)),
        }
    }

    /// The value; the first that asks makes it, and the others wait.
    ///
    /// # Cancel safety
    ///
    /// If the task that makes the value is dropped, the next in line makes it anew.
    pub async fn get_or_init<F, U>(&self, init: F) -> &T
    where
        F: FnOnce() -> U,
        U: Future<Output = T>,
    {
        let made = self.get_or_try_init(async || Ok::<_, Infallible>(init().await)).await;
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// [`get_or_init`](Self::get_or_init) by a future that may fail; then the next in line tries.
    ///
    /// An `async fn`, where the operations of this crate are named futures, since it waits in the user's future as much as in
    /// the line; the wait in the line is an [`Acquire`](crate::Acquire).
    ///
    /// # Errors
    ///
    /// Returns the error of `init`.
    ///
    /// # Panics
    ///
    /// Never: nobody closes the cell's semaphore.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_init`](Self::get_or_init).
    pub async fn get_or_try_init<E, F, U>(&self, init: F) -> Result<&T, E>
    where
        F: FnOnce() -> U,
        U: Future<Output = Result<T, E>>,
    {
        // So that a loop over a value that is there suspends now and then.
        poll_fn(budget::poll).await;
        if let Some(value) = self.value.get() {
            budget::spend();
            return Ok(value);
        }
        let _turn = Lock::<Turn<'_>>::new(&self.turn).await;
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = init().await?;
        Ok(self.make(value))
    }

    /// Waits until there is a value, whoever makes it. (tokio's `SetOnce` is a cell for this alone.)
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    ///
    /// ```
    /// # use handcar_sync::OnceCell;
    /// # handcar_executor::run(async {
    /// let address = OnceCell::new();
    /// let client = async { *address.wait().await };
    /// let server = async { address.set("127.0.0.1:80").unwrap() };
    /// assert_eq!(futures::join!(client, server).0, "127.0.0.1:80");
    /// # });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> OnceCellWait<'_, T> {
        OnceCellWait { value: &self.value, made: self.made.wait_as(&WAIT) }
    }

    /// Sets the value, for the one whose turn it is.
    fn make(&self, value: T) -> &T {
        let value = self.value.get_or_init(|| value);
        self.made.set();
        value
    }
}

/// The future of [`OnceCell::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct OnceCellWait<'a, T> {
    value: &'a cell::OnceCell<T>,
    made: EventWait<'a>,
}

impl<'a, T> Future for OnceCellWait<'a, T> {
    type Output = &'a T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'a T> {
        ready!(Pin::new(&mut self.made).poll(cx));
        Poll::Ready(self.value.get().expect("it is made before those who wait are released"))
    }
}

/// Whose turn it is to make the value.
struct Turn<'a>(&'a Semaphore);

impl<'a> LockGuard for Turn<'a> {
    type Lock = &'a Semaphore;
    const WAIT: &'static Wait = &Wait::new("Lock", "get_or_init", "once cell", ", whose value is being made");

    fn with_turns<R>(turn: &&'a Semaphore, f: impl FnOnce(&Semaphore, usize) -> R) -> R {
        f(turn, 1)
    }

    fn new(turn: &'a Semaphore) -> Self {
        Turn(turn)
    }
}

impl sealed::Sealed for Turn<'_> {}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.release(1);
    }
}

impl<T> Default for OnceCell<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self { value: value.into(), turn: Semaphore::new(1), made: Event::new_set() }
    }
}

/// A cell of its own, with a clone of the value if there is one.
impl<T: Clone> Clone for OnceCell<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.value.get()).finish()
    }
}

/// Why [`OnceCell::set`] did not set the value; here it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is a value.
    AlreadyInitializedError(T),
    /// Somebody is making one.
    InitializingError(T),
}

impl<T> SetError<T> {
    /// Whether there is a value.
    pub fn is_already_init_err(&self) -> bool {
        matches!(self, Self::AlreadyInitializedError(_))
    }

    /// Whether somebody is making one.
    pub fn is_initializing_err(&self) -> bool {
        matches!(self, Self::InitializingError(_))
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitializedError(_) => "the cell has a value",
            Self::InitializingError(_) => "the value of the cell is being made",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for SetError<T> {}
