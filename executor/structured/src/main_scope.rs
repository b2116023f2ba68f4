//! Main: the scope of the future that `block_on` was given.
//!
//! It ends by the rule of every task. But it is on `block_on`'s stack and not the kernel's, so the kernel keeps no node for it: it is a
//! branch, of nothing else, in a frame that is a task's. It has a node from the start if it inherits a context, else when something
//! attaches; and until then its destructors have the frame as well.

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::branch::Branch;
use crate::node::{Kind, Node};
use crate::polls::{self, Frame, Light};
use crate::scoped::{Outcome, Stage, step};

pin_project! {
    /// Main. See the module.
    pub(crate) struct Main<F: Future> {
        at: &'static Location<'static>,
        #[pin]
        branch: Branch<F>,
    }

    impl<F: Future> PinnedDrop for Main<F> {
        fn drop(this: Pin<&mut Self>) {
            if this.branch.own.is_some() {
                return; // the branch's own destructor does it
            }
            let drop_it = |mut stage: Pin<&mut Stage<F>>| catch_unwind(AssertUnwindSafe(|| stage.set(Stage::Over)));
            if let Err(payload) = this.within(drop_it) {
                resume_unwind(payload);
            }
        }
    }
}

impl<F: Future> Main<F> {
    /// It has a node from the start if it inherits a context.
    pub(crate) fn new(body: F, at: &'static Location<'static>, own: Option<Rc<Node>>) -> Main<F> {
        Main { at, branch: Branch { own, stage: Stage::Body { body } } }
    }

    /// Calls `f` as main might.
    pub(crate) fn within<R>(self: Pin<&mut Self>, f: impl FnOnce(Pin<&mut Stage<F>>) -> R) -> R {
        let this = self.project();
        let branch = this.branch.project();
        let light = Frame::Light(Light { kind: Kind::Task, ..Light::plain(this.at) });
        let frame = branch.own.as_ref().map_or(light, Frame::Heavy);
        let (node, result) = polls::under(frame, || f(branch.stage));
        if node.is_some() {
            *branch.own = node;
        }
        result
    }

    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        if self.branch.own.is_some() {
            return self.project().branch.poll_heavy(false, cx);
        }
        let outcome = self.as_mut().within(|stage| step(stage, cx));
        match self.branch.own.clone() {
            Some(node) => self.project().branch.attached(node, outcome, cx),
            None => outcome.map_or(Poll::Pending, Poll::Ready),
        }
    }
}
