//! The once cell: who makes the value, and who waits for that.

use std::collections::VecDeque;
use std::rc::Rc;

use handcar_sync::OnceCell;

use crate::common::{Model, Waiter, YieldOnce, explore};
use crate::{DEPTH, compare_wakes};

struct OnceModel {
    cell: Rc<OnceCell<usize>>,
    waiters: [Waiter<usize>; 3],
    value: Option<usize>,
    making: Option<usize>,
    line: VecDeque<usize>,
    woken: [bool; 3],
}

impl OnceModel {
    /// Gives the turn to the next in line.
    fn pass_on(&mut self) {
        self.making = self.line.pop_front();
        if let Some(who) = self.making {
            self.woken[who] = true;
        }
    }
}

impl Model for OnceModel {
    const OPERATIONS: usize = 7;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let is_new = self.waiters[who].future.is_none();
                let cell = self.cell.clone();
                let mut pending = true;
                let got = self.waiters[who].poll(|| {
                    Box::pin(async move {
                        // Making a value takes two polls.
                        *cell
                            .get_or_init(|| async {
                                YieldOnce(false).await;
                                who
                            })
                            .await
                    })
                });
                if is_new && let Some(value) = self.value {
                    assert_eq!(got, Some(value));
                    pending = false;
                } else if is_new && self.making.is_none() {
                    self.making = Some(who);
                    self.woken[who] = true;
                } else if is_new {
                    self.line.push_back(who);
                } else if self.making == Some(who) {
                    if let Some(value) = self.value {
                        assert_eq!(got, Some(value));
                        self.pass_on();
                        pending = false;
                    } else if self.waiters[who].was_woken() {
                        // It had the turn from another and begins only now.
                    } else {
                        assert_eq!(got, Some(who));
                        self.value = got;
                        self.pass_on();
                        pending = false;
                    }
                }
                assert_eq!(got.is_none(), pending);
            }
            3..6 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.making == Some(who) {
                    self.pass_on();
                }
            }
            _ => {
                let expected = self.value.is_none() && self.making.is_none();
                assert_eq!(self.cell.set(9).is_ok(), expected);
                if expected {
                    self.value = Some(9);
                }
            }
        }
        assert_eq!(self.cell.get().copied(), self.value);
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_once_cell_agrees_with_its_model() {
    explore(DEPTH, || OnceModel {
        cell: Rc::default(),
        waiters: Default::default(),
        value: None,
        making: None,
        line: VecDeque::new(),
        woken: Default::default(),
    });
}
