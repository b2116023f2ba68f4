//! Delegates: children that live inside another future and are woken one by one.
//!
//! A combinator over a thousand futures must not poll all of them because one was woken. So each child has a number, and a
//! waker, of its own. Numbers come in blocks of 64, which is what the runtime keeps of the children:
//!
//! ```text
//!     child's waker -> its block -> 1. its index goes into the parent's ready list, unless it is there
//!                                   2. the borrow ends
//!                                   3. the parent's waker is woken, once until its next poll; it may be a stranger's
//!     parent polled  -> begin(cx)   4. the parent's waker is kept
//!                    -> next()      5. each child that was woken, in order, and no other
//! ```
//!
//! A block owns this *wake side* only, the list and the parent's waker, **never a child's future**. So the children may
//! borrow from their parent. And when a parent is forgotten, a list leaks; nothing that is borrowed is dropped late.
//!
//! Delegates belong to the runtime that polled last: another one gives new blocks, and all children count as woken.

#![allow(clippy::cast_possible_truncation)] // memory ends before 2^31 children

use std::cell::Cell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use crate::kept::{Lent, keep, let_go};
use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::waker::{BLOCK, TaskId};
use crate::question;
use crate::ready_list::{self, ReadyList};
use crate::report;
use crate::unchecked::{Borrow, UncheckedRefCell};

/// The wake side of a combinator: shared by its blocks.
#[derive(Default)]
pub(crate) struct Ready {
    list: UncheckedRefCell<ReadyList>,
    /// Taken by the first wake after a poll.
    pub(crate) parent: Cell<Option<Waker>>,
}

impl Ready {
    #[inline(always)]
    #[allow(clippy::inline_always)] // it is nothing
    fn list(&self) -> Borrow<'_, ReadyList> {
        // SAFETY: each use, all in this file, has let go at the end of its statement, and calls nothing but one method of the list, which
        // neither allocates nor calls anybody. (`push` is also called under the borrow of the slots.)
        unsafe { self.list.borrow_mut() }
    }

    #[cold]
    fn grow_and_add(&self) -> u32 {
        let children = self.list().indices();
        assert!(children < ready_list::MOST, "a combinator has no room for more children: wait for some to end");
        // SAFETY: nothing is borrowed, as in `list`.
        unsafe { self.list.grow((4 * children).clamp(4, ready_list::MOST), ReadyList::links) }; // four bytes each
        self.add()
    }

    #[inline]
    fn add(&self) -> u32 {
        let added = self.list().add_within_capacity();
        added.unwrap_or_else(|| self.grow_and_add())
    }

    /// Puts a child into the list; returns the parent's waker if that has to be woken.
    #[inline]
    pub(crate) fn push(&self, child: u32) -> Option<Waker> {
        if self.list().push(child) { self.parent.take() } else { None }
    }

    /// Whether a wake would put `child` into the list.
    pub(crate) fn is_idle(&self, child: u32) -> bool {
        self.list().is_idle(child)
    }
}

impl Core {
    /// Puts a child into its parent's ready list. The parent's waker may be a stranger's, which panics; who wakes a child knows nothing of
    /// that.
    #[inline(never)] // the wake of a task has no frame
    pub(crate) fn mark_child(&self, id: TaskId) {
        let parent = self.slots.wake_child(id);
        if let Some(parent) = parent {
            report::wake_one(parent);
        }
    }
}

/// The wakers of a combinator's children, and the list of those that were woken.
///
/// ```
/// use handcar_executor::{Delegates, run, sleep};
/// use std::{future::{Future, poll_fn}, task::{Context, Poll}, time::Duration};
///
/// run(async {
///     let mut children = [3, 1, 2].map(|ms| Box::pin(sleep(Duration::from_millis(ms))));
///     let mut delegates = Delegates::new();
///     children.iter().for_each(|_| _ = delegates.insert()); // 0, 1, 2; each is to be polled first
///     poll_fn(|cx| {
///         delegates.begin(cx);
///         while let Some(child) = delegates.next() {
///             let waker = delegates.waker(child);
///             if children[child].as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
///                 delegates.remove(child); // 1, 2, 0
///             }
///         }
///         if delegates.is_empty() { Poll::Ready(()) } else { Poll::Pending }
///     })
///     .await;
/// });
/// ```
#[derive(Default)]
pub struct Delegates {
    ready: Rc<Ready>,
    core: Weak<Core>,
    /// The last of the list that this poll may still return.
    last: Option<u32>,
    /// Indices below the highest one in use that no child has.
    free: Vec<u32>,
    len: usize,
    /// The number of the first child of each block in `core`; of the newest ones none, until the next poll.
    blocks: Vec<TaskId>,
}

impl Delegates {
    /// No children yet.
    pub fn new() -> Delegates {
        Delegates::default()
    }

