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
//! 1. [`Core::spawn`]  2., 3. [`TaskCell::poll`], [`TaskCell::end`]  4. [`Join::poll_join`]  5. with 3, or [`Run::discard`]
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
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::cells::{Cells, words};
use crate::join_error::{CancelKind, CancelReason, JoinError, PanicPayload};
use crate::layer;
use crate::machine::header::{HasHeader, Header, state};
use crate::machine::waker::TaskId;
use crate::machine::{budget, context};
use crate::report;
use crate::reporter::{Reporter, report_discarded};

/// What the loop sees of a task.
///
/// # Safety
///
/// In memory it begins with its [`Header`], where [`HasHeader`] finds it.
pub(crate) unsafe trait Run {
    /// Polls the future, or drops it if it was cancelled; on the current runtime. `id` is the header's.
    fn poll(&self, id: TaskId) -> Progress;

    /// Drops the result of a finished task for good. Reports it if it was a panic, or if dropping it is one; never panics.
    fn discard(&self);

    /// Ends an unfinished task without another poll: drops the future. Never panics. Reports to the current runtime, or to the default.
    fn cut(&self);
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
#[repr(C)] // the header first
pub(crate) struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

impl<F: Future> TaskCell<F> {
    #[inline]
    pub(crate) fn new(future: impl FnOnce() -> F, mut header: Header, cells: &Cells) -> Rc<TaskCell<F>> {
        let task = cells.take::<TaskCell<F>>();
        let place = Rc::as_ptr(&task).cast::<TaskCell<F>>().cast_mut();
        header.words = const { words::<TaskCell<F>>() };
        // SAFETY: what `take` returns nobody else has, so nobody looks while `write` fills it; `assume_init` comes after. (In place, because
        // a cell that is moved there is written in small pieces and read in big ones, for which processors have to wait.)
        unsafe {
            place.write(TaskCell { header, stage: UnsafeCell::new(Stage::Running { future: future() }) });
            task.assume_init()
        }
    }

    /// Lends the stage to `f`: a `RefCell`, but pinned, and with its flag among the header's.
    ///
    /// # Panics
    ///
    /// If it is lent already.
    #[inline]
    fn with_stage<R>(&self, f: impl FnOnce(Pin<&mut Stage<F>>) -> R) -> R {
        struct Back<'a>(&'a Header);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.clear(state::LENT);
            }
        }
        assert!(!self.header.is(state::LENT), "a task's future is used while it is being polled");
        self.header.set(state::LENT | state::BEGUN);
        let _back = Back(&self.header);
        // SAFETY: exclusive, because `LENT` was not set, and is until `_back` is dropped, which is after the reference's
        // last use; this is the only place that reaches into the cell, which is not `Sync`. Pinned, because a `TaskCell`
        // exists only within the `Rc` that `new` puts it in and that nobody takes it out of; so the stage lies still until
        // it is dropped in place.
        f(unsafe { Pin::new_unchecked(&mut *self.stage.get()) })
    }

    /// The result is there: tells whoever waits.
    #[inline]
    fn tell(&self) {
        self.header.set(state::FINISHED);
        if !self.header.is_awaited_quietly() {
            self.tell_now();
        }
    }

    /// Somebody is to be told, or nobody will come for the result.
    fn tell_now(&self) {
        let header = &self.header;
        if header.has_extras() {
            tell_rarely(header);
        } else if header.joiner.get() != TaskId::NONE {
            return report::wake(|| header.joiner.replace(TaskId::NONE).wake());
        }
        if !header.joined.get()
            && let Some(payload) = self.drop_result()
        {
            Reporter::current().report_panic(header.info(), payload);
        }
    }

    /// Nobody wants the result, nor can reach it: drops it in place. Returns a panic, its own or its destructor's.
    #[inline]
    fn drop_result(&self) -> Option<PanicPayload> {
        let drop_it = || {
            self.with_stage(|mut stage| {
                let is_panic = matches!(*stage, Stage::Finished { result: Err(JoinError::Panicked(_)) });
                if !is_panic {
                    self.header.set(state::TAKEN);
                    stage.set(Stage::Taken);
                }
                is_panic
            })
        };
        match catch_unwind(AssertUnwindSafe(drop_it)) {
            Ok(false) => None,
            Ok(true) => match self.take_result() {
                Some(Err(JoinError::Panicked(payload))) => Some(payload),
                _ => None,
            },
            Err(payload) => Some(PanicPayload::new(payload)),
        }
    }

    /// Ends the task without a value: drops the future in place. A panic of its destructor says more than a cancel.
    #[cold]
    fn end(&self, error: JoinError) {
        let result = Err(error);
        let drop_future = || self.with_stage(|mut stage| stage.set(Stage::Finished { result }));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(drop_future)) {
            let unreported = self.with_stage(|stage| match stage.project() {
                StageView::Finished { result: result @ Err(JoinError::Cancelled(_)) } => {
                    *result = Err(JoinError::panicked(payload));
                    None
                }
                _ => Some(payload),
            });
            if let Some(payload) = unreported {
                report_outside(&self.header, payload);
            }
        }
        if self.header.joined.get() {
            self.header.report_to(Reporter::current());
        }
        self.tell();
    }

    /// The future has panicked: in its poll, or in its destructor when the result was there already.
    #[cold]
    fn panicked(&self, payload: Box<dyn Any + Send>) -> Progress {
        if self.with_stage(|stage| !matches!(*stage, Stage::Running { .. })) {
            report_outside(&self.header, payload);
            self.tell();
            return Progress::Finished;
        }
        match layer::take_over(self.header.ending.get(), PanicPayload::new(payload)) {
            Ok(()) => (self as &dyn Run).poll(self.header.id.get()), // once more, and no deeper: the next panic is the end
            Err(payload) => {
                self.end(JoinError::Panicked(payload));
                Progress::Finished
            }
        }
    }

    fn take_result(&self) -> Option<Result<F::Output, JoinError>> {
        self.with_stage(|mut stage| {
            let StageView::Finished { .. } = stage.as_mut().project() else { return None };
            self.header.set(state::TAKEN);
            let StageTaken::Finished { result } = stage.project_replace(Stage::Taken) else { return None };
            Some(result)
        })
    }
}

