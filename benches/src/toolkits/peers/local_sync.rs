//! local-sync's, made by the authors of monoio.

use std::future::Future;

use local_sync::mpsc;

use crate::toolkit::Toolkit;
use crate::toolkits::OPEN;

/// local-sync's.
#[derive(Debug)]
pub(crate) struct LocalSync;

impl Toolkit for LocalSync {
    type OneshotSender<T: 'static> = local_sync::oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = local_sync::oneshot::Receiver<T>;
    type OneshotLost = local_sync::oneshot::error::RecvError;
    type Sender<T: 'static> = mpsc::bounded::Tx<T>;
    type Receiver<T: 'static> = mpsc::bounded::Rx<T>;
    type UnboundedSender<T: 'static> = mpsc::unbounded::Tx<T>;
    type UnboundedReceiver<T: 'static> = mpsc::unbounded::Rx<T>;
    type Semaphore = local_sync::semaphore::Semaphore;
    type Permit<'a> = local_sync::semaphore::SemaphorePermit<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        local_sync::oneshot::channel()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        mpsc::bounded::channel(capacity)
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        mpsc::unbounded::channel()
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        local_sync::semaphore::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect(OPEN)
    }
}
