//! The line itself: waiters with numbers that count up, in a ring.
//!
//! ```text
//!        head                  next
//!         |                     |
//!   . . [12]  gap  [14]  [15]  ( ) . .       number n stands at n modulo the size of the ring
//! ```
//!
//! Who is settled leaves at once, and the head moves on. So who finds his number before the head was settled, and mostly granted what he
//! waited for: no table has to be asked, and none has to remember him. The other cases cost nothing until they happen:
//!
//! * Who leaves from the middle leaves a gap. When the ring is full, and half of it is gaps, all who stand in it are set aside and go
//!   first from then on. (They cannot move up: the numbers are with their futures.)
//! * Of those who were dismissed it is kept until they have asked. Their numbers are mostly neighbours, and a range is enough.
//! * From the tail only those are granted who are set aside. For a number that leaves the ring there is given out again.
//!
//! Whenever nobody is at work here: if anybody stands in the ring, then at its end; who stands aside has a smaller number than all in the
//! ring; and the gate is crowded if and only if somebody waits.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ops::Range;
use std::task::Waker;

use handcar_executor::keep_plain;

use super::sparse::{KEPT_PLACES, Sparse};
use super::{Gate, Outcome, State};

/// Stands in `plain` as long as somebody stands aside: above every number.
const SOME_ASIDE: u64 = u64::MAX;

pub(super) struct Line {
    /// Outside the `RefCell`, as the numbers, so that a fast path is one load and one compare.
    gate: Cell<Gate>,
    /// Whether the ring is larger than what is kept without need.
    is_large: Cell<bool>,
    /// How many gaps there are between the head and the next to join.
    gaps: Cell<u32>,
    /// The number of the first in the ring.
    head: Cell<u64>,
    /// The number of the next to join.
    next: Cell<u64>,
    /// Who has a smaller number may be dismissed or set aside. From here up to the head all were granted.
    plain: Cell<u64>,
    books: RefCell<Books>,
}

struct Books {
    /// Of no size or a power of two.
    ring: Vec<Option<Waiter>>,
    /// Of what most lines never need.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Who was set aside.
    aside: Sparse<Waiter>,
    /// Who was dismissed and has not asked, by the first of their numbers.
    sent_away: Sparse<SentAway>,
}

struct Waiter {
    /// How much it asks for.
    need: usize,
    waker: Waker,
}

struct SentAway {
    /// Behind the last of their numbers.
    end: u64,
    /// How many have not asked.
    left: usize,
}

