//! The thread's current runtime.
//!
//! Free functions ([`spawn`](crate::spawn), [`sleep`](crate::time::sleep)) and wakers must find the runtime they belong to without
//! being handed one. Each thread remembers at most one current core. Entering swaps it and leaving swaps it back, so several
//! runtimes can share a thread as long as they take turns; only to *run* one inside a poll of another is refused, because
//! the outer one, and everything on it, would stand still until the inner one is done.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;

use crate::machine::core::Core;

thread_local! {
    /// Without a destructor, which would make each access ask whether it has run. Whoever enters leaves, so that nothing is
    /// left in it, and a waker that is woken while the thread's locals are being destroyed finds it empty.
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Core>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    static RUNNING: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Calls `look` with the current core. `look` runs no user code: the cell is borrowed meanwhile.
#[inline]
pub(crate) fn with_current<R>(look: impl FnOnce(&Rc<Core>) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(look))
}

/// The current core, or a panic that names `what` was called and the caller's line.
#[track_caller]
pub(crate) fn current(what: &str) -> Rc<Core> {
    let Some(core) = with_current(Rc::clone) else {
        // Not in a closure: the panic is at the caller's line.
        panic!("{what} needs a runtime: call it inside `handcar::run`, `Runtime::block_on` or `Runtime::enter`")
    };
    core
}

/// Makes `core` current while `f` runs.
pub(crate) fn enter<R>(core: &Rc<Core>, f: impl FnOnce() -> R) -> R {
    struct Leave(Option<Rc<Core>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            let left = CURRENT.with(|current| current.replace(self.0.take()));
            drop(left);
        }
    }
    let _leave = Leave(CURRENT.with(|current| current.replace(Some(Rc::clone(core)))));
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
