//! Nodes: the tree of the scopes that something holds on to.
//!
//! ```text
//!            parent
//!              ^  |  1. cancel: `own` set once, then down the tree, `below` set on everything that no shield covers;
//!              |  v     each wrapper, observer and child of a group on the way is woken
//!     node: own, below, protected, cleanups, observers, members
//!              ^  |
//!              |  v  2. protected: a shield or a group with living children counts here, and once in the parent, and so on
//!           children
//! ```
//!
//! Neither direction recurses: cancelling keeps a list of nodes still to visit, and counts go up in a loop. So does a
//! node's destructor.
//!
//! A node acts on nothing itself. Its wrapper (see `scoped.rs`) looks at the node between two polls of the body, and at its clock
//! (`times.rs`).

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context as Polling, Waker};

use handcar_executor::layer::{self, Alarm};
use handcar_executor::{self as kernel, PanicPayload, Report, keep, let_go};
use slab::Slab;

use crate::cleanup::Cleanup;
use crate::context::{self, Context};
use crate::members::Members;
use crate::reason::CancelReason;
use crate::scoped::{RULE, Rule};
use crate::times::{Grace, Times};
use crate::token::Shared;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Reports only when nothing around it is cancelled.
    Scope,
    /// A task reports always: to its handle.
    Task,
    /// Reports always: `cancellable`.
    Catch,
    /// Lets no cancel in; owns no cleanups.
    Shield,
    /// Lets no cancel in.
    Cleanup,
}

impl Kind {
    pub(crate) fn is_shield(self) -> bool {
        matches!(self, Kind::Shield | Kind::Cleanup)
    }
}

pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) rule: &'static Rule,
    /// The line that made the scope.
    pub(crate) at: &'static Location<'static>,
    links: RefCell<Links>,
    causes: RefCell<Causes>,
    /// What its group's children are told, where that is not "the group was cancelled".
    pub(crate) for_children: RefCell<Option<CancelReason>>,
    closed: Cell<bool>,
    /// How many shields, catching `cancellable`s and groups with children live in it.
    protected: Cell<u32>,
    /// How many of them it counts as in its parent.
    holds: Cell<u32>,
    waker: Cell<Option<Waker>>,
    observers: RefCell<Slab<Option<Waker>>>,
    /// The children of a group: each is linked here, not among the nodes. `None` is one that is just being spawned.
    pub(crate) members: RefCell<Members>,
    /// Not begun, the newest last; and the one that has begun.
    pub(crate) cleanups: RefCell<Vec<Cleanup>>,
    pub(crate) begun: Cell<Option<Cleanup>>,
    pub(crate) clock: RefCell<Times>,
    /// Set here, or found around it when it was linked there.
    pub(crate) grace: Cell<Grace>,
    pub(crate) sets_grace: Cell<bool>,
    token: RefCell<Option<Arc<Shared>>>,
    /// The variables that a task has inherited.
    pub(crate) context: OnceCell<Context>,
}

/// Why it is cancelled.
#[derive(Default)]
struct Causes {
    /// Itself.
    own: Option<CancelReason>,
    /// By something around it.
    below: Option<CancelReason>,
}

#[derive(Default)]
struct Links {
    parent: Option<Rc<Node>>,
    /// The place among the parent's children.
    key: usize,
    children: Slab<Weak<Node>>,
}

impl Node {
    pub(crate) fn new(
        kind: Kind,
        at: &'static Location<'static>,
        parent: Option<Rc<Node>>,
        deadline: Option<Alarm>,
    ) -> Rc<Node> {
        // Cyclic only to be made in its place, not moved there.
        let node = Rc::new_cyclic(|_| Node {
            kind,
            rule: &RULE,
            at,
            links: RefCell::default(),
            causes: RefCell::default(),
            for_children: RefCell::default(),
            closed: Cell::new(false),
            protected: Cell::new(0),
            holds: Cell::new(0),
            waker: Cell::default(),
            observers: RefCell::default(),
            members: RefCell::default(),
            cleanups: RefCell::default(),
            begun: Cell::default(),
            clock: RefCell::new(Times::until(deadline)),
            grace: Cell::new(Grace::OfRuntime),
            sets_grace: Cell::new(false),
            token: RefCell::default(),
            context: OnceCell::new(),
        });
        node.link(parent);
        node
    }

    /// For a task, or for the child of a group, that is to have the current context.
    pub(crate) fn inheriting(group: Option<Rc<Node>>) -> Rc<Node> {
        let node = Node::new(Kind::Task, Location::caller(), group, None);
        if let Some(context) = context::current() {
            let _ = node.context.set(context);
        }
        node
    }

    pub(crate) fn parent(&self) -> Option<Rc<Node>> {
        self.links.borrow().parent.clone()
    }

