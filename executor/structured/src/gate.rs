//! The gate of a group with a limit: so many of its children run at a time, the others have not begun.
//!
//! Whoever cannot go in at once draws a ticket. A child that ends hands its place to the lowest ticket, so nobody overtakes;
//! and one that was handed a place and is dropped before it took it hands it on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::{Context, Waker};

use handcar_executor::keep;

use crate::node;

pub(crate) struct Gate {
    pub(crate) limit: usize,
    /// Those inside, and those to whom a place was handed.
    inside: Cell<usize>,
    next_ticket: Cell<u64>,
    /// The ticket of each seat that has drawn one.
    tickets: RefCell<Vec<u64>>,
    /// Those who wait, by ticket. Whoever is handed a place is taken out.
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

/// Where a child stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// There is no gate; it has not begun.
    New,
    /// There is no gate; it runs.
    Free,
    Outside,
    Waiting,
    Inside,
}

impl Pass {
    #[inline]
    pub(crate) fn is_outside(self) -> bool {
        matches!(self, Pass::Outside | Pass::Waiting)
    }

    pub(crate) fn has_begun(self) -> bool {
        matches!(self, Pass::Free | Pass::Inside)
    }

    /// Where it stands once it has been polled.
    #[inline]
    pub(crate) fn begun(self) -> Pass {
        if self == Pass::New { Pass::Free } else { self }
    }
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Gate {
        Gate {
            limit,
            inside: Cell::new(0),
            next_ticket: Cell::new(0),
            tickets: RefCell::default(),
            waiting: RefCell::default(),
        }
    }

    /// Whether the child in seat `key` may run; else it is woken when it may.
    pub(crate) fn enter(&self, key: u32, pass: &mut Pass, cx: &Context<'_>) -> bool {
        match pass {
            Pass::New | Pass::Free | Pass::Inside => return true,
            Pass::Outside if self.inside.get() < self.limit => {
                self.inside.set(self.inside.get() + 1);
                *pass = Pass::Inside;
                return true;
            }
            Pass::Outside => self.draw(key as usize),
            Pass::Waiting if !self.waiting.borrow().contains_key(&self.tickets.borrow()[key as usize]) => {
                *pass = Pass::Inside;
                return true;
            }
            Pass::Waiting => {}
        }
        *pass = Pass::Waiting;
        let waker = keep(cx.waker()); // not under a borrow, whosever it is
        let before = self.waiting.borrow_mut().insert(self.tickets.borrow()[key as usize], waker);
        drop(before);
        false
    }

    fn draw(&self, key: usize) {
        let mut tickets = self.tickets.borrow_mut();
        if tickets.len() <= key {
            tickets.resize(key + 1, 0);
        }
        tickets[key] = self.next_ticket.replace(self.next_ticket.get() + 1);
    }

    /// The child in seat `key` has ended, wherever it stood.
    pub(crate) fn leave(&self, key: u32, pass: Pass) {
        match pass {
            Pass::New | Pass::Free | Pass::Outside => {}
            Pass::Inside => self.hand_on(),
            Pass::Waiting => {
                let still_waited = self.waiting.borrow_mut().remove(&self.tickets.borrow()[key as usize]);
                if still_waited.is_none() {
                    self.hand_on();
                }
            }
        }
    }

    fn hand_on(&self) {
        let next = self.waiting.borrow_mut().pop_first();
        match next {
            Some((_, waker)) => node::wake(waker),
            None => self.inside.set(self.inside.get() - 1),
        }
    }
}
