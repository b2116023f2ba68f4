//! The event: a flag, and who is released by it.

use std::rc::Rc;

use handcar_sync::Event;

use crate::common::{Model, Waiter, explore};
use crate::line::Stand;
use crate::{DEPTH, compare_wakes};

struct EventModel {
    event: Rc<Event>,
    waiters: [Waiter<()>; 3],
    is_set: bool,
    stands: [Stand; 3],
    woken: [bool; 3],
}

impl Model for EventModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let ready = self.stands[who] == Stand::Granted || self.stands[who] == Stand::Absent && self.is_set;
                let event = self.event.clone();
                let got = self.waiters[who].poll(|| Box::pin(async move { event.wait().await }));
                assert_eq!(got.is_some(), ready);
                self.stands[who] = if ready { Stand::Absent } else { Stand::Waiting };
            }
            3..6 => {
                if self.stands[who] == Stand::Absent {
                    return false;
                }
                self.waiters[who].future = None;
                self.stands[who] = Stand::Absent;
            }
            6 => {
                self.event.set();
                self.is_set = true;
                for (stand, woken) in self.stands.iter_mut().zip(&mut self.woken) {
                    if *stand == Stand::Waiting {
                        (*stand, *woken) = (Stand::Granted, true);
                    }
                }
            }
            _ => {
                self.event.clear();
                self.is_set = false;
            }
        }
        assert_eq!(self.event.is_set(), self.is_set);
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_event_agrees_with_its_model() {
    explore(DEPTH, || EventModel {
        event: Rc::default(),
        waiters: Default::default(),
        is_set: false,
        stands: Default::default(),
        woken: Default::default(),
    });
}
