//! Lets [hyper] run on Handcar. The package `handcar` re-exports this as `handcar::hyper`, behind its feature `hyper`.
//!
//! hyper knows no runtime. It asks for three things: a stream to read and write, a place to put tasks, and a timer.
//!
//! * [`HyperIo`] makes a stream of anything that implements the traits of futures-io: a socket of Handcar, or TLS over it.
//! * [`HyperExecutor`] spawns on the current runtime. HTTP/2 needs it, HTTP/1 does not.
//! * [`HyperTimer`] takes its time from the current runtime's clock, the simulated one too: hyper's timeouts can be
//!   tested without waiting for them.
//!
//! It is a package of its own, so that who does not speak HTTP builds nothing of it: cargo unifies the features of all
//! packages that it builds from, and a mere module of the face would bring hyper into the smallest example.
//!
//! [hyper]: https://docs.rs/hyper

#![forbid(unsafe_code)]

mod executor;
mod io;
mod timer;

pub use executor::HyperExecutor;
pub use io::HyperIo;
pub use timer::HyperTimer;
