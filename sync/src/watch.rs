//! A channel that keeps the latest value only: for state that many tasks follow.
//!
//! The value is in an `Rc`. A reader holds a clone of that `Rc`, so whoever sends a new value waits for no reader, and a reader
//! goes on with the value that it has. A version number tells who has seen what.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::event::Event;
use crate::senders::Senders;
use crate::wait_queue::{Wait, WaitQueue};

mod receiver;
mod sender;

pub use receiver::{Changed, Receiver, WaitFor};
pub use sender::Sender;

/// Error types, under the path that they have in tokio.
pub mod error {
    pub use super::RecvError;
    pub use crate::mpsc::error::SendError;
}

const BEING_MODIFIED: &str =
    "the value of a watch channel is being modified; inside the closure, use the closure's argument";

/// Creates a channel that holds `value`, which counts as seen by the receiver.
///
/// ```
/// # use handcar_sync::watch;
/// # handcar_executor::run(async {
/// let (level, mut watcher) = watch::channel(1);
/// level.send(2).unwrap();
/// level.send(3).unwrap();
/// watcher.changed().await.unwrap();
/// assert_eq!(*watcher.borrow_and_update(), 3);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Channel<T> {
    /// `None` while `send_modify` has it.
    value: Cell<Option<Rc<T>>>,
    version: Cell<u64>,
    senders: Senders,
    receivers: Cell<usize>,
    /// Those who wait for another version, or for the last sender to go.
    changes: WaitQueue,
    /// Set while there is no receiver.
    closed: Event,
}

static CHANGED: Wait = Wait::new("watch::Changed", "changed", "watch channel", "");
static CLOSED: Wait = Wait::new("EventWait", "closed", "watch channel", ", which has receivers");

impl<T> Channel<T> {
    /// For a deadlock report.
    fn waits_for_change(&self) -> String {
        CHANGED.told(self.changes.made_at()) + &self.senders.told(self.changes.made_at())
    }

    #[track_caller]
    fn value(&self) -> Rc<T> {
        let value = self.value.take().expect(BEING_MODIFIED);
        self.value.set(Some(value.clone()));
        value
    }

    fn advance(&self) {
        self.version.set(self.version.get() + 1);
        self.changes.dismiss_all();
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("version", &self.version.get()).finish_non_exhaustive()
    }
}

/// A value as it was when it was borrowed. It may be kept for as long as one likes: a newer value does not wait for it.
pub struct Ref<T> {
    value: Rc<T>,
    has_changed: bool,
}

impl<T> Ref<T> {
    /// Whether the receiver that it was borrowed from had not seen the value.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// All senders have gone, and the last value was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError(());

says!(RecvError { _ => "all senders have gone" });
