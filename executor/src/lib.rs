//! The kernel of Handcar: a single-threaded executor that is meant to be read.
//!
//! It knows tasks, wakers, timers and how to wait; it knows no I/O (the reactor is a [`Park`](park::Park) that is plugged in)
//! and no cancel scopes (they stand on top). It works alone, in any host loop.
//!
//! ```
//! use handcar_executor::{run, sleep, spawn};
//! use std::time::Duration;
//!
//! let sum = run(async {
//!     let slow = spawn(async {
//!         sleep(Duration::from_millis(2)).await;
//!         40
//!     });
//!     let fast = spawn(async { 2 });
//!     slow.await.unwrap() + fast.await.unwrap()
//! });
//! assert_eq!(sum, 42);
//! ```
//!
//! # Reading it
//!
//! In this order; the first six are the machine, the rest is what it is used through.
//!
//! 1. `waker`: a waker is a number, and why
//! 2. `slots`: where tasks live, and the run queue through them
//! 3. `task`: a future, its result and whoever waits for it, in one allocation
//! 4. `core`: the loop, and `pace`: how often it looks outside
//! 5. `mailbox`: how other threads reach it
//! 6. [`park`]: how it waits
//! 7. `join`: handles, cancelling, detaching
//! 8. `timers`, `clock`: deadlines, and where time comes from
//! 9. `sleep`, `timeout`, `interval`: what waits for time
//! 10. `delegate`: children of combinators, woken one by one
//! 11. `pool`: threads for calls that block
//! 12. `runtime`, `spawn`, `context`: what a program holds of it
//!
//! [`budget`], `observe` and `report` are a page each: fairness, looking on, and what nobody waits for.

pub mod budget;
mod clock;
mod context;
mod core;
mod delegate;
mod interval;
mod join;
mod mailbox;
mod observe;
mod pace;
pub mod park;
mod pool;
mod report;
mod runtime;
mod sleep;
mod slots;
mod spawn;
mod task;
mod timeout;
mod timers;
mod waker;

pub use clock::{Clock, ClockHold, Instant};
pub use delegate::Delegates;
pub use interval::{Interval, MissedTickBehavior, Tick, interval, interval_at};
pub use join::{AbortHandle, CancelKind, CancelReason, JoinError, JoinHandle, PanicPayload};
pub use mailbox::WakeHandle;
pub use observe::{Cause, Event};
pub use pool::{ToThread, to_thread, try_to_thread};
pub use report::Report;
pub use runtime::{Builder, Deadlock, Metrics, OnPanic, RunError, Runtime, Turn, run, try_run};
pub use sleep::{Sleep, sleep, sleep_until};
pub use spawn::{Spawner, YieldNow, spawn, spawn_named, yield_now};
pub use task::TaskInfo;
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use waker::TaskId;

/// The task that is being polled on this thread, if one is.
pub fn current_task() -> Option<TaskInfo> {
    context::with_current(|core| core.running()).flatten()
}
