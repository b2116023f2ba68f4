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
//! Counts are by number, not by runtime: a late waker of a runtime that has ended counts for nobody, and a waker of a task that has ended
//! keeps nobody waiting. What a stranger keeps on this very thread is counted as well, since nobody can tell the two apart.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::machine::context;
use crate::machine::mailbox::{self, Address, Mailbox};
use crate::machine::slots::Slots;
use crate::machine::waker::{COUNTS, TaskId, VTABLE};
use crate::time::clock::Clock;

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
    match TaskId::of(waker) {
        Some(id) if !id.is_counted() => id.waker(),
        _ => keep_rare(waker),
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

/// Whether the wakers of a runtime with this clock are counted: where a deadlock is an error.
pub(crate) fn are_counted(clock: &Clock, detects: bool, mailbox: &Arc<Mailbox>) -> bool {
    let counts = detects || clock.is_simulated();
    if counts {
        clock.belongs_to(mailbox);
    }
    counts
}

impl Address {
    /// Its place in the registry.
    pub(crate) fn number(self) -> u16 {
        self.executor & !COUNTS
    }

    /// Whether the clones of its wakers are counted, because there a deadlock is an error.
    pub(crate) fn counts(self) -> bool {
        self.executor & COUNTS != 0
    }
}

/// How many counted wakers there are of each number.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<TaskId, usize>>);

impl Kept {
    /// Whether there is one whose number `reaches` somebody.
    pub(crate) fn any(&self, mut reaches: impl FnMut(TaskId) -> bool) -> bool {
        self.lock().keys().any(|&id| reaches(id))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cold]
fn count(id: TaskId) {
    if let Some((mailbox, _)) = runtime_of(id) {
        *mailbox.kept.lock().entry(id).or_default() += 1;
    }
}

/// Takes one waker off the count when it is dropped.
struct Uncount(TaskId);

impl Drop for Uncount {
    #[cold]
    fn drop(&mut self) {
        let Some((mailbox, is_here)) = runtime_of(self.0) else { return };
        let mut counts = mailbox.kept.lock();
        let Some(count) = counts.get_mut(&self.0) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        counts.remove(&self.0);
        drop(counts);
        if !is_here {
            mailbox.notify();
        }
    }
}

impl Slots {
    /// Whether `id` would wake somebody who waits.
    pub(crate) fn reaches(&self, id: TaskId) -> bool {
        if id.is_child() {
            // Marked is who has been woken, and who is gone.
            return self.child(id).is_some_and(|(combinator, child)| !combinator.marked.borrow().has(child));
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