/// What a future finds when it looks at its waiter.
pub(super) enum Look {
    Settled(Outcome),
    /// It waits, with the waker of this poll.
    Current,
    /// It waits, with the waker of an earlier poll.
    Stale,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            gate: Cell::new(Gate::Open),
            is_large: Cell::new(false),
            gaps: Cell::new(0),
            head: Cell::new(0),
            next: Cell::new(0),
            plain: Cell::new(0),
            books: RefCell::new(Books { ring: Vec::new(), rare: None }),
        }
    }

    #[inline]
    pub(super) fn gate(&self) -> Gate {
        self.gate.get()
    }

    /// Lets nobody join again. Who waits is to be [dismissed](Self::dismiss_all).
    pub(super) fn close(&self) {
        self.gate.set(Gate::Closed);
    }

    /// Somebody has left the line.
    #[inline]
    fn open_if_empty(&self) {
        if self.is_empty() && self.gate.get() == Gate::Crowded {
            self.gate.set(Gate::Open);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get() == self.next.get() && self.plain.get() != SOME_ASIDE
    }

    /// How many wait in the ring.
    #[allow(clippy::cast_possible_truncation)] // not more than fit into memory
    fn in_ring(&self) -> usize {
        (self.next.get() - self.head.get()) as usize - self.gaps.get() as usize
    }

    /// Whether it is plain to see that this one was granted. If not, [`look`](Self::look).
    #[inline]
    pub(super) fn is_granted(&self, number: u64) -> bool {
        self.plain.get() <= number && number < self.head.get()
    }

    /// Joins, unless it is closed or there is no room, with a waker that can be kept without a call.
    #[inline]
    pub(super) fn try_push(&self, need: usize, waker: &Waker) -> Option<u64> {
        if self.gate.get() == Gate::Closed {
            return None;
        }
        let mut books = self.books.borrow_mut();
        let number = self.next.get();
        if number - self.head.get() < books.ring.len() as u64
            && let Some(waker) = keep_plain(waker)
            && let Some(place) = books.place(number)
        {
            mem::forget(place.replace(Waiter { need, waker })); // nobody stood there
            self.next.set(number + 1);
            self.gate.set(Gate::Crowded);
            return Some(number);
        }
        None
    }

    /// Joins.
    pub(super) fn push(&self, need: usize, waker: Waker) -> u64 {
        debug_assert_ne!(self.gate.get(), Gate::Closed, "joined a closed queue");
        self.gate.set(Gate::Crowded);
        let books = &mut *self.books.borrow_mut();
        let number = self.next.get();
        if number - self.head.get() == books.ring.len() as u64 {
            self.make_room(books);
        }
        self.next.set(number + 1);
        if let Some(place) = books.place(number) {
            *place = Some(Waiter { need, waker });
        }
        number
    }

    /// Makes room in a ring that is full.
    fn make_room(&self, books: &mut Books) {
        let size = books.ring.len();
        if size > 0 && self.in_ring() <= size / 2 {
            self.set_aside(books);
            return;
        }
        let larger = (2 * size).max(4);
        books.ring.resize_with(larger, || None);
        for number in self.head.get()..self.next.get() {
            books.ring.swap(place_in(size, number), place_in(larger, number));
        }
        self.is_large.set(larger > KEPT_PLACES);
    }

    /// Sets all aside who stand in the ring.
    fn set_aside(&self, books: &mut Books) {
        for number in self.head.get()..self.next.get() {
            if let Some(waiter) = books.place(number).and_then(Option::take) {
                books.rare().aside.push(number, waiter);
            }
        }
        self.head.set(self.next.get());
        self.gaps.set(0);
        self.tidy(books);
    }

    /// Takes the head out, as granted, if `admits` says yes to what it needs. Not if there is a gap, or somebody stands aside.
    #[inline]
    pub(super) fn try_settle_head(&self, admits: impl Fn(usize) -> bool) -> Option<Waker> {
        let head = self.head.get();
        if head < self.plain.get() {
            return None;
        }
        let mut books = self.books.borrow_mut();
        let place = books.place(head)?;
        let waiter = place.take()?;
        if admits(waiter.need) {
            self.head.set(head + 1);
            self.open_if_empty();
            Some(waiter.waker)
        } else {
            *place = Some(waiter);
            None
        }
    }

    /// Takes the first out, as granted, if `admits` says yes to what it needs.
    pub(super) fn settle_first(&self, admits: impl Fn(usize) -> bool) -> Option<Waker> {
        let books = &mut *self.books.borrow_mut();
        self.tidy(books);
        let first = books.rare.as_ref().and_then(|rare| rare.aside.first()).unwrap_or(self.head.get());
        if first == self.next.get() || !admits(self.find(books, first)?.need) {
            return None;
        }
        self.take(books, first).map(|waiter| waiter.waker)
    }

    /// Takes the last out, as granted.
    pub(super) fn settle_last(&self) -> Option<Waker> {
        let books = &mut *self.books.borrow_mut();
        // From the ring its number would be given out once more.
        self.set_aside(books);
        let last = books.rare.as_mut()?.aside.pop_last()?;
        self.tidy(books);
        Some(last.waker)
    }

    /// Takes all out, as dismissed; somebody waits. They are still to be [woken](Dismissed::wake).
    pub(super) fn dismiss_all(&self) -> Dismissed {
        let books = &mut *self.books.borrow_mut();
        let numbers = self.head.get()..self.next.get();
        let ring = mem::take(&mut books.ring);
        let rare = books.rare();
        let aside = mem::take(&mut rare.aside);
        // One by one: in between may be numbers that were granted from the tail.
        for (number, _) in aside.iter() {
            rare.send_away(number..number + 1, 1);
        }
        rare.send_away(numbers.clone(), self.in_ring());
        self.head.set(numbers.end);
        self.plain.set(numbers.end);
        self.gaps.set(0);
        self.is_large.set(false);
        self.open_if_empty();
        Dismissed { aside, ring, numbers }
    }

    /// Looks at a waiter for its own future, which does not ask again if it is settled.
    pub(super) fn look(&self, number: u64, waker: &Waker) -> Look {
        let books = &mut *self.books.borrow_mut();
        match self.find(books, number) {
            Some(waiter) if waiter.waker.will_wake(waker) => Look::Current,
            Some(_) => Look::Stale,
            None => Look::Settled(books.outcome(number)),
        }
    }

    pub(super) fn is_settled(&self, number: u64) -> bool {
        self.find(&mut self.books.borrow_mut(), number).is_none()
    }

    pub(super) fn swap_waker(&self, number: u64, waker: &mut Waker) {
        if let Some(waiter) = self.find(&mut self.books.borrow_mut(), number) {
            mem::swap(&mut waiter.waker, waker);
        }
    }

    /// Removes a waiter, settled or not.
    pub(super) fn remove(&self, number: u64) -> State {
        let books = &mut *self.books.borrow_mut();
        match self.take(books, number) {
            Some(waiter) => State::Waiting(waiter.waker),
            None => State::Settled(books.outcome(number)),
        }
    }

    /// Whether there is a large ring, and nobody who needs it.
    #[inline]
    pub(super) fn is_oversized(&self) -> bool {
        self.is_large.get() && self.is_empty()
    }

    /// Gives the ring back, when nobody waits.
    pub(super) fn give_back(&self) {
        self.books.borrow_mut().ring = Vec::new();
        self.is_large.set(false);
    }

    /// The waiter of this number, if it waits.
    fn find<'books>(&self, books: &'books mut Books, number: u64) -> Option<&'books mut Waiter> {
        if number >= self.head.get() {
            return books.place(number)?.as_mut();
        }
        let (found, waiter) = books.rare.as_mut()?.aside.up_to(number)?;
        (found == number).then_some(waiter)
    }

    /// Takes that waiter out.
    fn take(&self, books: &mut Books, number: u64) -> Option<Waiter> {
        let waiter = if number < self.head.get() {
            books.rare.as_mut()?.aside.take(number)?
        } else {
            let waiter = books.place(number)?.take()?;
            self.gaps.set(self.gaps.get() + 1);
            waiter
        };
        self.tidy(books);
        Some(waiter)
    }

    /// After somebody has left: no gap stands at an end of the ring, and `plain` and the gate say what is so now.
    fn tidy(&self, books: &mut Books) {
        let Self { head, next, plain, gaps, .. } = self;
        while head.get() < next.get() && matches!(books.place(head.get()), Some(None)) {
            head.set(head.get() + 1);
            gaps.set(gaps.get() - 1);
        }
        while head.get() < next.get() && matches!(books.place(next.get() - 1), Some(None)) {
            next.set(next.get() - 1);
            gaps.set(gaps.get() - 1);
        }
        if books.rare.as_ref().is_some_and(|rare| !rare.aside.is_empty()) {
            plain.set(SOME_ASIDE);
        } else if plain.get() == SOME_ASIDE {
            plain.set(head.get());
        }
        self.open_if_empty();
    }
}

