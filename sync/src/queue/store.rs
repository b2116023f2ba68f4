//! Where the items of a queue lie, and in which order they come out: all that the three kinds of queue differ in.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// What the items of a queue lie on, and in which order they come off. Implemented here only.
pub trait Store: Default + sealed::Sealed {
    /// What lies on it.
    type Item;
    #[doc(hidden)]
    fn push(&mut self, item: Self::Item);
    #[doc(hidden)]
    fn pop(&mut self) -> Option<Self::Item>;
    #[doc(hidden)]
    fn count(&self) -> usize;
    #[doc(hidden)]
    fn room(&self) -> usize;
}

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for std::collections::VecDeque<T> {}
    impl<T> Sealed for Vec<T> {}
    impl<T: Ord> Sealed for super::Heap<T> {}
}

impl<T> Store for VecDeque<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }
}

impl<T> Store for Vec<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.capacity()
    }
}

/// The store of a [`PriorityQueue`](super::PriorityQueue).
#[derive(Debug)]
pub struct Heap<T> {
    items: BinaryHeap<Ranked<T>>,
    /// How many were ever pushed.
    pushed: u64,
}

impl<T: Ord> Default for Heap<T> {
    fn default() -> Self {
        Self { items: BinaryHeap::new(), pushed: 0 }
    }
}

impl<T: Ord> Store for Heap<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.items.push(Ranked { item, order: self.pushed });
        self.pushed += 1;
    }

    fn pop(&mut self) -> Option<T> {
        self.items.pop().map(|ranked| ranked.item)
    }

    fn count(&self) -> usize {
        self.items.len()
    }

    fn room(&self) -> usize {
        self.items.capacity()
    }
}

/// An item that is the greater, the earlier it has to go.
#[derive(Debug)]
struct Ranked<T> {
    item: T,
    order: u64,
}

impl<T: Ord> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.item.cmp(&self.item).then(other.order.cmp(&self.order))
    }
}

impl<T: Ord> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Ranked<T> {}
