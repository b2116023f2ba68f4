//! Timers: a heap of deadlines, and a waiting room for those that have none yet.
//!
//! ```text
//!     arm_after(duration) ---> staged ---- 2. the next look: deadline = its clock + duration ---.
//!       1. no clock read         |                                                              v
//!     arm_at(deadline) ----------|----------------------------------------------------------> heap --- 3. due ---> Fired
//!                                |                                                              |                 its waker
//!                                '---------------------- disarm: removed exactly --------------'                 is woken
//! ```
//!
//! Reading the clock costs more than all the rest of arming and disarming a timer, and most timers are timeouts that never
//! fire. So a relative timer is *staged*: it notes its duration, and gets its deadline at the loop's next look, which reads
//! the clock anyway. That makes it late by the time to the next look at most, and never early. A timeout that is armed and
//! dropped between two looks has not read the clock at all.
//!
//! The heap itself, and the table of places by which a timer is removed exactly, are in `timer_heap.rs`.

use std::cell::Cell;
use std::mem;
use std::task::{Context, Poll, Waker};

use crate::kept::{keep, let_go_here};
use crate::time::clock::{Clock, Instant};
use crate::timer_heap::TimerHeap;
use crate::unchecked::{Borrow, UncheckedRefCell};

pub(crate) struct Timers {
    pub(crate) clock: Clock,
    heap: UncheckedRefCell<TimerHeap>,
    /// The clock at the last look: no timer has a deadline before it.
    looked_at: Cell<Instant>,
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Timers {
        Timers { clock, heap: UncheckedRefCell::default(), looked_at: Cell::default() }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // it is nothing
    fn heap(&self) -> Borrow<'_, TimerHeap> {
        // SAFETY: each use has let go at the end of its statement, and calls nothing but methods of the heap, which call nobody, `will_wake`
        // and `swap`. Nor do those panic: a key is that of a timer which the `Alarm` that has it has armed, here, and not removed.
        unsafe { self.heap.borrow_mut() }
    }

    /// Sees to it that there is room for one more timer.
    fn make_room(&self) {
        loop {
            let lacks = self.heap().lacks();
            let Some(capacity) = lacks else { return };
            // SAFETY: nothing is borrowed, as in `heap`.
            unsafe {
                self.heap.grow(capacity, TimerHeap::table);
                self.heap.grow(capacity, TimerHeap::entries);
            }
        }
    }

    /// Arms a timer that fires `nanos` after the next look. `u64::MAX` is never.
    pub(crate) fn arm_after(&self, nanos: u64, waker: Waker) -> u32 {
        self.make_room();
        self.heap().stage(nanos, waker)
    }

    /// As [`arm_after`](Timers::arm_after), the fast path, which needs no frame.
    #[inline]
    pub(crate) fn arm_fast(&self, nanos: u64, waker: &Waker) -> Option<u32> {
        self.heap().stage_fast(nanos, waker)
    }

    /// Arms a timer that fires at `deadline`.
    pub(crate) fn arm_at(&self, deadline: Instant, waker: Waker) -> u32 {
        self.make_room();
        self.heap().arm(deadline.nanos(), waker)
    }

    /// Moves an armed timer to `deadline`; whom it wakes stays. False if it has fired.
    pub(crate) fn rearm(&self, key: u32, deadline: Instant) -> bool {
        self.heap().rearm(key, deadline.nanos())
    }

    /// Removes a timer. Every key is removed once, by the future that got it.
    #[inline(never)] // one copy, with what lets its waker go
    pub(crate) fn disarm(&self, key: u32) {
        let_go_here(self.take(key));
    }

    /// As [`disarm`](Timers::disarm), the fast path, which needs no frame: of what was armed last.
    #[inline]
    pub(crate) fn disarm_fast(&self, key: u32) -> bool {
        self.heap().remove_fast(key)
    }

    /// Removes a timer and returns whom it would have woken, to be armed elsewhere.
    #[inline]
    pub(crate) fn take(&self, key: u32) -> Option<Waker> {
        self.heap().remove(key)
    }

    /// The deadline of a timer that has fired; if it has not, it will wake `cx`.
    pub(crate) fn poll(&self, key: u32, cx: &Context<'_>) -> Poll<Instant> {
        let known = self.heap().waker(key).map(|known| known.will_wake(cx.waker()));
        let fired = match known {
            Ok(true) => return Poll::Pending,
            Ok(false) => {
                let mut new = keep(cx.waker()); // a stranger's code: the timer may have fired when it is back
                let kept = self.heap().waker(key).map(|known| mem::swap(known, &mut new));
                drop(new); // the one before, by now
                kept.err()
            }
            Err(fired) => Some(fired),
        };
        fired.map_or(Poll::Pending, |nanos| Poll::Ready(Instant::from_nanos(nanos)))
    }

    /// A timer's deadline; a staged one gets it now.
    pub(crate) fn deadline(&self, key: u32) -> Instant {
        let is_staged = self.heap().is_staged(key);
        if is_staged {
            self.settle(self.clock.now());
        }
        Instant::from_nanos(self.heap().deadline(key))
    }

    pub(crate) fn has_fired(&self, key: u32) -> bool {
        self.heap().waker(key).is_err()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.heap().len()
    }

    /// The clock at the last look.
    pub(crate) fn looked_at(&self) -> Instant {
        self.looked_at.get()
    }

    /// Gives the staged timers their deadlines.
    pub(crate) fn settle(&self, now: Instant) {
        self.looked_at.set(now);
        self.heap().settle(now.nanos());
    }

    /// The earliest deadline. Call it when nothing is staged.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.heap().first().map(Instant::from_nanos)
    }

    /// Takes the timers that are due out of the heap, their wakers into `due`, in order.
    pub(crate) fn fire(&self, now: Instant, due: &mut Vec<Waker>) {
        loop {
            let fired = self.heap().fire(now.nanos());
            let Some(waker) = fired else { return };
            due.push(waker);
        }
    }
}
