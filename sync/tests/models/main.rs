//! Every primitive against a small reference model: all sequences of operations up to a depth. There is one thread and so no
//! memory order; up to that depth this is a proof.

#[path = "../common/mod.rs"]
mod common;

mod barrier;
mod broadcast;
mod condition;
mod event;
mod line;
mod mpsc;
mod notify;
mod once_cell;
mod oneshot;
mod permits;
mod queue;
mod rate_limiter;
mod remote;
mod reserve;
mod watch;

use common::Waiter;
use handcar_sync::mpsc::error::SendError;

/// Unoptimised builds do two operations less, to keep the suite short; `.ci/run` has a step for optimised ones.
const DEPTH: usize = if cfg!(debug_assertions) { 6 } else { 8 };

/// What became of a message.
type Sent = Result<(), SendError<usize>>;

/// Compares who was woken in this step.
fn compare_wakes<R>(waiters: &mut [Waiter<R>], due: &mut [bool]) {
    for (who, (waiter, due)) in waiters.iter_mut().zip(due).enumerate() {
        assert_eq!(waiter.was_woken(), std::mem::take(due), "whether {who} was woken");
    }
}
