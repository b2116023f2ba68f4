//! The mutex: a value that one task at a time may use, across suspensions.
//!
//! Within one thread, a value that is only touched between two suspensions needs no more than a `RefCell`. A mutex is for a
//! critical section that awaits.
//!
//! It is a semaphore with one permit, beside a box. Whoever gets the permit takes the value out of the box's place, and the
//! guard puts it back. So the guard *has* the value: borrowed and owned guards are the same code, none of it unsafe, and
//! moving it costs a pointer. The price is one allocation when the mutex is made.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::lock::{Lock, LockGuard, TryLockError, try_lock};
use crate::semaphore::Semaphore;
use crate::wait_queue::Wait;
use crate::{Hold, sealed};

const HAS_VALUE: &str = "a guard has its value until it is dropped";

/// A lock that is handed out in the order of asking.
///
/// A panic does not poison it: the guard puts the value back as it is.
///
/// ```
/// # use handcar_sync::Mutex;
/// # handcar_executor::run(async {
/// let total = Mutex::new(1);
/// *total.lock().await += 2;
/// assert_eq!(total.into_inner(), 3);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    turn: Semaphore,
    /// `None` while a guard has it.
    value: Cell<Option<Box<T>>>,
}

impl<T> Mutex<T> {
    /// Creates a mutex that is not locked.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::from(Box::new(value))
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Panics if a guard was leaked with [`mem::forget`](std::mem::forget): the value is gone.
    #[track_caller]
    pub fn into_inner(self) -> T {
        *self.value.into_inner().expect("the value was leaked with a guard; drop guards instead")
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and nothing else.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Lock<MutexGuard<'_, T>> {
        Lock::new(self)
    }

    /// [`lock`](Self::lock) for a guard that keeps the mutex alive and can move into a task.
    ///
    /// ```
    /// # use handcar_sync::Mutex;
    /// # use std::rc::Rc;
    /// # handcar_executor::run(async {
    /// let mutex = Rc::new(Mutex::new(1));
    /// let guard = mutex.clone().lock_owned().await;
    /// handcar_executor::spawn(async move { assert_eq!(*guard, 1) }).await.unwrap();
    /// assert!(mutex.try_lock().is_ok());
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`lock`](Self::lock).
    #[track_caller]
    pub fn lock_owned(self: Rc<Self>) -> Lock<OwnedMutexGuard<T>> {
        Lock::new(self)
    }

    /// Takes the lock if it is free and nobody waits for it.
    ///
    /// # Errors
    ///
    /// Fails if it is not.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        try_lock(self)
    }

    /// [`try_lock`](Self::try_lock) for an owned guard.
    ///
    /// # Errors
    ///
    /// As [`try_lock`](Self::try_lock).
    pub fn try_lock_owned(self: Rc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        try_lock(self)
    }

    /// The value, without locking: nobody else can have the mutex.
    ///
    /// # Panics
    ///
    /// As [`into_inner`](Self::into_inner).
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().as_mut().expect("the value was leaked with a guard; drop guards instead")
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// For a value without a size, which cannot be passed to [`new`](Mutex::new).
///
/// ```
/// # use handcar_sync::Mutex;
/// let log: Box<dyn std::io::Write> = Box::new(vec![]);
/// let log: Mutex<dyn std::io::Write> = log.into();
/// log.try_lock().unwrap().write_all(b"started").unwrap();
/// ```
impl<T: ?Sized> From<Box<T>> for Mutex<T> {
    #[track_caller]
    fn from(value: Box<T>) -> Self {
        Self { turn: Semaphore::new(1), value: Cell::new(Some(value)) }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Ok(value) => f.debug_tuple("Mutex").field(&&*value).finish(),
            Err(_) => f.write_str("Mutex(<locked>)"),
        }
    }
}

/// The lock of a [`Mutex`], and its value; dropping it unlocks.
///
/// `M` is how it holds the mutex: [`MutexGuard`] by reference, [`OwnedMutexGuard`] through an `Rc`.
#[must_use = "dropping the guard unlocks the mutex"]
pub struct Guard<T: ?Sized, M: Hold<Mutex<T>>> {
    mutex: M,
    value: Option<Box<T>>,
}

/// A [`Guard`] that borrows its mutex.
pub type MutexGuard<'a, T> = Guard<T, &'a Mutex<T>>;

/// A [`Guard`] that keeps its mutex alive.
pub type OwnedMutexGuard<T> = Guard<T, Rc<Mutex<T>>>;

impl<T: ?Sized, M: Hold<Mutex<T>>> LockGuard for Guard<T, M> {
    type Lock = M;
    const WAIT: &'static Wait = &Wait::new("Lock", "lock", "mutex", ", which is locked");

    #[inline]
    fn with_turns<R>(mutex: &M, f: impl FnOnce(&Semaphore, usize) -> R) -> R {
        f(&mutex.turn, 1)
    }

    #[inline]
    fn new(mutex: M) -> Self {
        Self { value: mutex.value.take(), mutex }
    }
}

impl<T: ?Sized, M: Hold<Mutex<T>>> sealed::Sealed for Guard<T, M> {}

impl<T: ?Sized, M: Hold<Mutex<T>>> Guard<T, M> {
    /// The mutex that it locks, for a [`Condition`](crate::Condition) that locks it again.
    pub fn mutex(guard: &Self) -> &M {
        &guard.mutex
    }
}

impl<T: ?Sized, M: Hold<Mutex<T>>> Deref for Guard<T, M> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.as_deref().expect(HAS_VALUE)
    }
}

impl<T: ?Sized, M: Hold<Mutex<T>>> DerefMut for Guard<T, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_deref_mut().expect(HAS_VALUE)
    }
}

impl<T: ?Sized, M: Hold<Mutex<T>>> Drop for Guard<T, M> {
    #[inline]
    fn drop(&mut self) {
        // Nothing is there to be dropped: nobody else has had the turn.
        mem::forget(self.mutex.value.replace(self.value.take()));
        self.mutex.turn.release(1);
    }
}

impl<T: ?Sized + fmt::Debug, M: Hold<Mutex<T>>> fmt::Debug for Guard<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display, M: Hold<Mutex<T>>> fmt::Display for Guard<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
