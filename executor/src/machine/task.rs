//! The task cell: a future, its result, and whoever waits for it, in one allocation.
//!
//! ```text
//!                  2. poll -> Pending                         Header   id, name, spawned at, joiner's waker, cancel
//!                  .-------.                                  Stage    one of the three on the left
//!                  v       |
//!     1. spawn -> Running -'
//!                  |
//!                  |  3. poll -> Ready, or it panics, or it was cancelled: the future is dropped in place first
//!                  v
//!                 Finished(Result<T, JoinError>) ---. 5. nobody waits: the result is dropped, a panic is reported
//!                  |                                |
//!                  |  4. the handle takes it        |
//!                  v                                v
//!                 Taken <---------------------------'
//! ```
//!
//! 1. [`Core::spawn`]  2., 3. [`TaskCell::poll`], [`TaskCell::finish`]  4. [`Join::poll_join`]  5. [`Run::discard`]
//!
//! The loop sees the cell as `dyn Run`, the join handle as `dyn Join<T>`: two views of one `Rc`, whose vtables the compiler
//! writes. No count is kept beside `Rc`'s own, which is not atomic.
//!
//! Cancelling is bare here: a flag and a wake. The loop drops the future at its next turn, so no destructor ever runs inside
//! the canceller's call. (A task that was spawned through [`layer`](crate::layer) may ask to be polled on instead.)
//!
//! Every piece of user code (poll, destructors, the joiner's waker) runs under `catch_unwind`, and every panic ends up in the
//! join handle or in a report.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell, UnsafeCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use crate::join_error::{CancelKind, CancelReason, JoinError, PanicPayload};
use crate::kept::{Lent, keep};
use crate::layer::{self, Ending};
use crate::machine::budget;
use crate::machine::core::Core;
use crate::machine::mailbox::Address;
use crate::machine::waker::TaskId;
use crate::report::{self, Report, Reporter, deliver, report_panic};

/// What the loop sees of a task.
pub(crate) trait Run {
    fn header(&self) -> &Header;

    /// Polls the future, or drops it if it was cancelled. `id` is the header's.
    fn poll(&self, core: &Core, id: TaskId) -> Progress;

    /// Drops the result of a finished task for good. Reports it if it was a panic, or if dropping it is one; never panics.
    fn discard(&self);

    /// Ends an unfinished task without another poll: drops the future. Never panics.
    fn cut(&self, reporter: &Reporter);
}

/// What the join handle sees of a task.
pub(crate) trait Join<T>: Run {
    /// The result of a finished task, once; until then `cx` is kept as the one to wake.
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>>;

    /// The value of a finished task; leaves another end where it is.
    fn take_value(&self) -> Option<T>;

    /// The result of a finished task, if it has not been taken.
    fn take_any(&self) -> Option<Result<T, JoinError>>;
}

/// What a poll came to.
#[derive(PartialEq, Eq)]
pub(crate) enum Progress {
    Pending,
    Finished,
    /// It had finished before: it woke itself in its last poll.
    Over,
    /// It is the turn of the future that `block_on` was given; it lives on `block_on`'s stack.
    Main,
}

/// What every task has, whatever its future: 56 bytes.
pub(crate) struct Header {
    pub(crate) id: Cell<TaskId>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) joiner: Cell<Option<Waker>>,
    /// Whether there is a join handle that will want the result.
    pub(crate) joined: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// Whether somebody has the stage at this moment: see [`TaskCell::with_stage`].
    lent: Cell<bool>,
    /// With the executor's number in `id`: the task's runtime.
    incarnation: u16,
    pub(crate) ending: Cell<Ending>,
    /// Whether the result may borrow, so that it must be gone when the handle is: a local task's.
    pub(crate) borrows: Cell<bool>,
    /// The two halves of the `CancelReason`, apart because that saves eight bytes.
    cancel_kind: Cell<CancelKind>,
    cancelled_at: Cell<Option<&'static Location<'static>>>,
    extras: OnceCell<Box<Extras>>,
}

