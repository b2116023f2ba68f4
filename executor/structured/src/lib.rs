//! Structured concurrency for Handcar: cancel scopes, cleanups that are awaited, timeouts as scopes, task groups.
//!
//! > A cancelled scope polls its body once more. If the body completes, its value counts. If it is pending, and nothing live in
//! > it is protected, the body is dropped; else the scope polls on until that is so, or the grace period ends. Then it drains
//! > its cleanups, then it reports.
//!
//! ```
//! use handcar_structured::{defer, run, sleep, timeout};
//! use std::{cell::RefCell, rc::Rc, time::Duration};
//!
//! let log = Rc::new(RefCell::new(Vec::new()));
//! let in_cleanup = Rc::clone(&log);
//! let result = run(timeout(Duration::from_millis(5), async {
//!     let _guard = defer(async move {
//!         sleep(Duration::from_millis(1)).await; // saying goodbye takes time, and is awaited
//!         in_cleanup.borrow_mut().push("goodbye");
//!     });
//!     sleep(Duration::MAX).await;
//! }));
//! assert!(result.is_err());
//! assert_eq!(*log.borrow(), ["goodbye"]);
//! ```
//!
//! The guide is `docs/cancellation.md`.
//!
//! # Reading it
//!
//! 1. `reason`: why something was cancelled
//! 2. `polls`: the poll stack, where what runs finds its scope
//! 3. `node`: the tree of the scopes that something holds on to
//! 4. `scoped`: the rule
//! 5. `cleanup`, `bracket`: what is awaited however a scope is left
//! 6. `scope`, `token`, `shield`, `observe`, `timeout`: what programs use
//! 7. `task`, `main_scope`, `spawn`, `join`, `runtime`, `shutdown`: tasks and the runtime's end
//! 8. `group`, `crew`, `gate`, `group_child`, `group_handle`, `group_run`, `group_start`, `group_builder`: task groups
//! 9. `borrowing`: scopes whose children borrow
//! 10. `group_error`, `handling`: what went wrong in a group, and `except*`
//! 11. `branch`, `branches`, `gather`, `as_completed`, `race`: many futures in one task
//! 12. `together`, `gather_macros`: a few futures of different types
//! 13. `generator`: streams written as a body
//! 14. `context`: variables that a task and what it spawns carry along
//! 15. `thread`: blocking calls, which a cancel waits for
#![deny(unsafe_code)]

mod as_completed;
mod borrowing;
mod bracket;
mod branch;
mod branches;
mod cleanup;
mod context;
mod crew;
mod gate;
mod gather;
mod gather_macros;
mod generator;
mod group;
mod group_builder;
mod group_child;
mod group_error;
mod group_handle;
mod group_run;
mod group_start;
mod handling;
mod join;
mod main_scope;
mod members;
mod node;
mod observe;
mod polls;
mod race;
mod reason;
mod runtime;
mod scope;
mod scoped;
mod shield;
mod shutdown;
mod spawn;
mod task;
mod thread;
mod timeout;
mod times;
mod together;
mod token;

pub use as_completed::{AsCompleted, as_completed};
pub use borrowing::{Scope, scope};
pub use bracket::{BracketError, bracket};
pub use cleanup::{DeferGuard, RunCleanup, defer};
pub use context::{ContextVar, WithVar};
pub use gather::{Catching, Failure, Gather, GatherResults, TryGather, gather, gather_results, try_gather};
pub use gather_macros::{GatherTuple, TryGatherTuple};
pub use generator::{Generate, TryGenerate, Yield, Yielder, generate, try_generate};
pub use group::{TaskGroup, task_group};
pub use group_builder::{GroupBuilder, OnChildPanic, OnError};
pub use group_error::{GroupError, Iter, Leaf, LeafCause};
pub use group_handle::{GroupHandle, TaskEnd};
pub use group_start::{Start, StartError, Started};
#[doc(hidden)] // for libraries on top that make futures
pub use handcar_executor::unpolled;
pub use handcar_executor::{
    AbortHandle, Cause, Clock, ClockHold, Deadlock, Event, Instant, Interval, JobInfo, Metrics, MissedTickBehavior,
    OnPanic, PanicPayload, Report, Reports, RunError, Sleep, TaskId, TaskInfo, Tick, Turn, WakeHandle, YieldNow,
    current_task, interval, interval_at, sleep, sleep_until, yield_now,
};
pub use handling::{Handling, HoldsError};
pub use join::{JoinError, JoinHandle};
pub use observe::{Cancellable, WaitCancelled, cancellable, cancelled, effective_deadline, is_cancelled};
pub use race::{OfAnyTypes, OfOneType, Race, RaceTuple, Racers, race};
pub use reason::{CancelKind, CancelReason, Cancelled};
pub use runtime::{Builder, Runtime, run, try_run};
pub use scope::{CancelScope, RunScope, scope_of};
pub use shield::{Shield, shield, shield_for};
pub use spawn::{Spawner, spawn, spawn_named};
pub use thread::{ToThread, to_thread, try_to_thread};
pub use timeout::{Deadline, Elapsed, MoveOn, Timeout, move_on_after, timeout, timeout_at, timeout_scope};
pub use together::{OneOf, TryTuple, Tuple};
pub use token::{CancelToken, DropGuard};

/// What the macros expand to.
#[doc(hidden)]
pub mod macros {
    pub use crate::gather_macros::{gather, try_gather};
}
