//! Tasks: each is a scope, at the price of one comparison a poll.
//!
//! The future that the kernel polls is this wrapper, in the task's one allocation. It has no frame on the poll stack and no
//! node until something in the task attaches to its scope; then the thread's attention says so (see
//! [`layer`](handcar_executor::layer)).
//!
//! ```text
//!     New -- first poll --> Plain -- something attached --> Noded
//!      |                      |                               |
//!      | cancelled: never     | cancelled: polled once more,  | cancelled: the rule (scoped.rs)
//!      v polled               v dropped                       v
//!     ended                 ended                           ended
//! ```
//!
//! The child of a group is much the same, but always has a frame, which names its group: `group_child.rs`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::layer;
use pin_project_lite::pin_project;

use crate::node::Node;
use crate::polls;
use crate::reason::CancelReason;
use crate::scoped::{Outcome, Stage, drop_body, drop_node, poll_node, step};

enum Link {
    New,
    Plain,
    Noded(Rc<Node>),
}

pin_project! {
    /// What the kernel polls.
    pub(crate) struct Task<F: Future> {
        link: Link,
        #[pin]
        stage: Stage<F>,
    }

    impl<F: Future> PinnedDrop for Task<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            match this.link {
                Link::Noded(node) => drop_node(node, this.stage),
                Link::Plain | Link::New => {
                    this.stage.set(Stage::Over);
                    if let Some(node) = attached() {
                        node.close();
                    }
                }
            }
        }
    }
}

/// The output of a task: its value, or why it was cancelled.
pub(crate) type Ended<T> = Result<T, CancelReason>;

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Task<F> {
        Task { link: Link::New, stage: Stage::Body { body: future } }
    }
}

impl<F: Future> Future for Task<F> {
    type Output = Ended<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.link {
            Link::Plain => {}
            Link::New if layer::attention() == 0 => *this.link = Link::Plain,
            _ => return poll_rarely(this.link, this.stage, cx),
        }
        let stepped = step(this.stage.as_mut(), cx);
        if layer::attention() == 0 {
            return stepped.map_or(Poll::Pending, end);
        }
        attend(this.link, this.stage, stepped, cx)
    }
}

#[inline]
fn end<T>(outcome: Outcome<T>) -> Poll<Ended<T>> {
    match outcome {
        Outcome::Value(value) => Poll::Ready(Ok(value)),
        Outcome::Panicked(panic) => panic.resume(),
        Outcome::Cancelled(reason) => Poll::Ready(Err(reason.unwrap_or_else(flagged))),
    }
}

/// Why the task that is being polled was cancelled.
#[track_caller]
fn flagged() -> CancelReason {
    polls::task_reason(None).unwrap_or_default()
}

/// The node that something has attached in this poll.
fn attached() -> Option<Rc<Node>> {
    let attention = layer::attention();
    if attention & layer::ATTACHED == 0 {
        return None;
    }
    let node = polls::take_task()?;
    layer::set_attention(attention & !layer::ATTACHED);
    Some(node)
}

/// A plain task was polled, and something happened to it.
#[cold]
fn attend<F: Future>(
    link: &mut Link,
    mut stage: Pin<&mut Stage<F>>,
    mut stepped: Option<Outcome<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Ended<F::Output>> {
    let mut node = attached();
    if node.is_none() && stepped.is_none() && polls::is_task_flagged() {
        stepped = Some(drop_body(stage.as_mut(), Outcome::Cancelled(None)));
        node = attached(); // the body's destructor has left a cleanup
    }
    let Some(node) = node else { return stepped.map_or(Poll::Pending, end) };
    *link = Link::Noded(Rc::clone(&node));
    go_on(&node, stage, stepped, cx)
}

/// The task has got a node in this poll.
fn go_on<F: Future>(
    node: &Rc<Node>,
    mut stage: Pin<&mut Stage<F>>,
    stepped: Option<Outcome<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Ended<F::Output>> {
    if let Some(outcome) = stepped {
        stage.set(Stage::Drain { outcome: Box::new(outcome) });
    }
    poll_node(node, stage, true, cx).map(|outcome| settled(node, outcome))
}

fn settled<T>(node: &Node, outcome: Outcome<T>) -> Ended<T> {
    match outcome {
        Outcome::Value(value) => Ok(value),
        Outcome::Panicked(panic) => panic.resume(),
        Outcome::Cancelled(reason) => Err(reason.unwrap_or_else(|| node.reason().unwrap_or_else(flagged))),
    }
}

/// A task that was cancelled before its first poll, and one with a node.
#[inline(never)]
fn poll_rarely<F: Future>(
    link: &mut Link,
    mut stage: Pin<&mut Stage<F>>,
    cx: &mut Context<'_>,
) -> Poll<Ended<F::Output>> {
    if let Link::Noded(node) = link {
        let node = Rc::clone(node);
        return poll_node(&node, stage, false, cx).map(|outcome| settled(&node, outcome));
    }
    *link = Link::Plain;
    let stepped = if polls::is_task_flagged() {
        Some(drop_body(stage.as_mut(), Outcome::Cancelled(Some(flagged()))))
    } else {
        step(stage.as_mut(), cx)
    };
    attend(link, stage, stepped, cx)
}
