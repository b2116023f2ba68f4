//! The barrier, for groups of two.

use std::rc::Rc;

use handcar_sync::Barrier;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

struct BarrierModel {
    barrier: Rc<Barrier>,
    waiters: [Waiter<bool>; 3],
    waiting: Vec<usize>,
    released: [bool; 3],
    woken: [bool; 3],
}

impl Model for BarrierModel {
    const OPERATIONS: usize = 6;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        if operation < 3 {
            let expected = if std::mem::take(&mut self.released[who]) {
                Some(false)
            } else if self.waiting.contains(&who) {
                None
            } else if self.waiting.len() == 1 {
                let other = self.waiting.remove(0);
                (self.released[other], self.woken[other]) = (true, true);
                Some(true)
            } else {
                self.waiting.push(who);
                None
            };
            let barrier = self.barrier.clone();
            let got = self.waiters[who].poll(|| Box::pin(async move { barrier.wait().await.is_leader() }));
            assert_eq!(got, expected);
        } else {
            if self.waiters[who].future.take().is_none() {
                return false;
            }
            self.waiting.retain(|&other| other != who);
            self.released[who] = false;
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_barrier_agrees_with_its_model() {
    explore(DEPTH, || BarrierModel {
        barrier: Rc::new(Barrier::new(2)),
        waiters: Default::default(),
        waiting: vec![],
        released: Default::default(),
        woken: Default::default(),
    });
}
