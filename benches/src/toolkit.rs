//! What a workload asks of channels and locks: the seam between it and a family of them.
//!
//! A family is a parameter of its own, beside the runtime, since Handcar's works on any executor: run on tokio's it shows
//! which share of a difference is the family's and which the executor's.

use std::fmt::Debug;
use std::future::Future;
use std::ops::DerefMut;

/// A family of channels and locks: a type without values.
pub(crate) trait Toolkit: 'static {
    /// Sends one message.
    type OneshotSender<T: 'static>: 'static;
    /// Waits for one message.
    type OneshotReceiver<T: 'static>: Future<Output = Result<T, Self::OneshotLost>> + 'static;
    /// Why there is none.
    type OneshotLost: Debug;
    /// Sends into a bounded channel.
    type Sender<T: 'static>: Clone + 'static;
    /// Receives from a bounded channel.
    type Receiver<T: 'static>: 'static;
    /// Sends into an unbounded channel.
    type UnboundedSender<T: 'static>: Clone + 'static;
    /// Receives from an unbounded channel.
    type UnboundedReceiver<T: 'static>: 'static;
    /// Lends permits.
    type Semaphore: 'static;
    /// Gives itself back when dropped.
    type Permit<'a>;

    /// A channel for one message.
    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>);
    /// Sends that message; whether anybody can receive it.
    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool;

    /// A bounded channel.
    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
    /// Waits for room; whether the message was sent.
    fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> impl Future<Output = bool>;
    /// The next message; none when all senders have gone.
    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>>;

    /// An unbounded channel.
    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>);
    /// Sends at once; whether anybody can receive it.
    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool;
    /// The next message; none when all senders have gone.
    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>>;

    /// A semaphore.
    fn semaphore(permits: usize) -> Self::Semaphore;
    /// Waits for one permit.
    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = Self::Permit<'_>>;
}

/// A family of channels and locks that has a mutex.
pub(crate) trait Locks: 'static {
    /// Guards a number.
    type Mutex: 'static;

    /// A mutex.
    fn mutex() -> Self::Mutex;
    /// Waits for the lock.
    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>>;
    /// What the number is in the end.
    fn total(mutex: &mut Self::Mutex) -> u64;
}