/// Who was dismissed, and has to be woken.
pub(super) struct Dismissed {
    aside: Sparse<Waiter>,
    ring: Vec<Option<Waiter>>,
    numbers: Range<u64>,
}

impl Dismissed {
    /// Wakes them all with `wake`, while others may join the line that they have left.
    pub(super) fn wake(mut self, line: &Line, wake: impl Fn(Waker)) {
        self.aside.into_values().for_each(|waiter| wake(waiter.waker));
        let size = self.ring.len();
        for number in self.numbers {
            if let Some(waiter) = self.ring[place_in(size, number)].take() {
                wake(waiter.waker);
            }
        }
        // For those who come next.
        let books = &mut *line.books.borrow_mut();
        if books.ring.is_empty() && size <= KEPT_PLACES {
            books.ring = self.ring;
        }
    }
}

impl Books {
    #[inline]
    fn place(&mut self, number: u64) -> Option<&mut Option<Waiter>> {
        let place = place_in(self.ring.len(), number);
        self.ring.get_mut(place)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// How a wait has ended. It is asked once.
    fn outcome(&mut self, number: u64) -> Outcome {
        let is_dismissed = self.rare.as_mut().is_some_and(|rare| rare.was_sent_away(number));
        if is_dismissed { Outcome::Dismissed } else { Outcome::Granted }
    }
}

impl Rare {
    /// Writes down that `left` of these numbers, which are the largest so far, were dismissed.
    fn send_away(&mut self, numbers: Range<u64>, left: usize) {
        match self.sent_away.last_mut() {
            _ if left == 0 => {}
            Some(last) if last.end == numbers.start => (last.end, last.left) = (numbers.end, last.left + left),
            _ => self.sent_away.push(numbers.start, SentAway { end: numbers.end, left }),
        }
    }

    /// Whether this one was, and forgets it.
    fn was_sent_away(&mut self, number: u64) -> bool {
        let Some((start, away)) = self.sent_away.up_to(number) else { return false };
        if number >= away.end {
            return false;
        }
        away.left -= 1;
        if away.left == 0 {
            self.sent_away.take(start);
        }
        true
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // of the remainder nothing is lost
fn place_in(size: usize, number: u64) -> usize {
    number as usize & size.wrapping_sub(1)
}