// SAFETY: the header is its first field.
unsafe impl<F: Future> Run for TaskCell<F> {
    #[inline]
    fn poll(&self, id: TaskId) -> Progress {
        if self.header.is(!state::BEGUN)
            && let Some(progress) = before_poll(self)
        {
            return progress;
        }
        let waker = ManuallyDrop::new(id.waker()); // there is nothing to drop
        let mut cx = Context::from_waker(&waker);
        let poll = || {
            self.with_stage(|mut stage| {
                let StageView::Running { future } = stage.as_mut().project() else {
                    unreachable!("an unfinished task has a future")
                };
                let result = Ok(ready!(future.poll(&mut cx)));
                // This drops the future in place; if its destructor panics, the result is there nevertheless.
                stage.set(Stage::Finished { result });
                let is_wanted = self.header.joined.get() || self.header.has_extras();
                if !is_wanted {
                    self.header.set(state::FINISHED | state::TAKEN);
                    stage.set(Stage::Taken);
                }
                Poll::Ready(is_wanted)
            })
        };
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => return Progress::Pending,
            Ok(Poll::Ready(false)) => {}
            Ok(Poll::Ready(true)) => self.tell(),
            Err(payload) => return self.panicked(payload),
        }
        Progress::Finished
    }

    fn discard(&self) {
        if let Some(payload) = self.drop_result() {
            report_discarded(&self.header, payload);
        }
    }

    #[cold]
    fn cut(&self) {
        let unflagged = CancelReason { kind: CancelKind::HandleDropped, at: self.header.spawned_at };
        self.end(JoinError::Cancelled(self.header.cancelled().unwrap_or(unflagged)));
    }
}

impl<F: Future> Join<F::Output> for TaskCell<F> {
    #[inline]
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        let header = &self.header;
        if !header.is_finished() {
            match TaskId::of(cx.waker()) {
                Some(id) => header.joiner.set(id),
                None => header.await_as_stranger(cx.waker()),
            }
            if !header.is_finished() {
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

/// Tells of the end of a task of which there is more to tell than that.
#[cold]
#[inline(never)]
fn tell_rarely(header: &Header) {
    if let Some(at_end) = header.take_at_end()
        && let Err(payload) = catch_unwind(AssertUnwindSafe(at_end))
    {
        report_outside(header, payload);
    }
    if header.joiner.get() != TaskId::NONE {
        report::wake(|| header.joiner.replace(TaskId::NONE).wake());
    }
    if let Some(stranger) = header.take_stranger() {
        report::wake_one(stranger);
    }
}

/// The future is gone: whoever hears of this hears it outside the task.
#[cold]
fn report_outside(header: &Header, payload: Box<dyn Any + Send>) {
    header.set(state::FINISHED);
    Reporter::current().report_panic(header.info(), PanicPayload::new(payload));
}

/// Something is to be known of the task before it is polled, or it is not polled.
#[cold]
#[inline(never)]
fn before_poll(task: &dyn Run) -> Option<Progress> {
    let header = task.header();
    if header.is_finished() {
        return Some(Progress::Over);
    }
    let mut bits = if header.is(state::KEPT) { layer::KEPT } else { 0 };
    if header.cancelled().is_some() {
        let core = context::current("a task");
        if !header.is(state::BEGUN) {
            bits |= layer::NEW;
            core.report_unpolled(header);
        }
        if core.drops(header) {
            layer::set_attention(bits | layer::CUT);
            task.cut();
            return Some(Progress::Finished);
        }
        bits |= layer::FLAGGED;
    }
    layer::set_attention(layer::attention() | bits);
    None
}
