//! The members of a group: a seat for each child that lives, so that a cancel finds them all.
//!
//! Not in a `slab`, which takes what it is given through memory, in one piece that was written in two just before; for that
//! processors have to wait, a tenth of what a child took.

use std::mem;

use handcar_executor::AbortHandle;

/// There are never more children than a runtime has slots.
pub(crate) type SeatNumber = u32;

pub(crate) struct Members {
    seats: Vec<Seat>,
    /// The seat that was left last.
    free: SeatNumber,
    taken: usize,
}

struct Seat {
    child: Option<AbortHandle>,
    /// If nobody has it: the one that was left before it.
    free: SeatNumber,
}

/// No seat has this number.
const NONE: SeatNumber = SeatNumber::MAX;

impl Default for Members {
    fn default() -> Members {
        Members { seats: Vec::new(), free: NONE, taken: 0 }
    }
}

impl Members {
    /// A seat for a child that is about to be spawned.
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn reserve(&mut self) -> SeatNumber {
        self.taken += 1;
        let number = self.free;
        if let Some(seat) = self.seats.get(number as usize) {
            self.free = seat.free;
            return number;
        }
        self.seats.push(Seat { child: None, free: NONE });
        self.seats.len() as SeatNumber - 1
    }

    /// The child that a seat was reserved for.
    #[inline]
    pub(crate) fn sit(&mut self, seat: SeatNumber, child: AbortHandle) {
        mem::forget(self.seats[seat as usize].child.replace(child)); // there was none
    }

    /// The child has ended. The caller drops what it gets after the borrow.
    #[inline]
    pub(crate) fn leave(&mut self, seat: SeatNumber) -> Option<AbortHandle> {
        let left = &mut self.seats[seat as usize];
        left.free = self.free;
        self.free = seat;
        self.taken -= 1;
        left.child.take()
    }

    /// How many seats are taken.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &AbortHandle> {
        self.seats.iter().filter_map(|seat| seat.child.as_ref())
    }
}
