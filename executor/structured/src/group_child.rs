//! A child of a group: a task with a seat, which is given back when the child ends.
//!
//! It is a task as in `task.rs`, but on the poll stack it always has a frame, which names its group. It gets a node of its own
//! only when something in it attaches to its scope.
//!
//! ```text
//!     not begun -- first poll --> running -- something attached --> with a node: the rule (scoped.rs)
//!      |  ^                        |
//!      |  '- no place inside       | cancelled: polled once more,
//!      v     the gate, yet         v dropped
//!     cancelled: never polled     ended
//! ```

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{current_task, layer, unpolled};
use pin_project_lite::pin_project;

use crate::context;
use crate::crew::Crew;
use crate::gate::Pass;
use crate::group_error::Whose;
use crate::group_handle::TaskEnd;
use crate::members::SeatNumber;
use crate::node::Node;
use crate::polls::{self, Frame};
use crate::reason::CancelReason;
use crate::scoped::{Outcome, Stage, drop_body, drop_node, poll_node, step};

/// A child's place in its group.
pub(crate) struct Seat<E> {
    pub(crate) crew: Rc<Crew<E>>,
    pub(crate) number: SeatNumber,
    pub(crate) pass: Pass,
}

impl<E> Seat<E> {
    fn frame(&self) -> Frame<'_> {
        Frame::Member(&self.crew.node)
    }

    #[cold]
    fn reason(&self) -> CancelReason {
        polls::task_reason(Some(&self.crew.node)).unwrap_or_default()
    }
}

impl<E> Drop for Seat<E> {
    #[inline]
    fn drop(&mut self) {
        self.crew.left(self.number, self.pass);
    }
}

pin_project! {
    /// What is polled of a group's child.
    pub(crate) struct Child<F: Future, E> {
        // In this order: when the body is dropped, its seat is still there.
        #[pin]
        stage: Stage<F>,
        own: Option<Rc<Node>>,
        seat: Seat<E>,
    }

    impl<F: Future, E> PinnedDrop for Child<F, E> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.own.is_some() || !matches!(*this.stage, Stage::Over) {
                cut(this.own, this.seat, this.stage);
            }
        }
    }
}

/// Drops a child that has a node, or has not ended.
#[cold]
fn cut<F: Future, E>(own: &mut Option<Rc<Node>>, seat: &Seat<E>, mut stage: Pin<&mut Stage<F>>) {
    if !seat.pass.has_begun() && !matches!(*stage, Stage::Over) {
        unpolled::report_task();
    }
    if let Some(node) = own {
        return drop_node(node, stage);
    }
    let drop_it = || catch_unwind(AssertUnwindSafe(|| stage.set(Stage::Over)));
    let (left, dropped) = polls::under(seat.frame(), drop_it);
    if let Some(node) = left {
        node.close(); // the body's destructor has left a cleanup
    }
    if let Err(payload) = dropped {
        resume_unwind(payload);
    }
}

impl<F: Future, E> Child<F, E> {
    /// A child of `crew`; the number of its seat goes into `seat`. Whatever may panic comes before stage and seat are made: what a panic
    /// would have to drop is written into the stack in small pieces, and moved to its place in big ones.
    #[inline]
    pub(crate) fn new(future: F, crew: &Rc<Crew<E>>, seat: &mut SeatNumber) -> Child<F, E> {
        let own = context::is_set().then(|| Node::inheriting(Some(Rc::clone(&crew.node))));
        let (number, pass) = crew.reserve();
        *seat = number;
        Child { stage: Stage::Body { body: future }, own, seat: Seat { crew: Rc::clone(crew), number, pass } }
    }
}

impl<T, E: fmt::Display + 'static, F: Future<Output = Result<T, E>>> Future for Child<F, E> {
    type Output = Result<T, TaskEnd>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, TaskEnd>> {
        let this = self.as_mut().project();
        if this.own.is_some() || layer::attention() != 0 || this.seat.pass.is_outside() {
            return unboxed(self.poll_rarely(cx));
        }
        this.seat.pass = this.seat.pass.begun();
        let (node, stepped) = polls::under(this.seat.frame(), || step(this.stage, cx));
        match (node, stepped) {
            (None, None) if layer::attention() == 0 => Poll::Pending,
            (None, Some(outcome)) => Poll::Ready(self.project().seat.ended(outcome)),
            polled => unboxed(self.attend(polled, cx)),
        }
    }
}

