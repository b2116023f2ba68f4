//! tokio's.

use std::future::Future;
use std::ops::DerefMut;

use super::OPEN;
use crate::toolkit::{Locks, Toolkit};

/// tokio's.
#[derive(Debug)]
pub(crate) struct TokioSync;

impl Toolkit for TokioSync {
    type OneshotSender<T: 'static> = tokio::sync::oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = tokio::sync::oneshot::Receiver<T>;
    type OneshotLost = tokio::sync::oneshot::error::RecvError;
    type Sender<T: 'static> = tokio::sync::mpsc::Sender<T>;
    type Receiver<T: 'static> = tokio::sync::mpsc::Receiver<T>;
    type UnboundedSender<T: 'static> = tokio::sync::mpsc::UnboundedSender<T>;
    type UnboundedReceiver<T: 'static> = tokio::sync::mpsc::UnboundedReceiver<T>;
    type Semaphore = tokio::sync::Semaphore;
    type Permit<'a> = tokio::sync::SemaphorePermit<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        tokio::sync::oneshot::channel()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        tokio::sync::mpsc::channel(capacity)
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        tokio::sync::mpsc::unbounded_channel()
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        tokio::sync::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect(OPEN)
    }
}

impl Locks for TokioSync {
    type Mutex = tokio::sync::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        tokio::sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>> {
        mutex.lock()
    }

    fn total(mutex: &mut Self::Mutex) -> u64 {
        *mutex.get_mut()
    }
}
