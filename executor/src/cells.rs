//! The memory of tasks that have ended, and of what else is short-lived, kept for the next ones of their size.
//!
//! To allocate a cell and to free it was a quarter of what spawning and joining a task takes, and most programs spawn the same few
//! kinds of tasks again and again. So a cell from which there is nothing left to drop goes onto a list by size, and the next task
//! of that size is written into it. Each list is bounded, since a burst of tasks should not keep its memory for ever.
//!
//! ```text
//!    lists    14 words --> cell --> cell --> cell      each begins with the next one, and with how many bytes there are from it on
//!             15 words
//!             ...
//! ```
//!
//! A kept cell is still what was within an [`Rc`], which is whole again where it is taken. So no allocator is called by hand here,
//! and no count is touched.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use crate::machine::context;
use crate::machine::header::HasHeader;
use crate::machine::task::Run;

/// The biggest cells that are kept, in words.
const BIGGEST: usize = 32;

/// How many bytes are kept of each size: some thousand small tasks.
const MOST: usize = 128 << 10;

/// What a kept cell begins with; the rest of it is nothing.
pub(crate) struct Kept {
    next: Option<NonNull<Kept>>,
    bytes: usize,
}

/// The size of a cell for a `T` in words: the index of its list. For what has none, a number beyond all lists.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const fn words<T>() -> u8 {
    let (size, align) = (size_of::<T>(), align_of::<T>());
    let fits = align == align_of::<Kept>() && size >= size_of::<Kept>() && size / size_of::<usize>() <= BIGGEST;
    if fits { (size / size_of::<usize>()) as u8 } else { u8::MAX }
}

/// Each list has cells of one size, in words: its index. Each cell came from [`Rc::into_raw`], and nobody else has it.
pub(crate) struct Cells {
    lists: [Cell<Option<NonNull<Kept>>>; BIGGEST + 1],
}

impl Cells {
    pub(crate) const fn new() -> Cells {
        Cells { lists: [const { Cell::new(None) }; BIGGEST + 1] }
    }

    /// A cell for a `T`, which nobody else has.
    #[inline]
    pub(crate) fn take<T>(&self) -> Rc<MaybeUninit<T>> {
        let list = self.lists.get(const { words::<T>() } as usize);
        let Some((list, kept)) = list.and_then(|list| Some((list, list.get()?))) else {
            return Rc::new_uninit();
        };
        // SAFETY: nobody else has the cell, and it begins with a `Kept`, which `keep` has written.
        list.set(unsafe { kept.read() }.next);
        // SAFETY: `from_raw` allows another type of the same size and alignment as that which `into_raw` was called with: the list is
        // the one for the layout of both. `MaybeUninit` asks nothing of its bytes.
        unsafe { Rc::from_raw(kept.as_ptr().cast::<MaybeUninit<T>>()) }
    }

    /// Lets go of a task that has ended; keeps its memory if nobody else has it, and nothing is left to drop.
    #[inline(never)] // the loop would have fewer registers for what it does more often
    pub(crate) fn keep(&self, mut task: Rc<dyn Run>) {
        let header = task.header();
        let words = header.words;
        if header.is_spent()
            && let Some(room) = self.room(words)
            && Rc::get_mut(&mut task).is_some()
        {
            // SAFETY: nobody else has it, as `get_mut` says, and there is nothing left in it to drop.
            unsafe { self.put(words, task, room) };
        }
    }

    /// What one more cell of that size would begin with, if one more is kept.
    #[inline]
    pub(crate) fn room(&self, words: u8) -> Option<Kept> {
        let next = self.lists.get(words as usize)?.get();
        // SAFETY: as in `take`.
        let bytes = words as usize * size_of::<usize>() + next.map_or(0, |next| unsafe { next.read() }.bytes);
        (bytes <= MOST).then_some(Kept { next, bytes })
    }

    /// Keeps a cell, which begins with `room` from now on.
    ///
    /// # Safety
    ///
    /// It has so many [`words`], nobody else has it, and there is nothing in it.
    #[inline]
    pub(crate) unsafe fn put<T: ?Sized>(&self, words: u8, cell: Rc<T>, room: Kept) {
        let cell = Rc::into_raw(cell).cast::<Kept>().cast_mut();
        // SAFETY: it is big enough and aligned for a `Kept`, as `words` has seen to.
        unsafe { cell.write(room) };
        self.lists[words as usize].set(NonNull::new(cell));
    }
}

/// As [`Cells::keep`], for the current runtime.
pub(crate) fn let_go(task: Rc<dyn Run>) {
    context::with_current(|core| core.cells.keep(task));
}

impl Drop for Cells {
    fn drop(&mut self) {
        let is_any = self.lists.iter().fold(0, |any, list| any | list.get().map_or(0, |kept| kept.addr().get()));
        if is_any == 0 {
            return; // the loop below branches on each, which is 15 ns of a short-lived runtime's time
        }
        for (words, list) in self.lists.iter_mut().enumerate() {
            while let Some(kept) = list.get() {
                // SAFETY: as in `take`; so many words have the size and the alignment of each cell of this list.
                let cell = unsafe {
                    list.set(kept.read().next);
                    let words = ptr::slice_from_raw_parts(kept.as_ptr().cast::<MaybeUninit<usize>>(), words);
                    Rc::from_raw(words)
                };
                drop(cell);
            }
        }
    }
}
