//! The poll stack: which scopes are being polled at this moment, innermost last.
//!
//! ```text
//!     frames   [ task's node ][ timeout, light ][ CancelScope's node ][ timeout, light ]   <- defer() called here
//!                                                                            |
//!                                                  attach: a light one becomes a node, below the one before it
//! ```
//!
//! A scope that nobody asks anything of is *light*: a few words that stand on this stack while the body is polled. When
//! something has to hold on to the scope (a cleanup, a shield, an observer), every light frame becomes a [`Node`], once; the
//! wrapper finds it when it takes its frame off.
//!
//! A task is lighter still: it has no frame at all until something attaches. Then its frame is put *below* the others, and
//! the thread's attention tells the task's wrapper to take it (see [`layer`]). Only the child of a group always has one.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;

use handcar_executor::Instant;
use handcar_executor::layer::{self, Alarm, DueTime, Ending};

use crate::context;
use crate::node::{Kind, Node};
use crate::reason::{CancelKind, CancelReason};

pub(crate) enum Frame {
    Light(Light),
    Heavy(Rc<Node>),
    /// A child of this group that has no node of its own yet.
    Member(Rc<Node>),
}

/// A scope without a node, as what runs in it sees it.
#[derive(Clone, Copy)]
pub(crate) struct Light {
    pub(crate) kind: Kind,
    pub(crate) at: &'static Location<'static>,
    pub(crate) due: Option<DueTime>,
    pub(crate) flag: Option<Flag>,
}

impl Light {
    const BLANK: Light = Light { kind: Kind::Scope, at: Location::caller(), due: None, flag: None };

    /// Why it is cancelled, if it is. A deadline that has come counts before the scope itself has seen it.
    fn flag(&self) -> Option<Flag> {
        self.flag.or_else(|| self.due.is_some_and(DueTime::has_come).then_some(Flag::Deadline))
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

thread_local! {
    /// Without a destructor, which would make each access ask whether it has run. The stack is empty between polls;
    /// [`Isolated`] frees its memory, or, where scopes are polled without a runtime, the thread's end does.
    static FRAMES: ManuallyDrop<RefCell<Vec<Frame>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static AT_THE_END: FreeFrames = const { FreeFrames };
}

struct FreeFrames;

impl Drop for FreeFrames {
    fn drop(&mut self) {
        drop(FRAMES.with(|frames| frames.take()));
    }
}

/// Before the first frame: has the stack's memory freed when the thread ends.
#[cold]
fn free_at_the_end() {
    let _ = AT_THE_END.try_with(|_| ()); // a thread that is ending already keeps it
}

impl Frame {
    fn is_task(&self) -> bool {
        match self {
            Frame::Light(_) => false,
            Frame::Heavy(node) => node.kind == Kind::Task,
            Frame::Member(_) => true,
        }
    }
}

/// Calls `f` with `frame` on the stack. Returns the node that the frame is, or has become.
#[inline]
pub(crate) fn under<R>(frame: Frame, f: impl FnOnce() -> R) -> (Option<Rc<Node>>, R) {
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        if frames.capacity() == 0 {
            free_at_the_end();
        }
        frames.push(frame);
    });
    above(f)
}

/// As [`under`], for a light scope. Its frame is written field by field, in its place: a copy of it would be read in other
/// pieces than those in which it was written just before, for which processors have to wait.
#[inline]
pub(crate) fn under_light<R>(write: impl FnOnce(&mut Light), f: impl FnOnce() -> R) -> (Option<Rc<Node>>, R) {
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        if frames.capacity() == 0 {
            free_at_the_end();
        }
        frames.push(Frame::Light(Light::BLANK));
        if let Some(Frame::Light(light)) = frames.last_mut() {
            write(light);
        }
    });
    above(f)
}

/// Calls `f`, then takes its frame off.
#[inline]
fn above<R>(f: impl FnOnce() -> R) -> (Option<Rc<Node>>, R) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            drop(pop());
        }
    }
    let unwinding = Pop;
    let result = f();
    std::mem::forget(unwinding);
    (pop(), result)
}

/// Whether the innermost frame is, or has become, a node.
#[inline]
pub(crate) fn is_attached() -> bool {
    FRAMES.with(|frames| matches!(frames.borrow().last(), Some(Frame::Heavy(_))))
}

#[inline]
fn pop() -> Option<Rc<Node>> {
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        if let Some(Frame::Light(_)) = frames.last() {
            let left = frames.len() - 1;
            frames.truncate(left);
            return None;
        }
        let frame = frames.pop();
        drop(frames);
        match frame {
            Some(Frame::Heavy(node)) => Some(node),
            _ => None,
        }
    })
}

/// While it lives, the stack is an empty one, and so is the context: for a runtime that is driven, or ends, inside a poll of another.
pub(crate) struct Isolated {
    outer: Vec<Frame>,
    attention: u8,
    _context: context::Restore,
}

impl Isolated {
    pub(crate) fn new() -> Isolated {
        let outer = FRAMES.with(|frames| frames.take());
        Isolated { outer, attention: layer::set_attention(0), _context: context::replace(None) }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        let inner = FRAMES.with(|frames| frames.replace(std::mem::take(&mut self.outer)));
        layer::set_attention(self.attention);
        drop(inner);
    }
}

/// The node of the innermost scope or shield, made if there was none; `None` outside every scope.
pub(crate) fn attach() -> Option<Rc<Node>> {
    FRAMES.with(|frames| attach_to(&mut frames.borrow_mut()))
}

/// As [`attach`], of the innermost one that takes cleanups.
pub(crate) fn attach_scope() -> Option<Rc<Node>> {
    let mut node = attach()?;
    while node.kind == Kind::Shield {
        node = node.parent()?;
    }
    Some(node)
}