const _: () = assert!(usize::BITS != 64 || size_of::<Header>() == 56);

/// What few tasks have.
#[derive(Default)]
struct Extras {
    name: Option<Arc<str>>,
    /// Run at the end of a detached task, with the result still in the cell.
    at_end: Cell<Option<Box<dyn FnOnce()>>>,
    /// Where a panic goes whose join handle is dropped unread.
    reporter: OnceCell<Reporter>,
}

impl Header {
    pub(crate) fn new(spawned_at: &'static Location<'static>, name: Option<Arc<str>>, incarnation: u16) -> Header {
        let extras = OnceCell::new();
        if name.is_some() {
            let _ = extras.set(Box::new(Extras { name, ..Extras::default() }));
        }
        Header {
            id: Cell::new(TaskId::NONE),
            spawned_at,
            joiner: Cell::new(None),
            joined: Cell::new(true),
            finished: Cell::new(false),
            lent: Cell::new(false),
            incarnation,
            ending: Cell::new(Ending::Dropped),
            borrows: Cell::new(false),
            cancel_kind: Cell::new(CancelKind::Explicit),
            cancelled_at: Cell::new(None),
            extras,
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

    /// Flags the task; true if it had neither ended nor been flagged. The first reason stays. The caller wakes it.
    pub(crate) fn flag(&self, reason: CancelReason) -> bool {
        let open = !self.finished.get() && self.cancelled_at.get().is_none();
        if open {
            self.cancel_kind.set(reason.kind);
            self.cancelled_at.set(Some(reason.at));
        }
        open
    }

    pub(crate) fn cancelled(&self) -> Option<CancelReason> {
        self.cancelled_at.get().map(|at| CancelReason { kind: self.cancel_kind.get(), at })
    }

    /// Has `at_end` run when the task ends.
    pub(crate) fn at_end(&self, at_end: Box<dyn FnOnce()>) {
        self.extras.get_or_init(Box::default).at_end.set(Some(at_end));
    }
}

/// Who a task is: in reports, events and errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, unique among the living tasks of the process.
    pub id: TaskId,
    /// The name it was spawned with.
    pub name: Option<Arc<str>>,
    /// The line that spawned it.
    pub spawned_at: &'static Location<'static>,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "task `{name}` {}, spawned at {}", self.id, self.spawned_at),
            None => write!(f, "task {}, spawned at {}", self.id, self.spawned_at),
        }
    }
}

