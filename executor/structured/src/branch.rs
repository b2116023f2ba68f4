//! A branch: one future of a combinator, as a scope. It gets a node when something attaches, or when it is cancelled.

use std::any::Any;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::node::{Kind, Node};
use crate::polls::{self, Flag, Frame, Light, Link};
use crate::scoped::{Body, Left, Outcome, Stage, discard, drain_from, drop_node, poll_node, step_panicked};

pin_project! {
    // In this order: `own` last would be a zero beside the first zero of `Round`, which the compiler writes as one. Then `gather!` of
    // two is moved to its place in pieces that overlap, and waits for them for a quarter of its time.
    #[project = BranchView]
    #[repr(C)]
    pub(crate) struct Branch<F: Future> {
        pub(crate) own: Option<Rc<Node>>,
        #[pin]
        pub(crate) stage: Stage<F>,
    }

    impl<F: Future> PinnedDrop for Branch<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(node) = this.own {
                drop_node(node, this.stage);
            }
        }
    }
}

/// Calls `f` under the frame of a branch that has no node. Returns the node that it has got.
#[inline]
pub(crate) fn under<R>(at: &'static Location<'static>, f: impl FnOnce(&Link<'_>) -> R) -> (Option<Rc<Node>>, R) {
    polls::under_link(Frame::Light(Light::plain(at)), f)
}

impl<F: Future> Branch<F> {
    pub(crate) fn new(body: F) -> Branch<F> {
        Branch { own: None, stage: Stage::Body { body } }
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.own.is_none() && self.stage.left() != Left::Body
    }

    /// Its node; made now if there was none. None if it has ended.
    pub(crate) fn node(self: Pin<&mut Self>, at: &'static Location<'static>) -> Option<Rc<Node>> {
        let has_ended = self.has_ended();
        let own = self.project().own;
        if own.is_none() && !has_ended {
            *own = Some(Node::new(Kind::Scope, at, polls::attach(), None));
        }
        own.clone()
    }

    pub(crate) fn cancel(self: Pin<&mut Self>, flag: Flag, at: &'static Location<'static>) {
        if let Some(node) = self.node(at) {
            node.cancel(flag.reason(at));
        }
    }

    /// It has panicked, in its poll, or, where it has left a value, in its destructor.
    #[cold]
    pub(crate) fn panicked(
        self: Pin<&mut Self>,
        value: Option<F::Output>,
        payload: Box<dyn Any + Send>,
        at: &'static Location<'static>,
    ) -> Outcome<F::Output> {
        discard(value, at);
        step_panicked(self.project().stage, payload)
    }

    /// Something has attached to it in this poll.
    #[cold]
    pub(crate) fn attached(
        mut self: Pin<&mut Self>,
        node: Rc<Node>,
        outcome: Option<Outcome<F::Output>>,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome<F::Output>> {
        let this = self.as_mut().project();
        let node = this.own.insert(node);
        if let Some(outcome) = outcome {
            drain_from(node, this.stage, outcome);
        }
        self.poll_heavy(true, cx)
    }

    /// Polls a branch that has a node; with `polled`, only does what is left after its poll. Pending, too, if it has ended.
    #[inline(never)]
    pub(crate) fn poll_heavy(self: Pin<&mut Self>, polled: bool, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        let this = self.project();
        let Some(node) = this.own.clone() else { return Poll::Pending };
        let polled = poll_node(&node, this.stage, polled, cx);
        if polled.is_ready() {
            *this.own = None;
        }
        polled
    }
}
