//! A channel that keeps the latest value only: for state that many tasks follow.
//!
//! The value is in an `Rc`. A reader holds a clone of that `Rc`, so whoever sends a new value waits for no reader, and a reader
//! goes on with the value that it has. A version number tells who has seen what.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use handcar_executor::budget;

use crate::wait_queue::{Outcome, Ticket, WaitQueue};

/// Error types, under the path that they have in tokio.
pub mod error {
    pub use super::RecvError;
    pub use crate::mpsc::error::SendError;
}

use error::SendError;

const BEING_MODIFIED: &str =
    "the value of a watch channel is being modified; inside the closure, use the closure's argument";
const BORROWED: &str =
    "a `Ref` to the value is alive, so it cannot be changed in place; drop it, or use `send_replace`";

/// Creates a channel that holds `value`, which counts as seen by the receiver.
///
/// ```
/// # use handcar_sync::watch;
/// # handcar_executor::run(async {
/// let (level, mut watcher) = watch::channel(1);
/// level.send(2).unwrap();
/// level.send(3).unwrap();
/// watcher.changed().await.unwrap();
/// assert_eq!(*watcher.borrow_and_update(), 3);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let channel = Rc::new(Channel {
        value: Cell::new(Some(Rc::new(value))),
        version: Cell::new(0),
        senders: Cell::new(1),
        receivers: Cell::new(0),
        changes: WaitQueue::new(),
        departure: WaitQueue::new(),
    });
    let sender = Sender { channel };
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Channel<T> {
    /// `None` while `send_modify` has it.
    value: Cell<Option<Rc<T>>>,
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Those who wait for another version, or for the last sender to go.
    changes: WaitQueue,
    /// Those who wait for the last receiver to go.
    departure: WaitQueue,
}

impl<T> Channel<T> {
    #[track_caller]
    fn value(&self) -> Rc<T> {
        let value = self.value.take().expect(BEING_MODIFIED);
        self.value.set(Some(value.clone()));
        value
    }

    fn advance(&self) {
        self.version.set(self.version.get() + 1);
        self.changes.dismiss_all();
    }
}

/// The end that sets the value. Clone it for more senders.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is no receiver.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.set(value);
        Ok(())
    }

    /// Sets the value, receivers or not, and returns the old one as readers have it.
    #[track_caller]
    pub fn send_replace(&self, value: T) -> Ref<T> {
        let old = Ref { value: self.channel.value(), has_changed: false };
        self.set(value);
        old
    }

    /// Changes the value in place, and notifies the receivers.
    ///
    /// ```
    /// # use handcar_sync::watch;
    /// let (names, watcher) = watch::channel(vec!["a"]);
    /// names.send_modify(|names| names.push("b"));
    /// assert_eq!(*watcher.borrow(), ["a", "b"]);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a [`Ref`] to the value is alive: use [`send_replace`](Self::send_replace), or drop it first.
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and notifies the receivers if `modify` says that it did.
    ///
    /// # Panics
    ///
    /// As [`send_modify`](Self::send_modify). A panic of `modify` leaves the value as it is then, and notifies nobody.
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let value = self.channel.value.take();
        let mut taken = Taken { channel: &self.channel, value };
        let value = taken.value.as_mut().expect(BEING_MODIFIED);
        let is_modified = modify(Rc::get_mut(value).expect(BORROWED));
        drop(taken);
        if is_modified {
            self.channel.advance();
        }
        is_modified
    }

    /// The value.
    #[track_caller]
    pub fn borrow(&self) -> Ref<T> {
        Ref { value: self.channel.value(), has_changed: false }
    }

    /// Creates a receiver that counts the present value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.channel.receivers.set(self.channel.receivers.get() + 1);
        Receiver { channel: self.channel.clone(), seen: self.channel.version.get() }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.channel.receivers.get()
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    pub fn closed(&self) -> Closed<'_, T> {
        Closed { channel: &self.channel, ticket: Ticket::New }
    }

    fn set(&self, value: T) {
        // Dropped at the end: the old value's drop is foreign code.
        let _old = self.channel.value.replace(Some(Rc::new(value)));
        self.channel.advance();
    }
}

/// Puts the value back, also when the closure that changes it panics.
struct Taken<'a, T> {
    channel: &'a Channel<T>,
    value: Option<Rc<T>>,
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        // A value that the closure itself has sent is newer, and stays.
        let newer = self.channel.value.take();
        self.channel.value.set(newer.or_else(|| self.value.take()));
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
            self.channel.changes.dismiss_all();
        }
    }
}

