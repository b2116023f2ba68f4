//! The queues: items from many tasks to many tasks. (asyncio's `Queue`, `LifoQueue` and `PriorityQueue`.)
//!
//! A queue is two semaphores and a store: one counts the free slots, which putters take and getters give back, the other the
//! items, the other way round. In which order the items come off the store is all that the three kinds differ in.
//!
//! An item stays on the store until the poll that returns it. What a getter is granted is only the right to take one, so
//! that a getter which is dropped has lost nothing.
//!
//! A program that ends its workers by a sentinel value needs as many sentinels as workers, and hangs if it miscounts.
//! [`close`](AnyQueue::close) replaces them: getters take what is left, and then get `None`.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use crate::event::{Event, EventWait};
use crate::mpsc::error::{SendError, TryRecvError, TrySendError};
use crate::semaphore::{Semaphore, TryAcquireError};
use crate::wait_queue::Wait;

mod store;
mod tracked;
mod waits;

pub use store::{Heap, Store};
pub use tracked::{GetTracked, Tracked};
pub use waits::{Get, Items, Put};

/// An empty store with more room than this is given back.
const KEPT_ITEMS: usize = 4096;

static JOIN: Wait = Wait::new("EventWait", "join", "queue", ", of which items are unfinished");

/// First in, first out.
///
/// ```
/// # use handcar_sync::Queue;
/// # handcar_executor::run(async {
/// let jobs = Queue::new(10);
/// let producer = async {
///     for n in 1..=20 {
///         jobs.put(n).await.unwrap();
///     }
///     jobs.close();
/// };
/// let worker = async || {
///     let mut sum = 0;
///     while let Some(job) = jobs.get_tracked().await {
///         sum += *job;
///     }
///     sum
/// };
/// let ((), one, other) = futures::join!(producer, worker(), worker());
/// jobs.join().await;
/// assert_eq!(one + other, 210);
/// # });
/// ```
pub type Queue<T> = AnyQueue<VecDeque<T>>;

/// Last in, first out.
///
/// ```
/// # use handcar_sync::LifoQueue;
/// let queue = LifoQueue::new(2);
/// queue.try_put("lower").unwrap();
/// queue.try_put("upper").unwrap();
/// assert_eq!(queue.try_get(), Ok("upper"));
/// ```
pub type LifoQueue<T> = AnyQueue<Vec<T>>;

/// Smallest first, and among equals first in, first out.
///
/// Should the `Ord` of an item panic, the panic comes out of the call that put or got one; a put item stays, the one that was
/// just being got is lost, and counts as done.
///
/// ```
/// # use handcar_sync::PriorityQueue;
/// let queue = PriorityQueue::unbounded();
/// for job in [(2, "second"), (1, "first"), (2, "third")] {
///     queue.try_put(job).unwrap();
/// }
/// assert_eq!(queue.try_get(), Ok((1, "first")));
/// assert_eq!(queue.try_get(), Ok((2, "second")));
/// ```
pub type PriorityQueue<T> = AnyQueue<Heap<T>>;

/// What [`Queue`], [`LifoQueue`] and [`PriorityQueue`] have in common. Use those names.
pub struct AnyQueue<S: Store> {
    store: RefCell<S>,
    items: Semaphore,
    slots: Semaphore,
    capacity: usize,
    /// Items that were put, and of which no one has said that they are done.
    unfinished: Cell<usize>,
    /// Set while there are none.
    idle: Event,
}

