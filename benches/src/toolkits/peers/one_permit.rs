//! A mutex made of a semaphore, for the families that have none: whoever has the one permit has the number.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::toolkit::{Locks, Toolkit};

/// The family `K`, with a mutex.
#[derive(Debug)]
pub(crate) struct OnePermit<K>(PhantomData<K>);

impl<K: Toolkit> Locks for OnePermit<K> {
    type Mutex = Guarded<K>;

    fn mutex() -> Guarded<K> {
        Guarded { permit: K::semaphore(1), number: RefCell::new(0) }
    }

    fn lock(mutex: &Guarded<K>) -> impl Future<Output = impl DerefMut<Target = u64>> {
        Lock { acquire: K::acquire(&mutex.permit), number: &mutex.number }
    }

    fn total(mutex: &mut Guarded<K>) -> u64 {
        *mutex.number.get_mut()
    }
}

/// A number and the permit for it.
pub(crate) struct Guarded<K: Toolkit> {
    permit: K::Semaphore,
    number: RefCell<u64>,
}

impl<K: Toolkit> fmt::Debug for Guarded<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits for the permit. Written by hand, for the compiler leaves a coroutine around that of `acquire` a function of its own here, and
    /// the guard comes out of it through memory: three times what the permit takes, and no family's own.
    struct Lock<'a, F> {
        #[pin]
        acquire: F,
        number: &'a RefCell<u64>,
    }
}

impl<'a, F: Future> Future for Lock<'a, F> {
    type Output = Guard<'a, F::Output>;

    #[inline(always)]
    #[allow(clippy::inline_always)] // see above
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Guard<'a, F::Output>> {
        let this = self.project();
        this.acquire.poll(cx).map(|permit| Guard { number: this.number.borrow_mut(), _permit: permit })
    }
}

/// Gives the number back before the permit.
struct Guard<'a, P> {
    number: RefMut<'a, u64>,
    _permit: P,
}

impl<P> Deref for Guard<'_, P> {
    type Target = u64;

    fn deref(&self) -> &u64 {
        &self.number
    }
}

impl<P> DerefMut for Guard<'_, P> {
    fn deref_mut(&mut self) -> &mut u64 {
        &mut self.number
    }
}