/// How a child has ended that was polled the longer way. In a box: what is returned through memory would have the quick way's
/// results go through memory too, written in two pieces and read in one.
type Boxed<T> = Option<Box<Result<T, TaskEnd>>>;

#[inline]
fn unboxed<T>(result: Boxed<T>) -> Poll<Result<T, TaskEnd>> {
    match result {
        Some(result) => Poll::Ready(*result),
        None => Poll::Pending,
    }
}

/// What a poll came to: the node that the child has got meanwhile, and how its body has ended.
type Polled<T, E> = (Option<Rc<Node>>, Option<Outcome<Result<T, E>>>);

impl<T, E: fmt::Display + 'static, F: Future<Output = Result<T, E>>> Child<F, E> {
    /// A child that has a node, was cancelled, or stands outside the gate.
    #[inline(never)]
    fn poll_rarely(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Boxed<T> {
        let this = self.as_mut().project();
        let seat = this.seat;
        if let Some(node) = this.own
            && seat.pass.has_begun()
        {
            return boxed(seat, poll_node(node, this.stage, false, cx));
        }
        let mut polled = (None, None);
        if !polls::is_task_flagged() && !seat.crew.enters(seat.number, &mut seat.pass, cx) {
            return None;
        }
        if !polls::is_task_flagged() || seat.pass.has_begun() {
            seat.pass = seat.pass.begun();
            if let Some(node) = this.own {
                return boxed(seat, poll_node(node, this.stage, false, cx)); // it has one to inherit by
            }
            polled = polls::under(seat.frame(), || step(this.stage, cx));
        }
        self.attend(polled, cx)
    }

    /// A child without a node was polled, and something happened to it.
    #[cold]
    fn attend(self: Pin<&mut Self>, mut polled: Polled<T, E>, cx: &mut Context<'_>) -> Boxed<T> {
        let mut this = self.project();
        let seat = this.seat;
        if let (None, None) = polled
            && polls::is_task_flagged()
        {
            if !seat.pass.has_begun() {
                unpolled::report_task();
            }
            let _context = this.own.as_ref().and_then(|node| node.enter_context());
            let cancelled = Outcome::Cancelled(Some(seat.reason()));
            let (left, outcome) = polls::under(seat.frame(), || drop_body(this.stage.as_mut(), cancelled));
            polled = (left, Some(outcome)); // the body's destructor may have left a cleanup
        }
        let (Some(node), stepped) = polled else {
            return polled.1.map(|outcome| Box::new(seat.ended(outcome)));
        };
        if let Some(outcome) = stepped {
            this.stage.set(Stage::Drain { outcome: Box::new(outcome) });
        }
        boxed(seat, poll_node(this.own.insert(node), this.stage, true, cx))
    }
}

fn boxed<T, E: fmt::Display + 'static>(seat: &Seat<E>, polled: Poll<Outcome<Result<T, E>>>) -> Boxed<T> {
    match polled {
        Poll::Ready(outcome) => Some(Box::new(seat.ended(outcome))),
        Poll::Pending => None,
    }
}

impl<E: fmt::Display + 'static> Seat<E> {
    /// Tells the crew what went wrong, and the handle how it ended.
    #[inline]
    fn ended<T>(&self, outcome: Outcome<Result<T, E>>) -> Result<T, TaskEnd> {
        match outcome {
            Outcome::Value(Ok(value)) => Ok(value),
            other => Err(self.ended_badly(other)),
        }
    }

    #[cold]
    fn ended_badly<T>(&self, outcome: Outcome<Result<T, E>>) -> TaskEnd {
        match outcome {
            Outcome::Value(Ok(_)) => unreachable!("that is a good end"),
            Outcome::Value(Err(error)) => {
                self.crew.failed(whose(), error);
                TaskEnd::Failed
            }
            Outcome::Panicked(panic) => {
                self.crew.panicked(whose(), panic);
                TaskEnd::Panicked
            }
            Outcome::Cancelled(reason) => {
                self.crew.was_cut();
                TaskEnd::Cancelled(reason.unwrap_or_else(|| self.reason()))
            }
        }
    }
}

/// The child that is being polled.
fn whose() -> Whose {
    current_task().map_or(Whose::Body, Whose::Task)
}
