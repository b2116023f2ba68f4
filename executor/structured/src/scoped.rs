//! The rule: how a scope polls its body, and how it ends.
//!
//! ```text
//!              .---- pending, not cancelled, or something in it is protected ----.
//!              v                                                                 |
//!     1. poll the body, its frame on the stack --------- pending and cancelled --+--> 2. drop the body, under the frame
//!              |                                                                           |
//!              | it completes or panics: that is what counts                               |
//!              v                                                                           v
//!     3. drain: cleanups, newest first; when the grace period is over, cut them <----------'
//!              |
//!              v
//!     4. report: a value or a panic always; "cancelled" only if nothing around is cancelled, else wait to be dropped
//! ```
//!
//! A cancelled scope polls its body *once more* because cancelling wakes its wrapper, and the wrapper begins with 1 as ever.
//! So a value that was ready at the same moment is not lost, and `cancelled().await` sees what happened.
//!
//! While nothing has attached to the scope (see `polls.rs`) all of this is one comparison after each poll of the body.
//!
//! The rule does not know the body's type: a program has one copy of it, however many kinds of futures it runs. And it is reached
//! through the node, which is made with it: a program in which nothing ever attaches to a scope contains neither.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::thread;

use handcar_executor::layer::{self, Alarm};
use handcar_executor::{PanicPayload, Report, current_task};
use pin_project_lite::pin_project;

use crate::cleanup;
use crate::node::{Kind, Node};
use crate::polls::{self, Flag, Frame, Light};
use crate::reason::{CancelKind, CancelReason};

/// How a scope ended.
pub(crate) enum Outcome<T> {
    Value(T),
    Panicked(PanicPayload),
    /// Without a reason: by the deadline of a scope without a node.
    Cancelled(Option<CancelReason>),
}

pin_project! {
    /// What is left of a scope's body.
    #[project = StageView]
    #[project_replace = StageTaken]
    pub(crate) enum Stage<F: Future> {
        Body { #[pin] body: F },
        /// The body is gone; the cleanups run.
        Drain { outcome: Box<Outcome<F::Output>> },
        /// It was cancelled, and so is something around it, which will drop it.
        Parked,
        Over,
    }
}

/// What the rule sees of a [`Stage`].
pub(crate) trait Body {
    fn left(&self) -> Left;

    /// Polls the body; when it has ended, drops it and keeps how.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>);

    /// Drops whatever is left.
    fn clear(self: Pin<&mut Self>);

    /// Keeps how the body has ended.
    fn keep(self: Pin<&mut Self>, outcome: Outcome<Infallible>);

    fn park(self: Pin<&mut Self>);
}

/// What is left of a scope's body: itself, or its outcome.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Body,
    Value,
    Panic,
    Cancel,
    Parked,
    Nothing,
}

impl<F: Future> Body for Stage<F> {
    #[inline]
    fn left(&self) -> Left {
        match self {
            Stage::Body { .. } => Left::Body,
            Stage::Drain { outcome } => match **outcome {
                Outcome::Value(_) => Left::Value,
                Outcome::Panicked(_) => Left::Panic,
                Outcome::Cancelled(_) => Left::Cancel,
            },
            Stage::Parked => Left::Parked,
            Stage::Over => Left::Nothing,
        }
    }

    fn step(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(outcome) = step(self.as_mut(), cx) {
            self.set(Stage::Drain { outcome: Box::new(outcome) });
        }
    }

    fn clear(mut self: Pin<&mut Self>) {
        self.set(Stage::Over);
    }

    fn keep(mut self: Pin<&mut Self>, outcome: Outcome<Infallible>) {
        let outcome = Box::new(match outcome {
            Outcome::Panicked(panic) => Outcome::Panicked(panic),
            Outcome::Cancelled(reason) => Outcome::Cancelled(reason),
        });
        self.set(Stage::Drain { outcome });
    }

    fn park(mut self: Pin<&mut Self>) {
        self.set(Stage::Parked);
    }
}

#[inline]
pub(crate) fn poll_body<F: Future>(stage: Pin<&mut Stage<F>>, cx: &mut Context<'_>) -> Poll<F::Output> {
    match stage.project() {
        StageView::Body { body } => body.poll(cx),
        _ => panic!("a scope was polled after it had ended"),
    }
}

/// Polls the body; when it has ended, drops it and returns how.
#[inline]
pub(crate) fn step<F: Future>(mut stage: Pin<&mut Stage<F>>, cx: &mut Context<'_>) -> Option<Outcome<F::Output>> {
    match catch_unwind(AssertUnwindSafe(|| poll_body(stage.as_mut(), cx))) {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(value)) => Some(drop_body(stage, Outcome::Value(value))),
        Err(payload) => Some(step_panicked(stage, payload)),
    }
}

