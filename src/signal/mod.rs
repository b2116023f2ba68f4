//! Signals.
//!
//! A signal handler may do next to nothing. So it notes the signal, writes one byte into a pipe, and the reactor reads the
//! other end, as it reads any descriptor.

mod ctrl_c;
mod shutdown;
mod signals;

pub use ctrl_c::{CtrlC, ctrl_c};
pub use shutdown::{ShutdownSignal, shutdown};
pub use signals::{RecvSignal, Signals};
