//! Where a runtime waits that has no sources: on the thread's own parker.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::sync::{Parker, Unparker};

use crate::machine::park::{Notify, Park};
use crate::slack::less_slack;

/// Sleeps on the thread's own parker: all that a runtime without I/O needs.
#[derive(Default)]
pub struct ThreadParker(Parker);

impl Park for ThreadParker {
    fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        match timeout {
            Some(Duration::ZERO) => {} // a look: there is nothing to collect, and a kept notification stays
            Some(timeout) => self.0.park_timeout(less_slack(timeout)),
            None => self.0.park(),
        }
        Ok(())
    }

    fn is_watching(&self) -> bool {
        false
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::new(ThreadNotify(self.0.unparker().clone()))
    }
}

impl fmt::Debug for ThreadParker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadParker")
    }
}

struct ThreadNotify(Unparker);

impl Notify for ThreadNotify {
    fn notify(&self) {
        self.0.unpark();
    }
}
