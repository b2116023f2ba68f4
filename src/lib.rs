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
//! | time | [`sleep`], [`interval`], [`timeout`], [`Instant`], [`Clock`] |
//! | between tasks | [`sync`]: channels, queues, locks, semaphores, events |
//! | one item after the other | [`stream`]: generators, `next`, `map`, `collect` |
//! | network | [`net`]: TCP, name lookup |
//! | the process | [`signal`] |
//! | blocking calls | [`to_thread`] |
//! | hyper on this runtime | `hyper`, behind the feature of that name |
//!
//! Everything stays on the thread that made it. Dropping a [`JoinHandle`] cancels its task; detaching says what becomes of
//! the result.
//!
//! # The packages behind it
//!
//! This crate is a face: it only gathers. The machine is `handcar-executor`, which is made to be read from top to bottom;
//! `handcar-io-reactor` waits for descriptors, `handcar-sync` is everything that tasks do with each other.

pub use handcar_executor::{
    AbortHandle, Builder, CancelKind, CancelReason, Cause, Clock, ClockHold, Deadlock, Elapsed, Event, Instant,
    Interval, JoinError, JoinHandle, Metrics, MissedTickBehavior, OnPanic, PanicPayload, Report, RunError, Runtime,
    Sleep, Spawner, Tick, Timeout, ToThread, Turn, WakeHandle, YieldNow, interval, interval_at, run, sleep,
    sleep_until, spawn, spawn_named, timeout, timeout_at, to_thread, try_run, try_to_thread, yield_now,
};
pub use handcar_sync as sync;

#[cfg(feature = "macros")]
pub use handcar_macros::{main, test};

/// What hyper needs to run on Handcar.
#[cfg(feature = "hyper")]
pub use handcar_hyper as hyper;

pub mod net;
#[cfg(feature = "signal")]
pub mod signal;
pub mod stream;
pub mod task;
