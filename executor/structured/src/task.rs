//! Tasks: each is a scope, at the price of one comparison a poll.
//!
//! The future that the kernel polls is this wrapper, in the task's one allocation. It has no frame on the poll stack and no
//! node until something in the task attaches to its scope; then the thread's attention says so (see
//! [`layer`](handcar_executor::layer)). Nor does it catch a panic of the body: the loop does, and polls the wrapper once more.
//!
//! ```text
//!     New -- first poll --> Plain -- something attached --> Noded
//!      |                      |                               |
//!      | cancelled: never     | cancelled: polled once more,  | cancelled, or it panics:
//!      v polled               v dropped                       v the rule (scoped.rs)
//!     ended                 ended                           ended
//!                             ^
//!                             '-- Panicked: noted on the way out, and dealt with in the one more poll
//! ```
//!
//! The child of a group is much the same, but always has a frame, which names its group: `group_child.rs`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{layer, unpolled};
use pin_project_lite::pin_project;

use crate::context;
use crate::node::Node;
use crate::polls;
use crate::reason::CancelReason;
use crate::scoped::{Outcome, Stage, drain_from, drop_body, drop_node, poll_body, poll_node};

enum Link {
    New,
    Plain,
    /// A plain one, whose body has just panicked.
    Panicked,
    /// From the start, if it was spawned where context variables are set: the node keeps them.
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
                Link::Noded(node) => {
                    if node.is_new() {
                        unpolled::report_task();
                    }
                    drop_node(node, this.stage);
                }
                Link::New => drop_new(this.stage),
                Link::Plain | Link::Panicked => {
                    let _close = CloseAttached;
                    this.stage.set(Stage::Over);
                }
            }
        }
    }
}

/// Closes what the body's destructor has attached, also if that panics.
struct CloseAttached;

impl Drop for CloseAttached {
    fn drop(&mut self) {
        if let Some(node) = attached() {
            node.close();
        }
    }
}

/// The output of a task: its value, or why it was cancelled.
pub(crate) type Ended<T> = Result<T, CancelReason>;

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Task<F> {
        let link = if context::is_set() { Link::Noded(Node::inheriting(None)) } else { Link::New };
        Task { link, stage: Stage::Body { body: future } }
    }
}

impl<F: Future> Future for Task<F> {
    type Output = Ended<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        /// Notes on the way of a panic that the next poll has to do with it.
        struct Unwinding<'a>(&'a mut Link);
        impl Drop for Unwinding<'_> {
            fn drop(&mut self) {
                *self.0 = Link::Panicked;
            }
        }
        let mut this = self.project();
        match this.link {
            Link::Plain => {}
            Link::New if layer::attention() == 0 => *this.link = Link::Plain,
            _ => return poll_rarely(this.link, this.stage, cx).map(end),
        }
        let unwinding = Unwinding(this.link);
        let polled = poll_body(this.stage.as_mut(), cx);
        std::mem::forget(unwinding);
        if layer::attention() == 0 {
            return polled.map(Ok); // what is left of the body goes with the task
        }
        attend(this.link, this.stage, stepped(polled), cx).map(end)
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
    *link = Link::Noded(Rc::clone(&node));
    go_on(&node, stage, stepped, cx)
}

/// The task has got a node in this poll.
fn go_on<F: Future>(
    node: &Rc<Node>,
    mut stage: Pin<&mut Stage<F>>,
    stepped: Option<Outcome<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    if let Some(outcome) = stepped {
        drain_from(node, stage.as_mut(), outcome);
    }
    poll_node(node, stage, true, cx).map(|outcome| settled(node, outcome))
}

fn settled<T>(node: &Node, outcome: Outcome<T>) -> Outcome<T> {
    match outcome {
        Outcome::Cancelled(None) => Outcome::Cancelled(Some(node.reason().unwrap_or_else(flagged))),
        outcome => outcome,
    }
}

/// A task that was cancelled before its first poll, one whose body has panicked, and one with a node.
#[inline(never)]
fn poll_rarely<F: Future>(
    link: &mut Link,
    stage: Pin<&mut Stage<F>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    let outcome = match link {
        Link::Noded(node) => {
            let node = Rc::clone(node);
            let mut stage = stage;
            if node.begin() && polls::is_task_flagged() {
                unpolled::report_task();
                let _context = node.enter_context();
                drain_from(&node, stage.as_mut(), Outcome::Cancelled(Some(flagged())));
            }
            return poll_node(&node, stage, false, cx).map(|outcome| settled(&node, outcome));
        }
        Link::Panicked => Outcome::Panicked(layer::take_panic().expect("the loop leaves what a body panicked with")),
        Link::New | Link::Plain => {
            unpolled::report_task();
            Outcome::Cancelled(Some(flagged()))
        }
    };
    *link = Link::Plain;
    attend(link, stage, Some(outcome), cx)
}

/// Drops a task that was never polled.
#[cold]
fn drop_new<F: Future>(mut stage: Pin<&mut Stage<F>>) {
    unpolled::report_task();
    let _close = CloseAttached;
    stage.set(Stage::Over);
}
