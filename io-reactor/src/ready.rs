//! What is known about a descriptor: the two directions, and which of them is ready.

/// One of the two ways in which a descriptor is used. Each has its own readiness and its own waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What the system has reported about a descriptor, or what may be hoped of a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The peer has closed, the connection has failed, or urgent data splits the stream: a short read or write does not
    /// mean that the next one would block, and no further edge may come to say so.
    pub(crate) irregular: bool,
}

impl Ready {
    /// Nothing is known: wait for the system to report. Right while a connection is being made.
    pub(crate) const UNKNOWN: Ready = Ready { read: false, write: false, irregular: false };

    /// Worth a try in both directions. Right for a descriptor of which nothing is known: a system call that says "would
    /// block" costs less than a wait for a report that it would not have.
    pub(crate) const HOPED: Ready = Ready { read: true, write: true, irregular: false };

    pub(crate) fn is(self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.read,
            Direction::Write => self.write,
        }
    }

    pub(crate) fn clear(&mut self, direction: Direction) {
        match direction {
            Direction::Read => self.read = false,
            Direction::Write => self.write = false,
        }
    }

    /// Adds what a new report says. Irregularity stays: it explains every short read that follows.
    pub(crate) fn add(&mut self, news: Ready) {
        self.read |= news.read;
        self.write |= news.write;
        self.irregular |= news.irregular;
    }
}
