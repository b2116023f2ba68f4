//! The seam for a layer on top: what structured concurrency needs of the kernel, and nothing else does.
//!
//! The kernel ends a cancelled task by dropping its future. A layer may have a better rule, with cleanups that are awaited
//! first. It wraps the futures that it spawns, and asks for another [`Ending`]: the loop then goes on polling a task that was
//! flagged, and tells the wrapper so through one byte, the *attention* of the thread.
//!
//! ```text
//!     cancel -> flag, wake -> the task's turn -> attention |= FLAGGED -> wrapper polls, sees it -> its own rule
//!                                                                             |
//!               ATTACHED is the layer's own: something within the task ------'
//!               made a scope for it in this poll
//! ```
//!
//! Each poll begins with a byte of zero, and it stays so nearly always. So a task that never uses the layer pays one load and
//! one branch for each poll.
//!
//! One bit says nothing to the wrapper: who wants to know later whether it is still the same poll [marks](mark_poll) it. A wrapper that finds
//! that and nothing else goes its longer way, to the same end.
//!
//! When the body of a task of [`Ending::Own`] panics, the wrapper need not catch it, since the loop does: it polls the wrapper
//! once more, and there [`take_panic`] has the panic. When all is done the wrapper [ends with](end_with) it.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::abort_handle::AbortHandle;
use crate::join_error::{CancelKind, CancelReason, PanicPayload};
use crate::machine::header::{HasHeader, Header};
use crate::machine::join::JoinHandle;
use crate::machine::{context, join};
use crate::report::Report;
use crate::reporter::{self, Reporter};
use crate::runtime::{self, Runtime};
use crate::spawn::Spawner;
use crate::task_info::TaskInfo;
use crate::time::clock::Instant;

pub use crate::local::{Host, Local, LocalTask};
pub use crate::time::sleep::Alarm;

/// What the loop does with a task that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It drops the future.
    Dropped,
    /// It polls on, also after a panic; the future ends by a rule of its own. The runtime's end cancels it and waits for it.
    Own,
    /// It polls on, but not after a panic; it belongs to something that cancels it: the runtime's end waits, and cancels nothing;
    /// nor does the drop of its handle.
    Member,
}

/// The task that is being polled was cancelled.
pub const FLAGGED: u8 = 1;
/// The layer has something to tell the wrapper of the task that is being polled.
pub const ATTACHED: u8 = 2;
/// The task has panicked and is polled once more, or ends with that.
pub const PANICKED: u8 = 4;
/// Something was [kept](keep) with the task.
pub const KEPT: u8 = 8;
/// With [`FLAGGED`] or [`CUT`]: the task has not been polled before.
pub const NEW: u8 = 16;
/// The task is not polled any more: its future is being dropped.
pub const CUT: u8 = 32;
/// Somebody has [marked](mark_poll) this poll.
const MARKED: u8 = 64;

thread_local! {
    static ATTENTION: Cell<u8> = const { Cell::new(0) };
    /// Without a destructor: a runtime may end, and its tasks panic, after the thread's other locals have gone.
    static PANIC: ManuallyDrop<Cell<Option<PanicPayload>>> = const { ManuallyDrop::new(Cell::new(None)) };
}

/// What the wrapper of the task that is being polled has to look at; zero nearly always.
#[inline]
pub fn attention() -> u8 {
    ATTENTION.get()
}

/// Sets the attention and returns what it was.
pub fn set_attention(bits: u8) -> u8 {
    ATTENTION.replace(bits)
}

/// Marks the poll of the task that is being polled; in the next one the mark is gone.
pub fn mark_poll() {
    if context::with_current(|core| core.of_running(|_| ())).flatten().is_some() {
        set_attention(attention() | MARKED);
    }
}

/// Whether this poll was [marked](mark_poll).
pub fn is_poll_marked() -> bool {
    attention() & MARKED != 0
}

/// The task that is being polled was cancelled, or has just cancelled itself. The next poll begins with another attention.
pub(crate) fn raise() {
    set_attention(attention() | FLAGGED);
}

/// The task that is being polled has panicked. If it ends by a rule of its [own](Ending::Own), its wrapper is to be polled once
/// more, to take the panic over; one that panics again has ended.
#[cold]
pub(crate) fn take_over(ending: Ending, payload: PanicPayload) -> Result<(), PanicPayload> {
    if ending != Ending::Own || attention() & PANICKED != 0 {
        return Err(payload);
    }
    set_attention(attention() | PANICKED);
    PANIC.with(|panic| panic.set(Some(payload)));
    Ok(())
}

