//! The poll stack: which scopes are being polled at this moment, innermost first.
//!
//! ```text
//!     TOP --> [ timeout, light ] --> [ CancelScope's node ] --> [ timeout, light ] --> none      TASK: the task's node
//!              |                                                                                       (most have none)
//!              | defer() called here: attach
//!              v
//!             a light one becomes a node, below the one before it
//! ```
//!
//! Each frame stands in the machine's own stack, in the call that polls the scope: to put one up is to write a few words and to
//! set a pointer.
//!
//! A scope that nobody asks anything of is *light*: while its body is polled, its frame borrows what its wrapper has of it. When
//! something has to hold on to the scope (a cleanup, a shield, an observer), every light frame becomes a [`Node`], once; the
//! wrapper gets it when its frame comes down.
//!
//! A task is lighter still: it has no frame at all. When something attaches, its node is put beside the stack, and the thread's
//! attention tells the task's wrapper to take it (see [`layer`]). Two have a frame all the same: the child of a group,
//! which names that, and main, a light one.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;

use handcar_executor::Instant;
use handcar_executor::layer::{self, Alarm, Ending};

use crate::context;
use crate::node::{Kind, Node};
use crate::reason::{CancelKind, CancelReason};
use crate::scoped;

/// What stands on the stack for a scope.
#[derive(Clone, Copy)]
pub(crate) enum Frame<'a> {
    Light(Light<'a>),
    /// A scope's node, or a task's own.
    Heavy(&'a Rc<Node>),
    /// A child of this group that has no node of its own yet.
    Member(&'a Rc<Node>),
}

/// A scope without a node, as what runs in it sees it.
#[derive(Clone, Copy)]
pub(crate) struct Light<'a> {
    pub(crate) kind: Kind,
    pub(crate) flag: Option<Flag>,
    pub(crate) at: &'static Location<'static>,
    pub(crate) alarm: Option<&'a Alarm>,
}

impl Light<'_> {
    /// A scope that nothing cancels but what is around it.
    #[inline]
    pub(crate) fn plain(at: &'static Location<'static>) -> Light<'static> {
        Light { kind: Kind::Scope, flag: None, at, alarm: None }
    }

    /// Why it is cancelled, if it is. A deadline that has come counts before the scope itself has seen it.
    fn flag(&self) -> Option<Flag> {
        self.flag.or_else(|| self.alarm.is_some_and(Alarm::has_come).then_some(Flag::Deadline))
    }

    fn to_node(self, parent: Option<Rc<Node>>) -> Rc<Node> {
        let node = Node::new(self.kind, self.at, parent, self.alarm.map(|alarm| Alarm::at(alarm.deadline_here())));
        if let Some(flag) = self.flag() {
            node.cancel(flag.reason(self.at));
        }
        node
    }
}

/// Why a light scope is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Deadline,
    RaceLost,
    SiblingFailed,
}

impl Flag {
    pub(crate) fn reason(self, at: &'static Location<'static>) -> CancelReason {
        let kind = match self {
            Flag::Deadline => CancelKind::Deadline,
            Flag::RaceLost => CancelKind::RaceLost,
            Flag::SiblingFailed => CancelKind::SiblingFailed(None),
        };
        CancelReason::of(kind, at)
    }
}

/// A frame in its place.
pub struct Link<'a> {
    frame: Frame<'a>,
    /// The node that it has got.
    attached: OnceCell<Rc<Node>>,
    below: Option<&'a Link<'a>>,
}

