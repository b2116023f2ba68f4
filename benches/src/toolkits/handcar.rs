//! Handcar's.

use std::future::Future;
use std::ops::DerefMut;

use super::OPEN;
use crate::toolkit::{Locks, Toolkit};

/// Handcar's.
#[derive(Debug)]
pub(crate) struct HandcarSync;

impl Toolkit for HandcarSync {
    type OneshotSender<T: 'static> = handcar::sync::oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = handcar::sync::oneshot::Receiver<T>;
    type OneshotLost = handcar::sync::oneshot::RecvError;
    type Sender<T: 'static> = handcar::sync::mpsc::Sender<T>;
    type Receiver<T: 'static> = handcar::sync::mpsc::Receiver<T>;
    type UnboundedSender<T: 'static> = handcar::sync::mpsc::UnboundedSender<T>;
    type UnboundedReceiver<T: 'static> = handcar::sync::mpsc::UnboundedReceiver<T>;
    type Semaphore = handcar::sync::Semaphore;
    type Permit<'a> = handcar::sync::SemaphorePermit<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        handcar::sync::oneshot::channel()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        handcar::sync::mpsc::channel(capacity)
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        handcar::sync::mpsc::unbounded_channel()
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        handcar::sync::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect(OPEN)
    }
}

impl Locks for HandcarSync {
    type Mutex = handcar::sync::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        handcar::sync::Mutex::new(0)
    }

    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl DerefMut<Target = u64>> {
        mutex.lock()
    }

    fn total(mutex: &mut Self::Mutex) -> u64 {
        *mutex.get_mut()
    }
}