/// What the poll before this one panicked with.
pub fn take_panic() -> Option<PanicPayload> {
    PANIC.with(|panic| panic.take())
}

/// Ends the task that is being polled with a panic.
pub fn end_with(panic: PanicPayload) -> ! {
    set_attention(attention() | PANICKED);
    panic.resume()
}

/// Keeps something with the task that is being polled, until `None` is: from its next poll on its attention has [`KEPT`]. Returns what
/// was kept before.
pub fn keep(kept: Option<Rc<dyn Any>>) -> Option<Rc<dyn Any>> {
    let task = context::with_current(|core| core.running_task()).flatten()?;
    task.header().keep(kept)
}

/// As [`keep`], with a task that was just spawned.
pub fn keep_with(task: &AbortHandle, kept: Rc<dyn Any>) {
    task.task.header().keep(Some(kept));
}

/// What is kept with the task that is being polled.
pub fn kept() -> Option<Rc<dyn Any>> {
    context::with_current(|core| core.of_running(Header::kept)).flatten().flatten()
}

/// Spawns a task on the current runtime that ends as `ending` says. `future` makes it, and neither runs a program's code nor spawns.
///
/// # Panics
///
/// Outside a runtime; if the runtime holds as many tasks as it can: then the future is not even made.
#[inline]
#[track_caller]
pub fn spawn<F>(
    future: impl FnOnce() -> F,
    ending: Ending,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    context::current("spawn").spawn(future, ending, name, at)
}

/// Whether that task is the one that is being polled, or destroyed.
#[inline]
pub fn is_running<T>(task: &JoinHandle<T>) -> bool {
    is_running_header(task.task().header())
}

/// By the header, since the number would not do: a scope's child has none before its first poll, and later that of its place, which others
/// have had.
pub(crate) fn is_running_header(header: &Header) -> bool {
    context::with_current(|core| core.of_running(|running| ptr::eq(running, header))).flatten() == Some(true)
}

/// As [`spawn`], on the runtime of `spawner`; nothing if that has ended: then the future is not even made.
///
/// # Panics
///
/// If the runtime holds as many tasks as it can.
#[track_caller]
pub fn spawn_on<F>(
    spawner: &Spawner,
    future: impl FnOnce() -> F,
    ending: Ending,
    at: &'static Location<'static>,
) -> Option<JoinHandle<F::Output>>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawner.core().map(|core| core.spawn(future, ending, None, at))
}

/// The ending of the task that is being polled, if one is. One that has ended has none: what is dropped with its result, or is told
/// of its end, runs in no task.
pub fn ending() -> Option<Ending> {
    let ending = |header: &Header| (!header.is_finished()).then(|| header.ending.get());
    context::with_current(|core| core.of_running(ending)).flatten().flatten()
}

/// Why the task that is being polled was cancelled, if it was.
pub fn cancelled() -> Option<CancelReason> {
    context::with_current(|core| core.of_running(Header::cancelled)).flatten().flatten()
}

/// The grace period of the current runtime; `None` outside one.
pub fn grace() -> Option<Option<Duration>> {
    context::with_current(|core| core.grace)
}

/// The clock at the loop's last look: every timer that was due then has fired.
pub fn looked_at() -> Option<Instant> {
    context::with_current(|core| core.timers.looked_at())
}

/// Cancels a task for a reason of that kind. False if it has ended or was cancelled before.
#[track_caller]
pub fn cancel(task: &AbortHandle, kind: CancelKind) -> bool {
    join::cancel(task.task.header(), CancelReason::new(kind))
}

/// Cancels every task of the current runtime that ends by a rule of its own, as the runtime's end does.
pub fn cancel_all() {
    if let Some(core) = context::with_current(Rc::clone) {
        core.cancel_all(&|header| header.ending.get() == Ending::Own);
    }
}

/// Ends what lives on a runtime, as dropping it does.
pub fn shut_down(runtime: &Runtime) {
    runtime::shut_down(&runtime.core);
}

/// Hands a report to the current runtime, or to the default where there is none.
pub fn report(report: Report) {
    Reporter::current().report(report);
}

/// Has the runtime of `task` report something, wherever this is called.
pub fn report_of(task: &AbortHandle, report: Report) {
    reporter::deliver(task.task.header().address(), report);
}

/// The current runtime, if there is one.
#[inline]
pub fn home() -> Option<Spawner> {
    context::with_current(Spawner::new)
}

/// Reports a panic that nobody will see, as the runtime's `OnPanic` says.
pub fn report_panic(task: TaskInfo, payload: PanicPayload) {
    Reporter::current().report_panic(task, payload);
}