thread_local! {
    static TOP: Cell<*const Link<'static>> = const { Cell::new(ptr::null()) };
    /// The node that the task has got in this poll, until its wrapper takes it. Without a destructor, which would make each access
    /// ask whether it has run.
    static TASK: ManuallyDrop<RefCell<Option<Rc<Node>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Calls `f` with `frame` on the stack. Returns the node that the frame has got meanwhile.
#[inline]
pub(crate) fn under<R>(frame: Frame<'_>, f: impl FnOnce() -> R) -> (Option<Rc<Node>>, R) {
    under_link(frame, |_| f())
}

/// As [`under`], for who looks meanwhile whether the frame has got a node.
#[inline]
pub(crate) fn under_link<R>(frame: Frame<'_>, f: impl FnOnce(&Link<'_>) -> R) -> (Option<Rc<Node>>, R) {
    struct Restore(*const Link<'static>);
    impl Drop for Restore {
        fn drop(&mut self) {
            TOP.set(self.0);
        }
    }
    innermost(|below| {
        let link = Link { frame, attached: OnceCell::new(), below };
        let restore = Restore(TOP.replace((&raw const link).cast()));
        let result = f(&link);
        drop(restore);
        (link.attached.into_inner(), result)
    })
}

/// Calls `f` with the innermost frame.
#[inline]
#[allow(unsafe_code)]
fn innermost<R>(f: impl FnOnce(Option<&Link<'_>>) -> R) -> R {
    // SAFETY: `TOP` is null, or points at the link of a call of `under` on this thread that has not returned: each sets it to its
    // own and, when its `f` has returned or panicked, back to what it was before the link goes. That call is below this one in
    // the machine's stack, so the link stays where it is until this has returned; and `f`, which has to do with any lifetime,
    // keeps nothing of it. Nobody has the link exclusively meanwhile.
    f(unsafe { TOP.get().as_ref() })
}

impl Link<'_> {
    #[inline]
    pub(crate) fn has_got_node(&self) -> bool {
        self.attached.get().is_some()
    }

    /// The frame as it is by now: a heavy one, if it has got a node.
    fn now(&self) -> Frame<'_> {
        self.attached.get().map_or(self.frame, Frame::Heavy)
    }

    fn node(&self) -> Option<&Rc<Node>> {
        match self.now() {
            Frame::Heavy(node) => Some(node),
            Frame::Light(_) | Frame::Member(_) => None,
        }
    }

    /// Its node, made if there was none.
    fn attach(&self) -> Rc<Node> {
        let made = match self.now() {
            Frame::Light(light) => light.to_node(attach_to(self.below)),
            Frame::Member(group) => task_node(Some(Rc::clone(group))),
            Frame::Heavy(node) => return Rc::clone(node),
        };
        Rc::clone(self.attached.get_or_init(|| made))
    }

    fn is_task(&self) -> bool {
        match self.frame {
            Frame::Light(light) => light.kind == Kind::Task,
            Frame::Heavy(node) => node.kind == Kind::Task,
            Frame::Member(_) => true,
        }
    }

    fn at(&self) -> &'static Location<'static> {
        match self.frame {
            Frame::Light(light) => light.at,
            Frame::Heavy(node) | Frame::Member(node) => node.at,
        }
    }
}

impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// The frames from the innermost one outwards.
fn outwards<'a>(top: Option<&'a Link<'a>>) -> impl Iterator<Item = &'a Link<'a>> {
    std::iter::successors(top, |link| link.below)
}

/// While it lives, the stack is an empty one, and so is the context: for a runtime that is driven, or ends, inside a poll of another.
pub(crate) struct Isolated {
    outer: *const Link<'static>,
    task: Option<Rc<Node>>,
    attention: u8,
    _context: context::Restore,
}

