//! What the programs in this directory share: [`session`], a small HTTP client.
//!
//! * `hello`: two tasks, a channel, a timeout (a package of its own: it builds in seconds).
//! * `fetch_all`: a crawl with a limit and timeouts, against a server in the same thread.
//! * `echo`: a server that gives back what it gets.

pub mod session;

pub use session::{FetchError, Response, Session};
