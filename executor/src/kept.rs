//! Kept wakers: whether anybody outside can still wake a task.
//!
//! A waker is a number, and of a number nobody knows how many copies there are. Where a deadlock is an error (under the simulated
//! clock, and with [`Builder::detect_deadlocks`](crate::Builder::detect_deadlocks)) that has to be known: a plain thread may have
//! one, and wake its task some day. So there the number says that it is counted: a clone counts, and so does its end.
//!
//! ```text
//!     the future of a stranger    cx.waker().clone()    counted: it may be on any thread, and wake the task from there
//!     an operation of ours        keep(cx.waker())      another vtable, which does not count: it stays here, and whoever wakes it runs here
//! ```
//!
//! As long as a counted waker reaches a living task, there is no deadlock. When the last one of a task goes, on another thread, the
//! loop is notified, which may find that there is one now. A wake is sent before its waker is uncounted: so the loop, which looks at
//! the counts first and at its mail afterwards, never takes a wake on its way for a deadlock.
//!
//! Whoever asks for it brings a [`Detector`] along, and wakers and loop reach the rest through that alone: a program in which no deadlock is
//! an error does not contain it.
//!
//! Counts are by number, not by runtime: a late waker of a runtime that has ended counts for nobody, and a waker of a task that has ended
//! keeps nobody waiting. What a stranger keeps on this very thread is counted as well, since nobody can tell the two apart.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::mailbox::{self, Address, Mailbox};
use crate::machine::slots::Slots;
use crate::machine::waker::{COUNTS, TaskId, VTABLE};
use crate::report;
use crate::runtime::RunError;

/// A clone of `waker` for something that stays on this thread, and that only this thread's tasks can reach: it does not count as one
/// by which the outside could wake them.
///
/// Without detection of deadlocks it is `clone`, but for the call through the vtable.
#[inline]
pub fn keep(waker: &Waker) -> Waker {
    #[cold]
    fn keep_rare(waker: &Waker) -> Waker {
        let here = |id: &TaskId| context::with_current(|core| core.address.executor == id.executor()) == Some(true);
        TaskId::of(waker).filter(here).map_or_else(|| waker.clone(), |id| id.waker_with(&KEPT))
    }
    keep_plain(waker).unwrap_or_else(|| keep_rare(waker))
}

/// As [`keep`], if that is no more than to copy a number: not of a stranger's waker, and not of one that is counted.
#[inline]
pub fn keep_plain(waker: &Waker) -> Option<Waker> {
    TaskId::of(waker).filter(|id| !id.is_counted()).map(TaskId::waker)
}

/// Whether a waker is a number, and nothing else: it may be forgotten in place of being dropped.
#[inline]
pub(crate) fn is_plain(waker: &Waker) -> bool {
    TaskId::of(waker).is_some_and(|id| !id.is_counted())
}

/// Drops a waker that was [kept](keep). If it is a stranger's and panics, that is reported, and does not strike who has come to the
/// end of a wait, perhaps with a value in hand.
#[inline]
pub fn let_go(waker: Option<Waker>) {
    #[inline(never)]
    fn let_go_now(waker: Waker) {
        match number_of(&waker) {
            Some(_) => drop(waker),
            None => report::wake(|| drop(waker)),
        }
    }
    if let Some(waker) = waker {
        let_go_now(waker);
    }
}

/// As [`let_go`], without a call where there is nothing to drop.
#[inline]
pub(crate) fn let_go_here(waker: Option<Waker>) {
    match waker {
        Some(plain) if is_plain(&plain) => mem::forget(plain),
        waker => let_go(waker),
    }
}

/// Whether a [kept](keep) waker and `waker` wake the same task.
pub fn is_same(kept: &Waker, waker: &Waker) -> bool {
    kept.will_wake(waker) || number_of(kept).is_some_and(|number| number_of(waker) == Some(number))
}

/// What a waker of ours carries, kept or not.
pub(crate) fn number_of(waker: &Waker) -> Option<TaskId> {
    let is_kept = ptr::eq(waker.vtable(), &raw const KEPT);
    TaskId::of(waker).or_else(|| is_kept.then(|| TaskId(waker.data().addr())))
}

/// A waker to poll with: it does not count itself, but its clones do.
pub struct Lent(ManuallyDrop<Waker>); // there is nothing to drop

impl Lent {
    #[inline]
    pub(crate) fn new(id: TaskId) -> Lent {
        Lent(ManuallyDrop::new(id.waker()))
    }
}

