//! What programs on smol or `LocalPool` use, which bring none: async-channel, async-lock, and the oneshot of futures. All are made for
//! threads.

use std::future::Future;
use std::ops::DerefMut;

use crate::toolkit::{Locks, Toolkit};

/// async-channel, async-lock, and futures' oneshot.
#[derive(Debug)]
pub(crate) struct Field;

impl Toolkit for Field {
    type OneshotSender<T: 'static> = futures::channel::oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = futures::channel::oneshot::Receiver<T>;
    type OneshotLost = futures::channel::oneshot::Canceled;
    type Sender<T: 'static> = async_channel::Sender<T>;
    type Receiver<T: 'static> = async_channel::Receiver<T>;
    type UnboundedSender<T: 'static> = async_channel::Sender<T>;
    type UnboundedReceiver<T: 'static> = async_channel::Receiver<T>;
    type Semaphore = async_lock::Semaphore;
    type Permit<'a> = async_lock::SemaphoreGuard<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        futures::channel::oneshot::channel()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::bounded(capacity)
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    async fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.recv().await.ok()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        async_channel::unbounded()
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.try_send(message).is_ok()
    }

    async fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> Option<T> {
        receiver.recv().await.ok()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        async_lock::Semaphore::new(permits)
    }

    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = Self::Permit<'_>> {
        semaphore.acquire()
    }
}

impl Locks for Field {
    type Mutex = async_lock::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        async_lock::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>> {
        mutex.lock()
    }

    fn total(mutex: &mut Self::Mutex) -> u64 {
        *mutex.get_mut()
    }
}
