//! Channels, locks, semaphores and queues for one thread, on one wait queue.
//!
//! Whatever may be waited for by many is waited for in the same way: a future that cannot go on takes a place in a first-in,
//! first-out line of wakers, and whoever has something to hand out settles those at the head. (The only receiver of a channel
//! needs no line, but a cell for one waker.) The rules hold for every primitive:
//!
//! * **A value moves only in the poll that returns it.** A dropped `recv` has taken nothing.
//! * **What was granted to a waiter that is dropped goes to the next one**, at once.
//! * **A newcomer never overtakes a waiter.**
//! * **Code of others never runs under a borrow**: not a waker's clone, wake or drop, not a message's `Clone` or `Drop`, so all
//!   of them may call back into the primitive. The exception is the `Ord` of a [`PriorityQueue`]'s items.
//!
//! The primitives are plain structs to be shared by reference or through an [`Rc`]. They know wakers and nothing else, so they
//! work on any executor; on Handcar's they also mind the [budget](handcar_executor::budget) of the task's poll. Names and
//! error types are tokio's where tokio has the thing, and asyncio's where only that does.
//!
//! To read the crate, go through `wait_queue`, `semaphore`, `mpsc`, `queue`, `event` and `condition`, in this order; the others are
//! made of the same parts.
#![forbid(unsafe_code)]

/// Gives an error type its words: [`Display`](std::fmt::Display) and [`Error`](std::error::Error).
macro_rules! says {
    ($error:ident $(<$message:ident>)? { $($case:pat => $words:expr),+ }) => {
        impl$(<$message>)? std::fmt::Display for $error$(<$message>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $($case => $words),+ })
            }
        }

        impl$(<$message>)? std::error::Error for $error$(<$message>)? {}
    };
}

/// Gives a type whose messages need not have it a `Debug` of what its own methods say.
macro_rules! shows {
    ($type:ident<$($generic:ident $(: $bound:ident)?),+> $($what:ident),+) => {
        impl<$($generic $(: $bound)?),+> std::fmt::Debug for $type<$($generic),+> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($what), &self.$what()))+.finish_non_exhaustive()
            }
        }
    };
}

mod barrier;
mod condition;
mod event;
mod lock;
mod mutex;
mod notify;
mod once_cell;
mod rate_limiter;
mod recv;
mod rwlock;
mod semaphore;
mod senders;
mod wait_queue;
mod waker_cell;

pub mod broadcast;
pub mod mpsc;
pub mod oneshot;
pub mod queue;
pub mod remote;
pub mod watch;

use std::ops::Deref;
use std::rc::Rc;

pub use barrier::{Barrier, BarrierWait, BarrierWaitResult};
pub use condition::{Condition, ConditionWait, WaitWhile};
pub use event::{Event, EventWait};
pub use lock::{Lock, LockGuard, TryLockError};
pub use mutex::{Guard, Mutex, MutexGuard, OwnedMutexGuard};
pub use notify::{Notified, Notify};
pub use once_cell::{OnceCell, OnceCellWait, SetError};
pub use queue::{LifoQueue, PriorityQueue, Queue};
pub use rate_limiter::{RateAcquire, RateLimiter};
pub use recv::{Receive, Recv};
pub use rwlock::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, ReadGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WriteGuard,
};
pub use semaphore::{Acquire, AcquireError, OwnedSemaphorePermit, Permit, Semaphore, SemaphorePermit, TryAcquireError};

/// How a future or a guard holds the primitive that it belongs to: by reference, or through an `Rc` that keeps it alive.
///
/// So that there is one permit, one mutex guard and so on, and not an owned twin of each.
pub trait Hold<T: ?Sized>: Deref<Target = T> + Clone + Unpin + sealed::Sealed {}

impl<T: ?Sized> Hold<T> for &T {}
impl<T: ?Sized> Hold<T> for Rc<T> {}

mod sealed {
    pub trait Sealed {}
    impl<T: ?Sized> Sealed for &T {}
    impl<T: ?Sized> Sealed for std::rc::Rc<T> {}
}
