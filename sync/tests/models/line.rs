//! The reference of all that hands out permits: a number of them, and a line of those who want some.

use std::collections::VecDeque;

/// How a waiter of the reference stands.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) enum Stand {
    #[default]
    Absent,
    Waiting,
    Granted,
    Refused,
    Holding,
}

/// The reference: permits, and a line of numbers.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) permits: usize,
    pub(crate) closed: bool,
    pub(crate) order: VecDeque<usize>,
    pub(crate) needs: [usize; 3],
    pub(crate) stands: [Stand; 3],
    pub(crate) woken: [bool; 3],
}

impl Line {
    pub(crate) fn grant(&mut self) {
        while let Some(&who) = self.order.front()
            && self.needs[who] <= self.permits
        {
            self.permits -= self.needs[who];
            self.order.pop_front();
            self.stands[who] = Stand::Granted;
            self.woken[who] = true;
        }
    }

    /// Some(Ok) when it has its permits, Some(Err) when it is refused.
    pub(crate) fn poll(&mut self, who: usize) -> Option<Result<(), ()>> {
        match self.stands[who] {
            Stand::Absent if self.closed => Some(Err(())),
            Stand::Absent if self.order.is_empty() && self.needs[who] <= self.permits => {
                self.permits -= self.needs[who];
                Some(Ok(()))
            }
            Stand::Absent => {
                self.order.push_back(who);
                self.stands[who] = Stand::Waiting;
                None
            }
            Stand::Waiting => None,
            Stand::Granted => Some(Ok(())),
            Stand::Refused => Some(Err(())),
            Stand::Holding => unreachable!(),
        }
    }

    pub(crate) fn drop(&mut self, who: usize) {
        let stand = std::mem::take(&mut self.stands[who]);
        self.order.retain(|&other| other != who);
        if matches!(stand, Stand::Granted | Stand::Holding) {
            self.permits += self.needs[who];
        }
        self.grant();
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
        for who in self.order.drain(..) {
            self.stands[who] = Stand::Refused;
            self.woken[who] = true;
        }
    }
}
