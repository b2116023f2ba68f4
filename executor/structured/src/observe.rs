//! Observing and catching: what a body can know and do about its own cancellation.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Instant, current_task, keep, question};
use pin_project_lite::pin_project;

use crate::node::{Kind, Node};
use crate::polls;
use crate::reason::{CancelReason, Cancelled};
use crate::scoped::{Outcome, Scoped, deadline_reason};

/// Whether the innermost scope is cancelled, by itself or by what is around it; never within a shield.
///
/// For bodies that compute for long between two suspensions.
pub fn is_cancelled() -> bool {
    polls::reason().is_some()
}

/// The earliest deadline that holds here; [`Instant::NEVER`] if there is none, and [`Instant::START`] if the scope is cancelled
/// already. Deadlines outside a shield do not hold within it.
///
/// ```
/// use handcar_structured::{Instant, effective_deadline, run, timeout};
/// use std::time::Duration;
///
/// run(async {
///     assert_eq!(effective_deadline(), Instant::NEVER);
///     let inner = timeout(Duration::from_secs(9), async { effective_deadline() });
///     let outer = timeout(Duration::from_secs(3), inner).await.unwrap().unwrap();
///     assert!(outer - Instant::now() <= Duration::from_secs(3));
/// });
/// ```
pub fn effective_deadline() -> Instant {
    if is_cancelled() { Instant::START } else { polls::deadline() }
}

/// Waits until the innermost scope is cancelled, and returns why.
///
/// What comes after it runs up to the next suspension; there the scope drops the body. Within a shield it waits until the
/// shield ends.
///
/// ```
/// use handcar_structured::{cancelled, run, sleep, spawn};
///
/// run(async {
///     let task = spawn(async { cancelled().await.to_string() });
///     sleep(std::time::Duration::ZERO).await;
///     task.cancel();
///     assert!(task.await.unwrap().starts_with("cancelled at"));
/// });
/// ```
///
/// # Cancel safety
///
/// There is nothing to lose.
#[track_caller]
pub fn cancelled() -> WaitCancelled {
    WaitCancelled { unpolled: Unpolled::new(&"cancelled"), seat: None }
}

/// Waits for a cancel. Made by [`cancelled`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct WaitCancelled {
    unpolled: Unpolled,
    /// Where its waker stands.
    seat: Option<(Rc<Node>, usize)>,
}

impl WaitCancelled {
    /// For a future that has it polled, or not.
    pub(crate) fn new() -> WaitCancelled {
        WaitCancelled { unpolled: Unpolled::known(), seat: None }
    }

    fn leave(&mut self) {
        if let Some((node, key)) = self.seat.take() {
            node.forget_observer(key);
        }
    }
}

impl Future for WaitCancelled {
    type Output = CancelReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CancelReason> {
        self.unpolled.forget();
        if let Some(reason) = polls::reason() {
            self.leave();
            return Poll::Ready(reason);
        }
        let Some(node) = polls::attach() else { return Poll::Pending };
        if self.seat.as_ref().is_some_and(|(seat, _)| !Rc::ptr_eq(seat, &node)) {
            self.leave();
        }
        let waker = keep(cx.waker());
        // The clone, and the drop of the waker in another scope, were a stranger's code.
        if let Some(reason) = polls::reason() {
            self.leave();
            return Poll::Ready(reason);
        }
        let key = node.observe(self.seat.as_ref().map(|(_, key)| *key), waker);
        if question::is_question() {
            // A task's node has no line of its own: it was made within this crate.
            let at = match current_task() {
                Some(task) if node.kind == Kind::Task => task.spawned_at,
                _ => node.at,
            };
            question::answer(format!("a cancel of the scope made at {at}"));
        }
        self.seat = Some((node, key));
        Poll::Pending
    }
}

impl Drop for WaitCancelled {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for WaitCancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitCancelled")
    }
}

/// Catches a cancel: only `future` is dropped, and the code after it runs up to the next suspension.
///
/// It catches a cancel that comes while it runs. Begun under one that has come already, it is as if it were not there; so a
/// loop around it ends. It awaits the cleanups of `future` before it returns.
///
/// ```
/// use handcar_structured::{cancellable, run, sleep, spawn};
/// use std::time::Duration;
///
/// run(async {
///     let task = spawn(async {
///         match cancellable(sleep(Duration::MAX)).await {
///             Ok(()) => "slept",
///             Err(_) => "cancelled, and said goodbye",
///         }
///     });
///     sleep(Duration::ZERO).await;
///     task.cancel();
///     assert_eq!(task.await.unwrap(), "cancelled, and said goodbye");
/// });
/// ```
#[track_caller]
pub fn cancellable<F: IntoFuture>(future: F) -> Cancellable<F::IntoFuture> {
    let at = Location::caller();
    let scoped = Scoped::light(Kind::Catch, at, None, future.into_future());
    Cancellable { unpolled: Unpolled::at(&"cancellable", at), mode: Mode::New, at, scoped }
}

enum Mode {
    New,
    /// There was a cancel already.
    Transparent,
    Catching,
}

pin_project! {
    /// Catches a cancel. Made by [`cancellable`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Cancellable<F: Future> {
        unpolled: Unpolled,
        mode: Mode,
        at: &'static Location<'static>,
        #[pin]
        scoped: Scoped<F>,
    }
}

impl<F: Future> Future for Cancellable<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        this.unpolled.forget();
        if let Mode::New = this.mode {
            *this.mode = if polls::reason().is_some() {
                Mode::Transparent
            } else {
                this.scoped.as_mut().node().hold_parent();
                Mode::Catching
            };
        }
        let outcome = match this.mode {
            Mode::Transparent => ready!(this.scoped.poll_bare(cx)),
            Mode::New | Mode::Catching => ready!(this.scoped.poll(cx)),
        };
        Poll::Ready(match outcome {
            Outcome::Value(value) => Ok(value),
            Outcome::Panicked(panic) => panic.resume(),
            Outcome::Cancelled(reason) => {
                Err(Cancelled(reason.map_or_else(|| deadline_reason(this.at), |reason| reason.root().clone())))
            }
        })
    }
}

impl<F: Future> fmt::Debug for Cancellable<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancellable")
    }
}
