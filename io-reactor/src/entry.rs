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
    pub(crate) fn report(&mut self, news: Ready, woken: &mut Vec<Waker>) {
        self.ready.add(news);
        for direction in [Direction::Read, Direction::Write] {
            if news.is(direction) {
                self.take_waiting(direction, woken);
            }
        }
    }

    pub(crate) fn take_waiting(&mut self, direction: Direction, woken: &mut Vec<Waker>) {
        woken.extend(self.first[direction as usize].take());
        let Some(crowd) = &mut self.crowd else { return };
        woken.extend(crowd.by_poll[direction as usize].drain(..));
        for (_, placed) in &mut crowd.by_place {
            if placed.direction == direction {
                woken.extend(placed.waker.take());
            }
        }
    }

    /// Whether `waker` already waits, at `place` or, without one, anywhere by poll.
    pub(crate) fn knows(&self, direction: Direction, place: Option<Place>, waker: &Waker) -> bool {
        let same = |known: &Waker| known.will_wake(waker);
        let crowd = self.crowd.as_deref();
        match place {
            Some(place) => {
                let placed = crowd.and_then(|crowd| crowd.by_place.get(place));
                placed.and_then(|placed| placed.waker.as_ref()).is_some_and(same)
            }
            None => {
                self.first[direction as usize].as_ref().is_some_and(same)
                    || crowd.is_some_and(|crowd| crowd.by_poll[direction as usize].iter().any(same))
            }
        }
    }

    /// Lets `waker` wait by poll. The caller wakes what is returned: the oldest of a full queue.
    pub(crate) fn wait_by_poll(&mut self, direction: Direction, waker: Waker) -> Option<Waker> {
        let first = &mut self.first[direction as usize];
        if first.is_none() {
            *first = Some(waker);
            return None;
        }
        let queue = &mut self.crowd.get_or_insert_default().by_poll[direction as usize];
        let oldest = if queue.len() == CROWD { queue.pop_front() } else { None };
        queue.push_back(waker);
        oldest
    }

    /// Lets `waker` wait at a place, a new one if there is none yet. The caller drops what is returned: the waker that was
    /// there before.
    pub(crate) fn wait_by_place(
        &mut self,
        direction: Direction,
        place: &mut Option<Place>,
        waker: Waker,
    ) -> Option<Waker> {
        let places = &mut self.crowd.get_or_insert_default().by_place;
        if let Some(place) = *place {
            return places[place].waker.replace(waker);
        }
        *place = Some(places.insert(Placed { direction, waker: Some(waker) }));
        None
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
}
