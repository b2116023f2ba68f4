//! A queue that is shared: a `VecDeque` behind `&self`.

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use crate::unchecked::{Borrow, UncheckedRefCell};

/// A queue that is shared: to a `RefCell<VecDeque>` what a [`Cell`](std::cell::Cell) is to a `RefCell`.
///
/// None of its methods gives out a reference, and none runs anybody's code while it is at work: no destructor, no clone, no allocator
/// (while that runs, all items are [`grow`](Deque::grow)'s, and the queue is empty). So none ever finds another one at work, and nothing
/// has to be counted. To put a message into a channel and to take it out of it takes
/// four fifths of the time.
///
/// ```
/// # use handcar_executor::Deque;
/// let deque = Deque::new();
/// assert_eq!(deque.push_within_capacity("a"), Err("a"));
/// deque.grow();
/// assert_eq!(deque.push_within_capacity("a"), Ok(()));
/// assert_eq!(deque.pop(), Some("a"));
/// ```
pub struct Deque<T> {
    items: UncheckedRefCell<VecDeque<T>>,
}

impl<T> Deque<T> {
    /// An empty one, which has no memory.
    pub const fn new() -> Self {
        Self { items: UncheckedRefCell::new(VecDeque::new()) }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // it is nothing
    fn items(&self) -> Borrow<'_, VecDeque<T>> {
        // SAFETY: each method below has let go when it returns, and has then only moved items, or the whole, and counted.
        unsafe { self.items.borrow_mut() }
    }

    /// How many items there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items().is_empty()
    }

    /// For how many items there is memory.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.items().capacity()
    }

    /// Puts an item at the end.
    ///
    /// # Errors
    ///
    /// Gives it back if there is no memory for one more: [`grow`](Deque::grow) gets some.
    #[inline]
    pub fn push_within_capacity(&self, item: T) -> Result<(), T> {
        let items = &mut *self.items();
        if items.len() == items.capacity() {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    /// Takes out the first item.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.items().pop_front()
    }

    /// Gets memory for one more item at least.
    pub fn grow(&self) {
        let mut items = self.take();
        items.reserve(1);
        let came = mem::replace(&mut *self.items(), items);
        for item in came {
            self.push(item); // of an allocator that uses its program's queues
        }
    }

    fn push(&self, item: T) {
        if let Err(item) = self.push_within_capacity(item) {
            self.grow();
            self.push(item);
        }
    }

    /// Takes all items out, with their memory.
    pub fn take(&self) -> VecDeque<T> {
        mem::take(&mut *self.items())
    }
}

impl<T> Default for Deque<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Deque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deque").field("len", &self.len()).finish_non_exhaustive()
    }
}