impl Deref for Lent {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.0
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Of a counted number, a waker that does not count.
static KEPT: RawWakerVTable = RawWakerVTable::new(
    |data| RawWaker::new(data, &KEPT),
    |data| TaskId(data.addr()).wake(),
    |data| TaskId(data.addr()).wake(),
    |_| {},
);

/// A waker is cloned, which carries `data`.
#[inline]
pub(crate) fn clone(data: *const ()) -> RawWaker {
    let id = TaskId(data.addr());
    if id.is_counted() {
        count(id);
    }
    RawWaker::new(data, &VTABLE)
}

/// A waker wakes, and is gone.
#[inline]
pub(crate) fn wake(id: TaskId) {
    #[cold]
    fn wake_counted(id: TaskId) {
        let _last = Uncount(id); // even if the waker of a stranger panics behind it
        id.wake();
    }
    if id.is_counted() { wake_counted(id) } else { id.wake() }
}

/// A waker has been dropped.
#[inline]
pub(crate) fn dropped(id: TaskId) {
    if id.is_counted() {
        drop(Uncount(id));
    }
}

impl Address {
    /// Its place in the registry.
    pub(crate) fn number(self) -> u16 {
        self.executor & !COUNTS
    }
}

/// What a runtime has in which a deadlock is an error.
pub(crate) trait Detect: Send + Sync {
    fn count(&self, id: TaskId);

    /// True if that was the last one of its number.
    fn uncount(&self, id: TaskId) -> bool;

    /// Nothing is runnable, and no timer armed: whether nobody can wake any task either. Each is asked then what it waits for, and if
    /// one of them ends or wakes another while it is asked, or gives its waker away, the run goes on.
    fn has_halted(&self, core: &Core) -> Result<bool, RunError>;

    /// Asks main, which is on `block_on`'s stack, before it ends with `error`.
    fn ask_main(&self, core: &Core, error: RunError, poll: &mut dyn FnMut()) -> Result<(), RunError>;
}

/// Makes one.
pub(crate) type Detector = fn() -> Box<dyn Detect>;

/// How many counted wakers there are of each number.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<TaskId, usize>>);

impl Kept {
    /// A [`Detector`].
    pub(crate) fn detector() -> Box<dyn Detect> {
        Box::new(Kept::default())
    }

    /// Whether there is one whose number `reaches` somebody.
    pub(crate) fn any(&self, mut reaches: impl FnMut(TaskId) -> bool) -> bool {
        self.lock().keys().any(|&id| reaches(id))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Detect for Kept {
    fn count(&self, id: TaskId) {
        *self.lock().entry(id).or_default() += 1;
    }

    fn uncount(&self, id: TaskId) -> bool {
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(&id) else { return false };
        *count -= 1;
        *count == 0 && counts.remove(&id).is_some()
    }

    fn has_halted(&self, core: &Core) -> Result<bool, RunError> {
        core.has_halted(self)
    }

    fn ask_main(&self, core: &Core, error: RunError, poll: &mut dyn FnMut()) -> Result<(), RunError> {
        core.ask_main(self, error, poll)
    }
}

#[cold]
fn count(id: TaskId) {
    if let Some((mailbox, _)) = runtime_of(id)
        && let Some(detector) = &mailbox.detector
    {
        detector.count(id);
    }
}

/// Takes one waker off the count when it is dropped.
struct Uncount(TaskId);

impl Drop for Uncount {
    #[cold]
    fn drop(&mut self) {
        if let Some((mailbox, is_here)) = runtime_of(self.0)
            && let Some(detector) = &mailbox.detector
            && detector.uncount(self.0)
            && !is_here
        {
            mailbox.notify();
        }
    }
}

impl Slots {
    /// Whether `id` would wake somebody who waits.
    pub(crate) fn reaches(&self, id: TaskId) -> bool {
        if id.is_child() {
            return self.child(id).is_some_and(|(combinator, child)| combinator.is_idle(child));
        }
        self.task(id).is_some()
    }
}

/// The mailbox of the runtime that a number belongs to, and whether that is the current one.
fn runtime_of(id: TaskId) -> Option<(Arc<Mailbox>, bool)> {
    let here =
        context::with_current(|core| (core.address.executor == id.executor()).then(|| Arc::clone(&core.mailbox)));
    match here.flatten() {
        Some(mailbox) => Some((mailbox, true)),
        None => mailbox::of(id).map(|mailbox| (mailbox, false)),
    }
}
