//! Items that count as done when they are dropped.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use super::{AnyQueue, Get, Store};

/// The future of [`AnyQueue::get_tracked`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct GetTracked<'a, S: Store> {
    get: Get<'a, S>,
}

impl<'a, S: Store> GetTracked<'a, S> {
    pub(super) fn new(get: Get<'a, S>) -> Self {
        Self { get }
    }
}

impl<'a, S: Store> Future for GetTracked<'a, S> {
    type Output = Option<Tracked<'a, S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.get.queue;
        let item = ready!(Pin::new(&mut self.get).poll(cx));
        Poll::Ready(item.map(|item| Tracked { queue, item }))
    }
}

/// An item that counts as done when this is dropped, whatever the reason.
#[must_use = "dropping it says that the item is done"]
pub struct Tracked<'a, S: Store> {
    queue: &'a AnyQueue<S>,
    item: S::Item,
}

impl<S: Store> Deref for Tracked<'_, S> {
    type Target = S::Item;

    fn deref(&self) -> &S::Item {
        &self.item
    }
}

impl<S: Store> DerefMut for Tracked<'_, S> {
    fn deref_mut(&mut self) -> &mut S::Item {
        &mut self.item
    }
}

impl<S: Store> Drop for Tracked<'_, S> {
    fn drop(&mut self) {
        // A second panic in an unwinding thread would abort.
        if self.queue.is_worked_on() || !thread::panicking() {
            self.queue.task_done();
        }
    }
}

impl<S: Store<Item: fmt::Debug>> fmt::Debug for Tracked<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracked").field(&self.item).finish()
    }
}
