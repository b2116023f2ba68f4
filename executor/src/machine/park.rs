//! Parking: how the loop waits for the world outside, behind one trait.
//!
//! The kernel knows no I/O. When a turn is over it *looks*: it asks its parker to collect what happened outside, and when
//! nothing is runnable it lets the parker block until something does. A runtime begins with the [`ThreadParker`], which can
//! only sleep and be notified; the first socket replaces it by the reactor, in mid-run. Either way another thread ends the
//! sleep through [`Notify`], the one part of a parker that is shared.
//!
//! A notification that comes before the sleep is kept: the next `park` returns at once. So the loop may check that nothing
//! is left to do and then park, and a wake that falls between the two is not lost.

use std::any::Any;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::machine::context;
use crate::report;
pub use crate::slack::less_slack;
pub use crate::thread_parker::ThreadParker;

/// Ends a park from any thread.
pub trait Notify: Send + Sync {
    /// Makes the present `park`, or else the next one, return at once. Several calls before it may count as one.
    fn notify(&self);
}

/// Where the loop waits when nothing is runnable, and where it looks now and then when something is.
pub trait Park: Any {
    /// Collects what has happened outside and wakes whoever waits for it. Blocks for at most `timeout` (`None`: without
    /// bound) if nothing has; may return early, and without a reason.
    ///
    /// # Errors
    ///
    /// An error of the system call ends the run: a loop that cannot see the outside must not pretend to.
    fn park(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Whether anything but [`Notify`] could end a park: a source that a task waits for. If not, the loop does not
    /// look here at all while it has something to run.
    fn is_watching(&self) -> bool;

    /// The shared part.
    fn notifier(&self) -> Arc<dyn Notify>;
}

/// The current runtime's parker, if it is a `P`; else `make` makes one, which takes the place of the thread's parker from
/// now on. So a reactor comes into being with the first source that needs it.
///
/// # Errors
///
/// That of `make`.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn installed<P: Park>(make: impl FnOnce() -> io::Result<P>) -> io::Result<Rc<P>> {
    let core = context::current("a source");
    if let Ok(parker) = (core.parker() as Rc<dyn Any>).downcast::<P>() {
        return Ok(parker);
    }
    let parker = Rc::new(make()?);
    core.set_parker(Rc::clone(&parker) as Rc<dyn Park>);
    Ok(parker)
}

/// Wakes each and leaves the list empty. A parker wakes tasks through this: if the waker of a stranger panics, that is
/// reported, and the others are woken nevertheless.
pub fn wake_all(wakers: &mut Vec<Waker>) {
    wakers.reverse();
    while !wakers.is_empty() {
        report::wake(|| {
            while let Some(waker) = wakers.pop() {
                waker.wake();
            }
        });
    }
}

/// Whether `parker` is where the current runtime waits: a source of another one would never be heard of here.
pub fn is_current<P: Park>(parker: &Rc<P>) -> bool {
    context::with_current(|core| core.parks_at(Rc::as_ptr(parker).cast())) == Some(true)
}
