//! Long lines that many join, leave and are served in, beside a list that says what ought to happen. Once with a stranger's wakers, which
//! tell who was woken, and once with that of a task, which is kept without a call.

mod common;

use std::mem;
use std::rc::Rc;

use std::future::poll_fn;
use std::task::Poll;

use common::{Boxed, Dice, Waiter};
use handcar_executor::{Runtime, spawn, yield_now};
use handcar_sync::{Event, Notify, Permit, Semaphore};

/// Runs it for a few seeds, with either kind of waker.
fn explore<F: Future<Output = ()> + 'static>(run: impl Fn(u64, bool) -> F) {
    for seed in 0..60 {
        for of_task in [false, true] {
            let run = run(seed, of_task);
            Runtime::new().unwrap().block_on(async { spawn(run).await }).unwrap();
        }
    }
}

/// How the wait of one ended, as far as the reference knows.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    None,
    Granted,
    Dismissed,
}

/// Somebody who waits, or has not looked yet.
struct Guest {
    waiter: Waiter<bool>,
    need: usize,
    end: End,
}

/// The reference: `line` are the indices of those who wait, in their order.
#[derive(Default)]
struct Reference {
    guests: Vec<Guest>,
    line: Vec<usize>,
    permits: usize,
    of_task: bool,
}

impl Reference {
    fn new(of_task: bool) -> Self {
        Self { of_task, ..Self::default() }
    }

    async fn poll(&self, waiter: &mut Waiter<bool>) -> Option<bool> {
        yield_now().await; // for a new budget
        if !self.of_task {
            return waiter.poll(|| unreachable!());
        }
        poll_fn(|cx| match waiter.future.as_mut().unwrap().as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn join(&mut self, future: Boxed<bool>, need: usize) {
        let mut waiter = Waiter::of(future);
        if self.poll(&mut waiter).await.is_none() {
            self.line.push(self.guests.len());
            self.guests.push(Guest { waiter, need, end: End::None });
        }
    }

    /// The end of a wait comes with a wake.
    fn end(&mut self, who: usize, end: End) {
        self.guests[who].end = end;
        assert!(self.of_task || self.guests[who].waiter.was_woken(), "{who} was not woken: {end:?}");
    }

    /// Grants what the first need.
    fn grant(&mut self) {
        while let Some(&who) = self.line.first()
            && let Some(left) = self.permits.checked_sub(self.guests[who].need)
            && self.permits > 0
        {
            self.permits = left;
            self.line.remove(0);
            self.end(who, End::Granted);
        }
    }

    /// Polls one, who goes if its wait has ended as the answer says.
    async fn look(&mut self, who: usize) {
        let mut waiter = mem::take(&mut self.guests[who].waiter);
        let answer = self.poll(&mut waiter).await;
        let guest = &mut self.guests[who];
        guest.waiter = waiter;
        assert_eq!(answer.is_some(), guest.end != End::None, "{who}: {answer:?} to {:?}", guest.end);
        if answer.is_some() {
            self.remove(who);
        }
    }

    /// Drops one, and says how its wait had ended.
    fn leave(&mut self, who: usize) -> End {
        self.line.retain(|&other| other != who);
        let end = self.guests[who].end;
        self.guests[who].waiter.future = None;
        self.remove(who);
        end
    }

    fn remove(&mut self, who: usize) {
        let last = self.guests.len() - 1;
        self.guests.swap_remove(who);
        for other in &mut self.line {
            if *other == last {
                *other = who;
            }
        }
    }

    /// Nobody was woken of whom the reference does not know.
    fn expect_quiet(&mut self) {
        for (who, guest) in self.guests.iter_mut().enumerate() {
            assert!(!guest.waiter.was_woken(), "{who} was woken for nothing");
        }
    }
}

/// Chooses what is done. How often each is changes from time to time: a line grows, shrinks and is served by turns.
struct Chooser {
    dice: Dice,
    weights: [usize; 6],
    made: usize,
}

impl Chooser {
    fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), weights: [0; 6], made: 0 }
    }

    fn next(&mut self) -> usize {
        if self.made.is_multiple_of(200) {
            self.weights = [(); 6].map(|()| [0, 1, 5, 30][self.dice.below(4)]);
        }
        self.made += 1;
        let throw = self.dice.below(self.weights.iter().sum::<usize>().max(1));
        (0..6).find(|&kind| throw < self.weights[..=kind].iter().sum()).unwrap_or(0)
    }

    fn below(&mut self, n: usize) -> usize {
        self.dice.below(n)
    }
}

