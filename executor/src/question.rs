//! Questions: what a deadlock report knows of those who wait.
//!
//! When a run has come to a halt, each waiting task is polled once more, with a [`budget`] that is used up for good.
//! In such a poll nothing gets done: each operation suspends at its first line, as it does in any poll whose budget is used up, says
//! what it waits for, and wakes nobody. Every future has to bear a poll that nobody asked for.
//!
//! So while all goes well nobody notes anything down, and a wait costs what it cost before. The other way, a note at each wait while
//! some inspection is on, takes a look at a flag in every operation, and knows less: a note is made by the poll that began to wait,
//! and a combinator that polls only what was woken begins anew with each poll.

use std::cell::RefCell;
use std::task::{Context, Poll};

use crate::machine::budget;
use crate::machine::core::Core;
use crate::machine::task::Progress;
use crate::machine::waker::TaskId;
use crate::runtime::{Deadlock, RunError};

/// What is left of the budget in a poll that only asks: less than any debt.
const QUESTION: i64 = i64::MIN / 2;

/// Less than this is left in no other poll.
const DEEPEST_DEBT: i64 = QUESTION / 2;

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
    /// Nothing can wake anybody: asks each task what it waits for. If one of them ends or wakes another while it is asked, the run
    /// goes on, once.
    #[cold]
    pub(crate) fn come_to_a_halt(&self) -> Result<(), RunError> {
        let tasks = self.waiting_tasks();
        let waits =
            if self.asked.replace(true) { Vec::new() } else { tasks.iter().map(|task| self.ask(task.id)).collect() };
        self.end_polls();
        if self.slots.borrow().has_queued() || self.mailbox.has_mail() {
            return Ok(());
        }
        Err(RunError::Deadlock(Deadlock::new(tasks, waits)))
    }

    /// What a task waits for. Main is on `block_on`'s stack and is asked there.
    fn ask(&self, id: TaskId) -> Vec<String> {
        let task = self.slots.borrow().task(id).cloned();
        let Some(task) = task.filter(|task| id != self.main.get() && !task.header().is_finished()) else {
            return Vec::new();
        };
        self.begin_question(id);
        if let Progress::Finished | Progress::Over = task.poll(self, id) {
            self.retire(id);
        }
        self.end_question(id)
    }

    /// The poll that follows only asks.
    pub(crate) fn begin_question(&self, id: TaskId) {
        self.begin_poll(id);
        drop(answers());
        budget::start(QUESTION);
    }

    /// What was answered, and whose end the task waits for.
    pub(crate) fn end_question(&self, id: TaskId) -> Vec<String> {
        let mut answers = answers();
        let tasks: Vec<_> = self.slots.borrow().tasks().cloned().collect();
        let awaited = tasks.iter().filter(|task| task.header().is_joined_by(id));
        answers.extend(awaited.map(|task| format!("the end of {}", self.info(task))));
        answers
    }
}
