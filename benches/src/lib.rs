//! Handcar measured beside tokio.
//!
//! A workload is one source, written against the `Runtime` trait and compiled once for each runtime; it says what one
//! operation is, and the `Bencher` times it. [`rows`] puts the two together into the rows of the table.
//! From there on nothing is generic: a row's entrants are plain functions.
//!
//! ```text
//!    workloads (what)      runtimes (on what)
//!            \               /
//!             rows: entrants, targets
//!            /               \
//!    compare: a process      micro: criterion, for a look
//!    for each sample,        at one row while working on it
//!    ratios of pairs
//! ```
//!
//! How to run and read it is in `docs/benchmarks.md`.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

pub mod bencher;
pub mod compare;
mod interval;
mod machine;
mod report;
pub mod rows;
mod runtime;
mod runtimes;
mod standing;
mod stats;
mod toolkit;
mod toolkits;
mod workloads;

/// What results call the build that all are measured in, unless they say otherwise.
const STANDARD_BUILD: &str = "standard";

/// What the entrants allocate with.
#[cfg(not(any(feature = "jemalloc", feature = "mimalloc")))]
const ALLOCATOR: &str = "glibc";

#[cfg(feature = "jemalloc")]
const ALLOCATOR: &str = "jemalloc";
#[cfg(feature = "jemalloc")]
#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
const ALLOCATOR: &str = "mimalloc";
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;