impl<S: Store> AnyQueue<S> {
    /// Creates a queue for up to `capacity` items, which allocates as they come.
    ///
    /// # Panics
    ///
    /// Panics if `capacity` is 0. (For asyncio's `Queue(0)` take [`unbounded`](Self::unbounded).)
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue of capacity 0 could not hold an item; take `unbounded()`");
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self {
            store: RefCell::new(S::default()),
            items: Semaphore::new(0),
            slots: Semaphore::new(capacity),
            capacity,
            unfinished: Cell::new(0),
            idle: Event::new_set(),
        }
    }

    /// Creates a queue that never is full.
    #[track_caller]
    pub fn unbounded() -> Self {
        Self::new(usize::MAX)
    }

    /// Waits for room, and puts an item in.
    ///
    /// # Errors
    ///
    /// Gives the item back if the queue is [closed](Self::close), before or while it waits.
    ///
    /// # Cancel safety
    ///
    /// An item is either in the queue, and `Ready` says so, or dropped together with the future.
    #[track_caller]
    pub fn put(&self, item: S::Item) -> Put<'_, S> {
        Put::new(self, item)
    }

    /// Puts an item in if there is room.
    ///
    /// # Errors
    ///
    /// Gives the item back if the queue is full, or others wait for room, or it is closed.
    pub fn try_put(&self, item: S::Item) -> Result<(), TrySendError<S::Item>> {
        match self.slots.try_take(1) {
            Ok(()) => Ok(self.push(item)?),
            Err(refusal) => Err(TrySendError::new(refusal, item)),
        }
    }

    /// Waits for an item, or for `None`, which says that the queue is [closed](Self::close) and there will be no more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes the item in the poll that returns it, and lets the next in line have it.
    #[track_caller]
    pub fn get(&self) -> Get<'_, S> {
        Get::new(self)
    }

    /// [`get`](Self::get) for an item that counts as done when it is dropped.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn get_tracked(&self) -> GetTracked<'_, S> {
        GetTracked::new(self.get())
    }

    /// Takes an item if there is one that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether there may be one later.
    pub fn try_get(&self) -> Result<S::Item, TryRecvError> {
        match self.items.try_take(1) {
            Ok(()) => self.pop().ok_or(TryRecvError::Disconnected),
            Err(TryAcquireError::NoPermits) => Err(TryRecvError::Empty),
            Err(TryAcquireError::Closed) => Err(TryRecvError::Disconnected),
        }
    }

    /// Says that the work on one item is done.
    ///
    /// # Panics
    ///
    /// Panics if it was said of every item that was taken.
    #[track_caller]
    pub fn task_done(&self) {
        assert!(
            self.is_worked_on(),
            "`task_done` was called more often than items were taken; a tracked item calls it by itself",
        );
        self.finish(1);
    }

    /// Waits until every item that was put is done: taken, and followed by [`task_done`](Self::task_done) or the drop of a
    /// [tracked](Self::get_tracked) item.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    #[track_caller]
    pub fn join(&self) -> EventWait<'_> {
        self.idle.wait_as(&JOIN)
    }

    /// Closes the queue: putters get their item back, getters take what is left and then get `None`.
    pub fn close(&self) {
        self.slots.close();
        self.close_if_drained();
    }

    /// Closes the queue and takes out what is left, which counts as done.
    ///
    /// ```
    /// # use handcar_sync::Queue;
    /// # handcar_executor::run(async {
    /// let queue = Queue::new(2);
    /// queue.put("left over").await.unwrap();
    /// assert_eq!(queue.close_now(), ["left over"]);
    /// assert_eq!(queue.get().await, None);
    /// queue.join().await;
    /// # });
    /// ```
    pub fn close_now(&self) -> Vec<S::Item> {
        self.slots.close();
        let mut store = std::mem::take(&mut *self.store());
        // First of all: whoever is woken may count them as well.
        self.finish(store.count());
        self.close_if_drained();
        std::iter::from_fn(|| store.pop()).collect()
    }

    /// Whether the queue is closed.
    pub fn is_closed(&self) -> bool {
        self.slots.is_closed()
    }

    /// How many items were put and are not done.
    pub fn unfinished(&self) -> usize {
        self.unfinished.get()
    }

    /// How many items are in the queue.
    pub fn len(&self) -> usize {
        self.store().count()
    }

    /// Whether no item is in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items it holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The items as a stream that ends when the queue is closed and empty.
    pub fn stream(&self) -> Items<S, &Self> {
        Items::new(self)
    }

    /// [`stream`](Self::stream) that keeps the queue alive.
    pub fn into_stream(self: Rc<Self>) -> Items<S, Rc<Self>> {
        Items::new(self)
    }

    /// Puts an item into the slot that the caller has taken.
    fn push(&self, item: S::Item) -> Result<(), SendError<S::Item>> {
        if self.is_closed() {
            // The slot was granted before, but the getters have been sent away.
            return Err(SendError(item));
        }
        let mut is_in = false;
        let pushed = catch_unwind(AssertUnwindSafe(|| {
            let mut store = self.store();
            is_in = true;
            store.push(item);
        }));
        // An `Ord` that panics leaves the item in the heap, if not in its place.
        if is_in {
            self.unfinished.set(self.unfinished.get() + 1);
            self.idle.clear();
            self.items.release(1);
        } else {
            self.slots.release(1);
        }
        pushed.map_err(|payload| resume_unwind(payload))
    }

    /// Takes the item that the caller has a permit for: there is one, unless `close_now` has emptied the store.
    fn pop(&self) -> Option<S::Item> {
        let mut is_out = false;
        let popped = catch_unwind(AssertUnwindSafe(|| {
            let mut store = self.store();
            is_out = store.count() > 0;
            let item = store.pop();
            if store.count() == 0 && store.room() > KEPT_ITEMS {
                *store = S::default();
            }
            item
        }));
        if is_out {
            self.slots.release(1);
            if self.is_closed() {
                self.close_if_drained();
            }
        }
        popped.unwrap_or_else(|payload| {
            // An `Ord` that panics takes the item with it; if the store was in use, the item is still there.
            if is_out {
                self.finish(1);
            } else {
                self.items.release(1);
            }
            resume_unwind(payload)
        })
    }

    /// Sends getters away from a queue that no item comes to any more. Not before the last one is taken: a getter that has been
    /// granted it may be dropped, and then it is the next one's.
    fn close_if_drained(&self) {
        if self.is_empty() {
            self.items.close();
        }
    }

    /// Whether an item was taken and is not done.
    fn is_worked_on(&self) -> bool {
        self.unfinished.get() > self.len()
    }

    fn finish(&self, n: usize) {
        self.unfinished.set(self.unfinished.get() - n);
        if self.unfinished.get() == 0 {
            self.idle.set();
        }
    }

    /// The one borrow under which foreign code runs: the `Ord` of the items of a [`PriorityQueue`].
    fn store(&self) -> RefMut<'_, S> {
        self.store.try_borrow_mut().expect("the `Ord` of an item must not use the item's own queue")
    }
}

shows!(AnyQueue<S: Store> capacity, unfinished, is_closed);
