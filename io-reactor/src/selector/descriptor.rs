//! The reactor's own descriptor, which a host with a loop of its own waits for: that of epoll, of kqueue, or of the event
//! port. Where the system has only `poll`, there is none.

use std::os::fd::{AsFd, BorrowedFd};

use crate::reactor::Reactor;

/// Only [`Park::park`](handcar_executor::park::Park::park) may collect events there: whoever else does takes them away.
#[cfg(all(
    not(polling_test_poll_backend),
    any(
        target_os = "linux",
        target_os = "android",
        target_os = "illumos",
        target_os = "solaris",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
        target_vendor = "apple",
    )
))]
impl AsFd for Reactor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.selector.poller().as_fd()
    }
}
