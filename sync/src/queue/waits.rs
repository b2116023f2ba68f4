//! Waiting for room in a queue, and for its items, one at a time or as a stream.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{AnyQueue, Store};
use crate::Hold;
use crate::mpsc::error::SendError;
use crate::wait_queue::{Ticket, Wait};

static PUT: Wait = Wait::new("queue::Put", "put", "queue", ", which is full");
static GET: Wait = Wait::new("queue::Get", "get", "queue", ", which is empty");
static ITEMS: Wait = Wait::new("queue::Items", "next", "queue", ", which is empty");

/// The future of [`AnyQueue::put`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Put<'a, S: Store> {
    queue: &'a AnyQueue<S>,
    item: Option<S::Item>,
    ticket: Ticket,
}

impl<'a, S: Store> Put<'a, S> {
    #[track_caller]
    pub(super) fn new(queue: &'a AnyQueue<S>, item: S::Item) -> Self {
        Self { queue, item: Some(item), ticket: Ticket::new() }
    }
}

// Nothing in it is ever pinned.
impl<S: Store> Unpin for Put<'_, S> {}

impl<S: Store> Future for Put<'_, S> {
    type Output = Result<(), SendError<S::Item>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, item, ticket } = &mut *self;
        let slot = ready!(queue.slots.poll_acquire(ticket, 1, cx, &PUT));
        let item = item.take().expect("the item is there until the slot is");
        Poll::Ready(if slot.is_ok() { queue.push(item) } else { Err(SendError(item)) })
    }
}

impl<S: Store> Drop for Put<'_, S> {
    fn drop(&mut self) {
        self.queue.slots.leave(&mut self.ticket, 1, "put");
    }
}

/// The future of [`AnyQueue::get`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Get<'a, S: Store> {
    pub(super) queue: &'a AnyQueue<S>,
    ticket: Ticket,
}

impl<'a, S: Store> Get<'a, S> {
    #[track_caller]
    pub(super) fn new(queue: &'a AnyQueue<S>) -> Self {
        Self { queue, ticket: Ticket::new() }
    }
}

impl<S: Store> Future for Get<'_, S> {
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, ticket } = &mut *self;
        let item = ready!(queue.items.poll_acquire(ticket, 1, cx, &GET));
        Poll::Ready(item.ok().and_then(|()| queue.pop()))
    }
}

impl<S: Store> Drop for Get<'_, S> {
    fn drop(&mut self) {
        self.queue.items.leave(&mut self.ticket, 1, "get");
    }
}

/// The items of a queue as a [`Stream`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Items<S: Store, Q: Hold<AnyQueue<S>>> {
    queue: Q,
    ticket: Ticket,
    store: PhantomData<fn() -> S>,
}

impl<S: Store, Q: Hold<AnyQueue<S>>> Items<S, Q> {
    pub(super) fn new(queue: Q) -> Self {
        Self { queue, ticket: Ticket::New(None), store: PhantomData }
    }
}

impl<S: Store, Q: Hold<AnyQueue<S>>> Stream for Items<S, Q> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let Self { queue, ticket, .. } = &mut *self;
        let item = ready!(queue.items.poll_acquire(ticket, 1, cx, &ITEMS));
        *ticket = Ticket::New(None); // first: a comparison of the items may panic
        Poll::Ready(item.ok().and_then(|()| queue.pop()))
    }
}

impl<S: Store, Q: Hold<AnyQueue<S>>> Drop for Items<S, Q> {
    fn drop(&mut self) {
        self.queue.items.leave(&mut self.ticket, 1, "get");
    }
}
