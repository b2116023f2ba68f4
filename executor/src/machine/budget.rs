//! The budget: how much one poll of a task may get done.
//!
//! A task that loops over a channel which always has a message would never suspend, and nothing else on the thread would
//! ever run. So each poll of a task starts with a budget, every leaf operation (channel, lock, socket, timer, join) that
//! succeeds spends one unit, and at zero the next operation wakes its task and suspends once. The task goes to the end of the
//! run queue, the others run, and nothing is lost: the operation had not begun.
//!
//! Only success is charged. Were waiting charged as well, a `join!` of more futures than the budget has units would poll
//! the first ones again and again and never reach the last.
//!
//! The counter is one thread-local cell without a destructor: a load and a compare on the way in, a store on the way out.
//! Outside a poll of Handcar (another executor, a plain `poll` in a test) it is unlimited. Another executor that is run *inside* a
//! poll is part of that poll: once the budget is spent, it spins. Await there instead of blocking.
//!
//! ```
//! # use std::{cell::Cell, task::{Context, Poll, ready}};
//! # use handcar_executor::budget;
//! fn poll_take(stock: &Cell<u32>, cx: &mut Context<'_>) -> Poll<u32> {
//!     ready!(budget::poll(cx)); // may suspend: nothing has been touched yet
//!     let left = stock.get().checked_sub(1).expect("out of stock");
//!     stock.set(left);
//!     budget::spend(); // it is done: charge it
//!     Poll::Ready(left)
//! }
//! # let mut cx = Context::from_waker(std::task::Waker::noop());
//! # assert_eq!(poll_take(&Cell::new(3), &mut cx), Poll::Ready(2));
//! ```

use std::cell::Cell;
use std::task::{Context, Poll};

use crate::question;

/// What a poll of a task may spend when the [`Builder`](crate::Builder) says nothing else: tokio's figure, enough to make
/// the yield disappear in the cost of the operations, small enough to keep a turn short.
pub const DEFAULT: u32 = 128;

/// More than any thread will ever spend: counting down from it needs no special case.
const UNLIMITED: i64 = i64::MAX;

thread_local! {
    pub(crate) static LEFT: Cell<i64> = const { Cell::new(UNLIMITED) };
}

/// Suspends, with the task woken, if the budget of this poll is used up. Call it before the operation touches anything.
#[inline]
pub fn poll(cx: &mut Context<'_>) -> Poll<()> {
    if LEFT.get() > 0 { Poll::Ready(()) } else { suspend(cx) }
}

/// Charges one unit. Call it when the operation has succeeded.
#[inline]
pub fn spend() {
    LEFT.set(LEFT.get() - 1);
}

/// Whether the budget is used up: for combinators that drain many children in one poll.
#[inline]
pub fn is_spent() -> bool {
    LEFT.get() <= 0 && !question::is_question()
}

/// Starts a poll with `units`; returns what was left of the one around it.
#[inline]
pub(crate) fn start(units: i64) -> i64 {
    LEFT.replace(units)
}

/// No poll runs any more.
pub(crate) fn stop() {
    LEFT.set(UNLIMITED);
}

#[cold]
pub(crate) fn suspend(cx: &mut Context<'_>) -> Poll<()> {
    if !question::is_question() {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}
