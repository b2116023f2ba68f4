//! Why a task has no value: it was cancelled, and by whom, or it panicked, and with what.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Why a task was cancelled, and by which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelReason {
    /// What happened.
    pub kind: CancelKind,
    /// The line that did it.
    pub at: &'static Location<'static>,
}

impl CancelReason {
    #[track_caller]
    pub(crate) fn new(kind: CancelKind) -> CancelReason {
        CancelReason { kind, at: Location::caller() }
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CancelKind::Explicit => write!(f, "cancelled at {}", self.at),
            CancelKind::HandleDropped => f.write_str("its join handle was dropped"),
            CancelKind::Shutdown => f.write_str("the runtime was shut down"),
            CancelKind::Parent => f.write_str("what it belongs to was cancelled"),
        }
    }
}

/// The kinds of [`CancelReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelKind {
    /// Somebody called `cancel`.
    Explicit,
    /// The join handle was dropped.
    HandleDropped,
    /// The runtime ended.
    Shutdown,
    /// What it belongs to was cancelled.
    Parent,
}

/// Why a task has no value.
#[derive(Debug)]
pub enum JoinError {
    /// It was cancelled before it ended.
    Cancelled(CancelReason),
    /// It panicked.
    Panicked(PanicPayload),
}

impl JoinError {
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> JoinError {
        JoinError::Panicked(PanicPayload::new(payload))
    }

    /// Whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled(_))
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Cancelled(reason) => write!(f, "task was cancelled: {reason}"),
            JoinError::Panicked(payload) => write!(f, "task panicked: {payload}"),
        }
    }
}

impl Error for JoinError {}

/// What a panic was thrown with. `Send + Sync`, so that it fits into any error type.
pub struct PanicPayload(Option<Box<Mutex<Box<dyn Any + Send>>>>);

impl PanicPayload {
    /// Wraps what `catch_unwind` returned.
    #[cold]
    #[inline(never)]
    pub fn new(payload: Box<dyn Any + Send>) -> PanicPayload {
        PanicPayload(Some(Box::new(Mutex::new(payload))))
    }

    /// The payload, as `catch_unwind` returns it.
    pub fn into_inner(mut self) -> Box<dyn Any + Send> {
        let Some(payload) = self.0.take() else { unreachable!("only `into_inner` and `drop` take it out") };
        payload.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on panicking with it.
    pub fn resume(self) -> ! {
        resume_unwind(self.into_inner())
    }
}

impl Drop for PanicPayload {
    fn drop(&mut self) {
        // A payload is a user's value, whose destructor may panic in its turn, with a payload that does so again: there it
        // ends. The panic hook has printed each of them.
        let payload = self.0.take();
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
    }
}

/// The message of `panic!`, or a note that there is none.
impl fmt::Display for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(payload) = &self.0 else { return Ok(()) };
        let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
        match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => f.write_str(message),
            (_, Some(message)) => f.write_str(message),
            (None, None) => f.write_str("a payload that is no text"),
        }
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PanicPayload({:?})", self.to_string())
    }
}
