//! What has no event of its own: a full queue of somebody else's.
//!
//! A `connect` to a listener whose backlog is full, and a datagram sent to a socket that has as many as it may have, "would
//! block" on Linux, but what has no room is not the socket at hand, and its events say nothing of the other one. To a `connect`
//! none comes; to a datagram one comes with each attempt, so that who waits for it spins. So it is tried again, after a pause
//! that grows. (Under the simulated clock such a pause is over at once: time runs until there is room.)

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use handcar_executor::budget;
use handcar_executor::layer::Alarm;

/// The first pause, and the longest.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(50);

/// Tries until the answer is not "would block".
#[derive(Debug)]
pub(super) struct Retry {
    /// How long the next pause is.
    next: Duration,
    /// Boxed, since it is rare.
    pause: Option<Box<Alarm>>,
}

impl Retry {
    pub(super) fn new() -> Retry {
        Retry { next: SHORTEST, pause: None }
    }

    pub(super) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(budget::poll(cx));
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.poll(cx));
                self.pause = None;
            }
            match op() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pause = Some(Box::new(Alarm::after(self.next)));
                    self.next = LONGEST.min(self.next * 2);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    budget::spend();
                    return Poll::Ready(result);
                }
            }
        }
    }
}
