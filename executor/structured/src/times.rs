//! Times: the deadline of a scope, and the grace period of one that was cancelled.
//!
//! ```text
//!     deadline ------ it comes, or a cancel does ------> grace period ------ it is over ------> what is left is cut
//!      ^      |
//!      '------' moved, by whoever holds the scope
//! ```
//!
//! Whoever polls the scope looks at the clock. The grace period counts from the first look after the cancel.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::task::Context as Polling;
use std::time::Duration;

use handcar_executor::Instant;
use handcar_executor::layer::{self, Alarm};

use crate::node::Node;
use crate::reason::{CancelKind, CancelReason};

/// The grace period where no runtime says another.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// How long what was cancelled may take to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grace {
    #[default]
    OfRuntime,
    Set(Option<Duration>),
}

/// A node's deadline, then its grace period.
#[derive(Default)]
pub(crate) struct Times {
    deadline: Option<Alarm>,
    grace: Option<Alarm>,
    /// The deadline is being polled, outside the borrow, and comes back unless it is changed meanwhile.
    lent: bool,
    /// The grace period is over.
    over: bool,
}

impl Times {
    pub(crate) fn until(deadline: Option<Alarm>) -> Times {
        Times { deadline, ..Times::default() }
    }
}

/// A deadline that is polled outside the borrow. It goes back, also when a stranger's waker panics as it is cloned, but not if another
/// one was set meanwhile.
struct LentDeadline<'a> {
    clock: &'a RefCell<Times>,
    alarm: Option<Alarm>,
}

impl LentDeadline<'_> {
    fn new(clock: &RefCell<Times>) -> LentDeadline<'_> {
        let alarm = clock.borrow_mut().deadline.take();
        clock.borrow_mut().lent = alarm.is_some();
        LentDeadline { clock, alarm }
    }
}

impl Drop for LentDeadline<'_> {
    fn drop(&mut self) {
        let mut clock = self.clock.borrow_mut();
        if mem::take(&mut clock.lent) {
            mem::swap(&mut clock.deadline, &mut self.alarm);
        }
    }
}

impl Node {
    pub(crate) fn set_grace(&self, grace: Option<Duration>) {
        self.grace.set(Grace::Set(grace));
        self.sets_grace.set(true);
    }

    /// Its own grace period, or the nearest one around it, or the runtime's; at the runtime's end never longer than that.
    fn grace(&self) -> Option<Duration> {
        let of_runtime = layer::grace().unwrap_or(Some(DEFAULT_GRACE));
        let set = match self.grace.get() {
            Grace::Set(grace) => grace,
            Grace::OfRuntime => of_runtime,
        };
        let at_the_end = self.own_reason().is_some_and(|own| matches!(own.kind(), CancelKind::Shutdown));
        match (set, of_runtime) {
            (None, of_runtime) if at_the_end => of_runtime,
            (Some(set), Some(of_runtime)) if at_the_end => Some(set.min(of_runtime)),
            (set, _) => set,
        }
    }

    /// Looks at the clock: a deadline that has passed cancels, and a scope that is cancelled itself counts its grace period.
    pub(crate) fn look_at_clock(self: &Rc<Node>, cx: &mut Polling<'_>) {
        if !self.is_cancelled_itself() {
            // Polled outside the borrow: it clones a waker, which may be a stranger's.
            let mut lent = LentDeadline::new(&self.clock);
            let has_come = lent.alarm.as_mut().is_some_and(|alarm| alarm.poll(cx).is_ready());
            let has_come = has_come && self.clock.borrow().lent; // it may have been taken away meanwhile
            drop(lent);
            if !has_come {
                return;
            }
            self.cancel(CancelReason::of(CancelKind::Deadline, self.at));
        }
        self.look_at_grace(cx);
    }

    fn look_at_grace(&self, cx: &mut Polling<'_>) {
        if self.clock.borrow().over {
            return;
        }
        let (deadline, grace) = {
            let mut clock = self.clock.borrow_mut();
            (clock.deadline.take(), clock.grace.take())
        };
        drop(deadline);
        let mut grace = grace.unwrap_or_else(|| self.grace().map_or_else(|| Alarm::at(Instant::NEVER), Alarm::after));
        let polled = catch_unwind(AssertUnwindSafe(|| grace.poll(cx).is_ready())); // a stranger's waker may panic
        self.clock.borrow_mut().grace = Some(grace);
        self.clock.borrow_mut().over = polled.unwrap_or_else(|payload| resume_unwind(payload));
    }

    pub(crate) fn is_grace_over(&self) -> bool {
        self.clock.borrow().over
    }

    /// Whether the grace period of something around it, up to its task, is over.
    pub(crate) fn is_grace_over_around(&self) -> bool {
        let mut node = self.parent();
        while let Some(this) = node {
            if this.is_grace_over() {
                return true;
            }
            node = this.parent();
        }
        false
    }

    /// Moves the deadline; its wrapper arms it.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        if self.is_closed() || self.is_cancelled_itself() {
            return;
        }
        let mut alarm = deadline.map(Alarm::at);
        let mut clock = self.clock.borrow_mut();
        mem::swap(&mut clock.deadline, &mut alarm);
        clock.lent = false;
        drop(clock);
        drop(alarm);
        self.wake_wrapper();
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.clock.borrow().deadline.as_ref().map_or(Instant::NEVER, Alarm::deadline)
    }

    /// The earliest deadline from here to the next shield.
    pub(crate) fn effective_deadline(&self) -> Instant {
        let mut earliest = Instant::NEVER;
        let mut node = None;
        loop {
            let this = node.as_deref().unwrap_or(self);
            if this.kind.is_shield() {
                return earliest;
            }
            earliest = earliest.min(if this.is_cancelled() { Instant::START } else { this.deadline() });
            match this.parent() {
                Some(parent) => node = Some(parent),
                None => return earliest,
            }
        }
    }

    /// Cancels it and what is around it, up to the next shield, where a deadline has passed. True if one had.
    pub(crate) fn cancel_expired(self: &Rc<Node>) -> bool {
        let Some(now) = layer::looked_at() else { return false };
        let mut any = false;
        let mut node = Some(Rc::clone(self));
        while let Some(this) = node
            && !this.kind.is_shield()
        {
            if this.deadline() <= now {
                any |= this.cancel(CancelReason::of(CancelKind::Deadline, this.at));
            }
            node = this.parent();
        }
        any
    }
}
