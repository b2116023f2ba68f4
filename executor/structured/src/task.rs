//! Tasks: each is a scope, at the price of one comparison a poll.
//!
//! The future that the kernel polls is this wrapper, in the task's one allocation. It has no frame on the poll stack and no
//! node until something in the task attaches to its scope; then the thread's attention says so (see
//! [`layer`](handcar_executor::layer)). Nor does it catch a panic of the body: the loop does, and polls the wrapper once more.
//!
//! ```text
//!     plain -- something attached --> with a node, which the kernel keeps: the rule (scoped.rs)
//!      |                               |
//!      | cancelled: polled once more,  | cancelled, or it panics
//!      v dropped; never polled if new  v
//!     ended                           ended
//!      ^
//!      '-- panicked: dealt with in the one more poll
//! ```
//!
//! The child of a group is much the same, but always has a frame, which names its group: `group_child.rs`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{self as kernel, layer};
use pin_project_lite::pin_project;

use crate::context;
use crate::node::Node;
use crate::polls;
use crate::reason::CancelReason;
use crate::scoped::{Outcome, Stage, close, drain_from, drop_body, drop_node, poll_body, poll_node};

pin_project! {
    /// What the kernel polls.
    pub(crate) struct Task<F: Future> {
        // In this order: what the body's destructor has attached is closed after it.
        #[pin]
        stage: Stage<F>,
        close: CloseAttached,
    }

    impl<F: Future> PinnedDrop for Task<F> {
        fn drop(this: Pin<&mut Self>) {
            if layer::attention() & (layer::CUT | layer::KEPT) != 0 {
                cut(this.project().stage);
            }
        }
    }
}

/// Drops a task that may have a node, which is closed then: it is cut, or its wrapper itself has panicked.
#[cold]
fn cut<F: Future>(mut stage: Pin<&mut Stage<F>>) {
    match take_kept() {
        Some(node) => drop_node(&node, stage),
        None => stage.set(Stage::Over),
    }
}

/// Closes what the body's destructor has attached, also if that panics.
struct CloseAttached;

impl Drop for CloseAttached {
    #[inline]
    fn drop(&mut self) {
        if let Some(node) = attached() {
            close(&node);
        }
    }
}

/// The output of a task: its value, or why it was cancelled.
pub(crate) type Ended<T> = Result<T, CancelReason>;

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Task<F> {
        Task { stage: Stage::Body { body: future }, close: CloseAttached }
    }
}

/// Has a task that was just spawned inherit the context variables.
#[inline]
pub(crate) fn inherit<T>(task: &kernel::JoinHandle<T>) {
    #[cold]
    fn keep(task: &kernel::AbortHandle) {
        if let Some(node) = context::inheriting() {
            layer::keep_with(task, node);
        }
    }
    if context::is_set() {
        keep(&task.abort_handle());
    }
}

impl<F: Future> Future for Task<F> {
    type Output = Ended<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        if layer::attention() & !layer::FLAGGED != 0 {
            return poll_rarely(stage, cx).map(end);
        }
        let polled = poll_body(stage.as_mut(), cx);
        if layer::attention() == 0 {
            return polled.map(Ok); // what is left of the body goes with the task
        }
        attend(stage, stepped(polled), cx).map(end)
    }
}

#[cold]
fn end<T>(outcome: Outcome<T>) -> Ended<T> {
    match outcome {
        Outcome::Value(value) => Ok(value),
        Outcome::Panicked(panic) => layer::end_with(panic),
        Outcome::Cancelled(reason) => Err(reason.unwrap_or_else(flagged)),
    }
}

fn stepped<T>(polled: Poll<T>) -> Option<Outcome<T>> {
    match polled {
        Poll::Ready(value) => Some(Outcome::Value(value)),
        Poll::Pending => None,
    }
}

/// Why the task that is being polled was cancelled.
#[track_caller]
fn flagged() -> CancelReason {
    polls::task_reason(None).unwrap_or_default()
}

/// The node that something has attached in this poll.
#[inline]
fn attached() -> Option<Rc<Node>> {
    if layer::attention() & layer::ATTACHED == 0 { None } else { take_attached() }
}

#[cold]
fn take_attached() -> Option<Rc<Node>> {
    let node = polls::take_task()?;
    layer::set_attention(layer::attention() & !layer::ATTACHED);
    Some(node)
}

/// The node that the task has from earlier polls.
fn kept() -> Option<Rc<Node>> {
    layer::kept()?.downcast().ok()
}

fn take_kept() -> Option<Rc<Node>> {
    layer::keep(None)?.downcast().ok()
}

/// A plain task was polled, and something happened to it.
#[cold]
fn attend<F: Future>(
    mut stage: Pin<&mut Stage<F>>,
    mut stepped: Option<Outcome<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    let mut node = attached();
    if node.is_none() && polls::is_task_flagged() {
        stepped = stepped.or(Some(Outcome::Cancelled(None)));
    }
    if node.is_none() {
        stepped = stepped.map(|outcome| drop_body(stage.as_mut(), outcome));
        node = attached(); // the body's destructor has left a cleanup
    }
    let Some(node) = node else { return stepped.map_or(Poll::Pending, Poll::Ready) };
    layer::keep(Some(Rc::clone(&node) as _));
    go_on(&node, stage, stepped, true, cx)
}

/// Polls a task with a node, by the rule of scopes.
fn go_on<F: Future>(
    node: &Rc<Node>,
    mut stage: Pin<&mut Stage<F>>,
    stepped: Option<Outcome<F::Output>>,
    polled: bool,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    if let Some(outcome) = stepped {
        let _context = node.enter_context();
        drain_from(node, stage.as_mut(), outcome);
    }
    let Poll::Ready(outcome) = poll_node(node, stage, polled, cx) else { return Poll::Pending };
    drop(take_kept());
    Poll::Ready(match outcome {
        Outcome::Cancelled(None) => Outcome::Cancelled(Some(node.reason().unwrap_or_else(flagged))),
        outcome => outcome,
    })
}

/// A task that was cancelled before its first poll, one that has panicked, and one with a node.
#[inline(never)]
fn poll_rarely<F: Future>(stage: Pin<&mut Stage<F>>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
    let attention = layer::attention();
    let outcome = if attention & layer::PANICKED != 0 {
        layer::take_panic().map(Outcome::Panicked)
    } else {
        (attention & layer::NEW != 0).then(|| Outcome::Cancelled(Some(flagged())))
    };
    match kept() {
        Some(node) => go_on(&node, stage, outcome, false, cx),
        None => attend(stage, outcome, cx),
    }
}
