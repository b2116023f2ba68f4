//! Cancel scopes as values: a body that can be cancelled, by hand, by another thread or by a deadline.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use handcar_executor::layer::Alarm;
use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Instant, budget, question};
use pin_project_lite::pin_project;

use crate::node::{Kind, Node};
use crate::reason::{CancelKind, CancelReason, Cancelled};
use crate::scoped::{Outcome, Scoped, deadline_reason};
use crate::token::CancelToken;

/// A scope that can be cancelled from outside its body. Clones are the same scope.
///
/// ```
/// use handcar_structured::{CancelScope, run, sleep, spawn};
/// use std::time::Duration;
///
/// run(async {
///     let scope = CancelScope::new();
///     let canceller = scope.clone();
///     spawn(async move { canceller.cancel(); }).detach_ignoring();
///     assert!(scope.run(sleep(Duration::MAX)).await.is_err());
///     assert!(scope.cancelled_caught());
/// });
/// ```
#[derive(Clone)]
pub struct CancelScope {
    node: Rc<Node>,
    facts: Rc<Facts>,
}

#[derive(Default)]
struct Facts {
    used: Cell<bool>,
    caught: Cell<bool>,
}

impl CancelScope {
    /// One without a deadline.
    #[track_caller]
    pub fn new() -> CancelScope {
        CancelScope::make(None, Location::caller())
    }

    /// One that is cancelled at `deadline`.
    #[track_caller]
    pub fn with_deadline(deadline: Instant) -> CancelScope {
        CancelScope::make(Some(deadline), Location::caller())
    }

    fn make(deadline: Option<Instant>, at: &'static Location<'static>) -> CancelScope {
        CancelScope { node: Node::new(Kind::Scope, at, None, deadline.map(Alarm::at)), facts: Rc::default() }
    }

    /// Sets how long its cleanups, and what it shields, may take once it is cancelled; `None`: without bound. Without this it
    /// is what holds around it, in the end the runtime's grace period.
    pub fn grace(self, grace: Option<Duration>) -> CancelScope {
        self.node.set_grace(grace);
        self
    }

    /// Runs `body` in this scope, once.
    ///
    /// The future returns an error if the scope was cancelled and the body did not complete nevertheless.
    ///
    /// # Panics
    ///
    /// If it is called twice on one scope. The future panics as the body does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the body, and hands its cleanups to the scope around.
    #[track_caller]
    pub fn run<F: IntoFuture>(&self, body: F) -> RunScope<F::IntoFuture> {
        assert!(!self.facts.used.replace(true), "a cancel scope runs one body only: make a new scope for each");
        let scoped = Scoped::heavy(Rc::clone(&self.node), body.into_future());
        RunScope { unpolled: Unpolled::new(&"CancelScope::run"), scoped, facts: Rc::clone(&self.facts) }
    }

    /// Cancels it. False if it was cancelled before, or has ended.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.cancel_with(CancelReason::of(CancelKind::Explicit, Location::caller()))
    }

    /// As [`cancel`](CancelScope::cancel), for `reason`.
    pub fn cancel_with(&self, reason: CancelReason) -> bool {
        self.node.cancel(reason)
    }

    /// Moves the deadline; `None` is never. Too late once the scope is cancelled.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.node.set_deadline(deadline);
    }

    /// The deadline.
    pub fn deadline(&self) -> Instant {
        self.node.deadline()
    }

    /// Whether this scope was cancelled, by a call or by its deadline.
    pub fn cancel_called(&self) -> bool {
        self.node.is_cancelled_itself()
    }

    /// Whether it has ended because it was cancelled: a body that completed nevertheless was not caught.
    pub fn cancelled_caught(&self) -> bool {
        self.facts.caught.get()
    }

    /// Why this scope was cancelled, if it was.
    pub fn reason(&self) -> Option<CancelReason> {
        self.node.own_reason()
    }

    /// What other threads can cancel it with.
    pub fn token(&self) -> CancelToken {
        CancelToken::new(self.node.token())
    }
}

impl Default for CancelScope {
    #[track_caller]
    fn default() -> CancelScope {
        CancelScope::new()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelScope(made at {}, cancelled: {})", self.node.at, self.cancel_called())
    }
}

pin_project! {
    /// Runs a body in a scope. Made by [`CancelScope::run`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct RunScope<F: Future> {
        unpolled: Unpolled,
        #[pin]
        scoped: Scoped<F>,
        facts: Rc<Facts>,
    }
}

impl<F: Future> Future for RunScope<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.unpolled.forget();
        ready!(question::poll_around(cx));
        Poll::Ready(match ready!(this.scoped.poll(cx)) {
            Outcome::Value(value) => Ok(value),
            Outcome::Panicked(panic) => panic.resume(),
            Outcome::Cancelled(reason) => {
                budget::spend();
                this.facts.caught.set(true);
                Err(Cancelled(reason.unwrap_or_else(|| deadline_reason(Location::caller()))))
            }
        })
    }
}

impl<F: Future> fmt::Debug for RunScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunScope")
    }
}

/// Runs `body` in a scope of its own: its cleanups have ended when this has.
///
/// ```
/// use handcar_structured::{defer, run, scope_of};
///
/// run(async {
///     let value = scope_of(async {
///         let _guard = defer(async { /* awaited before the 7 is there */ });
///         7
///     });
///     assert_eq!(value.await.unwrap(), 7);
/// });
/// ```
#[track_caller]
pub fn scope_of<F: IntoFuture>(body: F) -> RunScope<F::IntoFuture> {
    CancelScope::make(None, Location::caller()).run(body)
}
