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
//! `machine` is the kernel in the narrow sense, thirteen files that one reads in an afternoon, in the order that its essay gives. Around
//! it is what programs see of it:
//!
//! * `runtime`, `main_task`, `spawn`: building a runtime, running it, spawning on it
//! * `time`: clocks, sleeping, timeouts, intervals
//! * `pool`, `job`: threads, and calls that block
//! * `thread_parker`, `slack`: waiting without sources, and how exactly
//! * `shutdown`, `detach`, `discard`, `cells`: how it ends, what becomes of results that nobody wants, and of the memory of tasks
//! * `report`, `reporter`, `observe`, `watch`, [`question`], `kept`: what nobody waits for, looking on, polls that take too long, what a
//!   deadlock report knows, and when it is one
//! * `timer_heap`, `ready_list`, `deque`, `recycled`, `unchecked`: what timers, combinators and channels keep their things in, and how it is borrowed
//! * [`layer`], `local`: what structured concurrency, which stands on top, hooks into

mod abort_handle;
mod cells;
mod deque;
mod detach;
mod discard;
mod job;
mod join_error;
mod kept;
pub mod layer;
mod local;
mod machine;
mod main_task;
mod observe;
mod pool;
pub mod question;
mod ready_list;
mod recycled;
mod report;
mod reporter;
mod runtime;
mod shutdown;
mod slack;
mod spawn;
mod task_info;
mod thread_parker;
mod time;
mod timer_heap;
mod unchecked;
pub mod unpolled;
mod wake_handle;
mod watch;

pub use abort_handle::AbortHandle;
#[doc(hidden)] // for channels
pub use deque::Deque;
pub use job::{JobInfo, ToThread, to_thread, try_to_thread};
pub use join_error::{CancelKind, CancelReason, JoinError, PanicPayload};
pub use kept::{Lent, is_same, keep, keep_plain, let_go};
pub use machine::delegate::Delegates;
pub use machine::join::JoinHandle;
pub use machine::waker::TaskId;
pub use machine::{budget, park};
pub use observe::{Cause, Event};
#[doc(hidden)] // for channels
pub use recycled::Recycled;
pub use report::Report;
pub use reporter::Reports;
pub use runtime::{Builder, Deadlock, Metrics, OnPanic, RunError, Runtime, Turn, run, try_run};
pub use spawn::{Spawner, YieldNow, spawn, spawn_named, yield_now};
pub use task_info::TaskInfo;
pub use time::clock::{Clock, ClockHold, Instant};
pub use time::interval::{Interval, MissedTickBehavior, Tick, interval, interval_at};
pub use time::sleep::{Sleep, sleep, sleep_until};
pub use time::timeout::{Elapsed, Timeout, timeout, timeout_at};
pub use wake_handle::WakeHandle;

/// The task that is being polled on this thread, if one is.
pub fn current_task() -> Option<TaskInfo> {
    machine::context::with_current(|core| core.running()).flatten()
}
