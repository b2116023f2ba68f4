//! A group's crew: who of its children lives, and what went wrong among them.
//!
//! Children, handles, and the group's own future share it. It says *when* siblings are cancelled and where each error goes; the
//! [`Node`] in it is the group's place in the tree of scopes.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;

use handcar_executor::{self as kernel, AbortHandle, JoinHandle, PanicPayload, Report, layer, question};

use crate::gate::{Gate, Pass};
use crate::group_builder::{GroupBuilder, OnChildPanic, OnError};
use crate::group_error::{GroupError, Whose};
use crate::group_handle::{GroupHandle, TaskEnd};
use crate::members::SeatNumber;
use crate::node::{Kind, Node};
use crate::reason::{CancelKind, CancelReason};
use crate::times::Grace;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Its future has returned.
    Closed,
    /// Its future was dropped.
    Abandoned,
}

pub(crate) struct Crew<E> {
    pub(crate) node: Rc<Node>,
    name: Option<Arc<str>>,
    gate: Option<Gate>,
    on_error: OnError,
    on_panic: OnChildPanic,
    spawned: Cell<u64>,
    pub(crate) state: Cell<State>,
    /// The group's own future is being polled, and looks at everything before it returns: it need not be woken.
    pub(crate) is_polled: Cell<bool>,
    /// A child, or the body, was ended by something around the group.
    pub(crate) is_cut: Cell<bool>,
    pub(crate) errors: RefCell<GroupError<E>>,
    pub(crate) panic: Cell<Option<PanicPayload>>,
}

