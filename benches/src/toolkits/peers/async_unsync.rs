//! async-unsync's.

use std::future::Future;
use std::hint::black_box;

use async_unsync::{bounded, oneshot, unbounded};

use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkit::Toolkit;
use crate::toolkits::OPEN;
use crate::workloads::Workload;

/// async-unsync's.
#[derive(Debug)]
pub(crate) struct AsyncUnsync;

/// Its oneshot whose halves borrow the channel, which lies in the caller's frame: they cannot go to another task.
#[derive(Debug)]
pub(crate) struct BorrowedOneshot;

impl Workload for BorrowedOneshot {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for number in 0..operations {
                    let mut channel = oneshot::channel();
                    let (sender, receiver) = channel.split();
                    assert!(sender.send(black_box(number)).is_ok());
                    assert_eq!(receiver.await.expect("it was sent"), number);
                }
            })
            .await;
    }
}

impl Toolkit for AsyncUnsync {
    type OneshotSender<T: 'static> = oneshot::Sender<T>;
    type OneshotReceiver<T: 'static> = oneshot::Receiver<T>;
    type OneshotLost = oneshot::RecvError;
    type Sender<T: 'static> = bounded::Sender<T>;
    type Receiver<T: 'static> = bounded::Receiver<T>;
    type UnboundedSender<T: 'static> = unbounded::UnboundedSender<T>;
    type UnboundedReceiver<T: 'static> = unbounded::UnboundedReceiver<T>;
    type Semaphore = async_unsync::semaphore::Semaphore;
    type Permit<'a> = async_unsync::semaphore::Permit<'a>;

    fn oneshot<T: 'static>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        oneshot::channel().into_split()
    }

    fn complete<T: 'static>(sender: Self::OneshotSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn channel<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        bounded::channel(capacity).into_split()
    }

    async fn send<T: 'static>(sender: &Self::Sender<T>, message: T) -> bool {
        sender.send(message).await.is_ok()
    }

    fn receive<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn unbounded<T: 'static>() -> (Self::UnboundedSender<T>, Self::UnboundedReceiver<T>) {
        unbounded::channel().into_split()
    }

    fn send_unbounded<T: 'static>(sender: &Self::UnboundedSender<T>, message: T) -> bool {
        sender.send(message).is_ok()
    }

    fn receive_unbounded<T: 'static>(receiver: &mut Self::UnboundedReceiver<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn semaphore(permits: usize) -> Self::Semaphore {
        async_unsync::semaphore::Semaphore::new(permits)
    }

    async fn acquire(semaphore: &Self::Semaphore) -> Self::Permit<'_> {
        semaphore.acquire().await.expect(OPEN)
    }
}
