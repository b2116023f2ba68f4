//! Notify: a line, what each was given, and one notification that is kept.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use handcar_sync::Notify;

use crate::common::{Model, Waiter, explore};
use crate::{DEPTH, compare_wakes};

/// The last four operations, `enable` and `notify_last`, would make the whole too long: there is one with and one without.
#[derive(Default)]
struct NotifyModel<const OPERATIONS: usize> {
    notify: Rc<Notify>,
    /// Tells the future whose turn it is to enable itself, and how that went.
    enable: Rc<Cell<Option<bool>>>,
    waiters: [Waiter<()>; 3],
    kept: bool,
    line: VecDeque<usize>,
    /// Whether it stands in the line with a waker.
    has_waker: [bool; 3],
    /// What a waiter was given: nothing yet, by `notify_one`, by `notify_waiters`.
    given: [Option<&'static str>; 3],
    woken: [bool; 3],
}

impl<const OPERATIONS: usize> NotifyModel<OPERATIONS> {
    fn notify(&mut self, who: Option<usize>) {
        let Some(who) = who else {
            self.kept = true;
            return;
        };
        self.given[who] = Some("one");
        self.woken[who] = self.has_waker[who];
    }

    fn notify_one(&mut self) {
        let first = self.line.pop_front();
        self.notify(first);
    }

    /// Takes a place in the line, or what is there to be had.
    fn enter(&mut self, who: usize) {
        if self.given[who].is_none() && !self.line.contains(&who) {
            if std::mem::take(&mut self.kept) {
                self.given[who] = Some("one");
            } else {
                self.line.push_back(who);
            }
        }
    }
}

impl<const OPERATIONS: usize> Model for NotifyModel<OPERATIONS> {
    const OPERATIONS: usize = OPERATIONS;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            // Creates.
            0..3 => {
                if self.waiters[who].future.is_some() {
                    return false;
                }
                let mut notified = Box::pin(self.notify.clone().notified_owned());
                let enable = self.enable.clone();
                self.waiters[who].future = Some(Box::pin(poll_fn(move |cx| {
                    if enable.get().is_none() {
                        return notified.as_mut().poll(cx);
                    }
                    enable.set(Some(notified.as_mut().enable()));
                    Poll::Pending
                })));
                self.given[who] = None;
                self.has_waker[who] = false;
            }
            // Polls.
            3..6 => {
                if self.waiters[who].future.is_none() {
                    return false;
                }
                self.enter(who);
                self.has_waker[who] = true;
                let got = self.waiters[who].poll(|| unreachable!());
                assert_eq!(got.is_some(), self.given[who].is_some());
            }
            // Drops.
            6..9 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.given[who].take() == Some("one") {
                    self.notify_one();
                }
            }
            9 => {
                self.notify.notify_one();
                self.notify_one();
            }
            10 => {
                self.notify.notify_waiters();
                for who in self.line.drain(..) {
                    self.woken[who] = self.has_waker[who];
                    self.given[who] = Some("all");
                }
                for (waiter, given) in self.waiters.iter().zip(&mut self.given) {
                    if waiter.future.is_some() {
                        given.get_or_insert("all");
                    }
                }
            }
            11 => {
                self.notify.notify_last();
                let last = self.line.pop_back();
                self.notify(last);
            }
            _ => {
                if self.waiters[who].future.is_none() {
                    return false;
                }
                self.enter(who);
                self.enable.set(Some(false));
                assert!(self.waiters[who].poll(|| unreachable!()).is_none());
                assert_eq!(self.enable.take(), Some(self.given[who].is_some()));
            }
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn notify_agrees_with_its_model() {
    explore(DEPTH, NotifyModel::<11>::default);
    explore(DEPTH - 1, NotifyModel::<15>::default);
}
