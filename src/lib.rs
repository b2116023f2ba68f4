//! Handcar: a single-threaded async runtime, written by hand to be fast, to lose nothing, and to be read.
//!
//! ```
//! use handcar::sync::mpsc;
//! use handcar::{spawn, timeout};
//! use std::time::Duration;
//!
//! #[handcar::main]
//! async fn main() {
//!     let (tx, mut rx) = mpsc::channel(8);
//!     spawn(async move {
//!         for n in 1..=3 {
//!             tx.send(n).await.unwrap();
//!         }
//!     })
//!     .detach();
//!     let mut sum = 0;
//!     while let Ok(Some(n)) = timeout(Duration::from_secs(1), rx.recv()).await {
//!         sum += n;
//!     }
//!     assert_eq!(sum, 6);
//! }
//! ```
//!
//! # Where to find what
//!
//! | | |
//! |---|---|
//! | starting | [`run`], [`try_run`], [`main`](macro@main), [`test`](macro@test), [`Builder`], [`Runtime`] |
//! | tasks | [`spawn`], [`spawn_named`], [`yield_now`], [`JoinHandle`], [`Spawner`], [`task`] |
//! | tasks that belong together | [`task_group`], [`scope()`], [`gather()`], [`race`], [`as_completed`], [`GroupError`] |
//! | cancelling | [`CancelScope`], [`CancelToken`], [`shield`], [`cancellable`], [`cancelled`], [`is_cancelled`] |
//! | cleaning up | [`defer`], [`bracket`], [`scope_of`] |
//! | time | [`sleep`], [`interval`], [`timeout`], [`move_on_after`], [`timeout_scope`], [`Instant`], [`Clock`] |
//! | between tasks | [`sync`]: channels, queues, locks, semaphores, events |
//! | one item after the other | [`stream`]: generators, `next`, `map`, `collect` |
//! | files | [`fs`]: `read_to_string`, `write`, `lines`, `File` |
//! | network | [`net`]: TCP, UDP, Unix sockets, name lookup |
//! | the process | [`signal`] |
//! | what a request carries along | [`context_var!`], [`ContextVar`] |
//! | blocking calls | [`to_thread`] |
//! | hyper on this runtime | `hyper`, behind the feature of that name |
//!
//! Everything stays on the thread that made it. Dropping a [`JoinHandle`] cancels its task; detaching says what becomes of
//! the result. Whatever is cancelled ends by drop, and its cleanups are awaited; the guide is `docs/cancellation.md`.
//!
//! # The packages behind it
//!
//! This crate is a face: it only gathers. The machine is `handcar-executor`, which is made to be read from top to bottom;
//! `handcar-structured` gives its tasks cancel scopes, cleanups and groups, `handcar-io-reactor` waits for descriptors,
//! `handcar-sync` is everything that tasks do with each other.

pub use handcar_structured::{
    AbortHandle, AsCompleted, BracketError, Builder, CancelKind, CancelReason, CancelScope, CancelToken, Cancellable,
    Cancelled, Catching, Cause, Clock, ClockHold, ContextVar, Deadline, Deadlock, DeferGuard, DropGuard, Elapsed,
    Event, Failure, Gather, GatherResults, GatherTuple, GroupBuilder, GroupError, GroupHandle, Handling, HoldsError,
    Instant, Interval, JobInfo, JoinError, JoinHandle, Leaf, LeafCause, Metrics, MissedTickBehavior, MoveOn,
    OnChildPanic, OnError, OnPanic, OneOf, PanicPayload, Race, RaceTuple, Racers, Report, Reports, RunCleanup,
    RunError, RunScope, Runtime, Scope, Shield, Sleep, Spawner, Start, StartError, Started, TaskEnd, TaskGroup, Tick,
    Timeout, ToThread, TryGather, TryGatherTuple, Turn, WaitCancelled, WakeHandle, WithVar, YieldNow, as_completed,
    bracket, cancellable, cancelled, context_var, defer, effective_deadline, gather, gather_results, generate,
    interval, interval_at, is_cancelled, move_on_after, race, run, scope, scope_of, shield, shield_for, sleep,
    sleep_until, spawn, spawn_named, task_group, timeout, timeout_at, timeout_scope, to_thread, try_gather,
    try_generate, try_run, try_to_thread, yield_now,
};
pub use handcar_sync as sync;

#[cfg(feature = "macros")]
pub use handcar_macros::{main, test};

/// What hyper needs to run on Handcar.
#[cfg(feature = "hyper")]
pub use handcar_hyper as hyper;

pub mod fs;
pub mod net;
#[cfg(feature = "signal")]
pub mod signal;
pub mod stream;
pub mod task;

/// The blocks of the guide are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/cancellation.md")]
mod guide {}