pin_project! {
    #[project = StageView]
    #[project_replace = StageTaken]
    enum Stage<F: Future> {
        Running { #[pin] future: F },
        Finished { result: Result<F::Output, JoinError> },
        Taken,
    }
}

/// A task: the one allocation.
pub(crate) struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

impl<F: Future> TaskCell<F> {
    pub(crate) fn new(future: F, header: Header) -> Rc<TaskCell<F>> {
        Rc::new(TaskCell { header, stage: UnsafeCell::new(Stage::Running { future }) })
    }

    /// Lends the stage to `f`: a `RefCell`, but pinned, and with its flag among the header's.
    ///
    /// # Panics
    ///
    /// If it is lent already.
    #[inline]
    fn with_stage<R>(&self, f: impl FnOnce(Pin<&mut Stage<F>>) -> R) -> R {
        struct Back<'a>(&'a Cell<bool>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        assert!(!self.header.lent.replace(true), "a task's future is used while it is being polled");
        let _back = Back(&self.header.lent);
        // SAFETY: exclusive, because `lent` was false, and is true until `_back` is dropped, which is after the reference's
        // last use; this is the only place that reaches into the cell, which is not `Sync`. Pinned, because a `TaskCell`
        // exists only within the `Rc` that `new` puts it in and that nobody takes it out of; so the stage lies still until
        // it is dropped in place.
        f(unsafe { Pin::new_unchecked(&mut *self.stage.get()) })
    }

    /// Ends the task: drops the future, keeps the result, and tells whoever waits.
    fn finish(&self, reporter: &Reporter, result: Result<F::Output, JoinError>) {
        let header = &self.header;
        let fine = result.is_ok();
        // The assignment drops the future in place. If its destructor panics, the result is there nevertheless.
        let drop_future = || self.with_stage(|mut stage| stage.set(Stage::Finished { result }));
        let dropped = catch_unwind(AssertUnwindSafe(drop_future));
        header.finished.set(true);
        if fine && dropped.is_ok() && header.extras.get().is_none() {
            // The usual end: somebody waits, or the task was detached.
            match header.joiner.take() {
                Some(joiner) => wake(joiner),
                None if header.joined.get() => {}
                None => catch_unwind(AssertUnwindSafe(|| drop(self.take_result())))
                    .unwrap_or_else(|payload| self.report(reporter, payload)),
            }
            return;
        }
        self.finish_rarely(reporter, dropped.err());
    }

    #[cold]
    #[inline(never)]
    fn finish_rarely(&self, reporter: &Reporter, panicked: Option<Box<dyn Any + Send>>) {
        let header = &self.header;
        if let Some(payload) = panicked {
            let unreported = self.with_stage(|stage| match stage.project() {
                StageView::Finished { result: result @ Err(JoinError::Cancelled(_)) } => {
                    *result = Err(JoinError::panicked(payload));
                    None
                }
                _ => Some(payload),
            });
            if let Some(payload) = unreported {
                self.report(reporter, payload);
            }
        }
        if header.joined.get() {
            let _ = header.extras.get_or_init(Box::default).reporter.set(reporter.clone());
        }
        let at_end = header.extras.get().and_then(|extras| extras.at_end.take());
        let told = at_end.map_or(Ok(()), |at_end| catch_unwind(AssertUnwindSafe(at_end)));
        if let Some(joiner) = header.joiner.take() {
            wake(joiner);
        }
        let unwanted = if header.joined.get() { None } else { self.take_result() };
        let dropped = match unwanted {
            Some(Err(JoinError::Panicked(payload))) => {
                report_panic(reporter, header.info(), payload);
                Ok(())
            }
            unwanted => catch_unwind(AssertUnwindSafe(|| drop(unwanted))),
        };
        for panicked in [told, dropped] {
            if let Err(payload) = panicked {
                self.report(reporter, payload);
            }
        }
    }

    #[cold]
    fn report(&self, reporter: &Reporter, payload: Box<dyn Any + Send>) {
        report_panic(reporter, self.header.info(), PanicPayload::new(payload));
    }

    fn take_result(&self) -> Option<Result<F::Output, JoinError>> {
        self.with_stage(|mut stage| match stage.as_mut().project() {
            StageView::Finished { .. } => match stage.project_replace(Stage::Taken) {
                StageTaken::Finished { result } => Some(result),
                _ => None,
            },
            _ => None,
        })
    }
}

impl<F: Future> Run for TaskCell<F> {
    fn header(&self) -> &Header {
        &self.header
    }

    #[inline]
    fn poll(&self, core: &Core, id: TaskId) -> Progress {
        let header = &self.header;
        if header.finished.get() {
            return Progress::Over;
        }
        let flagged = header.cancelled();
        let result = if let Some(reason) = flagged
            && core.drops(header)
        {
            Err(JoinError::Cancelled(reason))
        } else {
            if flagged.is_some() {
                layer::raise();
            }
            let waker = Lent::new(id, core.kind);
            let mut cx = Context::from_waker(&waker);
            let poll = || {
                self.with_stage(|stage| match stage.project() {
                    StageView::Running { future } => future.poll(&mut cx),
                    _ => unreachable!("an unfinished task has a future"),
                })
            };
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => return Progress::Pending,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => match layer::take_over(header.ending.get(), PanicPayload::new(payload)) {
                    Ok(()) => return self.poll(core, id),
                    Err(payload) => Err(JoinError::Panicked(payload)),
                },
            }
        };
        self.finish(&core.reporter, result);
        Progress::Finished
    }

    fn discard(&self) {
        let header = &self.header;
        let payload = match self.take_result() {
            Some(Err(JoinError::Panicked(payload))) => payload,
            result => match catch_unwind(AssertUnwindSafe(|| drop(result))) {
                Ok(()) => return,
                Err(payload) => PanicPayload::new(payload),
            },
        };
        match header.extras.get().and_then(|extras| extras.reporter.get()) {
            Some(reporter) => report_panic(reporter, header.info(), payload),
            None => deliver(header.address(), Report::Panicked { task: header.info(), payload }),
        }
    }

    #[cold]
    fn cut(&self, reporter: &Reporter) {
        let unflagged = CancelReason { kind: CancelKind::HandleDropped, at: self.header.spawned_at };
        self.finish(reporter, Err(JoinError::Cancelled(self.header.cancelled().unwrap_or(unflagged))));
    }
}

