//! A mutex made of a semaphore, for the families that have none: whoever has the one permit has the number.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::toolkit::{Locks, Toolkit};

/// The family `K`, with a mutex.
#[derive(Debug)]
pub(crate) struct OnePermit<K>(PhantomData<K>);

impl<K: Toolkit> Locks for OnePermit<K> {
    type Mutex = Guarded<K>;

    fn mutex() -> Guarded<K> {
        Guarded { permit: K::semaphore(1), number: RefCell::new(0) }
    }

    async fn lock(mutex: &Guarded<K>) -> impl DerefMut<Target = u64> {
        let permit = K::acquire(&mutex.permit).await;
        Guard::<K> { number: mutex.number.borrow_mut(), _permit: permit }
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

/// Gives the number back before the permit.
struct Guard<'a, K: Toolkit> {
    number: RefMut<'a, u64>,
    _permit: K::Permit<'a>,
}

impl<K: Toolkit> Deref for Guard<'_, K> {
    type Target = u64;

    fn deref(&self) -> &u64 {
        &self.number
    }
}

impl<K: Toolkit> DerefMut for Guard<'_, K> {
    fn deref_mut(&mut self) -> &mut u64 {
        &mut self.number
    }
}
