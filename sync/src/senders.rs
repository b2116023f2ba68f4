//! Senders: how many a channel has, and which lines cloned them.
//!
//! Who waits for a message for ever wants to know who could have sent it. So each sender knows the line that cloned it, and the channel
//! how many senders live of each such line. There are few such lines in a program: a short list does, and only who clones or drops
//! a clone looks at it.

use std::cell::Cell;
use std::fmt::Write;
use std::panic::Location;

/// The line that cloned a sender; none for the one that the channel was made with.
pub(crate) type Origin = Option<&'static Location<'static>>;

/// The senders of one channel.
pub(crate) struct Senders {
    count: Cell<usize>,
    /// The lines of living clones, and how many of each.
    clones: Cell<Vec<(&'static Location<'static>, usize)>>,
}

impl Senders {
    /// One, with which the channel is made.
    pub(crate) const fn new() -> Self {
        Self { count: Cell::new(1), clones: Cell::new(Vec::new()) }
    }

    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.count.get()
    }

    /// There is one more, which the caller's line has cloned.
    #[track_caller]
    pub(crate) fn join(&self) -> &'static Location<'static> {
        let at = Location::caller();
        self.count.set(self.count.get() + 1);
        let mut clones = self.clones.take();
        match clones.iter_mut().find(|(known, _)| *known == at) {
            Some((_, count)) => *count += 1,
            None => clones.push((at, 1)),
        }
        self.clones.set(clones);
        at
    }

    /// One is gone. Says whether it was the last.
    pub(crate) fn leave(&self, origin: Origin) -> bool {
        if let Some(at) = origin {
            let mut clones = self.clones.take();
            if let Some(place) = clones.iter().position(|(known, _)| *known == at) {
                clones[place].1 -= 1;
                if clones[place].1 == 0 {
                    clones.remove(place);
                }
            }
            self.clones.set(clones);
        }
        self.count.set(self.count.get() - 1);
        self.count.get() == 0
    }

    /// For a deadlock report: `, 3 senders from` each line, of a channel that was made at `made_at`.
    pub(crate) fn told(&self, made_at: &'static Location<'static>) -> String {
        let clones = self.clones.take();
        let listed: usize = clones.iter().map(|(_, count)| count).sum();
        let first = [(made_at, self.count.get() - listed)];
        let mut text = format!(", {} sender{} from", self.count.get(), if self.count.get() == 1 { "" } else { "s" });
        let lines = first.iter().chain(&clones).filter(|(_, count)| *count > 0);
        for (n, (at, count)) in lines.enumerate() {
            let _ = write!(text, "{} {at}", if n > 0 { "," } else { "" });
            if *count > 1 {
                let _ = write!(text, " ({count})");
            }
        }
        self.clones.set(clones);
        text
    }
}
