//! The notification: "look again", without a message.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::Hold;
use crate::wait_queue::{Gate, Outcome, State, Ticket, Wait, WaitQueue};

static NOTIFIED: Wait = Wait::new("Notified", "notified", "notify", "");

/// Notifies one waiter or all of them.
///
/// [`notify_one`](Self::notify_one) reaches exactly one: the first who waits, or else the next who comes. A notified waiter that
/// is dropped before it has run passes the notification on. [`notify_waiters`](Self::notify_waiters) reaches every future that
/// [`notified`](Self::notified) has made so far, polled or not, and nobody who comes later.
///
/// ```
/// # use handcar_sync::Notify;
/// # handcar_executor::run(async {
/// let changed = Notify::new();
/// changed.notify_one();
/// changed.notified().await; // the notification was kept for it
/// # });
/// ```
#[derive(Debug)]
pub struct Notify {
    /// One notification is kept while nobody waits, however many were given.
    kept: Cell<bool>,
    /// How often `notify_waiters` was called.
    calls: Cell<u64>,
    queue: WaitQueue,
}

impl Notify {
    /// Creates one with no notification kept.
    #[track_caller]
    pub const fn new() -> Self {
        Self { kept: Cell::new(false), calls: Cell::new(0), queue: WaitQueue::new() }
    }

    /// Notifies the first who waits; if nobody does, the next who comes.
    pub fn notify_one(&self) {
        if self.queue.gate() == Gate::Open || !self.queue.grant_one() {
            self.kept.set(true);
        }
    }

    /// Notifies the last who waits in place of the first; if nobody does, the next who comes.
    ///
    /// Should that one be dropped before it has run, the notification goes to the first.
    pub fn notify_last(&self) {
        if self.queue.gate() == Gate::Open || !self.queue.grant_last() {
            self.kept.set(true);
        }
    }

    /// Notifies every future that [`notified`](Self::notified) has made so far.
    ///
    /// ```
    /// # use handcar_sync::Notify;
    /// # handcar_executor::run(async {
    /// let notify = Notify::new();
    /// let (one, other) = (notify.notified(), notify.notified());
    /// notify.notify_waiters();
    /// futures::join!(one, other);
    /// # });
    /// ```
    pub fn notify_waiters(&self) {
        self.calls.set(self.calls.get() + 1);
        self.queue.dismiss_all();
    }

    /// Waits for a notification.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future passes on the notification that it had got from `notify_one`, and loses its place in the line.
    #[track_caller]
    pub fn notified(&self) -> Notified<&Self> {
        Notified { notify: self, calls: self.calls.get(), ticket: Ticket::new() }
    }

    /// [`notified`](Self::notified) for a future that keeps the `Notify` alive.
    ///
    /// # Cancel safety
    ///
    /// As [`notified`](Self::notified).
    #[track_caller]
    pub fn notified_owned(self: Rc<Self>) -> Notified<Rc<Self>> {
        let calls = self.calls.get();
        Notified { notify: self, calls, ticket: Ticket::new() }
    }

    /// What there is for one who comes, and was made when `notify_waiters` had been called so often.
    fn enter(&self, calls: u64) -> Option<Outcome> {
        if self.calls.get() != calls {
            return Some(Outcome::Dismissed);
        }
        self.kept.replace(false).then_some(Outcome::Granted)
    }
}

impl Default for Notify {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// The future of [`Notify::notified`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<N: Hold<Notify>> {
    notify: N,
    /// What the count of calls was when this was made.
    calls: u64,
    ticket: Ticket,
}

impl<N: Hold<Notify>> Notified<N> {
    /// Takes its place in the line now, and not when it is first polled; says whether it is notified already.
    ///
    /// So one can look at what one waits for between this and the wait, and miss nothing.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use handcar_sync::Notify;
    /// # handcar_executor::run(async {
    /// let notify = Notify::new();
    /// let mut notified = pin!(notify.notified());
    /// assert!(!notified.as_mut().enable());
    /// notify.notify_one(); // goes to `notified`, although it was never polled
    /// assert!(notified.as_mut().enable());
    /// notified.await;
    /// # });
    /// ```
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        let Self { notify, calls, ticket } = &mut *self;
        notify.queue.enable(ticket, || notify.enter(*calls))
    }
}

impl<N: Hold<Notify>> Future for Notified<N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { notify, calls, ticket } = &mut *self;
        notify.queue.poll(ticket, cx, &NOTIFIED, || notify.enter(*calls)).map(drop)
    }
}

impl<N: Hold<Notify>> Drop for Notified<N> {
    fn drop(&mut self) {
        let left = self.notify.queue.leave(&mut self.ticket, "notified");
        if let Some(State::Settled(Outcome::Granted)) = left {
            self.notify.notify_one();
        }
    }
}
