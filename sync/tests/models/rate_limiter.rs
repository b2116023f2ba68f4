//! The rate limiter: seconds that are counted, and a line for the turn.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use handcar_executor::{Builder, Clock, Runtime};
use handcar_sync::RateLimiter;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

const SECOND: Duration = Duration::from_secs(1);

/// One in two seconds.
const STEP: u64 = 2;

struct RateModel {
    runtime: Rc<Runtime>,
    limiter: Rc<RateLimiter>,
    waiters: [Waiter<()>; 3],
    /// How far ahead of the rate one may go.
    slack: u64,
    now: u64,
    due: u64,
    /// Whoever has the turn comes first.
    line: VecDeque<usize>,
    /// Whether the first has looked, and sleeps.
    sleeps: bool,
    woken: [bool; 3],
}

impl RateModel {
    fn new(runtime: &Rc<Runtime>, burst: u32) -> Self {
        let clock = runtime.clock();
        Self {
            runtime: runtime.clone(),
            limiter: Rc::new(RateLimiter::new(1, SECOND * 2, burst)),
            waiters: Default::default(),
            slack: u64::from(burst - 1) * STEP,
            now: clock.now().since_start().as_secs(),
            due: 0,
            line: VecDeque::new(),
            sleeps: false,
            woken: [false; 3],
        }
    }

    fn is_free(&self) -> bool {
        self.due.saturating_sub(self.slack) <= self.now
    }

    fn use_up(&mut self) -> bool {
        let is_free = self.is_free();
        if is_free {
            self.due = self.due.max(self.now) + STEP;
        }
        is_free
    }

    fn poll(&mut self, who: usize) -> bool {
        if !self.line.contains(&who) {
            self.line.push_back(who);
        }
        if self.line[0] != who {
            return false;
        }
        if self.use_up() {
            self.leave(who);
            return true;
        }
        self.sleeps = true;
        false
    }

    /// The next gets the turn if this one had it.
    fn leave(&mut self, who: usize) {
        let had_turn = self.line.front() == Some(&who);
        self.line.retain(|&other| other != who);
        if had_turn {
            self.sleeps = false;
            if let Some(&next) = self.line.front() {
                self.woken[next] = true;
            }
        }
    }
}

impl Model for RateModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        let runtime = self.runtime.clone();
        match operation {
            0..3 => {
                let expected = self.poll(who);
                let limiter = self.limiter.clone();
                let make = || -> crate::common::Boxed<()> { Box::pin(async move { limiter.acquire().await }) };
                let got = runtime.enter(|| self.waiters[who].poll(make));
                assert_eq!(got.is_some(), expected);
            }
            3..6 => {
                if self.waiters[who].future.is_none() {
                    return false;
                }
                runtime.enter(|| self.waiters[who].future = None);
                self.leave(who);
            }
            6 => {
                let expected = self.line.is_empty() && self.use_up();
                assert_eq!(runtime.enter(|| self.limiter.try_acquire()), expected);
            }
            _ => {
                runtime.clock().advance(SECOND);
                runtime.turn().unwrap();
                self.now += 1;
                if self.sleeps && self.is_free() {
                    self.sleeps = false;
                    self.woken[self.line[0]] = true;
                }
            }
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_rate_limiter_agrees_with_its_model() {
    // One runtime for all sequences, whose clock just goes on.
    let runtime = Rc::new(Builder::new().clock(Clock::simulated()).build().unwrap());
    for burst in [1, 2] {
        explore(DEPTH, || RateModel::new(&runtime, burst));
    }
}
