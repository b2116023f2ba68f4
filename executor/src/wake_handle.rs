//! The wake handle: what other threads may hold of a runtime.

use std::fmt;
use std::sync::Arc;

use crate::machine::mailbox::Mailbox;

/// Ends the park of a runtime from any thread; for a host loop, makes its descriptor readable.
#[derive(Clone)]
pub struct WakeHandle(pub(crate) Arc<Mailbox>);

impl WakeHandle {
    /// Ends the runtime's present park, or its next one. After the runtime's end it does nothing.
    pub fn wake(&self) {
        self.0.notify();
    }
}

impl fmt::Debug for WakeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeHandle")
    }
}
