//! The waker cell: the wait queue of a side that only ever has one waiter, such as a channel's receiver.
//!
//! It is a `Cell` and not a `RefCell`: a waker is taken out before anything is done with it, and so nothing is ever borrowed while
//! the waker's own code runs.

use std::cell::Cell;
use std::fmt;
use std::task::Waker;

use handcar_executor::{keep, keep_plain};

use crate::wait_queue::wake;

/// The waker of whoever waits on this side.
#[derive(Default)]
pub(crate) struct WakerCell(Cell<Option<Waker>>);

impl WakerCell {
    /// Sees to it that the next [`wake`](Self::wake) reaches `waker`. Foreign code may run: look again afterwards.
    pub(crate) fn register(&self, waker: &Waker) {
        let old = self.0.take();
        if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.0.set(old);
        } else {
            self.0.set(Some(keep(waker)));
        }
    }

    /// As [`register`](Self::register), if that runs no foreign code: nobody waits here yet, and `waker` is no stranger's.
    #[inline]
    pub(crate) fn register_first(&self, waker: &Waker) -> bool {
        let old = self.0.take();
        let first = if old.is_none() { keep_plain(waker) } else { None };
        let is_first = first.is_some();
        self.0.set(first.or(old));
        is_first
    }

    /// Puts a waker in, for a caller that has cloned it beforehand; the old one is to be dropped when all is done.
    #[must_use]
    pub(crate) fn replace(&self, waker: Waker) -> Self {
        Self(Cell::new(self.0.replace(Some(waker))))
    }

    #[inline]
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            wake_apart(waker);
        }
    }

    /// Takes the registration out, to be woken or dropped when the cell itself may be gone.
    pub(crate) fn take(&self) -> Self {
        Self(Cell::new(self.0.take()))
    }
}

/// [`wake`], apart from the fast paths that end in it, which so need neither a landing pad nor a frame.
#[inline(never)]
fn wake_apart(waker: Waker) {
    wake(waker);
}

impl fmt::Debug for WakerCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakerCell").finish_non_exhaustive()
    }
}