impl<F: Future> Join<F::Output> for TaskCell<F> {
    #[inline]
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        let header = &self.header;
        if !header.finished.get() {
            let waker = match header.joiner.take() {
                Some(kept) if kept.will_wake(cx.waker()) => kept,
                _ => keep(cx.waker()), // a stranger's code: the task may have finished when it is back
            };
            if !header.finished.get() {
                let crossed = header.joiner.replace(Some(waker));
                drop(crossed);
                return Poll::Pending;
            }
        }
        ready!(budget::poll(cx));
        budget::spend();
        header.joined.set(false);
        Poll::Ready(self.take_result().expect("`JoinHandle` polled after it had returned the result"))
    }

    fn take_value(&self) -> Option<F::Output> {
        let succeeded = self.with_stage(|stage| matches!(*stage, Stage::Finished { result: Ok(_) }));
        if succeeded { self.take_result()?.ok() } else { None }
    }

    fn take_any(&self) -> Option<Result<F::Output, JoinError>> {
        let result = self.take_result()?;
        self.header.joined.set(false);
        Some(result)
    }
}

/// Wakes who waits for a task. It may be a stranger, whose panic is no end of the task.
#[inline]
fn wake(joiner: Waker) {
    report::catch(|payload| Report::WakerPanicked { payload }, || joiner.wake());
}

/// The place in the run queue of the future that `block_on` was given. The future itself may borrow, so it stays on
/// `block_on`'s stack.
pub(crate) struct Main(pub(crate) Header);

impl Run for Main {
    fn header(&self) -> &Header {
        &self.0
    }

    fn poll(&self, _: &Core, _: TaskId) -> Progress {
        Progress::Main
    }

    fn discard(&self) {}

    fn cut(&self, _: &Reporter) {}
}

/// Drops the results of finished tasks, one after the other: a result may own the handle of the next finished task, and so
/// on, a million deep, and none of it may recurse.
///
/// Inside another discard it returns before the result is dropped. A result that borrows cannot wait so long: what it borrows
/// may be a local of the destructor that drops the handle.
pub(crate) fn discard(task: Rc<dyn Run>) {
    if task.header().borrows.get() {
        return task.discard();
    }
    thread_local! {
        static WAITING: RefCell<Option<Vec<Rc<dyn Run>>>> = const { RefCell::new(None) };
    }
    // Where the thread's locals are gone already, recursion is all that is left.
    let Ok(waits) = WAITING.try_with(|waiting| waiting.borrow_mut().as_mut().map(|tasks| tasks.push(Rc::clone(&task))))
    else {
        return task.discard();
    };
    if waits.is_some() {
        return;
    }
    WAITING.set(Some(Vec::new()));
    let mut next = Some(task);
    while let Some(task) = next {
        task.discard();
        next = WAITING.with_borrow_mut(|waiting| waiting.as_mut().and_then(Vec::pop));
    }
    WAITING.set(None);
}
