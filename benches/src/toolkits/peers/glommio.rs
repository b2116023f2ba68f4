//! glommio's. Its channels have one sender each, so several tasks share that by `Rc`; and futures' oneshot, since it has none.

use std::future::Future;
use std::rc::Rc;

use glommio::channels::local_channel::{self, LocalReceiver, LocalSender};

use crate::toolkit::Toolkit;
use crate::toolkits::OPEN;

/// glommio's.
#[derive(Debug)]
pub(crate) struct GlommioSync;

impl Toolkit for GlommioSync {
    type OneshotSender<T: 'static> = futures::channel::oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = futures::channel::oneshot::Receiver<T>;
    type OneshotLost = futures::channel::oneshot::Canceled;
    type Sender<T: 'static> = Rc<LocalSender<T>>;
    type Receiver<T: 'static> = LocalReceiver<T>;
    type UnboundedSender<T: 'static> = Rc<LocalSender<T>>;
    type UnboundedReceiver<T: 'static> = LocalReceiver<T>;
    type Semaphore = glommio::sync::Semaphore;
    type Permit<'a> = glommio::sync::Permit<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        futures::channel::oneshot::channel()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = local_channel::new_bounded(capacity);
        (Rc::new(sender), receiver)
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        let (sender, receiver) = local_channel::new_unbounded();
        (Rc::new(sender), receiver)
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.try_send(message).is_ok()
    }

    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        glommio::sync::Semaphore::new(permits as u64)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire_permit(1).await.expect(OPEN)
    }
}
