//! The event: a flag that can be waited for. (asyncio's `Event`; tokio has none.)

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wait_queue::{Outcome, Ticket, Wait, WaitQueue};

static WAIT: Wait = Wait::new("EventWait", "wait", "event", ", which is not set");

/// A flag that any number of tasks wait for until somebody sets it.
///
/// Setting releases all who wait at that moment, for good: a [`clear`](Self::clear) right after it does not take the wake
/// back from those that have not run yet.
///
/// ```
/// # use handcar_sync::Event;
/// # handcar_executor::run(async {
/// let ready = Event::new();
/// ready.set();
/// ready.wait().await;
/// ready.clear();
/// assert!(!ready.is_set());
/// # });
/// ```
#[derive(Debug)]
pub struct Event {
    is_set: Cell<bool>,
    queue: WaitQueue,
}

impl Event {
    /// Creates an event that is not set.
    #[track_caller]
    pub const fn new() -> Self {
        Self { is_set: Cell::new(false), queue: WaitQueue::new() }
    }

    /// As if `made_at` had made it.
    pub(crate) const fn new_at(made_at: &'static Location<'static>) -> Self {
        Self { is_set: Cell::new(false), queue: WaitQueue::new_at(made_at) }
    }

    #[track_caller]
    pub(crate) const fn new_set() -> Self {
        Self { is_set: Cell::new(true), queue: WaitQueue::new() }
    }

    /// Sets the flag and releases all who wait.
    pub fn set(&self) {
        self.is_set.set(true);
        self.queue.dismiss_all();
    }

    /// Clears the flag: who comes from now on waits.
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until the flag is set; if it is, not at all.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    #[track_caller]
    pub fn wait(&self) -> EventWait<'_> {
        self.wait_as(&WAIT)
    }

    /// [`wait`](Self::wait) by another name, for what has an event inside.
    #[track_caller]
    pub(crate) const fn wait_as(&self, wait: &'static Wait) -> EventWait<'_> {
        EventWait { event: self, ticket: Ticket::new(), wait }
    }
}

impl Default for Event {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// The future of [`Event::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct EventWait<'a> {
    event: &'a Event,
    ticket: Ticket,
    wait: &'static Wait,
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { event: Event { is_set, queue }, ticket, wait } = &mut *self;
        let enter = || is_set.get().then_some(Outcome::Dismissed);
        queue.poll(ticket, cx, wait, enter).map(drop)
    }
}

impl Drop for EventWait<'_> {
    fn drop(&mut self) {
        drop(self.event.queue.leave(&mut self.ticket, self.wait.call));
    }
}
