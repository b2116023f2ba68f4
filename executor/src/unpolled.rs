//! Futures that were never awaited: made, dropped, and not polled in between.
//!
//! A future of Handcar knows the line that made it until it is first polled. If it still knows that when it is dropped, nobody
//! has awaited it, and [`Builder::report_unpolled`](crate::Builder::report_unpolled) decides whether that is worth a word. The
//! runtime is asked then and not before, so the watcher costs those futures nothing that are awaited but to forget a line.
//!
//! Most futures keep an [`Unpolled`]. Those whose every instruction counts keep the line where they have room for it already,
//! in a state that is over with the first poll, and call [`report`].

use std::fmt;
use std::panic::Location;
use std::thread;

use crate::layer::{self, Ending};
use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::header::Header;
use crate::report::Report;

/// What a future keeps until it is first polled. Dropped before, it reports that.
///
/// ```
/// use handcar_executor::{Builder, Reports, unpolled::Unpolled};
/// use std::task::{Context, Poll};
///
/// struct Arrival {
///     unpolled: Unpolled,
/// }
///
/// #[track_caller]
/// fn arrival() -> Arrival {
///     Arrival { unpolled: Unpolled::new(&"arrival") }
/// }
///
/// impl Future for Arrival {
///     type Output = ();
///
///     fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
///         self.unpolled.forget();
///         Poll::Ready(())
///     }
/// }
///
/// let reports = Reports::new();
/// let runtime = Builder::new().report_unpolled(true).on_report(reports.hook()).build().unwrap();
/// runtime.block_on(async {
///     arrival().await;
///     drop(arrival());
/// });
/// assert_eq!(reports.take().len(), 1);
/// ```
pub struct Unpolled {
    /// The function that made the future, behind a thin pointer, and the line that called it.
    made: Option<(&'static &'static str, &'static Location<'static>)>,
}

impl Unpolled {
    /// Of a future that the function `what` makes, for the caller of that function.
    #[inline]
    #[track_caller]
    pub const fn new(what: &'static &'static str) -> Unpolled {
        Unpolled::at(what, Location::caller())
    }

    /// As [`new`](Unpolled::new), with the line at hand.
    #[inline]
    pub const fn at(what: &'static &'static str, line: &'static Location<'static>) -> Unpolled {
        Unpolled { made: Some((what, line)) }
    }

    /// Of a future that a library makes for itself.
    #[inline]
    pub const fn known() -> Unpolled {
        Unpolled { made: None }
    }

    /// The future is being polled.
    #[inline]
    pub const fn forget(&mut self) {
        self.made = None;
    }

    /// Tells now, for a destructor that drops other futures first.
    #[inline]
    pub fn tell(&mut self) {
        if let Some((what, at)) = self.made.take() {
            report(what, at);
        }
    }
}

impl Drop for Unpolled {
    #[inline]
    fn drop(&mut self) {
        self.tell();
    }
}

impl fmt::Debug for Unpolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.made {
            Some((what, at)) => write!(f, "Unpolled({what}, made at {at})"),
            None => f.write_str("Unpolled(not any more)"),
        }
    }
}

/// Tells of a future that is dropped and was never polled, if the current runtime is to report that. Call it from `Drop`, with
/// the name of the function that makes the future.
///
/// What goes down with a panic or with a cancelled task tells nothing of its program.
#[cold]
pub fn report(what: &'static str, at: &'static Location<'static>) {
    let is_cancelled = |core: &Core| core.of_running(|task| task.cancelled().is_some()) == Some(true);
    let task = context::with_current(|core| (core.report_unpolled && !is_cancelled(core)).then(|| core.running()));
    if let Some(task) = task.flatten()
        && !thread::panicking()
    {
        layer::report(Report::FutureUnpolled { what, at, task });
    }
}

/// Tells of the task that is being dropped and never began, if the current runtime is to report that. The kernel does so itself, but
/// for [members](crate::layer::Ending::Member).
#[cold]
pub fn report_task() {
    let task = context::with_current(|core| core.report_unpolled.then(|| core.running()));
    if let Some(Some(task)) = task.flatten() {
        layer::report(Report::TaskUnpolled { task });
    }
}

impl Core {
    /// Tells of a task that is cancelled before its first poll, if that is wanted. A member of something says so itself: it may
    /// have been polled, and have been kept waiting.
    pub(crate) fn report_unpolled(&self, task: &Header) {
        if self.report_unpolled && task.ending.get() != Ending::Member {
            self.reporter.report(Report::TaskUnpolled { task: task.info() });
        }
    }
}