impl<E: fmt::Display + 'static> Crew<E> {
    pub(crate) fn new(settings: GroupBuilder, at: &'static Location<'static>) -> Rc<Crew<E>> {
        let node = Node::new(Kind::Scope, at, None, None);
        if let Grace::Set(grace) = settings.grace {
            node.set_grace(grace);
        }
        // Cyclic only to be made in its place, not moved there.
        Rc::new_cyclic(|_| Crew {
            node,
            name: settings.name,
            gate: settings.limit.map(Gate::new),
            on_error: settings.on_error,
            on_panic: settings.on_panic,
            spawned: Cell::new(0),
            state: Cell::new(State::Open),
            is_polled: Cell::new(false),
            is_cut: Cell::new(false),
            errors: RefCell::new(GroupError::new(at)),
            panic: Cell::new(None),
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// The name of the next child that was not given one.
    #[inline]
    pub(crate) fn next_name(&self) -> Option<Arc<str>> {
        self.name.as_ref().map(|prefix| self.name_below(prefix))
    }

    #[cold]
    fn name_below(&self, prefix: &str) -> Arc<str> {
        let number = self.spawned.replace(self.spawned.get() + 1);
        Arc::from(format!("{prefix}/{number}"))
    }

    /// The child that the seat was reserved for has been spawned.
    #[inline]
    pub(crate) fn take_on<T>(&self, seat: SeatNumber, task: JoinHandle<Result<T, TaskEnd>>) -> GroupHandle<T> {
        self.node.members.borrow_mut().sit(seat, task.abort_handle());
        if self.node.is_cancelled() {
            cancel(&task.abort_handle());
        }
        GroupHandle::new(task)
    }

    /// A child was cancelled: notes whether that came from around the group.
    pub(crate) fn was_cut(&self) {
        if self.node.is_cancelled_from_above() {
            self.is_cut.set(true);
        }
    }

    pub(crate) fn failed(&self, whose: Whose, error: E) {
        let (kind, at) = self.blame(&whose);
        self.errors.borrow_mut().push(whose, error);
        self.went_wrong(kind, at);
    }

    pub(crate) fn panicked(&self, whose: Whose, panic: PanicPayload) {
        let (kind, at) = self.blame(&whose);
        if self.on_panic == OnChildPanic::Collect || self.state.get() == State::Abandoned {
            self.errors.borrow_mut().push_panic(whose, panic);
            return self.went_wrong(kind, at);
        }
        match self.panic.take() {
            None => self.panic.set(Some(panic)),
            Some(first) => {
                self.panic.set(Some(first));
                match whose {
                    Whose::Task(task) => layer::report_panic(task, panic),
                    Whose::Body => layer::report(Report::CleanupPanicked { at, payload: panic }),
                }
            }
        }
        self.cancel_rest(kind, at);
    }

    /// What the others are told, and the line that it points at.
    fn blame(&self, whose: &Whose) -> (CancelKind, &'static Location<'static>) {
        match whose {
            Whose::Task(task) => (CancelKind::SiblingFailed(Some(task.id)), task.spawned_at),
            Whose::Body => (CancelKind::BodyFailed, self.node.at),
        }
    }

    fn went_wrong(&self, kind: CancelKind, at: &'static Location<'static>) {
        if self.state.get() == State::Abandoned {
            self.report_errors();
        } else if self.on_error == OnError::CancelSiblings {
            self.cancel_rest(kind, at);
        }
    }

    fn cancel_rest(&self, kind: CancelKind, at: &'static Location<'static>) {
        let reason = CancelReason::of(kind, at);
        if !self.node.is_cancelled_itself() {
            *self.node.for_children.borrow_mut() = Some(reason.clone());
        }
        self.node.cancel(reason);
    }

    /// Cancels children and body, by a call.
    #[track_caller]
    pub(crate) fn cancel(&self) -> bool {
        self.node.cancel(CancelReason::of(CancelKind::Explicit, Location::caller()))
    }

    /// Nobody will get the errors.
    pub(crate) fn report_errors(&self) {
        Crew::report(&self.errors.replace(GroupError::new(self.node.at)));
    }

    pub(crate) fn report(errors: &GroupError<E>) {
        if !errors.is_empty() {
            // What is there to be told of beside these must not be lost to one of which the text panics.
            let text = catch_unwind(AssertUnwindSafe(|| errors.to_string())).unwrap_or_else(|payload| {
                let why = PanicPayload::new(payload);
                format!("errors in the group at {}, to print which panicked: {why}", errors.made_at())
            });
            layer::report(Report::GroupCut { error: Arc::new(Text(text)) });
        }
    }
}

impl<E> Crew<E> {
    /// The number of a seat for a child that is about to be spawned, and its pass.
    #[inline]
    pub(crate) fn reserve(&self) -> (SeatNumber, Pass) {
        let mut members = self.node.members.borrow_mut();
        let is_first = members.is_empty();
        let number = members.reserve();
        drop(members);
        if is_first {
            self.node.hold_parent();
        }
        (number, if self.gate.is_some() { Pass::Outside } else { Pass::New })
    }

    /// Whether the child in that seat may run now.
    #[cold]
    pub(crate) fn enters(&self, key: u32, pass: &mut Pass, cx: &Context<'_>) -> bool {
        let Some(gate) = &self.gate else { return true };
        let enters = gate.enter(key, pass, cx);
        if !enters && question::is_question() {
            let (at, limit) = (self.node.at, gate.limit);
            question::answer(format!("its turn in the group made at {at}, which runs at most {limit} at a time"));
        }
        enters
    }

    /// Wakes the group's own future.
    pub(crate) fn wake(&self) {
        if !self.is_polled.get() {
            self.node.wake_wrapper();
        }
    }

    /// How many children have not ended.
    #[inline]
    pub(crate) fn living(&self) -> usize {
        self.node.members.borrow().len()
    }

    /// The child in that seat has ended.
    #[inline]
    pub(crate) fn left(&self, seat: SeatNumber, pass: Pass) {
        let mut members = self.node.members.borrow_mut();
        let member = members.leave(seat);
        let is_last = members.is_empty();
        drop(members);
        if is_last || self.gate.is_some() {
            self.left_rarely(member, seat, pass, is_last);
        }
    }

    /// That was the last one, or there is a gate. It gets the member as well: else every child that leaves would save registers for it.
    #[cold]
    fn left_rarely(&self, member: Option<AbortHandle>, seat: SeatNumber, pass: Pass, is_last: bool) {
        drop(member);
        self.gate.iter().for_each(|gate| gate.leave(seat, pass));
        if is_last {
            self.node.release_parent();
            self.wake();
        }
    }
}

/// A child was spawned into a group that is cancelled.
#[cold]
fn cancel(child: &AbortHandle) {
    layer::cancel(child, kernel::CancelKind::Parent);
}

/// An error that may not leave its thread, as it prints.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Text {}
