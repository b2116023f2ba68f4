//! The read-write lock: many readers or one writer.
//!
//! It is a semaphore of which a reader takes one permit and a writer takes all. The line's order makes it fair: a writer that
//! waits holds up the readers that come after it, so neither side starves the other.
//!
//! The value lives in an `Rc`. A reader's guard holds a clone of it, a writer's guard the only one there is, so that
//! [`Rc::get_mut`] succeeds. This is what makes owned guards possible without unsafe code.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::lock::{Lock, LockGuard, TryLockError, try_lock};
use crate::semaphore::Semaphore;
use crate::wait_queue::Wait;
use crate::{Hold, sealed};

/// All permits: tokio's figure.
const MAX_READERS: u32 = u32::MAX >> 3;

const HAS_VALUE: &str = "a guard has its value until it is dropped";
const LEAKED: &str = "the value was leaked with a guard; drop guards instead";

/// A lock for many readers or one writer, handed out in the order of asking.
///
/// ```
/// # use handcar_sync::RwLock;
/// # handcar_executor::run(async {
/// let table = RwLock::new(vec![1]);
/// {
///     let (one, other) = (table.read().await, table.read().await);
///     assert_eq!(one[0], other[0]);
/// }
/// table.write().await.push(2);
/// assert_eq!(table.into_inner(), [1, 2]);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    turns: Semaphore,
    max_readers: usize,
    /// `None` while a writer has it.
    value: RefCell<Option<Rc<T>>>,
}

impl<T> RwLock<T> {
    /// Creates a lock that nobody holds.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::with_max_readers(value, MAX_READERS)
    }

    /// [`new`](Self::new) for at most so many readers at a time.
    ///
    /// # Panics
    ///
    /// Panics if that is 0 or more than `u32::MAX >> 3`.
    #[track_caller]
    pub fn with_max_readers(value: T, max_readers: u32) -> Self {
        assert!(max_readers > 0, "a lock for no reader could never be read; give it 1");
        assert!(max_readers <= MAX_READERS, "a lock has at most `u32::MAX >> 3` readers; `new` gives it as many");
        Self::holding(Rc::new(value), max_readers)
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Panics if a guard was leaked with [`mem::forget`](std::mem::forget).
    #[track_caller]
    pub fn into_inner(self) -> T {
        self.value.into_inner().and_then(Rc::into_inner).expect(LEAKED)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Makes a lock of the only `Rc` there is.
    #[track_caller]
    fn holding(value: Rc<T>, max_readers: u32) -> Self {
        let max_readers = max_readers as usize;
        Self { turns: Semaphore::new(max_readers), max_readers, value: RefCell::new(Some(value)) }
    }

    /// Waits for a share in reading.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and nothing else.
    #[track_caller]
    pub fn read(&self) -> Lock<RwLockReadGuard<'_, T>> {
        Lock::new(self)
    }

    /// [`read`](Self::read) for a guard that keeps the lock alive and can move into a task.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    #[track_caller]
    pub fn read_owned(self: Rc<Self>) -> Lock<OwnedRwLockReadGuard<T>> {
        Lock::new(self)
    }

    /// Waits for the lock all to itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses its place in the line, and lets in the readers that it held up.
    #[track_caller]
    pub fn write(&self) -> Lock<RwLockWriteGuard<'_, T>> {
        Lock::new(self)
    }

    /// [`write`](Self::write) for a guard that keeps the lock alive and can move into a task.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    #[track_caller]
    pub fn write_owned(self: Rc<Self>) -> Lock<OwnedRwLockWriteGuard<T>> {
        Lock::new(self)
    }

    /// Takes a share in reading if there is no writer and nobody waits.
    ///
    /// # Errors
    ///
    /// Fails if there is one, or somebody waits.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        try_lock(self)
    }

    /// [`try_read`](Self::try_read) for an owned guard.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_owned(self: Rc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        try_lock(self)
    }

    /// Takes the lock if nobody holds it or waits for it.
    ///
    /// # Errors
    ///
    /// Fails if somebody does.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        try_lock(self)
    }

    /// [`try_write`](Self::try_write) for an owned guard.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_owned(self: Rc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        try_lock(self)
    }

    /// The value, without locking: nobody else can have the lock.
    ///
    /// # Panics
    ///
    /// As [`into_inner`](Self::into_inner).
    #[track_caller]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().as_mut().and_then(Rc::get_mut).expect(LEAKED)
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// For a value without a size, which cannot be passed to [`new`](RwLock::new).
///
/// ```
/// # use handcar_sync::RwLock;
/// let names: Box<[&str]> = ["a", "b"].into();
/// let names: RwLock<[&str]> = names.into();
/// names.try_write().unwrap()[0] = "c";
/// assert_eq!(*names.try_read().unwrap(), ["c", "b"]);
/// ```
impl<T: ?Sized> From<Box<T>> for RwLock<T> {
    #[track_caller]
    fn from(value: Box<T>) -> Self {
        Self::holding(value.into(), MAX_READERS)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Ok(value) => f.debug_tuple("RwLock").field(&&*value).finish(),
            Err(_) => f.write_str("RwLock(<locked>)"),
        }
    }
}