fn attach_to(frames: &mut Vec<Frame>) -> Option<Rc<Node>> {
    if let Some(Frame::Heavy(node)) = frames.last() {
        return Some(Rc::clone(node));
    }
    if !frames.first().is_some_and(Frame::is_task) && layer::ending() == Some(Ending::Own) {
        frames.insert(0, Frame::Heavy(task_node(None)));
        layer::set_attention(layer::attention() | layer::ATTACHED);
    }
    let mut parent = None;
    for frame in frames {
        let node = match frame {
            Frame::Heavy(node) => Rc::clone(node),
            Frame::Member(group) => task_node(Some(Rc::clone(group))),
            Frame::Light(light) => {
                let node = Node::new(light.kind, light.at, parent, light.due.map(|due| Alarm::at(due.deadline())));
                if let Some(flag) = light.flag() {
                    node.cancel(flag.reason(light.at));
                }
                node
            }
        };
        *frame = Frame::Heavy(Rc::clone(&node));
        parent = Some(node);
    }
    parent
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
    let task = FRAMES.with(|frames| {
        let frames = frames.borrow();
        match frames.iter().rev().find(|frame| frame.is_task()) {
            Some(Frame::Heavy(node)) => Some(Rc::clone(node)),
            _ => None,
        }
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

/// The node that was put below the others for the task that is being polled.
pub(crate) fn take_task() -> Option<Rc<Node>> {
    FRAMES.with(|frames| {
        let mut frames = frames.borrow_mut();
        if frames.len() != 1 || !frames[0].is_task() {
            return None;
        }
        match frames.pop() {
            Some(Frame::Heavy(node)) => Some(node),
            _ => None,
        }
    })
}

/// Whether something around is cancelled or expired, with no shield between: a scope asks this about the others, when it is
/// not itself on the stack.
pub(crate) fn is_flagged() -> bool {
    FRAMES.with(|frames| {
        for frame in frames.borrow().iter().rev() {
            match frame {
                Frame::Light(light) if light.kind.is_shield() => return false,
                Frame::Light(light) if light.flag().is_some() => return true,
                Frame::Light(_) => {}
                Frame::Heavy(node) => return node.is_cancelled(),
                Frame::Member(_) => break,
            }
        }
        is_task_flagged()
    })
}

/// Whether what is around is cancelled, but will not drop what lives in it now, because something in it is protected.
#[inline]
pub(crate) fn is_held() -> bool {
    FRAMES.with(|frames| match frames.borrow().last() {
        Some(Frame::Heavy(node)) => node.is_cancelled() && node.is_protected(),
        _ => false,
    })
}

/// Why the innermost scope counts as cancelled, if it does: by itself, or by what is around it.
pub(crate) fn reason() -> Option<CancelReason> {
    FRAMES.with(|frames| {
        let frames = frames.borrow();
        for (above, frame) in frames.iter().rev().enumerate() {
            let own = match frame {
                Frame::Light(light) if light.kind.is_shield() => return None,
                Frame::Light(light) => light.flag().map(|flag| flag.reason(light.at)),
                Frame::Heavy(node) if node.kind.is_shield() => return None,
                Frame::Heavy(node) => match node.reason() {
                    // A task may have cancelled itself in this poll.
                    None if node.kind == Kind::Task => task_reason(node.parent().as_deref()),
                    reason => reason,
                },
                Frame::Member(group) => task_reason(Some(group)),
            };
            if let Some(own) = own {
                return Some(if above == 0 { own } else { CancelReason::below(&own) });
            }
        }
        match frames.first() {
            Some(frame) if frame.is_task() => None,
            _ if layer::ending() == Some(Ending::Own) => task_reason(None),
            _ => None,
        }
    })
}

/// The earliest deadline among the scopes around, up to the next shield.
pub(crate) fn deadline() -> Instant {
    FRAMES.with(|frames| {
        let mut earliest = Instant::NEVER;
        for frame in frames.borrow().iter().rev() {
            match frame {
                Frame::Light(light) if light.kind.is_shield() => return earliest,
                Frame::Light(light) => {
                    let deadline = light.due.map_or(Instant::NEVER, DueTime::deadline);
                    earliest = earliest.min(deadline);
                }
                Frame::Heavy(node) | Frame::Member(node) => return earliest.min(node.effective_deadline()),
            }
        }
        earliest
    })
}

/// Cancels the scopes around whose deadline has passed, in this task and above it: their own poll is still to come. True if
/// there were any.
pub(crate) fn cancel_expired() -> bool {
    let innermost = FRAMES.with(|frames| {
        frames.borrow().iter().rev().find_map(|frame| match frame {
            Frame::Light(_) => None,
            Frame::Heavy(node) | Frame::Member(node) => Some(Rc::clone(node)),
        })
    });
    innermost.is_some_and(|node| node.cancel_expired())
}

/// How many scopes are on the stack. The task's own does not count: it may come in below the others in the middle of a poll.
pub(crate) fn depth() -> usize {
    FRAMES.with(|frames| frames.borrow().len() - first_is_task(&frames.borrow()))
}

/// The line of the outermost scope above the first `depth` ones.
pub(crate) fn opened_above(depth: usize) -> Option<&'static Location<'static>> {
    FRAMES.with(|frames| {
        let frames = frames.borrow();
        frames.get(depth + first_is_task(&frames)).map(|frame| match frame {
            Frame::Light(light) => light.at,
            Frame::Heavy(node) | Frame::Member(node) => node.at,
        })
    })
}

fn first_is_task(frames: &[Frame]) -> usize {
    usize::from(frames.first().is_some_and(Frame::is_task))
}
