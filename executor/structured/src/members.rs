//! The members of a group: a seat for each child that lives, so that a cancel finds them all.
//!
//! A slab in two vectors. `slab` itself takes what it is given through memory, in one piece that was written in two just before,
//! for which processors have to wait: a tenth of what a child took.

use handcar_executor::AbortHandle;

/// There are never more children than a runtime has slots.
pub(crate) type SeatNumber = u32;

#[derive(Default)]
pub(crate) struct Members {
    seats: Vec<Option<AbortHandle>>,
    free: Vec<SeatNumber>,
}

impl Members {
    /// A seat for a child that is about to be spawned.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn reserve(&mut self) -> SeatNumber {
        self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() as SeatNumber - 1
        })
    }

    /// The child that a seat was reserved for.
    #[inline]
    pub(crate) fn sit(&mut self, seat: SeatNumber, child: AbortHandle) {
        self.seats[seat as usize] = Some(child);
    }

    /// The child has ended. The caller drops what it gets after the borrow.
    #[inline]
    pub(crate) fn leave(&mut self, seat: SeatNumber) -> Option<AbortHandle> {
        self.free.push(seat);
        self.seats[seat as usize].take()
    }

    /// How many seats are taken.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &AbortHandle> {
        self.seats.iter().flatten()
    }
}
