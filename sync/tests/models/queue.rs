//! The queues: two lines, and a store with an order of its own.

use std::cmp::Ordering;
use std::rc::Rc;

use handcar_sync::mpsc::error::SendError;
use handcar_sync::queue::{AnyQueue, Store};
use handcar_sync::{LifoQueue, PriorityQueue, Queue};

use crate::common::{Model, Waiter, explore};
use crate::line::{Line, Stand};
use crate::{DEPTH, compare_wakes};

/// What is put: ordered by its urgency alone, so that only the queue can tell two equally urgent ones apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Job {
    urgency: u8,
    of: usize,
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.urgency.cmp(&other.urgency)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Two putters and two getters.
struct QueueModel<S: Store<Item = Job>> {
    queue: Rc<AnyQueue<S>>,
    jobs: [Job; 2],
    putters: [Waiter<Result<(), SendError<Job>>>; 2],
    getters: [Waiter<Option<Job>>; 2],
    slots: Line,
    items: Line,
    /// In the order of putting.
    store: Vec<Job>,
    /// Which of them comes next.
    next: fn(&[Job]) -> Option<usize>,
}

impl<S: Store<Item = Job> + 'static> Model for QueueModel<S> {
    const OPERATIONS: usize = 10;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 2;
        let job = self.jobs[who];
        let queue = self.queue.clone();
        match operation {
            0..2 => {
                let expected = match self.slots.poll(who) {
                    Some(Ok(())) if !self.slots.closed => {
                        self.store.push(job);
                        self.items.permits += 1;
                        self.items.grant();
                        Some(Ok(()))
                    }
                    Some(_) => Some(Err(SendError(job))),
                    None => None,
                };
                if expected.is_some() {
                    self.slots.stands[who] = Stand::Absent;
                }
                let got = self.putters[who].poll(|| Box::pin(async move { queue.put(job).await }));
                assert_eq!(got, expected);
            }
            2..4 => {
                let expected = match self.items.poll(who) {
                    Some(Ok(())) => Some(self.take()),
                    Some(Err(())) => Some(None),
                    None => None,
                };
                if expected.is_some() {
                    self.items.stands[who] = Stand::Absent;
                }
                let got = self.getters[who].poll(|| Box::pin(async move { queue.get().await }));
                assert_eq!(got, expected);
            }
            4..6 => {
                if self.putters[who].future.take().is_none() {
                    return false;
                }
                self.slots.drop(who);
            }
            6..8 => {
                if self.getters[who].future.take().is_none() {
                    return false;
                }
                self.items.drop(who);
            }
            8 => {
                if self.slots.closed {
                    return false;
                }
                queue.close();
                self.slots.close();
                self.close_if_drained();
            }
            _ => {
                let left: Vec<_> = std::iter::from_fn(|| self.pop()).collect();
                assert_eq!(left, queue.close_now());
                self.slots.close();
                self.close_if_drained();
            }
        }
        assert_eq!(self.queue.len(), self.store.len());
        compare_wakes(&mut self.putters, &mut self.slots.woken);
        compare_wakes(&mut self.getters, &mut self.items.woken);
        true
    }
}

impl<S: Store<Item = Job>> QueueModel<S> {
    fn pop(&mut self) -> Option<Job> {
        (self.next)(&self.store).map(|next| self.store.remove(next))
    }

    fn take(&mut self) -> Option<Job> {
        let item = self.pop()?;
        self.slots.permits += 1;
        self.slots.grant();
        self.close_if_drained();
        Some(item)
    }

    fn close_if_drained(&mut self) {
        if self.slots.closed && self.store.is_empty() {
            self.items.close();
        }
    }
}

/// Jobs that are equally urgent, and a second that is more urgent than the first.
fn compare<S: Store<Item = Job> + 'static>(capacity: usize, next: fn(&[Job]) -> Option<usize>) {
    for urgencies in [[1, 1], [1, 0]] {
        explore(DEPTH, || QueueModel::<S> {
            queue: Rc::new(AnyQueue::new(capacity)),
            jobs: [Job { urgency: urgencies[0], of: 0 }, Job { urgency: urgencies[1], of: 1 }],
            putters: Default::default(),
            getters: Default::default(),
            slots: Line { permits: capacity, needs: [1; 3], ..Line::default() },
            items: Line { permits: 0, needs: [1; 3], ..Line::default() },
            store: vec![],
            next,
        });
    }
}

/// Names a store by its queue.
trait Named {
    type Store;
}

impl<S: Store> Named for AnyQueue<S> {
    type Store = S;
}

#[test]
fn the_queue_agrees_with_its_model() {
    fn next(jobs: &[Job]) -> Option<usize> {
        (!jobs.is_empty()).then_some(0)
    }
    compare::<<Queue<Job> as Named>::Store>(1, next);
}

#[test]
fn the_lifo_queue_agrees_with_its_model() {
    compare::<<LifoQueue<Job> as Named>::Store>(2, |jobs| jobs.len().checked_sub(1));
}

#[test]
fn the_priority_queue_agrees_with_its_model() {
    fn next(jobs: &[Job]) -> Option<usize> {
        // Of equals, the one that was put first.
        (0..jobs.len()).min_by_key(|&at| (jobs[at].urgency, at))
    }
    compare::<<PriorityQueue<Job> as Named>::Store>(2, next);
}
