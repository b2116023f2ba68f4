//! A `RefCell` that counts its borrows in debug builds only.
//!
//! The run queue, the timers, the lists of combinators and the messages of a channel are borrowed several times in each poll, for a few
//! instructions each time. To count that was a twentieth of them, and it is not by the count that they are never borrowed twice: each is
//! reached through the methods of one type, which let go before they call anything else (see `core.rs`: no user code runs under a borrow).
//! So those say so, in an unsafe block, and where this crate is built with `debug_assertions`, as for its tests, the borrows are counted
//! all the same.
//!
//! An allocator is user code, too: one that tells a task of memory pressure wakes it. So nothing grows under a borrow, see
//! [`grow`](UncheckedRefCell::grow).

#![allow(clippy::inline_always)] // each is nothing

use std::cell::UnsafeCell;
#[cfg(debug_assertions)]
use std::cell::{RefCell, RefMut};
use std::mem;
use std::ops::{Deref, DerefMut};

#[derive(Default)]
pub(crate) struct UncheckedRefCell<T> {
    value: UnsafeCell<T>,
    #[cfg(debug_assertions)]
    count: RefCell<()>,
}

/// The one borrow of the value.
pub(crate) struct Borrow<'a, T> {
    value: &'a mut T,
    #[cfg(debug_assertions)]
    _count: RefMut<'a, ()>,
}

impl<T> UncheckedRefCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            #[cfg(debug_assertions)]
            count: RefCell::new(()),
        }
    }

    /// # Safety
    ///
    /// As long as the borrow lives, there is no other.
    #[inline(always)]
    #[track_caller]
    pub(crate) unsafe fn borrow_mut(&self) -> Borrow<'_, T> {
        Borrow {
            #[cfg(debug_assertions)]
            _count: self.count.borrow_mut(),
            // SAFETY: nobody else has a reference: each is within a borrow, and the caller has promised that there is no other.
            value: unsafe { &mut *self.value.get() },
        }
    }
}

impl<T> UncheckedRefCell<T> {
    /// Gives the vector that `list` names a capacity of `capacity`, if that is enough for what is in it by then. Nothing is borrowed
    /// while the allocator runs.
    ///
    /// # Safety
    ///
    /// There is no borrow, and `list` makes none.
    #[cold]
    pub(crate) unsafe fn grow<V>(&self, capacity: usize, list: fn(&mut T) -> &mut Vec<V>) {
        let mut larger = Vec::with_capacity(capacity);
        {
            // SAFETY: the caller's promise; this one ends with the block.
            let mut value = unsafe { self.borrow_mut() };
            let list = list(&mut value);
            if list.len() <= larger.capacity() {
                larger.append(list);
                mem::swap(list, &mut larger);
            }
        }
        drop(larger); // the memory from before
    }
}

impl<T> Deref for Borrow<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> DerefMut for Borrow<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::UncheckedRefCell;

    #[test]
    #[should_panic(expected = "already")]
    fn a_second_borrow_panics_where_they_are_counted() {
        let cell = UncheckedRefCell::new(1);
        // SAFETY: it is the first one; the second panics before it is made.
        let _both = unsafe { (cell.borrow_mut(), cell.borrow_mut()) };
    }
}