/// The end that follows the value. A clone has seen what the original has.
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// The value. It does not count as seen by this.
    #[track_caller]
    pub fn borrow(&self) -> Ref<T> {
        Ref { value: self.channel.value(), has_changed: self.is_behind() }
    }

    /// The value, which counts as seen from now on.
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<T> {
        let value = self.borrow();
        self.mark_unchanged();
        value
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    ///
    /// Fails if all senders have gone and the last value was seen.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        if !self.is_behind() && self.channel.senders.get() == 0 {
            return Err(RecvError(()));
        }
        Ok(self.is_behind())
    }

    /// Counts the present value as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.channel.version.get();
    }

    /// Counts the present value as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.channel.version.get().wrapping_sub(1);
    }

    /// Waits for a value that was not seen, and counts it as seen.
    ///
    /// # Errors
    ///
    /// Fails if all senders have gone and the last value was seen.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the value counts as seen in the poll that says so.
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed { receiver: self, ticket: Ticket::New }
    }

    /// Waits until the value is as `is_wanted` says, and counts it as seen. Looks at the present value first.
    ///
    /// # Errors
    ///
    /// Fails if all senders have gone before that.
    ///
    /// # Cancel safety
    ///
    /// As [`changed`](Self::changed).
    ///
    /// ```
    /// # use handcar_sync::watch;
    /// # handcar_executor::run(async {
    /// let (level, mut watcher) = watch::channel(1);
    /// level.send(5).unwrap();
    /// assert_eq!(*watcher.wait_for(|level| *level > 3).await.unwrap(), 5);
    /// # });
    /// ```
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, is_wanted: F) -> WaitFor<'_, T, F> {
        WaitFor { changed: self.changed(), is_wanted, is_first: true }
    }

    /// Whether both follow one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    fn is_behind(&self) -> bool {
        self.seen != self.channel.version.get()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.channel.receivers.set(self.channel.receivers.get() + 1);
        Self { channel: self.channel.clone(), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.receivers.set(self.channel.receivers.get() - 1);
        if self.channel.receivers.get() == 0 {
            self.channel.departure.dismiss_all();
        }
    }
}

/// A value as it was when it was borrowed. It may be kept for as long as one likes: a newer value does not wait for it.
pub struct Ref<T> {
    value: Rc<T>,
    has_changed: bool,
}

impl<T> Ref<T> {
    /// Whether the receiver that it was borrowed from had not seen the value.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The future of [`Receiver::changed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Changed<'a, T> {
    receiver: &'a mut Receiver<T>,
    ticket: Ticket,
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { receiver, ticket } = &mut *self;
        let enter = || receiver.has_changed() != Ok(false);
        let changes = &receiver.channel.changes;
        ready!(changes.poll(ticket, 0, cx, "watch::Changed", || { enter().then_some(Outcome::Dismissed) }));
        let result = receiver.has_changed().map(drop);
        receiver.mark_unchanged();
        Poll::Ready(result)
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        drop(self.receiver.channel.changes.leave(&mut self.ticket));
    }
}

/// The future of [`Receiver::wait_for`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct WaitFor<'a, T, F> {
    changed: Changed<'a, T>,
    is_wanted: F,
    /// Whether the present value is still to be looked at.
    is_first: bool,
}

// Nothing in it is ever pinned.
impl<T, F> Unpin for WaitFor<'_, T, F> {}

impl<T, F: FnMut(&T) -> bool> Future for WaitFor<'_, T, F> {
    type Output = Result<Ref<T>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if self.is_first {
                ready!(budget::poll(cx));
                budget::spend();
                self.is_first = false;
            } else {
                ready!(Pin::new(&mut self.changed).poll(cx))?;
            }
            let value = self.changed.receiver.borrow_and_update();
            if (self.is_wanted)(&value) {
                self.changed.ticket = Ticket::Spent;
                return Poll::Ready(Ok(value));
            }
            self.changed.ticket = Ticket::New;
        }
    }
}

/// The future of [`Sender::closed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    channel: &'a Channel<T>,
    ticket: Ticket,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { channel, ticket } = &mut *self;
        let enter = || (channel.receivers.get() == 0).then_some(Outcome::Dismissed);
        channel.departure.poll(ticket, 0, cx, "watch::Closed", enter).map(drop)
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        drop(self.channel.departure.leave(&mut self.ticket));
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("version", &self.version.get()).finish_non_exhaustive()
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

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// All senders have gone, and the last value was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError(());

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all senders have gone")
    }
}

impl std::error::Error for RecvError {}