#[test]
fn a_long_line_for_permits_is_served_in_its_order() {
    explore(|seed, of_task| async move {
        let mut dice = Chooser::new(seed);
        let semaphore = Rc::new(Semaphore::new(0));
        let mut reference = Reference::new(of_task);
        for step in 0..3000 {
            let guests = reference.guests.len();
            match dice.next() {
                0 | 1 => {
                    let need = [1, 1, 1, 2, 40][dice.below(5)];
                    let taken = reference.line.is_empty() && need <= reference.permits;
                    reference.permits -= if taken { need } else { 0 };
                    let semaphore = semaphore.clone();
                    let wait = async move {
                        let permits = semaphore.acquire_many(u32::try_from(need).unwrap()).await;
                        permits.map(Permit::forget).is_ok()
                    };
                    reference.join(Box::pin(wait), need).await;
                    assert_eq!(reference.guests.len() == guests, taken, "seed {seed}, step {step}");
                }
                2 if guests > 0 => reference.look(dice.below(guests)).await,
                3 if !reference.line.is_empty() => {
                    // Of those who wait, so that the line has gaps.
                    let who = reference.line[dice.below(reference.line.len())];
                    reference.leave(who);
                    reference.grant();
                }
                4 if guests > 0 => {
                    let who = dice.below(guests);
                    let need = reference.guests[who].need;
                    reference.permits += if reference.leave(who) == End::Granted { need } else { 0 };
                    reference.grant();
                }
                _ => {
                    let more = dice.below(4);
                    semaphore.add_permits(more);
                    reference.permits += more;
                    reference.grant();
                }
            }
            reference.expect_quiet();
            assert_eq!(semaphore.available_permits(), reference.permits, "seed {seed}, step {step}");
        }
        semaphore.close();
        for who in mem::take(&mut reference.line) {
            reference.end(who, End::Dismissed);
        }
        while let Some(guest) = reference.guests.pop() {
            let mut waiter = guest.waiter;
            let answer = reference.poll(&mut waiter).await;
            assert_eq!(answer, Some(guest.end == End::Granted), "seed {seed}");
        }
        let too_late = Box::pin(async move { semaphore.acquire().await.is_ok() });
        assert_eq!(reference.poll(&mut Waiter::of(too_late)).await, Some(false), "seed {seed}");
    });
}

#[test]
fn a_long_line_for_notifications_tells_them_apart() {
    explore(|seed, of_task| async move {
        let mut dice = Chooser::new(seed);
        let notify = Rc::new(Notify::new());
        let mut reference = Reference::new(of_task);
        for step in 0..3000 {
            let guests = reference.guests.len();
            let mut notifications = 0;
            match dice.next() {
                0 | 1 => {
                    let notify = notify.clone();
                    let wait = async move {
                        notify.notified().await;
                        true
                    };
                    reference.join(Box::pin(wait), 0).await;
                    assert_eq!(reference.guests.len(), guests + 1, "seed {seed}, step {step}: nothing was kept");
                }
                2 if guests > 0 => reference.look(dice.below(guests)).await,
                3 if guests > 0 => {
                    notifications = usize::from(reference.leave(dice.below(guests)) == End::Granted);
                }
                4 if !reference.line.is_empty() => {
                    if dice.below(2) == 0 {
                        notify.notify_last();
                        let who = reference.line.pop().unwrap();
                        reference.end(who, End::Granted);
                    } else {
                        notify.notify_one();
                        notifications = 1;
                    }
                }
                5 if dice.below(4) == 0 => {
                    notify.notify_waiters();
                    for who in mem::take(&mut reference.line) {
                        reference.end(who, End::Dismissed);
                    }
                }
                _ => {}
            }
            if notifications > 0 && !reference.line.is_empty() {
                let who = reference.line.remove(0);
                reference.end(who, End::Granted);
            } else if notifications > 0 {
                // It is kept: somebody who comes gets it.
                yield_now().await;
                assert_eq!(Waiter::of(Box::pin(notify.clone().notified_owned())).poll(|| unreachable!()), Some(()));
            }
            reference.expect_quiet();
        }
    });
}

#[test]
fn who_has_stayed_of_a_crowd_asks_in_either_order() {
    // So many that nothing quadratic would end.
    const CROWD: usize = 1 << 19;
    for from_the_back in [false, true] {
        let event = Rc::new(Event::new());
        let join = |_| {
            let event = event.clone();
            let mut waiter = Waiter::of(Box::pin(async move { event.wait().await }) as Boxed<()>);
            assert_eq!(waiter.poll(|| unreachable!()), None);
            waiter
        };
        let mut crowd: Vec<_> = (0..CROWD).map(join).collect();
        let mut number = 0;
        crowd.retain(|_| {
            number += 1;
            number % 3 == 0
        });
        // The ring is full, and these have those in it set aside.
        crowd.extend((0..CROWD / 2).map(join));
        event.set();
        if from_the_back {
            crowd.reverse();
        }
        assert!(crowd.iter_mut().all(|waiter| waiter.poll(|| unreachable!()).is_some()));
    }
}