#[cold]
pub(crate) fn step_panicked<F: Future>(stage: Pin<&mut Stage<F>>, payload: Box<dyn Any + Send>) -> Outcome<F::Output> {
    drop_body(stage, Outcome::Panicked(PanicPayload::new(payload)))
}

/// Drops the body. A panic of its destructor takes the place of `outcome`, or is reported where that is a panic already.
#[inline(always)]
#[allow(clippy::inline_always)] // into `step`: ten instructions of a child
pub(crate) fn drop_body<F: Future>(mut stage: Pin<&mut Stage<F>>, outcome: Outcome<F::Output>) -> Outcome<F::Output> {
    match catch_unwind(AssertUnwindSafe(|| stage.set(Stage::Over))) {
        Ok(()) => outcome,
        Err(payload) => drop_panicked(outcome, payload),
    }
}

/// The body's destructor has panicked.
#[cold]
fn drop_panicked<T>(outcome: Outcome<T>, payload: Box<dyn Any + Send>) -> Outcome<T> {
    let at = polls::at().unwrap_or(Location::caller()); // it has a frame
    match outcome {
        Outcome::Panicked(first) => {
            report_second(PanicPayload::new(payload), at);
            Outcome::Panicked(first)
        }
        outcome => {
            discard(Some(outcome), at);
            Outcome::Panicked(PanicPayload::new(payload))
        }
    }
}

/// Drops a value that nobody gets, since a panic or an error goes on in its place: another panic would be one too many. `at` is the line
/// of what it belongs to.
pub(crate) fn discard<T>(value: Option<T>, at: &'static Location<'static>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        layer::report(Report::DropPanicked { at, payload: PanicPayload::new(payload) });
    }
}

/// Reports a panic beside another one that goes on.
#[cold]
fn report_second(panic: PanicPayload, at: &'static Location<'static>) {
    match current_task() {
        Some(task) => layer::report_panic(task, panic),
        None => layer::report(Report::CleanupPanicked { at, payload: panic }), // polled, or dropped, by hand
    }
}

/// Keeps the first panic, which goes on when everything has ended.
#[cold]
pub(crate) fn keep_first(first: &mut Option<PanicPayload>, panic: PanicPayload, at: &'static Location<'static>) {
    match first {
        None => *first = Some(panic),
        Some(_) => report_second(panic, at),
    }
}

/// The rule, for a scope with a node. With `polled` the body has been polled under its frame already.
pub(crate) fn poll_node<F: Future>(
    node: &Rc<Node>,
    mut stage: Pin<&mut Stage<F>>,
    polled: bool,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    ready!((node.rule.follow)(node, stage.as_mut(), polled, cx));
    match stage.project_replace(Stage::Over) {
        StageTaken::Drain { outcome } => Poll::Ready(*outcome),
        _ => panic!("a drained scope has an outcome"),
    }
}

/// Ready when the stage has an outcome to be taken.
type Follow = fn(&Rc<Node>, Pin<&mut dyn Body>, bool, &mut Context<'_>) -> Poll<()>;

/// The rule, as it is reached by those who make no nodes.
pub(crate) struct Rule {
    follow: Follow,
    drop: fn(&Rc<Node>, Pin<&mut dyn Body>),
    close: fn(&Node),
}

pub(crate) static RULE: Rule = Rule { follow, drop: drop_body_and_close, close: Node::close };

fn follow(node: &Rc<Node>, mut stage: Pin<&mut dyn Body>, polled: bool, cx: &mut Context<'_>) -> Poll<()> {
    if stage.left() == Left::Parked {
        if polls::is_flagged() {
            return Poll::Pending;
        }
        stage.keep(Outcome::Cancelled(node.reason()));
        return Poll::Ready(());
    }
    let _context = node.enter_context();
    node.keep_waker(cx);
    if node.kind == Kind::Task {
        polls::cancel_if_flagged(node);
    } else {
        node.reparent(polls::attach().as_ref());
    }
    node.look_at_clock(cx);
    if !polled && stage.left() == Left::Body {
        polls::under(Frame::Heavy(node), || stage.as_mut().step(cx));
    }
    if stage.left() == Left::Body {
        // It may have cancelled itself, or moved its deadline.
        if node.kind == Kind::Task {
            polls::cancel_if_flagged(node);
        }
        node.look_at_clock(cx);
        if must_end(node) && (!node.is_protected() || node.is_grace_over()) {
            end(node, stage.as_mut(), Outcome::Cancelled(node.reason()));
        }
    }
    drain(node, stage, cx)
}

/// Drops what is left under the frame, as [`drop_body`] does, and keeps the outcome.
fn end(node: &Rc<Node>, mut stage: Pin<&mut dyn Body>, mut outcome: Outcome<Infallible>) {
    polls::under(Frame::Heavy(node), || {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| stage.as_mut().clear())) else { return };
        let panic = PanicPayload::new(payload);
        match outcome {
            Outcome::Panicked(_) => report_second(panic, node.at),
            Outcome::Cancelled(_) => outcome = Outcome::Panicked(panic),
        }
    });
    stage.keep(outcome);
}

