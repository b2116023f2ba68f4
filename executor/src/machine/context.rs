//! The thread's current runtime.
//!
//! Free functions ([`spawn`](crate::spawn), [`sleep`](crate::time::sleep)) and wakers must find the runtime they belong to without
//! being handed one. Each thread remembers at most one current core. Entering swaps it and leaving swaps it back, so several
//! runtimes can share a thread as long as they take turns; only to *run* one inside a poll of another is refused, because
//! the outer one, and everything on it, would stand still until the inner one is done.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;

use crate::machine::core::Core;

thread_local! {
    /// What the innermost `enter` was given, while it runs. With a `RefCell` a wake takes 13 instructions more.
    static CURRENT: Cell<*const Rc<Core>> = const { Cell::new(ptr::null()) };
    static RUNNING: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Calls `look` with the current core.
#[inline(always)]
#[allow(clippy::inline_always)] // or a wake is two calls
pub(crate) fn with_current<R>(look: impl FnOnce(&Rc<Core>) -> R) -> Option<R> {
    // SAFETY: it is null, or what a call of `enter` on this thread borrows that has not returned: each sets it to its own, and
    // back when its `f` has returned or panicked. That call is below this one in the stack, so the borrow lasts until this has
    // returned; and `look`, which has to do with any lifetime, keeps nothing of it.
    unsafe { CURRENT.get().as_ref() }.map(look)
}

/// The current core, or a panic that names `what` was called and the caller's line.
#[track_caller]
pub(crate) fn current(what: &str) -> Rc<Core> {
    let Some(core) = with_current(Rc::clone) else { outside(what) };
    core
}

#[cold]
#[track_caller]
fn outside(what: &str) -> ! {
    panic!("{what} needs a runtime: call it inside `handcar::run`, `Runtime::block_on` or `Runtime::enter`")
}

/// Makes `core` current while `f` runs.
pub(crate) fn enter<R>(core: &Rc<Core>, f: impl FnOnce() -> R) -> R {
    struct Leave(*const Rc<Core>);
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _leave = Leave(CURRENT.replace(core));
    f()
}

/// Runs `f` as the thread's one running loop, or says where the outer one was started.
pub(crate) fn run<R>(at: &'static Location<'static>, f: impl FnOnce() -> R) -> Result<R, &'static Location<'static>> {
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            RUNNING.set(None);
        }
    }
    if let Some(outer) = RUNNING.get() {
        return Err(outer);
    }
    RUNNING.set(Some(at));
    let _stop = Stop;
    Ok(f())
}
