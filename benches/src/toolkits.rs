//! The families of channels and locks, each behind [`Toolkit`].

#[cfg(feature = "peers")]
pub(crate) mod peers;

use std::future::Future;

use crate::toolkit::Toolkit;

const OPEN: &str = "nobody closes it";

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
