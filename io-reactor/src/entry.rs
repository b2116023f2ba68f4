//! An entry: what the reactor keeps for one source.
//!
//! It holds the readiness of both directions and the wakers of those who wait for them. Who may wait?
//!
//! * **By poll.** `AsyncRead::poll_read` brings a waker and nothing else: the reactor cannot tell one caller from the next,
//!   nor learn that it has gone. A socket nearly always has one such reader and one such writer, so one waker for each
//!   direction lies in the entry itself. Two tasks may read from one `&TcpStream`, though, and a runtime that kept only the
//!   newest waker would lose the other for ever. So the rest stand in a queue.
//! * **By place.** A named future (`accept`, `readable`, ...) has a place of its own, which it gives up when it is dropped.
//!   Only it removes the place, so places need no generation.
//!
//! An event wakes *all* who wait for its direction. Each tries its system call; those who come too late wait again. With
//! one of them woken at a time, an event would be lost whenever that one had lost interest.
//!
//! Wakers left behind by polls that were given up (the losing branch of a race, each time round a loop) must not pile up.
//! The queue is bounded: a newcomer at a full queue puts out the oldest, which is woken. If somebody still stands behind
//! that waker, it comes back to the end of the queue; if not, the place is gained.

use std::collections::VecDeque;
use std::iter;
use std::task::Waker;

use slab::Slab;

use crate::ready::{Direction, Ready};

/// How many may wait by poll for one direction of one source, beyond the first. With more than that none is lost, but they
/// put each other out in turn, which costs processor time until something happens.
const CROWD: usize = 1024;

/// A place in an entry that a named future holds.
pub(crate) type Place = usize;

#[derive(Debug)]
pub(crate) struct Entry {
    generation: u32,
    pub(crate) ready: Ready,
    /// Whether the system knows of the descriptor, which it need not before somebody waits.
    pub(crate) is_watched: bool,
    /// By poll: the first one to wait for reading, and for writing.
    first: [Option<Waker>; 2],
    /// Everybody else. Most entries never need it.
    crowd: Option<Box<Crowd>>,
}

#[derive(Debug, Default)]
struct Crowd {
    by_poll: [VecDeque<Waker>; 2],
    by_place: Slab<Placed>,
}

impl Crowd {
    #[inline(never)]
    fn take_waiting(&mut self, direction: Direction, woken: &mut Vec<Waker>) {
        let queue = &mut self.by_poll[direction as usize];
        woken.extend(iter::from_fn(|| queue.pop_front()));
        for (_, placed) in &mut self.by_place {
            if placed.direction == direction {
                woken.extend(placed.waker.take());
            }
        }
    }

    /// Returns the waker that was there before.
    fn wait_by_place(&mut self, direction: Direction, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        if let Some(place) = *place {
            return self.by_place[place].waker.replace(waker);
        }
        *place = Some(self.by_place.insert(Placed { direction, waker: Some(waker) }));
        None
    }
}

/// A waker that does not wait.
pub(crate) enum Surplus {
    /// It waits already, or another has taken its place: to be dropped.
    Dropped(Waker),
    /// The oldest of a full queue: to be woken.
    PutOut(Waker),
}

/// Taken by an event, the waker is gone and the place stays until its owner gives it up.
#[derive(Debug)]
struct Placed {
    direction: Direction,
    waker: Option<Waker>,
}

impl Entry {
    pub(crate) fn new(generation: u32, ready: Ready) -> Entry {
        Entry { generation, ready, is_watched: false, first: [None, None], crowd: None }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Notes that `news` was reported, and moves all who wait for it to `woken`.
    #[inline]
    pub(crate) fn report(&mut self, news: Ready, woken: &mut Vec<Waker>) {
        self.ready.add(news);
        for direction in [Direction::Read, Direction::Write] {
            if news.is(direction) {
                self.take_waiting(direction, woken);
            }
        }
    }

    #[inline]
    pub(crate) fn take_waiting(&mut self, direction: Direction, woken: &mut Vec<Waker>) {
        if let Some(first) = self.first[direction as usize].take() {
            woken.push(first);
        }
        if let Some(crowd) = &mut self.crowd {
            crowd.take_waiting(direction, woken);
        }
    }

    /// Lets `waker` wait: at a place, a new one if there is none yet, or by poll. Returns the one that does not wait, if one
    /// does not. The caller sees to it when nothing is borrowed.
    #[inline]
    pub(crate) fn wait(
        &mut self,
        direction: Direction,
        place: Option<&mut Option<Place>>,
        waker: Waker,
    ) -> Option<Surplus> {
        let first = &mut self.first[direction as usize];
        match first {
            None if place.is_none() && self.crowd.is_none() => {
                *first = Some(waker);
                None
            }
            Some(known) if place.is_none() && known.will_wake(&waker) => Some(Surplus::Dropped(waker)),
            _ => self.wait_in_crowd(direction, place, waker),
        }
    }

    #[inline(never)]
    fn wait_in_crowd(
        &mut self,
        direction: Direction,
        place: Option<&mut Option<Place>>,
        waker: Waker,
    ) -> Option<Surplus> {
        let crowd = self.crowd.get_or_insert_default();
        if let Some(place) = place {
            return crowd.wait_by_place(direction, place, waker).map(Surplus::Dropped);
        }
        let queue = &mut crowd.by_poll[direction as usize];
        let first = &mut self.first[direction as usize];
        if first.iter().chain(&*queue).any(|known| known.will_wake(&waker)) {
            return Some(Surplus::Dropped(waker));
        }
        if first.is_none() {
            *first = Some(waker);
            return None;
        }
        queue.push_back(waker);
        if queue.len() > CROWD { queue.pop_front().map(Surplus::PutOut) } else { None }
    }

    /// Gives a place up. The caller drops what is returned.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Waker> {
        self.crowd.as_mut()?.by_place.remove(place).waker
    }

    /// Whether somebody waits for `direction`.
    pub(crate) fn is_awaited(&self, direction: Direction) -> bool {
        self.first[direction as usize].is_some()
            || self.crowd.as_deref().is_some_and(|crowd| {
                let placed = |(_, placed): (_, &Placed)| placed.direction == direction && placed.waker.is_some();
                !crowd.by_poll[direction as usize].is_empty() || crowd.by_place.iter().any(placed)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_the_reactor_48_bytes() {
        // `Option` stands for what the slab adds to tell a free entry from a used one: nothing.
        assert_eq!(size_of::<Option<Entry>>(), 2 * size_of::<Option<Waker>>() + size_of::<usize>() + 8);
    }

    #[test]
    fn who_polls_again_takes_no_second_place() {
        let mut entry = Entry::new(0, Ready::UNKNOWN);
        assert!(entry.wait(Direction::Read, None, Waker::noop().clone()).is_none());
        assert!(matches!(entry.wait(Direction::Read, None, Waker::noop().clone()), Some(Surplus::Dropped(_))));
        assert!(entry.crowd.is_none());
    }
}
