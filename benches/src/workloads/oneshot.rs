//! One message, once: a channel made, used and dropped for each.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::SyncWorkload;
use crate::bencher::Bencher;
use crate::runtime::Runtime;
use crate::toolkit::Toolkit;

/// The message has been sent when it is waited for.
#[derive(Debug)]
pub(crate) struct AlreadySent;

impl SyncWorkload for AlreadySent {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for number in 0..operations {
                    let (sender, receiver) = K::oneshot();
                    assert!(K::complete(sender, black_box(number)));
                    assert_eq!(receiver.await.expect("it was sent"), number);
                }
            })
            .await;
    }
}

/// One task hands the sender to another, and waits for the message.
#[derive(Debug)]
pub(crate) struct Oneshot;

impl SyncWorkload for Oneshot {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                let desk = Rc::new(Desk { order: Cell::new(None), clerk: Cell::new(None) });
                let clerk = R::spawn(serve::<K>(Rc::clone(&desk), operations));
                for number in 0..operations {
                    let (sender, receiver) = K::oneshot();
                    desk.order.set(Some((sender, number)));
                    if let Some(waker) = desk.clerk.take() {
                        waker.wake();
                    }
                    assert_eq!(receiver.await.expect("it was sent"), number);
                }
                clerk.await.expect("it neither panics nor is cancelled");
            })
            .await;
    }
}

/// Where a sender is put down for the other task: the least that two tasks can do with each other.
struct Desk<S> {
    order: Cell<Option<(S, u64)>>,
    clerk: Cell<Option<Waker>>,
}

async fn serve<K: Toolkit>(desk: Rc<Desk<K::OneshotSender<u64>>>, orders: u64) {
    for _ in 0..orders {
        let (sender, number) = poll_fn(|cx| {
            if let Some(order) = desk.order.take() {
                return Poll::Ready(order);
            }
            desk.clerk.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        assert!(K::complete(sender, number));
    }
}