    /// Adds a child and marks it as woken. Indices of removed children are used again.
    ///
    /// # Panics
    ///
    /// If there are two thousand million children.
    pub fn insert(&mut self) -> usize {
        let child = self.insert_before_begin();
        if let Some(parent) = self.ready.parent.take() {
            report::wake_one(parent);
        }
        child
    }

    /// As [`insert`](Delegates::insert), for the parent itself, before it begins a poll: it need not be woken.
    ///
    /// # Panics
    ///
    /// If there are two thousand million children.
    #[inline]
    pub fn insert_before_begin(&mut self) -> usize {
        let child = match self.free.pop() {
            Some(child) => {
                self.ready.list().add_again(child);
                child
            }
            None => self.ready.add(),
        };
        self.len += 1;
        child as usize
    }

    /// Begins a poll of the parent: from now on a woken child wakes `cx`.
    ///
    /// # Panics
    ///
    /// Outside a runtime; if the runtime has no numbers left.
    #[track_caller]
    pub fn begin(&mut self, cx: &Context<'_>) {
        let core = context::current("a combinator");
        if !std::ptr::eq(self.core.as_ptr(), Rc::as_ptr(&core)) {
            self.move_to(&core);
        }
        let indices = self.ready.list().indices();
        while self.blocks.len() * BLOCK < indices {
            let first = (self.blocks.len() * BLOCK) as u32;
            self.blocks.push(core.slots.insert_block(Rc::clone(&self.ready), first));
        }
        let waker = match self.ready.parent.take() {
            Some(kept) if kept.will_wake(cx.waker()) => kept,
            _ => keep(cx.waker()),
        };
        if question::is_question() {
            self.ready.list().push_all(); // each is to be asked; the parent is being polled already
        }
        let crossed = self.ready.parent.replace(Some(waker));
        drop(crossed);
        self.last = self.ready.list().last();
    }

    #[cold]
    fn move_to(&mut self, core: &Rc<Core>) {
        let is_first = self.core.as_ptr() == Weak::new().as_ptr();
        self.release();
        self.core = Rc::downgrade(core);
        if !is_first {
            self.ready.list().push_all();
        }
    }

    /// The next child that was woken before this poll of the parent began. One that is woken during it has woken the parent
    /// again, so no child is polled twice, and none keeps the parent for ever. (A new one may have the place of one that was removed.)
    #[allow(clippy::should_implement_trait)] // not an iterator: the list grows while children are polled
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        while self.last.is_some() {
            let (child, is_there) = self.ready.list().pop()?;
            if self.last == Some(child) {
                self.last = None;
            }
            if is_there {
                return Some(child as usize);
            }
        }
        None
    }

    /// A child's waker, to poll it with. Before the next [`begin`](Delegates::begin) a new child's wakes nobody.
    ///
    /// # Panics
    ///
    /// If there is no such child.
    #[inline]
    pub fn waker(&self, child: usize) -> Lent {
        let is_there = self.ready.list().is_child(child as u32);
        assert!(is_there, "there is no child {child}");
        Lent::new(self.id(child))
    }

    #[inline]
    fn id(&self, child: usize) -> TaskId {
        self.blocks.get(child / BLOCK).map_or(TaskId::NONE, |first| first.at_place(child % BLOCK))
    }

    /// What the [`waker`](Delegates::waker) carries of a child that [`next`](Delegates::next) has returned: since then it has a number.
    #[inline]
    pub(crate) fn id_of_next(&self, child: usize) -> TaskId {
        self.blocks[child / BLOCK].at_place(child % BLOCK)
    }

    /// Whether a woken child waits to be returned by [`next`](Delegates::next), or did until it was removed.
    pub fn has_woken(&self) -> bool {
        self.ready.list().last().is_some()
    }

    /// Removes a child; its waker is inert until the index is used again, and then may cost the new child a poll.
    ///
    /// # Panics
    ///
    /// If there is no such child.
    pub fn remove(&mut self, child: usize) {
        let is_there = self.ready.list().is_child(child as u32);
        assert!(is_there, "there is no child {child}");
        self.ready.list().remove(child as u32);
        self.free.push(child as u32);
        self.len -= 1;
        if self.len == 0 {
            self.last = None;
            while self.ready.list().pop().is_some() {}
        }
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn release(&mut self) {
        if let Some(core) = self.core.upgrade() {
            self.blocks.iter().for_each(|&first| core.slots.remove_block(first));
        }
        self.blocks.clear();
    }
}

impl Drop for Delegates {
    fn drop(&mut self) {
        self.release();
        let_go(self.ready.parent.take()); // whoever is polled with it may have values in hand
    }
}

impl fmt::Debug for Delegates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegates").field("children", &self.len).finish_non_exhaustive()
    }
}
