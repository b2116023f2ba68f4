//! The semaphore: a number of permits, and the line of those who wait for some.
//!
//! It is also what most of the crate is made of. A mutex is a semaphore with one permit, a read-write lock one whose writers
//! take all permits, a bounded channel one whose permits are free slots, a queue two of them.
//!
//! Three rules make it fair and lossless:
//!
//! * Permits are handed out in the order of asking. A newcomer never overtakes a waiter, not even if it asks for less than the
//!   head of the line and there would be enough for it; otherwise small requests could starve a big one for ever. (Who asks for
//!   none takes nothing from anybody, and does not wait. So without a free permit there is nothing to hand out.)
//! * Permits go to the waiter when they come free, not when the waiter runs. So nobody can snatch them in between.
//! * A waiter that is dropped hands on what it was granted, at once. And if it was the head and had been granted nothing, the
//!   grants are tried again: it may have asked for so much that it held up everybody behind it.
//!
//! On one thread all of this costs two cells as long as nobody waits: the number of permits and the queue's
//! [gate](crate::wait_queue::Gate).

use std::cell::Cell;
use std::fmt::Write;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use handcar_executor::{budget, question};

use crate::Hold;
use crate::wait_queue::{Gate, Outcome, State, Ticket, Wait, WaitQueue};

mod permit;

pub use permit::{OwnedSemaphorePermit, Permit, SemaphorePermit};

static ACQUIRE: Wait = Wait::new("Acquire", "acquire", "semaphore", "");

