//! Questions: what a deadlock report knows of those who wait.
//!
//! When a run has come to a halt, each waiting task is polled once more, with a [`budget`] that is used up for good.
//! In such a poll nothing gets done: each operation suspends at its first line, as it does in any poll whose budget is used up, says
//! what it waits for, and wakes nobody. Every future has to bear a poll that nobody asked for.
//!
//! So while all goes well nobody notes anything down, and a wait costs what it cost before. The other way, a note at each wait while
//! some inspection is on, takes a look at a flag in every operation, and knows less: a note is made by the poll that began to wait,
//! and a combinator that polls only what was woken begins anew with each poll.
//!
//! Whether it has come to a halt, `is_hopeless` says: no counted waker is [kept](crate::keep) by anybody, nobody holds the clock (a blocking
//! job, a remote channel), no task waits for a source, and there is no mail.

use std::cell::RefCell;
use std::task::{Context, Poll};

use crate::kept::{self, Kept};
use crate::machine::budget;
use crate::machine::core::Core;
use crate::machine::header::HasHeader;
use crate::machine::task::Progress;
use crate::machine::waker::TaskId;
use crate::runtime::{Deadlock, RunError};

/// What is left of the budget in a poll that only asks: less than any debt.
const QUESTION: i64 = i64::MIN / 2;

/// Less than this is left in no other poll.
const DEEPEST_DEBT: i64 = QUESTION / 2;

/// How often a run may go on because it was asked: a future that wakes somebody each time is asked no more.
const ENOUGH: u32 = 8;

thread_local! {
    static ANSWERS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Whether this poll may do something more. If not, call [`suspend_telling`].
#[inline]
pub fn has_left() -> bool {
    budget::LEFT.get() > 0
}

/// As [`budget::poll`], by an operation that can say what it waits for.
#[inline]
pub fn poll_telling(cx: &mut Context<'_>, tell: impl FnOnce() -> String) -> Poll<()> {
    if has_left() { Poll::Ready(()) } else { suspend_telling(cx, tell) }
}

/// Suspends an operation that has found [no budget left](has_left): the cold half of [`poll_telling`], for those hot paths in which
/// its closure would cost a few instructions.
#[cold]
pub fn suspend_telling<T>(cx: &mut Context<'_>, tell: impl FnOnce() -> String) -> Poll<T> {
    if is_question() {
        answer(tell());
    }
    let _pending = budget::suspend(cx);
    Poll::Pending
}

/// As [`budget::poll`], by what is only around other operations: a poll that only asks goes on to those.
#[inline]
pub fn poll_around(cx: &mut Context<'_>) -> Poll<()> {
    #[cold]
    #[inline(never)] // or the budget is kept in a register for it: two instructions in each operation
    fn suspend(cx: &mut Context<'_>) -> Poll<()> {
        if is_question() { Poll::Ready(()) } else { budget::suspend(cx) }
    }
    if has_left() { Poll::Ready(()) } else { suspend(cx) }
}

/// Whether this poll only asks what is waited for.
#[inline]
pub fn is_question() -> bool {
    budget::LEFT.get() < DEEPEST_DEBT
}

/// Answers a poll that only asks, for what waits without an operation of its own: what it waits for, in words.
pub fn answer(what: String) {
    ANSWERS.with_borrow_mut(|answers| answers.push(what));
}

/// What was answered since the last call.
fn answers() -> Vec<String> {
    ANSWERS.take()
}

impl Core {
    /// See [`Detect`](kept::Detect).
    pub(crate) fn has_halted(&self, kept: &Kept) -> Result<bool, RunError> {
        if !self.is_hopeless(kept) {
            return Ok(false);
        }
        let tasks = self.waiting_tasks();
        self.asked.set(self.asked.get() + 1);
        let waits = if self.may_ask() { tasks.iter().map(|task| self.ask(task.id)).collect() } else { Vec::new() };
        self.end_polls();
        if self.is_halted(kept) { Err(RunError::Deadlock(Deadlock::new(tasks, waits))) } else { Ok(true) }
    }

    /// See [`Detect`](kept::Detect).
    pub(crate) fn ask_main(&self, kept: &Kept, mut error: RunError, poll: &mut dyn FnMut()) -> Result<(), RunError> {
        if let RunError::Deadlock(deadlock) = &mut error
            && self.may_ask()
        {
            let main = self.main.get();
            self.begin_question(main);
            poll();
            deadlock.said(main, self.end_question(main));
            self.end_polls();
            if !self.is_halted(kept) {
                return Ok(());
            }
        }
        Err(error)
    }

    fn may_ask(&self) -> bool {
        self.asked.get() <= ENOUGH
    }

    /// Whether it is a deadlock still, now that somebody was asked.
    fn is_halted(&self, kept: &Kept) -> bool {
        if self.mailbox.has_mail() {
            self.open_mail(); // it may say no more than that a waker has gone
        }
        self.is_hopeless(kept)
    }

    /// Whether nobody can wake any task. Who lets go of a waker, or of the clock, sends its wake first: so the mail is looked at last. And
    /// who has no waker any more does not get one from the clock's hold: so that is looked at second.
    fn is_hopeless(&self, kept: &Kept) -> bool {
        let is_kept = kept.any(|id| self.slots.reaches(id));
        !is_kept && !self.timers.clock.is_held() && !self.parker().is_watching() && !self.has_work()
    }

    /// What a task waits for. Main is on `block_on`'s stack and is asked there.
    fn ask(&self, id: TaskId) -> Vec<String> {
        let task = self.slots.task(id);
        let Some(task) = task.filter(|task| id != self.main.get() && !task.header().is_finished()) else {
            return Vec::new();
        };
        self.begin_question(id);
        if let Progress::Finished | Progress::Over = task.poll(id) {
            self.retire(id);
        }
        self.end_question(id)
    }

    /// The poll that follows only asks.
    fn begin_question(&self, id: TaskId) {
        self.begin_poll(id);
        drop(answers());
        budget::start(QUESTION);
    }

    /// What was answered, and whose end the task waits for.
    fn end_question(&self, id: TaskId) -> Vec<String> {
        let mut answers = answers();
        let tasks = self.slots.tasks();
        let awaited = tasks.iter().filter(|task| self.task_of(task.header().joiner.get()) == Some(id));
        answers.extend(awaited.map(|task| format!("the end of {}", self.info(task))));
        answers
    }

    /// The task that is polled when this number is woken: for a child of combinators, the one around them.
    fn task_of(&self, id: TaskId) -> Option<TaskId> {
        if !id.is_child() {
            return Some(id);
        }
        let (combinator, _) = self.slots.child(id)?;
        let waker = combinator.parent.take();
        let number = waker.as_ref().and_then(kept::number_of);
        combinator.parent.set(waker);
        self.task_of(number?)
    }
}
