//! A channel of messages from many senders to one receiver.
//!
//! It is a [`Deque`], a `VecDeque` that is shared, and a [`Semaphore`] whose permits are the free slots: who sends takes one, who receives
//! gives one back.
//! The single receiver needs no queue, only a cell for its waker, and is woken on the edge from empty to not empty. A sender
//! that waits is granted its slot by the receiver; being polled, it moves its message in. So the message stays with the sender
//! until there is room for it, and in the channel until the poll of `recv` that returns it.
//!
//! A capacity is a limit and not a reservation: the buffer grows with what is in it, and a burst's memory is given back when the
//! channel runs empty. An [unbounded channel](unbounded_channel) takes no slots: of its semaphore it needs no more than whether that is closed.
//!
//! Capacity 0 is a rendezvous: there is one slot, but `send` returns only once the receiver has taken the message out of it,
//! and takes it back if that does not happen.
//!
//! ```
//! # use handcar_sync::mpsc;
//! # handcar_executor::run(async {
//! let (sender, mut receiver) = mpsc::channel(10);
//! sender.send("a").await.unwrap();
//! sender.clone().send("b").await.unwrap();
//! drop(sender);
//! assert_eq!(receiver.recv().await, Some("a"));
//! assert_eq!(receiver.recv().await, Some("b"));
//! assert_eq!(receiver.recv().await, None);
//! # });
//! ```

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::panic::Location;

use handcar_executor::{Deque, Recycled};

use crate::event::Event;
use crate::semaphore::Semaphore;
use crate::senders::Senders;
use crate::wait_queue::{Ticket, Wait};
use crate::waker_cell::WakerCell;

pub mod error;
mod permit;
mod receiver;
mod sender;
mod sending;
#[cfg(feature = "sink")]
mod sink;
mod weak;

pub use permit::{OwnedPermit, Permit, PermitIterator, Reserve, Room};
pub use receiver::{Receiver, RecvMany};
pub use sender::{Bounded, Sender, Unbounded};
pub use sending::Sending;
#[cfg(feature = "sink")]
pub use sink::SenderSink;
pub use weak::WeakSender;

use error::SendError;

/// An empty buffer with more room than this, in messages or in bytes, is given back.
const KEPT_MESSAGES: usize = 4096;
const KEPT_BYTES: usize = 1 << 20;

static RECV: Wait = Wait::new("Recv", "recv", "channel", "");
static CLOSED: Wait = Wait::new("EventWait", "closed", "channel", ", whose receiver lives");

/// Creates a channel that holds up to `capacity` messages; a capacity above [`Semaphore::MAX_PERMITS`] counts as that.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    make(capacity.min(Semaphore::MAX_PERMITS), true)
}

/// Creates a channel that never is full, whose senders never wait.
#[track_caller]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    make(Semaphore::MAX_PERMITS, false)
}

/// The end that sends into an unbounded channel.
pub type UnboundedSender<T> = Sender<T, Unbounded>;

/// The end that receives from an unbounded channel.
pub type UnboundedReceiver<T> = Receiver<T>;

/// A sender that does not keep an unbounded channel open.
pub type WeakUnboundedSender<T> = WeakSender<T, Unbounded>;

#[track_caller]
fn make<T, L>(capacity: usize, has_limit: bool) -> (Sender<T, L>, Receiver<T>) {
    let made_at = Location::caller();
    let channel = Recycled::new(|| Channel {
        messages: Deque::new(),
        slots: Semaphore::new_at(capacity.max(1), made_at),
        capacity,
        has_limit,
        senders: Senders::new(),
        receiver_lives: Cell::new(true),
        receiver: WakerCell::default(),
        closed: OnceCell::new(),
        handover: WakerCell::default(),
        rendezvous: Cell::new(0),
    });
    (Sender::new(channel.clone(), None), Receiver { channel })
}

struct Channel<T> {
    messages: Deque<T>,
    slots: Semaphore,
    /// What the user asked for: 0 has one slot all the same.
    capacity: usize,
    /// Whether messages take slots.
    has_limit: bool,
    senders: Senders,
    receiver_lives: Cell<bool>,
    receiver: WakerCell,
    /// Set when the receiver has gone or has closed the channel. Few ask for it, and without it a channel fits into memory that is used again.
    closed: OnceCell<Box<Event>>,
    /// The sender whose rendezvous is under way.
    handover: WakerCell,
    /// Goes up when a rendezvous begins and when it ends, so that it is odd in between; each knows its own by this number.
    rendezvous: Cell<u64>,
}

impl<T> Channel<T> {
    /// For a deadlock report.
    fn waits_for_message(&self) -> String {
        RECV.told(self.slots.made_at()) + &self.senders.told(self.slots.made_at())
    }