/// Whether the body of a scope has to go. If only what is around is cancelled, that drops it, unless something holds it back;
/// so a future that was polled by reference in there, and belongs elsewhere, survives.
fn must_end(node: &Node) -> bool {
    let from_above = node.is_cancelled_from_above();
    node.is_cancelled_itself()
        || from_above && (node.kind != Kind::Scope || node.parent().is_some_and(|parent| parent.is_protected()))
}

fn drain(node: &Rc<Node>, mut stage: Pin<&mut dyn Body>, cx: &mut Context<'_>) -> Poll<()> {
    let left = stage.left();
    let (drained, panicked) = cleanup::drain(node, left != Left::Body, cx);
    if let Some((panic, at)) = panicked {
        if left == Left::Panic {
            layer::report(Report::CleanupPanicked { at, payload: panic });
        } else {
            end(node, stage.as_mut(), Outcome::Panicked(panic));
        }
        if left == Left::Body {
            return drain(node, stage, cx); // the panic of a cleanup beside the body has ended it
        }
    }
    if left == Left::Body || !drained {
        return Poll::Pending;
    }
    report(node, stage)
}

fn report(node: &Rc<Node>, stage: Pin<&mut dyn Body>) -> Poll<()> {
    if node.kind == Kind::Scope && stage.left() == Left::Cancel {
        polls::cancel_task();
        if node.is_cancelled_from_above() {
            node.close();
            stage.park();
            return Poll::Pending;
        }
        // A deadline further out may have passed at the same time, in a task whose turn is still to come.
        if node.parent().is_some_and(|parent| parent.cancel_expired()) {
            return Poll::Pending;
        }
    }
    node.close();
    Poll::Ready(())
}

/// What a wrapper has of its scope between two polls.
enum Head {
    Light(Small),
    Heavy(Rc<Node>),
}

/// A scope without a node.
struct Small {
    kind: Kind,
    flag: Option<Flag>,
    at: &'static Location<'static>,
    alarm: Option<Alarm>,
}

impl Small {
    #[inline]
    fn frame(&self) -> Frame<'_> {
        Frame::Light(Light { kind: self.kind, flag: self.flag, at: self.at, alarm: self.alarm.as_ref() })
    }

    /// Notes whether the deadline has passed. Only after the body's poll: one that is ready at once costs no timer.
    #[inline]
    fn look_at_clock(&mut self, cx: &mut Context<'_>) {
        if let Some(alarm) = &mut self.alarm
            && self.flag.is_none()
        {
            self.flag = alarm.poll(cx).is_ready().then_some(Flag::Deadline);
        }
    }
}

pin_project! {
    /// A body in a scope of its own. Everything that is a scope wraps one of these, but tasks, groups and branches.
    pub(crate) struct Scoped<F: Future> {
        head: Head,
        #[pin]
        stage: Stage<F>,
    }

    impl<F: Future> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Head::Heavy(node) = this.head {
                drop_node(node, this.stage);
            }
        }
    }
}

/// The wrapper is dropped: drops what is left of the body under its frame, then closes the node.
pub(crate) fn drop_node(node: &Rc<Node>, stage: Pin<&mut dyn Body>) {
    (node.rule.drop)(node, stage);
}

/// [`Node::close`], for those who make no nodes.
pub(crate) fn close(node: &Node) {
    (node.rule.close)(node);
}

fn drop_body_and_close(node: &Rc<Node>, stage: Pin<&mut dyn Body>) {
    struct Close<'a>(&'a Node);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let _close = Close(node);
    let _context = node.enter_context();
    polls::under(Frame::Heavy(node), || stage.clear());
}

impl<F: Future> Scoped<F> {
    pub(crate) fn light(kind: Kind, at: &'static Location<'static>, alarm: Option<Alarm>, body: F) -> Scoped<F> {
        let small = Small { kind, flag: None, at, alarm };
        Scoped { head: Head::Light(small), stage: Stage::Body { body } }
    }

    pub(crate) fn heavy(node: Rc<Node>, body: F) -> Scoped<F> {
        Scoped { head: Head::Heavy(node), stage: Stage::Body { body } }
    }

