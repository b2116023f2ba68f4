//! Waiting for a lock: the one future behind `lock`, `read` and `write`.
//!
//! A lock is a semaphore beside a value. What differs is how many of its permits a guard stands for, and how the guard gets at the
//! value; so the future is one, and what it is of is the guard.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::sealed;
use crate::semaphore::Semaphore;
use crate::wait_queue::{Ticket, Wait};

/// A guard of a [`Mutex`](crate::Mutex) or [`RwLock`](crate::RwLock). Implemented here only.
pub trait LockGuard: Sized + sealed::Sealed {
    /// How it holds the lock: by reference, or through an `Rc`.
    type Lock: Clone + Unpin;
    #[doc(hidden)]
    const WAIT: &'static Wait;
    /// Looks at the lock's semaphore, and how many of its permits this takes. (Returning it would bind the value's type to the
    /// borrow.)
    #[doc(hidden)]
    fn with_turns<R>(lock: &Self::Lock, f: impl FnOnce(&Semaphore, usize) -> R) -> R;
    /// Makes the guard of permits that the caller has taken.
    #[doc(hidden)]
    fn new(lock: Self::Lock) -> Self;
}

/// The future of a lock's guard `G`.
#[must_use = "futures do nothing unless awaited"]
pub struct Lock<G: LockGuard> {
    lock: G::Lock,
    ticket: Ticket,
}

impl<G: LockGuard> Lock<G> {
    #[inline]
    #[track_caller]
    pub(crate) fn new(lock: G::Lock) -> Self {
        Self { lock, ticket: Ticket::new() }
    }
}

impl<G: LockGuard> Future for Lock<G> {
    type Output = G;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G> {
        let Self { lock, ticket } = &mut *self;
        let turn = ready!(G::with_turns(lock, |turns, need| turns.poll_acquire(ticket, need, cx, G::WAIT)));
        debug_assert!(turn.is_ok(), "nobody closes the semaphore of a lock");
        Poll::Ready(G::new(lock.clone()))
    }
}

impl<G: LockGuard> Drop for Lock<G> {
    #[inline]
    fn drop(&mut self) {
        let Self { lock, ticket } = self;
        G::with_turns(lock, |turns, need| turns.leave(ticket, need, G::WAIT.call));
    }
}

impl<G: LockGuard> fmt::Debug for Lock<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// Takes the lock if it is free and nobody waits for it.
pub(crate) fn try_lock<G: LockGuard>(lock: G::Lock) -> Result<G, TryLockError> {
    match G::with_turns(&lock, Semaphore::try_take) {
        Ok(()) => Ok(G::new(lock)),
        Err(_) => Err(TryLockError(())),
    }
}

/// The lock is held, or others wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TryLockError(());

says!(TryLockError { _ => "the lock is held or waited for" });
