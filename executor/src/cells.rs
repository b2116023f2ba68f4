//! The memory of tasks that have ended, kept for the next ones of their size.
//!
//! To allocate a cell and to free it was a quarter of what spawning and joining a task takes, and most programs spawn the same few
//! kinds of tasks again and again. So a cell from which there is nothing left to drop goes onto a list by size, and the next task
//! of that size is written into it. Each list is bounded, since a burst of tasks should not keep its memory for ever.
//!
//! A kept cell is still an [`Rc`], of plain words. So no allocator is called by hand here, no count is touched, and whoever drops the
//! lists frees the cells.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;

/// The biggest cells that are kept, in words.
const BIGGEST: usize = 32;

/// How many bytes are kept of each size: some thousand small tasks.
const KEPT: usize = 128 << 10;

type Words = Rc<[MaybeUninit<usize>]>;

pub(crate) struct Cells {
    by_size: RefCell<[Vec<Words>; BIGGEST + 1]>,
}

impl Cells {
    pub(crate) const fn new() -> Cells {
        Cells { by_size: RefCell::new([const { Vec::new() }; BIGGEST + 1]) }
    }

    /// The size of a `T` in words, if its memory can be kept.
    const fn size<T>() -> Option<usize> {
        let words = size_of::<T>() / size_of::<usize>();
        let fits =
            words <= BIGGEST && words * size_of::<usize>() == size_of::<T>() && align_of::<T>() == align_of::<usize>();
        if fits { Some(words) } else { None }
    }

    /// A cell for a `T`.
    #[inline]
    pub(crate) fn take<T>(&self) -> Rc<MaybeUninit<T>> {
        let Some(words) = Self::size::<T>() else { return Rc::new_uninit() };
        match self.by_size.borrow_mut()[words].pop() {
            // SAFETY: `from_raw` allows another type of the same size and alignment, which `size` has compared; neither type asks
            // anything of its bytes.
            Some(cell) => unsafe { Rc::from_raw(Rc::into_raw(cell).cast::<MaybeUninit<T>>()) },
            None => Rc::new_uninit(),
        }
    }

    /// Keeps a cell that nobody else has, or frees it.
    #[inline]
    pub(crate) fn keep<T>(&self, cell: Rc<MaybeUninit<T>>) {
        let Some(words) = Self::size::<T>() else { return };
        let list = &mut self.by_size.borrow_mut()[words];
        if list.len() * size_of::<T>() < KEPT {
            let data = Rc::into_raw(cell).cast::<MaybeUninit<usize>>();
            // SAFETY: as in `take`: a slice of as many words has the size and the alignment of a `T`.
            list.push(unsafe { Rc::from_raw(ptr::slice_from_raw_parts(data, words)) });
        }
    }
}