    /// Its node; made now, below what is being polled, if there was none.
    pub(crate) fn node(self: Pin<&mut Self>) -> Rc<Node> {
        let head = self.project().head;
        let node = match head {
            Head::Heavy(node) => return Rc::clone(node),
            Head::Light(small) => Node::new(small.kind, small.at, polls::attach(), small.alarm.take()),
        };
        *head = Head::Heavy(Rc::clone(&node));
        node
    }

    /// Polls the body as if there were no scope around it.
    pub(crate) fn poll_bare(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        step(self.project().stage, cx).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = Outcome<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        let this = self.project();
        match this.head {
            Head::Light(_) => poll_light(this.head, this.stage, cx),
            Head::Heavy(node) => poll_node(&Rc::clone(node), this.stage, false, cx),
        }
    }
}

/// The rule, for a scope without a node, which may get one on the way.
#[inline]
fn poll_light<F: Future>(
    head: &mut Head,
    mut stage: Pin<&mut Stage<F>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    let Head::Light(small) = head else { unreachable!("the caller looked") };
    let StageView::Body { body } = stage.as_mut().project() else { return end_light(head, stage, cx) };
    let poll = || catch_unwind(AssertUnwindSafe(|| body.poll(cx)));
    let (node, polled) = polls::under(small.frame(), poll);
    if node.is_some() || polled.is_err() {
        return light_rarely(head, node, stage, polled, cx);
    }
    if let Ok(Poll::Ready(value)) = polled {
        return Poll::Ready(Outcome::Value(value)); // what is left of the body goes with the wrapper
    }
    small.look_at_clock(cx);
    let must_end = small.flag.is_some() || !small.kind.is_shield() && polls::is_held();
    if must_end { end_light(head, stage, cx) } else { Poll::Pending }
}

/// Something has attached to a light scope, or its body has panicked.
#[cold]
fn light_rarely<F: Future>(
    head: &mut Head,
    node: Option<Rc<Node>>,
    stage: Pin<&mut Stage<F>>,
    polled: thread::Result<Poll<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    let outcome = match polled {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(value)) => Some(Outcome::Value(value)),
        Err(payload) => Some(Outcome::Panicked(PanicPayload::new(payload))),
    };
    match (node, outcome) {
        (Some(node), outcome) => got_node(head, &node, stage, outcome, cx),
        (None, Some(outcome)) => drop_light(head, stage, outcome, cx),
        (None, None) => Poll::Pending,
    }
}

/// Something has attached to a light scope.
fn got_node<F: Future>(
    head: &mut Head,
    node: &Rc<Node>,
    mut stage: Pin<&mut Stage<F>>,
    outcome: Option<Outcome<F::Output>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    *head = Head::Heavy(Rc::clone(node));
    if let Some(outcome) = outcome {
        drain_from(node, stage.as_mut(), outcome);
    }
    poll_node(node, stage, true, cx)
}

/// The body is at its end: drops it under its frame. What is left are the cleanups.
pub(crate) fn drain_from<F: Future>(node: &Rc<Node>, mut stage: Pin<&mut Stage<F>>, outcome: Outcome<F::Output>) {
    let (_, outcome) = polls::under(Frame::Heavy(node), || drop_body(stage.as_mut(), outcome));
    stage.set(Stage::Drain { outcome: Box::new(outcome) });
}

/// The body of a light scope is at its end.
fn drop_light<F: Future>(
    head: &mut Head,
    mut stage: Pin<&mut Stage<F>>,
    outcome: Outcome<F::Output>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    let Head::Light(small) = head else { unreachable!("the caller looked") };
    match polls::under(small.frame(), || drop_body(stage.as_mut(), outcome)) {
        (Some(node), outcome) => got_node(head, &node, stage, Some(outcome), cx), // its destructor has left a cleanup
        (None, outcome) => Poll::Ready(outcome),
    }
}

/// A light scope is cancelled.
#[cold]
fn end_light<F: Future>(
    head: &mut Head,
    mut stage: Pin<&mut Stage<F>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<F::Output>> {
    if stage.left() == Left::Body {
        let ended = drop_light(head, stage.as_mut(), Outcome::Cancelled(None), cx);
        if !matches!((&*head, &ended), (Head::Light(_), Poll::Ready(Outcome::Cancelled(_)))) {
            return ended;
        }
        stage.set(Stage::Parked);
    }
    polls::cancel_task();
    if polls::is_flagged() || polls::cancel_expired() {
        return Poll::Pending;
    }
    stage.set(Stage::Over);
    Poll::Ready(Outcome::Cancelled(None))
}

/// The reason of a scope that ended without a node.
pub(crate) fn deadline_reason(at: &'static Location<'static>) -> CancelReason {
    CancelReason::of(CancelKind::Deadline, at)
}