/// A counter of permits that can be waited for.
///
/// ```
/// # use std::rc::Rc;
/// # use handcar_sync::Semaphore;
/// # handcar_executor::run(async {
/// let connections = Rc::new(Semaphore::new(3));
/// let one = connections.acquire().await?;
/// let two = connections.clone().acquire_many_owned(2).await?; // may move into a task
/// assert_eq!(connections.available_permits(), 0);
/// drop((one, two));
/// assert_eq!(connections.available_permits(), 3);
/// # Ok::<(), handcar_sync::AcquireError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Semaphore {
    permits: Cell<usize>,
    /// Those in `permits` and those handed out: what [`MAX_PERMITS`](Self::MAX_PERMITS) limits.
    total: Cell<usize>,
    queue: WaitQueue,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// Creates a semaphore with `permits` permits.
    ///
    /// # Panics
    ///
    /// Panics if that is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub const fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX_PERMITS, "a semaphore has at most `MAX_PERMITS` permits");
        Self::new_at(permits, Location::caller())
    }

    /// As if `made_at` had made it, with no more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub(crate) const fn new_at(permits: usize, made_at: &'static Location<'static>) -> Self {
        Self { permits: Cell::new(permits), total: Cell::new(permits), queue: WaitQueue::new_at(made_at) }
    }

    /// Waits for one permit, which comes back when the [`SemaphorePermit`] is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the semaphore is [closed](Self::close), before or while it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and nothing else: permits that it was granted go to the next in line.
    ///
    /// ```
    /// # use handcar_sync::Semaphore;
    /// # handcar_executor::run(async {
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.acquire().await.unwrap();
    /// assert!(semaphore.try_acquire().is_err());
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Self> {
        self.acquire_many(1)
    }

    /// Waits for `n` permits at once, like [`acquire`](Self::acquire).
    ///
    /// More than there are is no error, since [`add_permits`](Self::add_permits) may follow; only above
    /// [`MAX_PERMITS`](Self::MAX_PERMITS), which a `u32` exceeds on 32-bit machines only, it fails at once. No permit at all is there at
    /// once, whoever waits.
    ///
    /// # Errors and cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many(&self, n: u32) -> Acquire<&Self> {
        Acquire { semaphore: self, need: n as usize, ticket: Ticket::new() }
    }

    /// [`acquire`](Self::acquire) for a permit that keeps the semaphore alive and can move into a task.
    ///
    /// # Errors and cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned(self: Rc<Self>) -> Acquire<Rc<Self>> {
        self.acquire_many_owned(1)
    }

    /// [`acquire_many`](Self::acquire_many) for a permit that keeps the semaphore alive and can move into a task.
    ///
    /// # Errors and cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_owned(self: Rc<Self>, n: u32) -> Acquire<Rc<Self>> {
        Acquire { semaphore: self, need: n as usize, ticket: Ticket::new() }
    }

    /// Takes one permit if there is one that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether there was none or the semaphore is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if there are as many that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether there were too few or the semaphore is closed.
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(n as usize).map(|()| Permit::new(self, n as usize))
    }

    /// [`try_acquire`](Self::try_acquire) for an owned permit.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Rc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// [`try_acquire_many`](Self::try_acquire_many) for an owned permit.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Self::try_acquire_many).
    pub fn try_acquire_many_owned(self: Rc<Self>, n: u32) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(n as usize).map(|()| Permit::new(self, n as usize))
    }

    /// Adds `n` new permits, and grants what can be granted.
    ///
    /// ```
    /// # use handcar_sync::Semaphore;
    /// let semaphore = Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert!(semaphore.try_acquire_many(2).is_ok());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the semaphore would have more than [`MAX_PERMITS`](Self::MAX_PERMITS), those handed out included.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        let total = self.total.get().saturating_add(n);
        assert!(
            total <= Self::MAX_PERMITS,
            "`add_permits({n})` would make more than `MAX_PERMITS`; dropping a permit is enough to give it back",
        );
        self.total.set(total);
        self.release(n);
    }

    /// Takes up to `n` free permits away for ever, and says how many it took.
    pub fn forget_permits(&self, n: usize) -> usize {
        let taken = n.min(self.permits.get());
        self.permits.set(self.permits.get() - taken);
        self.total.set(self.total.get() - taken);
        taken
    }

    /// How many permits are free. More than none may be free while somebody waits for even more.
    pub fn available_permits(&self) -> usize {
        self.permits.get()
    }

    /// Closes the semaphore for good: all waiters and everybody who asks later get an error. Permits handed out stay valid.
    ///
    /// ```
    /// # use handcar_sync::Semaphore;
    /// # handcar_executor::run(async {
    /// let semaphore = Semaphore::new(1);
    /// semaphore.close();
    /// assert!(semaphore.acquire().await.is_err());
    /// # });
    /// ```
    pub fn close(&self) {
        self.queue.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    pub(crate) fn made_at(&self) -> &'static Location<'static> {
        self.queue.made_at()
    }

    /// For a deadlock report.
    fn what_for(&self, wait: &'static Wait, need: usize) -> String {
        let mut text = wait.told(self.made_at());
        if std::ptr::eq(wait, &raw const ACQUIRE) {
            let _ = write!(text, ", {} of {} permits free, {need} needed", self.permits.get(), self.total.get());
        }
        text
    }

    /// Takes `need` permits, or waits for them under `ticket`. The one operation that everything above is a face of.
    #[inline]
    pub(crate) fn poll_acquire(
        &self,
        ticket: &mut Ticket,
        need: usize,
        cx: &mut Context<'_>,
        wait: &'static Wait,
    ) -> Poll<Result<(), AcquireError>> {
        if !question::has_left() {
            return self.suspend(ticket, need, cx, wait);
        }
        if !matches!(ticket, Ticket::New(_)) {
            return self.queue.poll_in_line(ticket, cx, wait).map(acquired);
        }
        // Mostly it is the number that says no.
        if self.permits.get() < need || self.try_take(need).is_err() {
            return self.join(ticket, need, cx);
        }
        budget::spend();
        *ticket = Ticket::Spent;
        Poll::Ready(Ok(()))
    }

    /// Joins the line, as a newcomer for whom there were not enough.
    #[cold]
    fn join(&self, ticket: &mut Ticket, need: usize, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        let enter = || match self.try_take(need) {
            Ok(()) => Some(Outcome::Granted),
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => Some(Outcome::Dismissed),
        };
        self.queue.join(ticket, need, cx, enter).map(acquired)
    }

    /// [`poll_acquire`](Self::poll_acquire) by a task that has no budget left: it is only asked what it waits for, or has to yield.
    #[cold]
    fn suspend(
        &self,
        ticket: &mut Ticket,
        need: usize,
        cx: &mut Context<'_>,
        wait: &'static Wait,
    ) -> Poll<Result<(), AcquireError>> {
        if question::is_question() && matches!(ticket, Ticket::New(_)) && self.try_take(need).is_ok() {
            *ticket = Ticket::Spent;
            return Poll::Ready(Ok(()));
        }
        ticket.is_polled();
        question::suspend_telling(cx, || self.what_for(wait, need))
    }

    /// Takes `need` permits without waiting.
    #[inline]
    pub(crate) fn try_take(&self, need: usize) -> Result<(), TryAcquireError> {
        let permits = self.permits.get();
        match self.queue.gate() {
            Gate::Open if need <= permits => {
                self.permits.set(permits - need);
                Ok(())
            }
            Gate::Crowded if need == 0 => Ok(()),
            Gate::Open | Gate::Crowded => Err(TryAcquireError::NoPermits),
            Gate::Closed => Err(TryAcquireError::Closed),
        }
    }

    /// Takes `need` permits, whoever waits.
    fn take_regardless(&self, need: usize) -> bool {
        let left = self.permits.get().checked_sub(need);
        left.inspect(|&left| self.permits.set(left)).is_some()
    }

    /// Gives back `n` permits.
    #[inline]
    pub(crate) fn release(&self, n: usize) {
        self.put_back(n);
        if self.is_crowded() {
            self.grant();
        }
    }

    /// Gives back `n` permits that nobody waits for.
    #[inline]
    pub(crate) fn put_back(&self, n: usize) {
        self.permits.set(self.permits.get() + n);
    }

    /// Whether somebody waits.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.queue.gate() == Gate::Crowded
    }

    /// Gives up a wait for `need` permits, and hands on what it was granted. `what` is the function that made the future.
    #[inline]
    pub(crate) fn leave(&self, ticket: &mut Ticket, need: usize, what: &'static str) {
        if !matches!(ticket, Ticket::Spent) {
            self.leave_queue(ticket, need, what);
        }
    }

    #[cold]
    fn leave_queue(&self, ticket: &mut Ticket, need: usize, what: &'static str) {
        // Dropped at the end of this function: it may hold a waker.
        let left = self.queue.leave(ticket, what);
        let unused = if let Some(State::Settled(Outcome::Granted)) = left { need } else { 0 };
        self.release(unused);
    }

    #[cold]
    fn grant(&self) {
        while self.permits.get() > 0 && self.queue.settle_head(|need| self.take_regardless(need)) {}
    }
}