    /// Moves a message into a slot that was taken just now, so that the receiver lives.
    #[inline]
    fn push(&self, message: T) {
        self.push_from(|| Some(message));
    }

    /// As [`push`](Channel::push), of a message that stays where it lies until there is room. Then `take` takes it out, and runs no
    /// program's code; there has to be one. (A message that was taken out before would be copied once more, for the sake of a panic while the
    /// channel grows: one of three words took 13 ns in place of 9.)
    #[inline]
    fn push_from(&self, take: impl FnOnce() -> Option<T>) {
        let queued = self.messages.len();
        if queued == self.messages.capacity() {
            return self.grow_and_push_from(take);
        }
        if let Some(message) = take() {
            let pushed = self.messages.push_within_capacity(message);
            debug_assert!(pushed.is_ok());
        }
        if queued == 0 {
            self.receiver.wake();
        }
    }

    #[cold]
    fn grow_and_push_from(&self, take: impl FnOnce() -> Option<T>) {
        self.messages.grow();
        self.push_from(take);
    }

    /// Moves a message into a slot that was taken some time ago.
    #[inline]
    fn push_if_received(&self, message: T) -> Result<(), SendError<T>> {
        if !self.receiver_lives.get() {
            self.free_slots(1);
            return Err(SendError(message));
        }
        self.push(message);
        Ok(())
    }

    /// Moves the oldest message out and frees its slot.
    #[inline(always)]
    #[allow(clippy::inline_always)] // a call less for each wait: 848 to 810 instructions a ping-pong
    fn pop(&self) -> Option<T> {
        let Some(message) = self.messages.pop() else {
            if is_large(&self.messages) {
                drop(self.messages.take());
            }
            return None;
        };
        if self.is_offered() {
            self.hand_over();
        }
        if self.has_limit {
            self.slots.release(1);
        }
        Some(message)
    }

    /// Whether somebody has to hear of it when a message is taken out.
    #[inline]
    fn is_attended(&self) -> bool {
        self.slots.is_crowded() || self.is_offered()
    }

    /// Whether the message in the channel is one of a rendezvous, and still its sender's.
    #[inline]
    fn is_offered(&self) -> bool {
        self.rendezvous.get() % 2 == 1
    }

    #[cold]
    fn hand_over(&self) {
        self.rendezvous.set(self.rendezvous.get() + 1);
        self.handover.wake();
    }

    /// Frees slots that nothing was put in.
    fn free_slots(&self, n: usize) {
        self.slots.release(n);
        if self.slots.is_closed() {
            // The receiver may have been waiting for just these.
            self.receiver.wake();
        }
    }

    /// Whether the channel, being empty, is so for good: closed, it may still owe a message to a sender that has its slot.
    fn is_finished(&self) -> bool {
        self.senders.get() == 0 || (self.slots.is_closed() && !self.owes())
    }

    /// Whether somebody has a slot, where no message is in one.
    fn owes(&self) -> bool {
        self.has_limit && self.slots.available_permits() < self.room()
    }

    /// How many slots there are: one even for a rendezvous.
    fn room(&self) -> usize {
        self.capacity.max(1)
    }

    /// How many messages would go in without waiting.
    fn free_room(&self) -> usize {
        if self.has_limit {
            self.slots.available_permits().min(self.capacity)
        } else {
            self.capacity - self.messages.len()
        }
    }

    fn close(&self) {
        self.slots.close();
        if let Some(closed) = self.closed.get() {
            closed.set();
        }
    }

    /// The event that tells of the closing.
    fn closed(&self) -> &Event {
        if self.closed.get().is_none() {
            let event = Box::new(Event::new_at(self.slots.made_at()));
            if self.slots.is_closed() {
                event.set();
            }
            // The allocator, too, may be a program's own and have asked.
            let _ = self.closed.set(event);
        }
        self.closed.get().expect("it has been set just now")
    }
}

/// Whether that is the memory of a burst, which is given back when the receiver finds the channel empty.
#[inline]
fn is_large<T>(messages: &Deque<T>) -> bool {
    size_of::<T>() > 0 && messages.capacity() > KEPT_MESSAGES.min(KEPT_BYTES / size_of::<T>())
}

/// Gives up a wait for `n` slots.
#[inline]
fn leave<T>(channel: &Channel<T>, ticket: &mut Ticket, n: usize, what: &'static str) {
    if !matches!(ticket, Ticket::Spent) {
        channel.slots.leave(ticket, n, what);
        channel.free_slots(0);
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("messages", &self.messages.len())
            .field("capacity", &self.capacity)
            .field("senders", &self.senders.get())
            .field("closed", &self.slots.is_closed())
            .finish_non_exhaustive()
    }
}
