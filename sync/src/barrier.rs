//! The barrier: a number of tasks that go on together.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::question;

use crate::wait_queue::{Outcome, State, Ticket, Wait, WaitQueue};

static WAIT: Wait = Wait::new("BarrierWait", "wait", "barrier", "");

/// Lets tasks wait until a given number of them have come.
///
/// ```
/// # use handcar_sync::Barrier;
/// # handcar_executor::run(async {
/// let barrier = Barrier::new(2);
/// let (one, other) = futures::join!(barrier.wait(), barrier.wait());
/// assert!(one.is_leader() != other.is_leader());
/// # });
/// ```
#[derive(Debug)]
pub struct Barrier {
    size: usize,
    /// How many of the present round are waiting.
    arrived: Cell<usize>,
    queue: WaitQueue,
}

impl Barrier {
    /// Creates a barrier for groups of `size`; 0 counts as 1.
    #[track_caller]
    pub const fn new(size: usize) -> Self {
        let size = if size == 0 { 1 } else { size };
        Self { size, arrived: Cell::new(0), queue: WaitQueue::new() }
    }

    /// Waits until the group is complete. The one that completes it is the leader; after that the next group forms.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before the group is complete takes it out of the group: another one has to come in its place.
    #[track_caller]
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait { barrier: self, ticket: Ticket::new() }
    }

    fn complete(&self) -> Option<Outcome> {
        if self.arrived.get() + 1 < self.size {
            return None;
        }
        self.arrived.set(0);
        self.queue.dismiss_all();
        Some(Outcome::Granted)
    }

    /// For a deadlock report.
    fn what_for(&self) -> String {
        format!("{}, where {} of {} have arrived", WAIT.told(self.queue.made_at()), self.arrived.get(), self.size)
    }
}

/// The future of [`Barrier::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct BarrierWait<'a> {
    barrier: &'a Barrier,
    ticket: Ticket,
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let barrier = self.barrier;
        let is_new = matches!(self.ticket, Ticket::New(_));
        if !question::has_left() {
            self.ticket.is_polled();
            return question::suspend_telling(cx, || barrier.what_for());
        }
        let poll = barrier.queue.poll(&mut self.ticket, cx, &WAIT, || barrier.complete());
        if is_new && matches!(self.ticket, Ticket::Waiting(_)) {
            barrier.arrived.set(barrier.arrived.get() + 1);
        }
        poll.map(|outcome| BarrierWaitResult { is_leader: outcome == Outcome::Granted })
    }
}

impl Drop for BarrierWait<'_> {
    fn drop(&mut self) {
        let barrier = self.barrier;
        let left = barrier.queue.leave(&mut self.ticket, "wait");
        if matches!(left, Some(State::Waiting(_))) {
            barrier.arrived.set(barrier.arrived.get() - 1);
        }
    }
}

/// What [`Barrier::wait`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Whether this is the one that completed the group.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}