fn acquired(outcome: Outcome) -> Result<(), AcquireError> {
    if outcome == Outcome::Granted { Ok(()) } else { Err(AcquireError(())) }
}

/// Whether a `u32` can be more than `MAX_PERMITS`: on machines of 32 bits.
const CAN_EXCEED: bool = u32::MAX as usize > Semaphore::MAX_PERMITS;

/// The future of [`Semaphore::acquire`] and its kin.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<S: Hold<Semaphore>> {
    semaphore: S,
    need: usize,
    ticket: Ticket,
}

impl<S: Hold<Semaphore>> Future for Acquire<S> {
    type Output = Result<Permit<S>, AcquireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, need, ticket } = &mut *self;
        if CAN_EXCEED && *need > Semaphore::MAX_PERMITS {
            ticket.refuse();
        }
        let permits = ready!(semaphore.poll_acquire(ticket, *need, cx, &ACQUIRE));
        Poll::Ready(permits.map(|()| Permit::new(semaphore.clone(), *need)))
    }
}

impl<S: Hold<Semaphore>> Drop for Acquire<S> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.leave(&mut self.ticket, self.need, "acquire");
    }
}

/// The semaphore has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquireError(());

says!(AcquireError { _ => "the semaphore is closed" });

/// Why [`Semaphore::try_acquire`] took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore has been closed.
    Closed,
    /// There are too few permits, or others wait for them.
    NoPermits,
}

says!(TryAcquireError {
    Self::Closed => "the semaphore is closed",
    Self::NoPermits => "too few permits are free"
});