    /// Makes `parent` the parent. Tasks are linked by their group, as members.
    fn link(self: &Rc<Node>, parent: Option<Rc<Node>>) {
        if let Some(parent) = &parent
            && self.kind != Kind::Task
        {
            let key = parent.links.borrow_mut().children.insert(Rc::downgrade(self));
            self.links.borrow_mut().key = key;
            if !self.kind.is_shield() {
                let cause = parent.in_force();
                self.causes.borrow_mut().below = cause;
            }
        }
        if !self.sets_grace.get() {
            self.grace.set(parent.as_ref().map_or(Grace::OfRuntime, |parent| parent.grace.get()));
        }
        self.links.borrow_mut().parent = parent;
    }

    /// Takes it out from below its parent, which is returned.
    fn unlink(&self) -> Option<Rc<Node>> {
        let (parent, key) = {
            let mut links = self.links.borrow_mut();
            (links.parent.take(), links.key)
        };
        if let Some(parent) = &parent
            && self.kind != Kind::Task
        {
            parent.links.borrow_mut().children.try_remove(key);
        }
        parent
    }

    /// It is polled below `parent` now: a future may be carried from one scope into another.
    pub(crate) fn reparent(self: &Rc<Node>, parent: Option<&Rc<Node>>) {
        let same = match (&self.links.borrow().parent, parent) {
            (Some(old), Some(new)) => Rc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same || self.kind == Kind::Task {
            return;
        }
        self.refuse_cycle(parent);
        let holds = self.holds.take();
        let was_cancelled = self.is_cancelled_from_above();
        let old = self.unlink();
        self.link(parent.cloned());
        for _ in 0..holds {
            if let Some(parent) = parent {
                parent.protect();
            }
            if let Some(old) = &old {
                old.unprotect();
            }
        }
        self.holds.set(holds);
        if !self.kind.is_shield() {
            if self.is_cancelled_from_above() && !was_cancelled {
                self.wake(); // an observer in it may be one that is polled only when it is woken
            }
            self.spread();
        }
    }

    /// A group or scope that is polled by a child within it would wait for itself.
    fn refuse_cycle(&self, parent: Option<&Rc<Node>>) {
        if self.members.borrow().is_empty() && self.links.borrow().children.is_empty() {
            return; // a new one, mostly
        }
        let mut around = parent.cloned();
        while let Some(this) = around {
            assert!(
                !std::ptr::eq(&raw const *this, self),
                "a child awaits the end of its own group or scope (made at {}), which waits for that child: await it where it \
                 was made, or the handle of a sibling",
                self.at
            );
            around = this.parent();
        }
    }

    /// Whether it counts as cancelled, by itself or by something around it.
    pub(crate) fn is_cancelled(&self) -> bool {
        let causes = self.causes.borrow();
        causes.own.is_some() || causes.below.is_some()
    }

    pub(crate) fn is_cancelled_itself(&self) -> bool {
        self.causes.borrow().own.is_some()
    }

    pub(crate) fn is_cancelled_from_above(&self) -> bool {
        self.causes.borrow().below.is_some()
    }

    /// The cause for what lives in it.
    fn in_force(&self) -> Option<CancelReason> {
        let causes = self.causes.borrow();
        causes.own.clone().or_else(|| causes.below.clone())
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        let causes = self.causes.borrow();
        causes.own.clone().or_else(|| causes.below.as_ref().map(CancelReason::below))
    }

    pub(crate) fn own_reason(&self) -> Option<CancelReason> {
        self.causes.borrow().own.clone()
    }

    pub(crate) fn reason_for_children(&self) -> Option<CancelReason> {
        self.for_children.borrow().clone().or_else(|| self.in_force().as_ref().map(CancelReason::below))
    }

    /// Cancels it. False if it was cancelled before, or has ended.
    pub(crate) fn cancel(self: &Rc<Node>, reason: CancelReason) -> bool {
        if self.closed.get() || self.is_cancelled_itself() {
            return false;
        }
        self.causes.borrow_mut().own = Some(reason);
        self.wake();
        self.spread();
        true
    }

    /// Tells everything below it.
    fn spread(self: &Rc<Node>) {
        let mut found = self.visit();
        while let Some(child) = found.pop() {
            if child.kind.is_shield() {
                continue;
            }
            let cause = child.parent().and_then(|parent| parent.in_force());
            let was = child.is_cancelled_from_above();
            let is = cause.is_some();
            if was == is {
                continue;
            }
            child.causes.borrow_mut().below = cause;
            if is {
                child.wake();
            }
            found.append(&mut child.visit());
        }
    }

    /// Its children; those of a group are told at once.
    fn visit(&self) -> Vec<Rc<Node>> {
        if self.is_cancelled() {
            self.cancel_members(kernel::CancelKind::Parent);
        }
        self.links.borrow().children.iter().filter_map(|(_, child)| child.upgrade()).collect()
    }

    pub(crate) fn cancel_members(&self, kind: kernel::CancelKind) {
        let members: Vec<_> = self.members.borrow().iter().cloned().collect();
        for member in members {
            layer::cancel(&member, kind);
        }
    }

    /// Wakes its wrapper and whoever observes it.
    fn wake(&self) {
        self.wake_wrapper();
        let observers: Vec<_> = self.observers.borrow_mut().iter_mut().filter_map(|(_, waker)| waker.take()).collect();
        observers.into_iter().for_each(wake);
    }

    pub(crate) fn wake_wrapper(&self) {
        if let Some(waker) = self.waker.take() {
            wake(waker);
        }
    }

    /// Makes what a task has inherited the current context, until the guard is dropped.
    #[inline]
    pub(crate) fn enter_context(&self) -> Option<context::Restore> {
        self.context.get().map(|context| context::replace(Some(Rc::clone(context))))
    }

    /// The wrapper is polled, with this waker.
    pub(crate) fn keep_waker(self: &Rc<Node>, cx: &Polling<'_>) {
        let waker = match self.waker.take() {
            Some(kept) if kept.will_wake(cx.waker()) => kept,
            _ => keep(cx.waker()),
        };
        let token = self.token.borrow().clone();
        if let Some(token) = token
            && let Some(reason) = token.look(cx.waker())
        {
            self.cancel(reason);
        }
        let crossed = self.waker.replace(Some(waker));
        drop(crossed);
    }

    /// An observer's waker, in place of the one that it left before.
    pub(crate) fn observe(&self, key: Option<usize>, waker: Waker) -> usize {
        let mut observers = self.observers.borrow_mut();
        let Some(key) = key else { return observers.insert(Some(waker)) };
        let old = observers[key].replace(waker);
        drop(observers);
        drop(old);
        key
    }

    pub(crate) fn forget_observer(&self, key: usize) {
        let waker = self.observers.borrow_mut().remove(key);
        let_go(waker);
    }

    /// It counts as protected by one more; and so, if it did not before, does what is around it.
    pub(crate) fn protect(self: &Rc<Node>) {
        let mut node = Rc::clone(self);
        while node.protected.replace(node.protected.get() + 1) == 0 && node.passes_protection() {
            let Some(parent) = node.parent() else { break };
            node.holds.set(node.holds.get() + 1);
            node = parent;
        }
    }

    /// Undoes one [`protect`](Node::protect). A wrapper that waits for the last one is woken.
    pub(crate) fn unprotect(self: &Rc<Node>) {
        let mut node = Rc::clone(self);
        while node.protected.replace(node.protected.get() - 1) == 1 {
            if node.is_cancelled() {
                node.wake_wrapper();
            }
            if !node.passes_protection() {
                break;
            }
            let Some(parent) = node.parent() else { break };
            node.holds.set(node.holds.get() - 1);
            node = parent;
        }
    }

    /// Whether what is protected in it counts in its parent too. A closed one has settled its account with the parent.
    fn passes_protection(&self) -> bool {
        !matches!(self.kind, Kind::Task | Kind::Cleanup) && !self.closed.get()
    }

    /// From now on, until it is closed, it protects its parent.
    pub(crate) fn hold_parent(&self) {
        if let Some(parent) = self.parent() {
            self.holds.set(self.holds.get() + 1);
            parent.protect();
        }
    }

    /// Undoes [`hold_parent`](Node::hold_parent).
    pub(crate) fn release_parent(&self) {
        if let Some(parent) = self.parent()
            && self.holds.get() > 0
        {
            self.holds.set(self.holds.get() - 1);
            parent.unprotect();
        }
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protected.get() > 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The wrapper has ended, or was dropped: what is left of the cleanups goes up. The parent stays known, for guards that
    /// outlive this.
    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let waker = self.waker.take();
        let parent = self.unlink();
        self.links.borrow_mut().parent.clone_from(&parent);
        if let Some(parent) = &parent {
            for _ in 0..self.holds.take() {
                parent.unprotect();
            }
        }
        let mut left = self.cleanups.take();
        left.extend(self.begun.take());
        for cleanup in left.into_iter().rev() {
            cleanup.hand_to(parent.clone()); // the newest first: at the root each becomes a task
        }
        drop(self.clock.take());
        let_go(waker);
    }

    /// The half of it that other threads may hold.
    pub(crate) fn token(self: &Rc<Node>) -> Arc<Shared> {
        let token = Arc::clone(self.token.borrow_mut().get_or_insert_default());
        self.wake_wrapper(); // so that it leaves its waker there, when there is a token
        token
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A chain of parents of which each is the last owner of the next must not be dropped by recursion.
        let mut parent = self.links.get_mut().parent.take();
        while let Some(last) = parent {
            parent = Rc::into_inner(last).and_then(|mut node| node.links.get_mut().parent.take());
        }
    }
}

/// Wakes; if that is a stranger's code and panics, whoever wakes goes on.
pub(crate) fn wake(waker: Waker) {
    contain(|| waker.wake());
}

/// As [`wake`].
pub(crate) fn wake_by_ref(waker: &Waker) {
    contain(|| waker.wake_by_ref());
}

fn contain(wake: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(wake)) {
        layer::report(Report::WakerPanicked { payload: PanicPayload::new(payload) });
    }
}
