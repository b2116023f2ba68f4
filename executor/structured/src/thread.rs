//! Calls that block, on threads, in the caller's context.

use std::io;

use handcar_executor::{self as kernel, ToThread};

use crate::context;

/// Runs `f`, which may block, on a thread of the runtime's pool.
///
/// The job is queued at once, not at the first poll. It has the context variables of the caller, but for those that are `local`.
/// A panic of `f` goes on in the task that awaits it.
///
/// ```
/// handcar_structured::run(async {
///     let text = handcar_structured::to_thread(|| std::fs::read_to_string("Cargo.toml")).await;
///     assert!(text.is_ok());
/// });
/// ```
///
/// # Panics
///
/// Outside a runtime; if the system gives no thread and there is none yet: see [`try_to_thread`].
///
/// # Cancel safety
///
/// A job whose future is dropped before it has started never runs. One that has started runs to its end, and its result is
/// dropped on its thread.
#[track_caller]
pub fn to_thread<T, F>(f: F) -> ToThread<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let context = context::portable();
    kernel::to_thread(move || context.enter(f))
}

/// As [`to_thread`], with an error in place of a panic.
///
/// # Errors
///
/// The system's, if it gives no thread and there is none yet.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn try_to_thread<T, F>(f: F) -> io::Result<ToThread<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let context = context::portable();
    kernel::try_to_thread(move || context.enter(f))
}
