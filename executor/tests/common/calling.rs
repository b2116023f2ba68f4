//! Wakers that call back, as any stranger's may.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// Which of a waker's functions was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Clone,
    /// By value: the waker has ended with it.
    Wake,
    WakeByRef,
    Drop,
}

type Hook = Rc<dyn Fn(Call)>;

thread_local! {
    static HOOKS: RefCell<HashMap<usize, Hook>> = RefCell::default();
}

static NEXT_HOOK: AtomicUsize = AtomicUsize::new(1);

/// A foreign waker that calls `hook` on this thread, with what is done to it. On other threads it does nothing.
///
/// Two of them are never the same waker; clones of one are. The first waker's own drop is not told, so that its owner in the
/// test need not care.
pub(crate) fn calling(hook: impl Fn(Call) + 'static) -> CallingWaker {
    let number = NEXT_HOOK.fetch_add(1, Ordering::Relaxed);
    HOOKS.with_borrow_mut(|hooks| hooks.insert(number, Rc::new(hook)));
    // SAFETY: the functions of `CALLING` keep the contract of `RawWaker`: the data is a number that is never dereferenced,
    // owns nothing, and is looked up in a thread-local.
    let waker = unsafe { Waker::new(std::ptr::without_provenance(number), &CALLING) };
    CallingWaker { waker: std::mem::ManuallyDrop::new(waker), number }
}

/// Made by [`calling`]; its hook goes when it is dropped, and its clones fall silent.
pub(crate) struct CallingWaker {
    pub(crate) waker: std::mem::ManuallyDrop<Waker>,
    number: usize,
}

impl CallingWaker {
    pub(crate) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(&self.waker))
    }
}

impl Drop for CallingWaker {
    fn drop(&mut self) {
        let hook = HOOKS.with_borrow_mut(|hooks| hooks.remove(&self.number));
        drop(hook);
    }
}

static CALLING: RawWakerVTable = RawWakerVTable::new(
    |data| {
        call(data, Call::Clone);
        RawWaker::new(data, &CALLING)
    },
    |data| call(data, Call::Wake),
    |data| call(data, Call::WakeByRef),
    |data| call(data, Call::Drop),
);

fn call(data: *const (), what: Call) {
    let hook = HOOKS.try_with(|hooks| hooks.borrow().get(&data.addr()).cloned()).ok().flatten();
    if let Some(hook) = hook {
        hook(what);
    }
}
