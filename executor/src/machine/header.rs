//! The header of a task: what every task has, whatever its future.
//!
//! Its size counts a million times, so it is 40 bytes: what only few tasks have (a name, a waker of another executor, the line of
//! a cancel) is an allocation of its own, and what is true or not shares a byte. Whoever waits for the task's end is kept as a
//! number, as wakers of ours are; it costs nothing to keep, to wake or to forget.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::join_error::{CancelKind, CancelReason};
use crate::kept::let_go;
use crate::layer::Ending;
use crate::machine::mailbox::Address;
use crate::machine::task::Run;
use crate::machine::waker::TaskId;
use crate::reporter::Reporter;
use crate::task_info::TaskInfo;

/// What every task has, whatever its future: 40 bytes.
pub(crate) struct Header {
    pub(crate) id: Cell<TaskId>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The task of ours that waits for the end; a stranger's waker is among the extras.
    pub(crate) joiner: Cell<TaskId>,
    state: Cell<u8>,
    /// Whether there is a join handle that will want the result.
    pub(crate) joined: Cell<bool>,
    pub(crate) ending: Cell<Ending>,
    /// Whether the result may borrow, so that it must be gone when the handle is: a local task's.
    pub(crate) borrows: Cell<bool>,
    cancel_kind: Cell<CancelKind>,
    /// How big its cell is: see [`words`](crate::cells::words).
    pub(crate) words: u8,
    /// With the executor's number in `id`: the task's runtime.
    incarnation: u16,
    extras: OnceCell<Box<Extras>>,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Header>() == 40);

/// The bits of a task's state, in one byte, so that one look before a poll is enough: in most polls the first is all there is.
pub(crate) mod state {
    /// Its stage has been lent: it was polled, or has ended without.
    pub(crate) const BEGUN: u8 = 1;
    /// Somebody has the stage at this moment: see [`TaskCell`](crate::machine::task::TaskCell).
    pub(crate) const LENT: u8 = 2;
    /// It was cancelled.
    pub(crate) const FLAGGED: u8 = 4;
    /// The layer keeps something with it.
    pub(crate) const KEPT: u8 = 8;
    pub(crate) const FINISHED: u8 = 16;
    /// There is no result any more: its stage is `Taken`.
    pub(crate) const TAKEN: u8 = 32;
}

/// What few tasks have.
#[derive(Default)]
struct Extras {
    name: Option<Arc<str>>,
    /// The waker to wake at the end that is none of ours.
    stranger: Cell<Option<Waker>>,
    cancelled_at: Cell<Option<&'static Location<'static>>>,
    /// Run at the end of a detached task, with the result still in the cell.
    at_end: Cell<Option<Box<dyn FnOnce()>>>,
    /// Where a panic goes whose join handle is dropped unread.
    reporter: OnceCell<Reporter>,
    kept: RefCell<Option<Rc<dyn Any>>>,
}

/// Finds the header of a task, without a call of its vtable.
pub(crate) trait HasHeader {
    fn header(&self) -> &Header;
}

impl<R: Run + ?Sized> HasHeader for R {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: whoever implements `Run` says that it begins with one.
        unsafe { &*ptr::from_ref(self).cast::<Header>() }
    }
}

