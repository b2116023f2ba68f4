//! The condition, together with its mutex.

use std::collections::VecDeque;
use std::rc::Rc;

use handcar_sync::{Condition, Mutex};

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

/// Whoever waits on the condition has gone through the mutex first; the reference needs both lines.
struct ConditionModel {
    shared: Rc<(Rc<Mutex<()>>, Condition)>,
    waiters: [Waiter<()>; 3],
    /// Those who wait for a notification, in order.
    line: VecDeque<usize>,
    /// What the others were given, until they return.
    given: [Option<&'static str>; 3],
    woken: [bool; 3],
}

impl ConditionModel {
    fn notify_one(&mut self) {
        if let Some(who) = self.line.pop_front() {
            (self.given[who], self.woken[who]) = (Some("one"), true);
        }
    }
}

impl Model for ConditionModel {
    const OPERATIONS: usize = 8;

    // Between two steps nobody holds the mutex: so a wait that was notified returns at its next poll.
    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        let shared = self.shared.clone();
        match operation {
            0..3 => {
                if self.waiters[who].future.is_none() {
                    self.line.push_back(who);
                }
                let expected = self.given[who].take().is_some();
                let got = self.waiters[who].poll(|| {
                    Box::pin(async move {
                        let guard = shared.0.lock().await;
                        drop(shared.1.wait(guard).await);
                    })
                });
                assert_eq!(got.is_some(), expected);
            }
            3..6 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.given[who].take() == Some("one") {
                    self.notify_one();
                }
            }
            6 => {
                shared.1.notify_one(&shared.0.try_lock().unwrap());
                self.notify_one();
            }
            _ => {
                shared.1.notify_all(&shared.0.try_lock().unwrap());
                for who in self.line.drain(..) {
                    (self.given[who], self.woken[who]) = (Some("all"), true);
                }
            }
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_condition_agrees_with_its_model() {
    explore(DEPTH, || ConditionModel {
        shared: Rc::new((Rc::new(Mutex::new(())), Condition::new())),
        waiters: Default::default(),
        line: VecDeque::new(),
        given: Default::default(),
        woken: Default::default(),
    });
}