/// A share in reading; `L` is how it holds the lock, as [`RwLockReadGuard`] or as [`OwnedRwLockReadGuard`].
#[must_use = "dropping the guard unlocks"]
pub struct ReadGuard<T: ?Sized, L: Hold<RwLock<T>>> {
    lock: L,
    value: Option<Rc<T>>,
}

/// A [`ReadGuard`] that borrows its lock.
pub type RwLockReadGuard<'a, T> = ReadGuard<T, &'a RwLock<T>>;

/// A [`ReadGuard`] that keeps its lock alive.
pub type OwnedRwLockReadGuard<T> = ReadGuard<T, Rc<RwLock<T>>>;

impl<T: ?Sized, L: Hold<RwLock<T>>> sealed::Sealed for ReadGuard<T, L> {}

impl<T: ?Sized, L: Hold<RwLock<T>>> LockGuard for ReadGuard<T, L> {
    type Lock = L;
    const WAIT: &'static Wait = &Wait::new("Lock", "read", "read-write lock", ", which a writer has or waits for");

    fn with_turns<R>(lock: &L, f: impl FnOnce(&Semaphore, usize) -> R) -> R {
        f(&lock.turns, 1)
    }

    fn new(lock: L) -> Self {
        let value = lock.value.borrow().clone();
        Self { lock, value }
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> Deref for ReadGuard<T, L> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect(HAS_VALUE)
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> Drop for ReadGuard<T, L> {
    fn drop(&mut self) {
        // Before a writer gets in and counts on having the only one.
        self.value = None;
        self.lock.turns.release(1);
    }
}

impl<T: ?Sized + fmt::Debug, L: Hold<RwLock<T>>> fmt::Debug for ReadGuard<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to write; `L` is how it holds the lock, as [`RwLockWriteGuard`] or as [`OwnedRwLockWriteGuard`].
#[must_use = "dropping the guard unlocks"]
pub struct WriteGuard<T: ?Sized, L: Hold<RwLock<T>>> {
    lock: L,
    /// The only one there is. `None` once downgraded.
    value: Option<Rc<T>>,
}

/// A [`WriteGuard`] that borrows its lock.
pub type RwLockWriteGuard<'a, T> = WriteGuard<T, &'a RwLock<T>>;

/// A [`WriteGuard`] that keeps its lock alive.
pub type OwnedRwLockWriteGuard<T> = WriteGuard<T, Rc<RwLock<T>>>;

impl<T: ?Sized, L: Hold<RwLock<T>>> sealed::Sealed for WriteGuard<T, L> {}

impl<T: ?Sized, L: Hold<RwLock<T>>> LockGuard for WriteGuard<T, L> {
    type Lock = L;
    const WAIT: &'static Wait = &Wait::new("Lock", "write", "read-write lock", ", which others have");

    fn with_turns<R>(lock: &L, f: impl FnOnce(&Semaphore, usize) -> R) -> R {
        f(&lock.turns, lock.max_readers)
    }

    fn new(lock: L) -> Self {
        let value = lock.value.take();
        Self { lock, value }
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> WriteGuard<T, L> {
    /// Turns it into a share in reading, with no other writer in between.
    ///
    /// ```
    /// # use handcar_sync::RwLock;
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.try_write().unwrap();
    /// *writer += 1;
    /// let reader = writer.downgrade();
    /// assert_eq!(*lock.try_read().unwrap(), *reader);
    /// ```
    pub fn downgrade(mut self) -> ReadGuard<T, L> {
        self.lock.value.replace(self.value.take());
        let reader = ReadGuard::new(self.lock.clone());
        self.lock.turns.release(self.lock.max_readers - 1);
        reader
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> Deref for WriteGuard<T, L> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect(HAS_VALUE)
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> DerefMut for WriteGuard<T, L> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().and_then(Rc::get_mut).expect(HAS_VALUE)
    }
}

impl<T: ?Sized, L: Hold<RwLock<T>>> Drop for WriteGuard<T, L> {
    fn drop(&mut self) {
        if self.value.is_some() {
            self.lock.value.replace(self.value.take());
            self.lock.turns.release(self.lock.max_readers);
        }
    }
}

impl<T: ?Sized + fmt::Debug, L: Hold<RwLock<T>>> fmt::Debug for WriteGuard<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
