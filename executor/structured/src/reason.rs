//! Reasons: why something was cancelled, and by which line.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use handcar_executor::{self as kernel, TaskId};

/// Why something was cancelled. The first reason stays; a second cancel changes nothing.
///
/// It is one pointer, and clones are the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelReason(Arc<Details>);

#[derive(Debug, PartialEq, Eq)]
struct Details {
    kind: CancelKind,
    message: Option<Arc<str>>,
    at: &'static Location<'static>,
}

/// The kinds of [`CancelReason`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelKind {
    /// Somebody called `cancel`.
    Explicit,
    /// The deadline of the scope has passed.
    Deadline,
    /// Another child of the group failed: this one.
    SiblingFailed(Option<TaskId>),
    /// The body of the group failed.
    BodyFailed,
    /// Another branch of the race was first.
    RaceLost,
    /// The join handle was dropped.
    HandleDropped,
    /// What it belongs to was cancelled, for this reason.
    Parent(CancelReason),
    /// The runtime ended.
    Shutdown,
}

impl CancelReason {
    /// An explicit one, of the caller's line.
    #[track_caller]
    pub fn new() -> CancelReason {
        CancelReason::of(CancelKind::Explicit, Location::caller())
    }

    /// An explicit one that says what it is about.
    #[track_caller]
    pub fn with_message(message: impl Into<Arc<str>>) -> CancelReason {
        CancelReason::make(CancelKind::Explicit, Some(message.into()), Location::caller())
    }

    pub(crate) fn of(kind: CancelKind, at: &'static Location<'static>) -> CancelReason {
        CancelReason::make(kind, None, at)
    }

    #[cold]
    #[inline(never)]
    fn make(kind: CancelKind, message: Option<Arc<str>>, at: &'static Location<'static>) -> CancelReason {
        CancelReason(Arc::new(Details { kind, message, at }))
    }

    /// What happened.
    pub fn kind(&self) -> &CancelKind {
        &self.0.kind
    }

    /// What the canceller said about it.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The line that did it; of a deadline, the line that made the scope.
    pub fn at(&self) -> &'static Location<'static> {
        self.0.at
    }

    /// The same for something that belongs to what was cancelled, however deep: the cause is always the first one.
    pub(crate) fn below(cause: &CancelReason) -> CancelReason {
        if let CancelKind::Parent(_) = cause.kind() {
            return cause.clone();
        }
        CancelReason::of(CancelKind::Parent(cause.clone()), cause.at())
    }

    /// What the kernel noted on a task.
    pub(crate) fn from_kernel(reason: kernel::CancelReason) -> CancelReason {
        let kind = match reason.kind {
            kernel::CancelKind::HandleDropped => CancelKind::HandleDropped,
            kernel::CancelKind::Shutdown => CancelKind::Shutdown,
            _ => CancelKind::Explicit,
        };
        CancelReason::of(kind, reason.at)
    }

    /// The reason at the end of the chain of [`Parent`](CancelKind::Parent)s.
    pub fn root(&self) -> &CancelReason {
        let mut reason = self;
        while let CancelKind::Parent(cause) = reason.kind() {
            reason = cause;
        }
        reason
    }
}

impl Default for CancelReason {
    #[track_caller]
    fn default() -> CancelReason {
        CancelReason::new()
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.root();
        if !std::ptr::eq(reason, self) {
            f.write_str("what it belongs to was cancelled: ")?;
        }
        match reason.kind() {
            CancelKind::Explicit | CancelKind::Parent(_) => write!(f, "cancelled at {}", reason.at())?,
            CancelKind::Deadline => write!(f, "the deadline of the scope made at {} has passed", reason.at())?,
            CancelKind::SiblingFailed(Some(task)) => write!(f, "its sibling, task {task}, failed")?,
            CancelKind::SiblingFailed(None) => f.write_str("a sibling failed")?,
            CancelKind::BodyFailed => f.write_str("the body of its group failed")?,
            CancelKind::RaceLost => f.write_str("another branch of the race was first")?,
            CancelKind::HandleDropped => f.write_str("its join handle was dropped")?,
            CancelKind::Shutdown => f.write_str("the runtime was shut down")?,
        }
        match reason.message() {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// The error of what was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled(pub CancelReason);

impl Cancelled {
    /// Why.
    pub fn reason(&self) -> &CancelReason {
        &self.0
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Error for Cancelled {}
