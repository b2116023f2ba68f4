//! The end of a watch channel that follows the value, and its waits.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use handcar_executor::{budget, question};

use super::error::RecvError;
use super::{CHANGED, Channel, Ref};
use crate::wait_queue::{Outcome, Ticket};

/// The end that follows the value. A clone has seen what the original has.
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(channel: &Rc<Channel<T>>, seen: u64) -> Self {
        channel.receivers.set(channel.receivers.get() + 1);
        channel.closed.clear();
        Self { channel: channel.clone(), seen }
    }

    /// The value. It does not count as seen by this.
    ///
    /// # Panics
    ///
    /// Panics inside the closure of [`send_modify`](super::Sender::send_modify): use its argument.
    #[track_caller]
    pub fn borrow(&self) -> Ref<T> {
        Ref { value: self.channel.value(), has_changed: self.is_behind() }
    }

    /// The value, which counts as seen from now on.
    ///
    /// # Panics
    ///
    /// Panics inside the closure of [`send_modify`](super::Sender::send_modify): use its argument.
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
        if !self.is_behind() && self.is_closed() {
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
    #[track_caller]
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed { receiver: self, what: &"changed", ticket: Ticket::new() }
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
    #[track_caller]
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, is_wanted: F) -> WaitFor<'_, T, F> {
        let changed = Changed { receiver: self, what: &"wait_for", ticket: Ticket::new() };
        WaitFor { changed, is_wanted, is_first: true }
    }

    /// Whether all senders have gone.
    pub fn is_closed(&self) -> bool {
        self.channel.senders.get() == 0
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
        Self::new(&self.channel, self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.receivers.set(self.channel.receivers.get() - 1);
        if self.channel.receivers.get() == 0 {
            self.channel.closed.set();
        }
    }
}

/// The future of [`Receiver::changed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Changed<'a, T> {
    receiver: &'a mut Receiver<T>,
    /// The function that made it, behind a thin pointer.
    what: &'static &'static str,
    ticket: Ticket,
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { receiver, ticket, .. } = &mut *self;
        if !question::has_left() {
            ticket.is_polled();
            return question::suspend_telling(cx, || receiver.channel.waits_for_change());
        }
        let enter = || receiver.has_changed() != Ok(false);
        let changes = &receiver.channel.changes;
        ready!(changes.poll(ticket, cx, &CHANGED, || { enter().then_some(Outcome::Dismissed) }));
        let result = receiver.has_changed().map(drop);
        receiver.mark_unchanged();
        Poll::Ready(result)
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        drop(self.receiver.channel.changes.leave(&mut self.ticket, self.what));
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
                self.changed.ticket.is_polled();
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
            self.changed.ticket = Ticket::New(None);
        }
    }
}

shows!(Receiver<T> is_closed);