impl Header {
    #[inline]
    pub(crate) fn new(
        spawned_at: &'static Location<'static>,
        name: Option<Arc<str>>,
        ending: Ending,
        incarnation: u16,
    ) -> Header {
        let extras = name.map(|name| Box::new(Extras { name: Some(name), ..Extras::default() }));
        Header {
            id: Cell::new(TaskId::NONE),
            spawned_at,
            joiner: Cell::new(TaskId::NONE),
            state: Cell::new(0),
            joined: Cell::new(true),
            ending: Cell::new(ending),
            borrows: Cell::new(false),
            cancel_kind: Cell::new(CancelKind::Explicit),
            words: u8::MAX,
            incarnation,
            extras: extras.map_or_else(OnceCell::new, OnceCell::from),
        }
    }

    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.extras.get()?.name.as_ref()
    }

    /// The task's runtime.
    pub(crate) fn address(&self) -> Address {
        Address { executor: self.id.get().executor(), incarnation: self.incarnation }
    }

    pub(crate) fn info(&self) -> TaskInfo {
        TaskInfo { id: self.id.get(), name: self.name().cloned(), spawned_at: self.spawned_at }
    }

    fn extras(&self) -> &Extras {
        self.extras.get_or_init(Box::default)
    }

    #[inline]
    pub(crate) fn is(&self, bits: u8) -> bool {
        self.state.get() & bits != 0
    }

    #[inline]
    pub(crate) fn set(&self, bits: u8) {
        self.state.set(self.state.get() | bits);
    }

    #[inline]
    pub(crate) fn clear(&self, bits: u8) {
        self.state.set(self.state.get() & !bits);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is(state::FINISHED)
    }

    /// Whether it has what few tasks have.
    #[inline]
    pub(crate) fn has_extras(&self) -> bool {
        self.extras.get().is_some()
    }

    /// Whether it has ended, and nothing is left to drop of it.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.is(state::TAKEN) && !self.has_extras()
    }

    /// Whether its handle will come for the result by itself, and there is nothing else to do at its end.
    #[inline]
    pub(crate) fn is_awaited_quietly(&self) -> bool {
        self.joined.get() && self.joiner.get() == TaskId::NONE && !self.has_extras()
    }

    /// Flags the task; true if it had neither ended nor been flagged. The first reason stays. The caller wakes it.
    pub(crate) fn flag(&self, reason: CancelReason) -> bool {
        let open = !self.is(state::FINISHED | state::FLAGGED);
        if open {
            self.set(state::FLAGGED);
            self.cancel_kind.set(reason.kind);
            if reason.kind == CancelKind::Explicit {
                self.extras().cancelled_at.set(Some(reason.at));
            }
        }
        open
    }

    /// Of what nobody has called for, the line is the task's own.
    pub(crate) fn cancelled(&self) -> Option<CancelReason> {
        let at = || self.extras.get().and_then(|extras| extras.cancelled_at.get()).unwrap_or(self.spawned_at);
        self.is(state::FLAGGED).then(|| CancelReason { kind: self.cancel_kind.get(), at: at() })
    }

    /// Has `at_end` run when the task ends.
    pub(crate) fn at_end(&self, at_end: Box<dyn FnOnce()>) {
        self.extras().at_end.set(Some(at_end));
    }

    pub(crate) fn take_at_end(&self) -> Option<Box<dyn FnOnce()>> {
        self.extras.get()?.at_end.take()
    }

    /// Keeps `waker` as the one to wake at the end; it is a stranger's.
    #[cold]
    pub(crate) fn await_as_stranger(&self, waker: &Waker) {
        let stranger = &self.extras().stranger;
        let waker = match stranger.take() {
            Some(kept) if kept.will_wake(waker) => kept,
            _ => waker.clone(), // a stranger's code: the task may have finished when it is back
        };
        self.joiner.set(TaskId::NONE);
        if !self.is_finished() {
            let crossed = stranger.replace(Some(waker));
            drop(crossed);
        }
    }

    /// Wakes no stranger at the end.
    pub(crate) fn forget_stranger(&self) {
        let_go(self.take_stranger());
    }

    /// The stranger's waker to wake at the end.
    pub(crate) fn take_stranger(&self) -> Option<Waker> {
        self.extras.get()?.stranger.take()
    }

    /// Where a panic is to go whose join handle is dropped unread.
    pub(crate) fn report_to(&self, reporter: Reporter) {
        let _ = self.extras().reporter.set(reporter);
    }

    pub(crate) fn reporter(&self) -> Option<&Reporter> {
        self.extras.get()?.reporter.get()
    }

    /// What the layer keeps with the task. Returns what it kept before, which may run user code when it is dropped.
    pub(crate) fn keep(&self, kept: Option<Rc<dyn Any>>) -> Option<Rc<dyn Any>> {
        self.clear(state::KEPT);
        if kept.is_none() {
            return self.extras.get()?.kept.take();
        }
        self.set(state::KEPT);
        self.extras().kept.replace(kept)
    }

    pub(crate) fn kept(&self) -> Option<Rc<dyn Any>> {
        self.extras.get()?.kept.borrow().clone()
    }
}
