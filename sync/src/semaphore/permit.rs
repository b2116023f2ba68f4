//! Permits that were acquired.

use std::rc::Rc;

use super::Semaphore;
use crate::Hold;

/// Permits of a [`Semaphore`], which go back when this is dropped.
///
/// `S` is how it holds the semaphore: [`SemaphorePermit`] by reference, [`OwnedSemaphorePermit`] through an `Rc`.
#[derive(Debug)]
#[must_use = "dropping a permit gives it back"]
pub struct Permit<S: Hold<Semaphore>> {
    semaphore: S,
    permits: usize,
}

/// A [`Permit`] that borrows its semaphore.
pub type SemaphorePermit<'a> = Permit<&'a Semaphore>;

/// A [`Permit`] that keeps its semaphore alive.
pub type OwnedSemaphorePermit = Permit<Rc<Semaphore>>;

impl<S: Hold<Semaphore>> Permit<S> {
    /// Makes the handle of permits that the caller has taken.
    #[inline]
    pub(super) fn new(semaphore: S, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// The semaphore that they are of.
    pub fn semaphore(&self) -> &S {
        &self.semaphore
    }

    /// How many permits of the semaphore these are.
    pub fn num_permits(&self) -> usize {
        self.permits
    }

    /// Drops the handle and never gives the permits back.
    ///
    /// ```
    /// # use handcar_sync::Semaphore;
    /// let semaphore = Semaphore::new(2);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    pub fn forget(mut self) {
        let permits = std::mem::take(&mut self.permits);
        self.semaphore.total.set(self.semaphore.total.get() - permits);
    }

    /// Takes in the permits of `other`.
    ///
    /// # Panics
    ///
    /// Panics if `other` belongs to another semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq(&raw const *self.semaphore, &raw const *other.semaphore),
            "`merge` joins permits of one semaphore, and these belong to two",
        );
        self.permits += std::mem::take(&mut other.permits);
    }

    /// Splits off `n` permits, or none if these are fewer.
    ///
    /// ```
    /// # use handcar_sync::Semaphore;
    /// let semaphore = Semaphore::new(3);
    /// let mut three = semaphore.try_acquire_many(3).unwrap();
    /// let one = three.split(1).unwrap();
    /// assert_eq!((one.num_permits(), three.num_permits()), (1, 2));
    /// assert!(three.split(3).is_none());
    /// three.merge(one);
    /// ```
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self { semaphore: self.semaphore.clone(), permits: n })
    }
}

impl<S: Hold<Semaphore>> Drop for Permit<S> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}
