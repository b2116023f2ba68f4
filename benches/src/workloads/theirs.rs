//! The benches that the peers keep for themselves, written again against the seam: what each thought worth watching, on all.
//!
//! Left out is what asks for an interface that the others do not have: spawning from outside a runtime that stands still,
//! `recv_many`, async-executor's `spawn_many`. tokio's benches of its channels and locks run on six threads there, and on one here.

pub(crate) mod async_executor;
pub(crate) mod compio;
pub(crate) mod tokio;
