//! Kept wakers: whether anybody outside can still wake a task.
//!
//! A waker is a number, and of a number nobody knows how many copies there are. Where a deadlock is an error (under the simulated
//! clock, and with [`Builder::detect_deadlocks`](crate::Builder::detect_deadlocks)) that has to be known: a plain thread may have
//! one, and wake its task some day. So the tasks of such a runtime are polled with wakers of a second vtable. The number is the same;
//! but a clone counts, and so does its end.
//!
//! ```text
//!     the future of a stranger    cx.waker().clone()    counted: it may be on any thread, and wake the task from there
//!     an operation of ours        keep(cx.waker())      a plain number: it stays here, and whoever wakes it runs here
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
use crate::machine::mailbox::{self, Mailbox};
use crate::machine::slots::Slots;
use crate::machine::waker::{TaskId, VTABLE};
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
        number_of(waker).filter(here).map_or_else(|| waker.clone(), |id| id.waker(Kind::PLAIN))
    }
    if ptr::eq(waker.vtable(), &raw const VTABLE) {
        TaskId(waker.data().addr()).waker(Kind::PLAIN)
    } else {
        keep_rare(waker)
    }
}

/// Whether a [kept](keep) waker and `waker` wake the same task.
pub fn is_same(kept: &Waker, waker: &Waker) -> bool {
    kept.will_wake(waker) || number_of(kept).is_some_and(|number| number_of(waker) == Some(number))
}

/// What a waker of ours carries.
pub(crate) fn number_of(waker: &Waker) -> Option<TaskId> {
    let is_ours = [&raw const VTABLE, &raw const COUNTED].contains(&ptr::from_ref(waker.vtable()));
    is_ours.then(|| TaskId(waker.data().addr()))
}

/// A waker to poll with: it does not count itself, but its clones do.
pub struct Lent(ManuallyDrop<Waker>); // there is nothing to drop

impl Lent {
    #[inline]
    pub(crate) fn new(id: TaskId, kind: Kind) -> Lent {
        Lent(ManuallyDrop::new(id.waker(kind)))
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

/// Whether the wakers of a runtime are counted.
#[derive(Clone, Copy)]
pub(crate) struct Kind(&'static RawWakerVTable);

impl Kind {
    pub(crate) const PLAIN: Kind = Kind(&VTABLE);
    const COUNTED: Kind = Kind(&COUNTED);

    /// That of a runtime with this clock. They are counted where a deadlock is an error.
    pub(crate) fn of(clock: &Clock, detects: bool, mailbox: &Arc<Mailbox>) -> Kind {
        if !detects && !clock.is_simulated() {
            return Kind::PLAIN;
        }
        clock.belongs_to(mailbox);
        Kind::COUNTED
    }

    pub(crate) fn vtable(self) -> &'static RawWakerVTable {
        self.0
    }

    pub(crate) fn is_counted(self) -> bool {
        ptr::eq(self.0, &raw const COUNTED)
    }
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::PLAIN
    }
}

static COUNTED: RawWakerVTable = RawWakerVTable::new(
    |data| {
        count(TaskId(data.addr()));
        RawWaker::new(data, &COUNTED)
    },
    |data| {
        let _last = Uncount(TaskId(data.addr())); // even if the waker of a stranger panics behind it
        TaskId(data.addr()).wake();
    },
    |data| TaskId(data.addr()).wake(),
    |data| drop(Uncount(TaskId(data.addr()))),
);

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

fn count(id: TaskId) {
    if let Some((mailbox, _)) = runtime_of(id) {
        *mailbox.kept.lock().entry(id).or_default() += 1;
    }
}

/// Takes one waker off the count when it is dropped.
struct Uncount(TaskId);

impl Drop for Uncount {
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
