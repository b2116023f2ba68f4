//! Delegates: children that live inside another future and are woken one by one.
//!
//! A combinator over a thousand futures must not poll all of them because one was woken. So each child has a slot, and a
//! waker, of its own:
//!
//! ```text
//!     child's waker -> its slot -> 1. its index goes into the parent's ready list
//!                                  2. the borrow ends
//!                                  3. the parent's waker is woken, once until its next poll; it may be a stranger's
//!     parent polled  -> begin(cx)  4. the parent's waker is kept
//!                    -> next()     5. each child that was woken, in order, and no other
//! ```
//!
//! The slot owns this *wake side* only, the list and the parent's waker, **never the child's future**. So the children may
//! borrow from their parent. And when a parent is forgotten, a list leaks; nothing that is borrowed is dropped late.
//!
//! Delegates belong to the runtime that polled last. A combinator that is polled under another one takes new slots there and
//! marks all its children as woken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use slab::Slab;

use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::waker::TaskId;
use crate::question;

/// The wake side of a combinator: shared by its children's slots.
#[derive(Default)]
pub(crate) struct Ready {
    list: RefCell<VecDeque<u32>>,
    /// Taken by the first wake after a poll.
    parent: Cell<Option<Waker>>,
}

impl Ready {
    pub(crate) fn push(&self, child: u32) {
        self.list.borrow_mut().push_back(child);
    }

    pub(crate) fn wake_parent(&self) {
        if let Some(parent) = self.parent.take() {
            parent.wake();
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
///     for _ in &children {
///         delegates.insert(); // 0, 1, 2; each is to be polled first
///     }
///     let mut order = Vec::new();
///     poll_fn(|cx| {
///         delegates.begin(cx);
///         while let Some(child) = delegates.next() {
///             let waker = delegates.waker(child);
///             if children[child].as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
///                 delegates.remove(child);
///                 order.push(child);
///             }
///         }
///         if order.len() == 3 { Poll::Ready(()) } else { Poll::Pending }
///     })
///     .await;
///     assert_eq!(order, [1, 2, 0]);
/// });
/// ```
#[derive(Default)]
pub struct Delegates {
    ready: Rc<Ready>,
    core: Weak<Core>,
    /// How many of the ready list this poll may still return.
    batch: usize,
    /// The slot of each child in `core`; [`TaskId::NONE`] until the first poll.
    children: Slab<TaskId>,
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
    /// If the runtime has no slot left.
    #[allow(clippy::cast_possible_truncation)] // a slot's number is checked where slots are made
    #[allow(clippy::missing_panics_doc)]
    pub fn insert(&mut self) -> usize {
        let entry = self.children.vacant_entry();
        let child = entry.key();
        // The slot first: should there be none left, the child does not exist either.
        entry.insert(
            self.core.upgrade().map_or(TaskId::NONE, |core| {
                core.slots.borrow_mut().insert_child(Rc::clone(&self.ready), child as u32)
            }),
        );
        self.ready.push(child as u32);
        self.ready.wake_parent();
        child
    }

    /// Begins a poll of the parent: from now on a woken child wakes `cx`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    #[allow(clippy::cast_possible_truncation)]
    pub fn begin(&mut self, cx: &Context<'_>) {
        let core = context::current("a combinator");
        if !std::ptr::eq(self.core.as_ptr(), Rc::as_ptr(&core)) {
            self.release();
            self.core = Weak::new(); // should no slot be left below, the old numbers mean nothing in the new runtime
            self.ready.list.borrow_mut().clear();
            for (child, id) in &mut self.children {
                *id = core.slots.borrow_mut().insert_child(Rc::clone(&self.ready), child as u32);
                self.ready.push(child as u32);
            }
            self.core = Rc::downgrade(&core);
        }
        let waker = match self.ready.parent.take() {
            Some(kept) if kept.will_wake(cx.waker()) => kept,
            _ => cx.waker().clone(),
        };
        let crossed = self.ready.parent.replace(Some(waker));
        drop(crossed);
        if question::is_question() {
            for (_, &id) in &self.children {
                let _parent = core.mark(id); // each is to be asked; the parent is being polled already
            }
        }
        self.batch = self.ready.list.borrow().len();
    }

    /// The next child that was woken before this poll of the parent began. One that is woken during it has woken the parent
    /// again, so no child is polled twice, and none keeps the parent for ever.
    #[allow(clippy::should_implement_trait)] // not an iterator: the list grows while children are polled
    pub fn next(&mut self) -> Option<usize> {
        while self.batch > 0 {
            self.batch -= 1;
            let child = self.ready.list.borrow_mut().pop_front()? as usize;
            let Some(&id) = self.children.get(child) else { continue }; // removed after it was woken
            if let Some(core) = self.core.upgrade() {
                core.slots.borrow_mut().unqueue_child(id);
            }
            return Some(child);
        }
        None
    }

    /// A child's waker. Before the first [`begin`](Delegates::begin) it wakes nobody.
    ///
    /// # Panics
    ///
    /// If there is no such child.
    pub fn waker(&self, child: usize) -> Waker {
        self.children[child].waker()
    }

    /// Whether a woken child waits to be returned by [`next`](Delegates::next).
    pub fn has_woken(&self) -> bool {
        !self.ready.list.borrow().is_empty()
    }

    /// Removes a child; its waker is inert from now on.
    ///
    /// # Panics
    ///
    /// If there is no such child.
    pub fn remove(&mut self, child: usize) {
        let id = self.children.remove(child);
        if self.children.is_empty() {
            self.ready.list.borrow_mut().clear();
        }
        if let Some(core) = self.core.upgrade() {
            core.slots.borrow_mut().remove_child(id);
        }
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    fn release(&mut self) {
        if let Some(core) = self.core.upgrade() {
            for (_, &id) in &self.children {
                core.slots.borrow_mut().remove_child(id);
            }
        }
    }
}

impl Drop for Delegates {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Delegates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegates").field("children", &self.children.len()).finish_non_exhaustive()
    }
}
