//! Results that nobody wants: given up by their handles, and dropped without recursion.

use std::cell::RefCell;
use std::rc::Rc;

use crate::machine::header::HasHeader;
use crate::machine::task::Run;
use crate::machine::waker::TaskId;

/// Gives up the result of a task.
#[inline(always)]
#[allow(clippy::inline_always)] // into `JoinHandle::detach`, which says why
pub(crate) fn release(task: Rc<dyn Run>) {
    let header = task.header();
    header.joined.set(false);
    header.joiner.set(TaskId::NONE);
    if header.is_finished() || header.has_extras() {
        release_rarely(task);
    }
}

/// A stranger may wait for it, or the result is there already.
#[cold]
#[inline(never)]
fn release_rarely(task: Rc<dyn Run>) {
    let header = task.header();
    header.forget_stranger();
    if header.is_finished() {
        discard(task);
    }
}

/// Drops the results of finished tasks, one after the other: a result may own the handle of the next finished task, and so
/// on, a million deep, and none of it may recurse.
///
/// Inside another discard it returns before the result is dropped. A result that borrows cannot wait so long: what it borrows
/// may be a local of the destructor that drops the handle.
fn discard(task: Rc<dyn Run>) {
    if task.header().borrows.get() {
        return task.discard();
    }
    thread_local! {
        static WAITING: RefCell<Option<Vec<Rc<dyn Run>>>> = const { RefCell::new(None) };
    }
    // Where the thread's locals are gone already, recursion is all that is left.
    let Ok(waits) = WAITING.try_with(|waiting| waiting.borrow_mut().as_mut().map(|tasks| tasks.push(Rc::clone(&task))))
    else {
        return task.discard();
    };
    if waits.is_some() {
        return;
    }
    WAITING.set(Some(Vec::new()));
    let mut next = Some(task);
    while let Some(task) = next {
        task.discard();
        next = WAITING.with_borrow_mut(|waiting| waiting.as_mut().and_then(Vec::pop));
    }
    WAITING.set(None);
}