impl Isolated {
    pub(crate) fn new() -> Isolated {
        Isolated {
            outer: TOP.replace(ptr::null()),
            task: TASK.with(|task| task.take()),
            attention: layer::set_attention(0),
            _context: context::replace(None),
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        TOP.set(self.outer);
        let inner = TASK.with(|task| task.replace(self.task.take()));
        layer::set_attention(self.attention);
        if let Some(inner) = inner {
            scoped::close(&inner); // a task that has entered its own runtime has left a cleanup there
        }
    }
}

/// The node of the innermost scope or shield, made if there was none; `None` outside every scope.
pub(crate) fn attach() -> Option<Rc<Node>> {
    innermost(attach_to)
}

fn attach_to(link: Option<&Link<'_>>) -> Option<Rc<Node>> {
    link.map_or_else(attach_task, |link| Some(link.attach()))
}

/// The node of a task that has no frame.
fn attach_task() -> Option<Rc<Node>> {
    let node = attached_task();
    if node.is_some() || layer::ending() != Some(Ending::Own) {
        return node;
    }
    let node = task_node(None);
    let left = TASK.with(|task| task.replace(Some(Rc::clone(&node))));
    layer::set_attention(layer::attention() | layer::ATTACHED);
    if let Some(left) = left {
        left.close(); // a report hook has attached to a task when its wrapper had looked
    }
    Some(node)
}

/// The node that the task has got in this poll.
#[inline]
fn attached_task() -> Option<Rc<Node>> {
    if layer::attention() & layer::ATTACHED == 0 { None } else { TASK.with(|task| task.borrow().clone()) }
}

/// As [`attach`], of the innermost one that takes cleanups.
pub(crate) fn attach_scope() -> Option<Rc<Node>> {
    let mut node = attach()?;
    while node.kind == Kind::Shield {
        node = node.parent()?;
    }
    Some(node)
}

/// A node for the task that is being polled.
fn task_node(group: Option<Rc<Node>>) -> Rc<Node> {
    let reason = is_task_flagged().then(|| task_reason(group.as_deref())).flatten();
    let node = Node::new(Kind::Task, Location::caller(), group, None);
    if let Some(reason) = reason {
        node.cancel(reason);
    }
    node
}

/// Whether the task that is being polled was cancelled.
pub(crate) fn is_task_flagged() -> bool {
    layer::attention() & layer::FLAGGED != 0
}

/// The handle of the task that is being polled may have flagged it: now `node`, which is its own, is cancelled.
pub(crate) fn cancel_if_flagged(node: &Rc<Node>) {
    if is_task_flagged() && !node.is_cancelled_itself() {
        node.cancel(task_reason(node.parent().as_deref()).unwrap_or_default());
    }
}

/// As [`cancel_if_flagged`], from below: a task that cancels itself may have a node already, whose turn is still to come.
pub(crate) fn cancel_task() {
    if !is_task_flagged() {
        return;
    }
    let task = innermost(|top| match outwards(top).find(|link| link.is_task()) {
        Some(task) => task.node().cloned(),
        None => attached_task(),
    });
    if let Some(node) = task {
        cancel_if_flagged(&node);
    }
}

/// Why the task that is being polled was cancelled, if it was.
pub(crate) fn task_reason(group: Option<&Node>) -> Option<CancelReason> {
    let reason = layer::cancelled()?;
    let of_group = match reason.kind {
        handcar_executor::CancelKind::Parent => group.and_then(Node::reason_for_children),
        _ => None,
    };
    Some(of_group.unwrap_or_else(|| CancelReason::from_kernel(reason)))
}

/// The node that the task has got in this poll.
pub(crate) fn take_task() -> Option<Rc<Node>> {
    TASK.with(|task| task.take())
}

/// Whether something around is cancelled or expired, with no shield between: a scope asks this about the others, when it is
/// not itself on the stack.
pub(crate) fn is_flagged() -> bool {
    innermost(|top| {
        for link in outwards(top) {
            match link.now() {
                Frame::Light(light) if light.kind.is_shield() => return false,
                Frame::Light(light) if light.flag().is_some() => return true,
                Frame::Light(_) => {}
                Frame::Heavy(node) => return node.is_cancelled(),
                Frame::Member(_) => return is_task_flagged(),
            }
        }
        attached_task().map_or_else(is_task_flagged, |node| node.is_cancelled())
    })
}

/// Whether what is around is cancelled, but will not drop what lives in it now, because something in it is protected. Combinators ask
/// in each poll, and most are in a plain task.
#[inline]
pub(crate) fn is_held() -> bool {
    let is_plain_task = TOP.get().is_null() && layer::attention() & layer::ATTACHED == 0;
    !is_plain_task && is_held_by_node()
}

#[inline(never)]
fn is_held_by_node() -> bool {
    let is_held = |node: &Rc<Node>| node.is_cancelled() && node.is_protected();
    innermost(|top| match top {
        Some(top) => top.node().is_some_and(is_held),
        None => attached_task().as_ref().is_some_and(is_held),
    })
}

/// Why the innermost scope counts as cancelled, if it does: by itself, or by what is around it.
pub(crate) fn reason() -> Option<CancelReason> {
    innermost(|top| {
        let below = |reason| if top.is_some() { CancelReason::below(&reason) } else { reason };
        for (above, link) in outwards(top).enumerate() {
            let own = match link.now() {
                Frame::Light(light) if light.kind.is_shield() => return None,
                Frame::Light(light) => light.flag().map(|flag| flag.reason(light.at)),
                Frame::Heavy(node) if node.kind.is_shield() => return None,
                Frame::Heavy(node) => reason_of(node),
                Frame::Member(group) => task_reason(Some(group)),
            };
            if let Some(own) = own {
                return Some(if above == 0 { own } else { CancelReason::below(&own) });
            }
            if link.is_task() {
                return None;
            }
        }
        if let Some(task) = attached_task() {
            return reason_of(&task).map(below);
        }
        if layer::ending() == Some(Ending::Own) { task_reason(None) } else { None }
    })
}

/// Why a node counts as cancelled. A task may have cancelled itself in this poll.
fn reason_of(node: &Node) -> Option<CancelReason> {
    match node.reason() {
        None if node.kind == Kind::Task => task_reason(node.parent().as_deref()),
        reason => reason,
    }
}

/// The earliest deadline among the scopes around, up to the next shield.
pub(crate) fn deadline() -> Instant {
    innermost(|top| {
        let mut earliest = Instant::NEVER;
        for link in outwards(top) {
            match link.now() {
                Frame::Light(light) if light.kind.is_shield() => return earliest,
                Frame::Light(light) => {
                    earliest = earliest.min(light.alarm.map_or(Instant::NEVER, Alarm::deadline_here));
                }
                Frame::Heavy(node) | Frame::Member(node) => return earliest.min(node.effective_deadline()),
            }
        }
        attached_task().map_or(earliest, |node| earliest.min(node.effective_deadline()))
    })
}

/// Cancels the scopes around whose deadline has passed, in this task and above it: their own poll is still to come. True if
/// there were any.
pub(crate) fn cancel_expired() -> bool {
    let innermost = innermost(|top| {
        outwards(top).find_map(|link| match link.now() {
            Frame::Light(_) => None,
            Frame::Heavy(node) | Frame::Member(node) => Some(Rc::clone(node)),
        })
    });
    innermost.or_else(attached_task).is_some_and(|node| node.cancel_expired())
}

/// How many scopes are on the stack; a task's own does not count.
pub(crate) fn depth() -> usize {
    innermost(|top| scopes(top).count())
}

/// The line of the outermost scope above the first `depth` ones.
pub(crate) fn opened_above(depth: usize) -> Option<&'static Location<'static>> {
    let above = self::depth().checked_sub(depth + 1)?;
    innermost(|top| scopes(top).nth(above).map(Link::at))
}

/// The line that made the innermost scope.
pub(crate) fn at() -> Option<&'static Location<'static>> {
    innermost(|top| top.map(Link::at))
}

fn scopes<'a>(top: Option<&'a Link<'a>>) -> impl Iterator<Item = &'a Link<'a>> {
    outwards(top).filter(|link| !link.is_task())
}
