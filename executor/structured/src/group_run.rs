//! A group's own future: polls the body, waits for the children, reports.
//!
//! ```text
//!     1. poll the body, unless it has ended; drop it if the group is cancelled and nothing in it is protected
//!     2. poll the children that borrow, if it is a scope; a task group's are on the run queue
//!     3. run the cleanups of the group's own scope
//!     4. is anything of these left?  ---> Pending
//!     5. report: a panic, or a value that nothing is missing from, always; anything else only if nothing around is cancelled,
//!        else wait to be dropped, or to be polled elsewhere
//! ```

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::{self as kernel, Report, layer, question};
use pin_project_lite::pin_project;

use crate::cleanup;
use crate::crew::{Crew, State};
use crate::group_error::{GroupError, Whose};
use crate::polls::{self, Frame};
use crate::scoped::{Outcome, Stage, discard, drop_body, drop_node, step};

pin_project! {
    /// Polls a group to its end.
    pub(crate) struct RunGroup<F: Future, T, E, L> where E: fmt::Display, E: 'static {
        crew: Rc<Crew<E>>,
        #[pin]
        body: Stage<F>,
        value: Option<T>,
        // Dropped after the body.
        locals: L,
        // It has ended, but only what is around it reports that, and drops it.
        parked: bool,
    }

    impl<F: Future, T, E, L> PinnedDrop for RunGroup<F, T, E, L> where E: fmt::Display, E: 'static {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

/// Children that the group polls itself.
pub(crate) trait Locals {
    fn poll(&mut self, cx: &mut Context<'_>);
}

/// A task group has none.
impl Locals for () {
    fn poll(&mut self, _: &mut Context<'_>) {}
}

impl<F: Future, T, E: fmt::Display + 'static, L> RunGroup<F, T, E, L> {
    pub(crate) fn new(crew: Rc<Crew<E>>, body: F, locals: L) -> RunGroup<F, T, E, L> {
        RunGroup { crew, body: Stage::Body { body }, value: None, locals, parked: false }
    }

    /// The future is dropped: whoever lives is cancelled.
    fn leave(self: Pin<&mut Self>) {
        let this = self.project();
        let crew = Rc::clone(this.crew);
        if crew.state.get() == State::Open {
            crew.state.set(State::Abandoned);
            crew.node.cancel_members(kernel::CancelKind::HandleDropped);
        }
        let _unheard = Unheard(&crew);
        drop_node(&crew.node, this.body);
    }
}

/// Reports what went wrong in a group whose future is dropped, after its body.
struct Unheard<'a, E: fmt::Display + 'static>(&'a Crew<E>);

impl<E: fmt::Display + 'static> Drop for Unheard<'_, E> {
    fn drop(&mut self) {
        self.0.report_errors();
        if let Some(panic) = self.0.panic.take() {
            let payload = panic;
            layer::report(Report::CleanupPanicked { at: self.0.node.at, payload });
        }
    }
}

impl<F, T, E, L> Future for RunGroup<F, T, E, L>
where
    F: Future<Output = Result<T, E>>,
    L: Locals,
    E: fmt::Display + 'static,
{
    type Output = Result<T, GroupError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let crew = &**this.crew;
        let node = &crew.node;
        let _polled = Polled::new(&crew.is_polled);
        node.keep_waker(cx);
        node.reparent(polls::attach().as_ref());
        if *this.parked {
            let waits = node.is_cancelled_from_above() || crew.living() > 0;
            return if waits { Poll::Pending } else { Poll::Ready(Err(end(crew))) };
        }
        node.look_at_clock(cx);
        if let Stage::Body { .. } = *this.body {
            poll_body(crew, this.body.as_mut(), this.value, cx);
        }
        polls::under(Frame::Heavy(node), || this.locals.poll(cx));
        let drained = drain(crew, cx);
        let has_body = matches!(*this.body, Stage::Body { .. });
        if has_body || !drained || crew.living() > 0 {
            if question::is_question() && crew.living() > 0 {
                let (living, word) = (crew.living(), if crew.living() == 1 { "child" } else { "children" });
                question::answer(format!("{living} {word} of the group made at {}", node.at));
            }
            return Poll::Pending;
        }
        // What an enclosing cancel does not stop: a panic, and a value that nothing was missing from.
        let panic = crew.panic.take();
        let is_value = this.value.is_some() && crew.errors.borrow().is_empty() && !crew.is_cut.get();
        if panic.is_none() && !is_value {
            if node.is_cancelled_from_above() {
                crew.report_errors();
                crew.errors.borrow_mut().set_cancelled(node.reason());
                *this.parked = true;
                return Poll::Pending;
            }
            if node.parent().is_some_and(|parent| parent.cancel_expired()) {
                return Poll::Pending;
            }
        }
        let mut errors = end(crew);
        if let Some(panic) = panic {
            Crew::report(&errors);
            discard(this.value.take(), node.at);
            panic.resume();
        }
        Poll::Ready(match this.value.take() {
            Some(value) if errors.is_empty() => Ok(value),
            unwanted => {
                discard(unwanted, node.at); // its destructor must not take the errors along
                if errors.is_empty() {
                    errors.set_cancelled(node.own_reason());
                }
                Err(errors)
            }
        })
    }
}

/// The group has ended, with these errors.
fn end<E: fmt::Display + 'static>(crew: &Crew<E>) -> GroupError<E> {
    crew.state.set(State::Closed);
    crew.node.close();
    crew.errors.replace(GroupError::new(crew.node.at))
}

/// While it lives, the group is being polled.
struct Polled<'a>(&'a Cell<bool>);

impl<'a> Polled<'a> {
    fn new(is_polled: &'a Cell<bool>) -> Polled<'a> {
        is_polled.set(true);
        Polled(is_polled)
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Polls the body by the rule of scopes.
fn poll_body<F, T, E>(crew: &Crew<E>, mut body: Pin<&mut Stage<F>>, value: &mut Option<T>, cx: &mut Context<'_>)
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display + 'static,
{
    let node = &crew.node;
    let frame = Frame::Heavy(node);
    let mut outcome = polls::under(frame, || step(body.as_mut(), cx)).1;
    if outcome.is_none() {
        node.look_at_clock(cx); // it may have cancelled itself
    }
    if outcome.is_none() && node.is_cancelled() && (!node.is_protected() || node.is_grace_over()) {
        outcome = Some(polls::under(frame, || drop_body(body.as_mut(), Outcome::Cancelled(None))).1);
    }
    match outcome {
        None => {}
        Some(Outcome::Value(Ok(returned))) => *value = Some(returned),
        Some(Outcome::Value(Err(error))) => crew.failed(Whose::Body, error),
        Some(Outcome::Panicked(panic)) => crew.panicked(Whose::Body, panic),
        Some(Outcome::Cancelled(_)) => crew.was_cut(),
    }
}

/// Runs the cleanups of the group's own scope. True when none is left.
fn drain<E: fmt::Display + 'static>(crew: &Crew<E>, cx: &mut Context<'_>) -> bool {
    let (drained, panicked) = cleanup::drain(&crew.node, true, cx);
    if let Some((panic, _)) = panicked {
        crew.panicked(Whose::Body, panic);
    }
    drained
}
