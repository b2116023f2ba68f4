//! An `Rc` whose memory is used again.
//!
//! To allocate and to free is a fifth of what a oneshot takes between two tasks, and half of what it takes to make a channel and to drop
//! it. So when the last reference goes, the value is dropped and the current runtime keeps the memory (`cells.rs`), for the next of that
//! size, or for a task.

use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::rc::{Rc, Weak};

use crate::cells::words;
use crate::machine::context;

/// An [`Rc`], in memory that an earlier one of its size has left, if there is some.
///
/// ```
/// # use handcar_executor::{Recycled, run};
/// run(async {
///     let first = Recycled::new(|| [1, 2, 3, 4]);
///     let at = first.as_ptr();
///     drop(first);
///     assert_eq!(Recycled::new(|| [5, 6, 7, 8]).as_ptr(), at);
/// });
/// ```
pub struct Recycled<T>(ManuallyDrop<Rc<T>>);

impl<T> Recycled<T> {
    /// One with the value that `make` makes, in its place.
    #[inline]
    pub fn new(make: impl FnOnce() -> T) -> Self {
        let cell = context::with_current(|core| core.cells.take::<T>()).unwrap_or_else(Rc::new_uninit);
        let place = Rc::as_ptr(&cell).cast::<T>().cast_mut();
        // SAFETY: nobody else has the cell, as `take` says, so nobody looks while `write` fills it.
        unsafe {
            place.write(make());
            cell.assume_init().into()
        }
    }

    /// As [`Rc::strong_count`].
    #[inline]
    pub fn strong_count(this: &Self) -> usize {
        Rc::strong_count(&this.0)
    }

    /// As [`Rc::weak_count`].
    pub fn weak_count(this: &Self) -> usize {
        Rc::weak_count(&this.0)
    }

    /// As [`Rc::ptr_eq`].
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        Rc::ptr_eq(&this.0, &other.0)
    }

    /// As [`Rc::downgrade`]. As long as there is one of these, the memory is not used again.
    pub fn downgrade(this: &Self) -> Weak<T> {
        Rc::downgrade(&this.0)
    }
}

impl<T> From<Rc<T>> for Recycled<T> {
    #[inline]
    fn from(rc: Rc<T>) -> Self {
        Self(ManuallyDrop::new(rc))
    }
}

impl<T> Deref for Recycled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Recycled<T> {
    #[inline]
    fn clone(&self) -> Self {
        Rc::clone(&self.0).into()
    }
}

impl<T> Drop for Recycled<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it is taken here alone, and this is not looked at again.
        let mut rc = unsafe { ManuallyDrop::take(&mut self.0) };
        if Rc::get_mut(&mut rc).is_some() {
            recycle(rc);
        }
    }
}

/// Drops the value and keeps the memory. Nobody else has the `Rc`.
#[inline]
fn recycle<T>(rc: Rc<T>) {
    let cell = Rc::into_raw(rc).cast::<MaybeUninit<T>>();
    // SAFETY: nobody else has it, as the caller says; a `MaybeUninit` has the same layout, asks nothing of its bytes and has no
    // destructor: so the value is dropped once, here, also if that panics.
    let cell = unsafe {
        let cell = Rc::from_raw(cell);
        Rc::as_ptr(&cell).cast::<T>().cast_mut().drop_in_place();
        cell
    };
    let words = const { words::<T>() };
    context::with_current(|core| {
        if let Some(room) = core.cells.room(words) {
            // SAFETY: as above, and the value is gone.
            unsafe { core.cells.put(words, cell, room) };
        }
    });
}

impl<T: fmt::Debug> fmt::Debug for Recycled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
