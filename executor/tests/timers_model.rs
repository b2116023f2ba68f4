//! Random operations on timers, compared with a plain list: of tasks, whose wakers are plain numbers, and of strangers.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use handcar_executor::{Builder, Clock, Delegates, Instant, Runtime, Sleep, sleep, sleep_until};
use proptest::prelude::*;

mod common;
use common::{Call, CallingWaker, calling};

#[derive(Clone, Debug)]
enum Step {
    After(u64),
    At(u64),
    Never,
    Reset { which: usize, to: u64, polled: bool },
    Drop(usize),
    Poll(usize),
    Advance(u64),
    Deadline(usize),
    NextDeadline,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..12).prop_map(Step::After),
        4 => (0_u64..40).prop_map(Step::At),
        1 => Just(Step::Never),
        3 => (0_usize..64, 0_u64..40, any::<bool>()).prop_map(|(which, to, polled)| Step::Reset { which, to, polled }),
        3 => (0_usize..64).prop_map(Step::Drop),
        3 => (0_usize..64).prop_map(Step::Poll),
        4 => (0_u64..4).prop_map(Step::Advance),
        1 => (0_usize..64).prop_map(Step::Deadline),
        1 => Just(Step::NextDeadline),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// Made, or reset when it was not armed, and not polled since.
    New {
        deadline: u64,
    },
    Staged {
        after: u64,
        order: usize,
    },
    Armed {
        deadline: u64,
        order: usize,
    },
    Never,
    /// Fired or, if it was due at its first poll, yielded.
    Woken,
}

/// Timers as a plain list.
#[derive(Default)]
struct Model {
    timers: Vec<(u64, Expected)>,
    looked_at: u64,
    order: usize,
}

impl Model {
    fn next_order(&mut self) -> usize {
        self.order += 1;
        self.order
    }

    fn arm_at(&mut self, deadline: u64) -> Expected {
        if deadline <= self.looked_at {
            Expected::Woken
        } else {
            Expected::Armed { deadline, order: self.next_order() }
        }
    }

    fn settle(&mut self, now: u64) {
        self.looked_at = now;
        for (_, timer) in &mut self.timers {
            if let Expected::Staged { after, order } = *timer {
                *timer = Expected::Armed { deadline: now + after, order };
            }
        }
    }

    /// Whom a look wakes.
    fn look(&mut self, now: u64) -> Vec<u64> {
        if self.armed() == 0 {
            return Vec::new(); // an idle loop without timers does not read the clock
        }
        self.settle(now);
        let mut due = Vec::new();
        for (id, timer) in &mut self.timers {
            if let Expected::Armed { deadline, order } = *timer
                && deadline <= now
            {
                *timer = Expected::Woken;
                due.push((deadline, order, *id));
            }
        }
        due.sort_unstable();
        due.into_iter().map(|(_, _, id)| id).collect()
    }

    fn armed(&self) -> usize {
        let armed = |timer: &&(u64, Expected)| matches!(timer.1, Expected::Staged { .. } | Expected::Armed { .. });
        self.timers.iter().filter(armed).count()
    }
}

struct Real {
    runtime: Runtime,
    clock: Clock,
    woken: Rc<RefCell<Vec<u64>>>,
    sleeps: Vec<(Sleep, Whose)>,
    delegates: Delegates,
}

/// Whose waker a timer is polled with.
enum Whose {
    Stranger(CallingWaker),
    /// Of the delegate with this index, which is the timer's number, too.
    Plain(usize),
}

impl Real {
    fn new() -> Real {
        let clock = Clock::simulated();
        // With detection of deadlocks a number is counted, and so not plain.
        let runtime = Builder::new().clock(clock.clone()).detect_deadlocks(false).build().unwrap();
        Real { runtime, clock, woken: Rc::default(), sleeps: Vec::new(), delegates: Delegates::new() }
    }

    fn stranger(&self, id: u64) -> Whose {
        let woken = Rc::clone(&self.woken);
        Whose::Stranger(calling(move |call| {
            if matches!(call, Call::Wake | Call::WakeByRef) {
                woken.borrow_mut().push(id);
            }
        }))
    }

    fn plain(&mut self, id: u64) -> Whose {
        let child = self.delegates.insert();
        assert_eq!(child as u64, id);
        assert_eq!(self.woken(), [id], "a new delegate is to be polled");
        Whose::Plain(child)
    }

    fn poll(&mut self, which: usize) -> Poll<()> {
        let (asleep, whose) = &mut self.sleeps[which];
        self.runtime.enter(|| match whose {
            Whose::Stranger(waker) => waker.poll(asleep),
            Whose::Plain(child) => Pin::new(asleep).poll(&mut Context::from_waker(&self.delegates.waker(*child))),
        })
    }

    /// Who was woken since the last call.
    fn woken(&mut self) -> Vec<u64> {
        let mut woken = self.woken.take();
        if !self.delegates.is_empty() {
            self.runtime.enter(|| self.delegates.begin(&Context::from_waker(Waker::noop())));
            woken.extend(std::iter::from_fn(|| self.delegates.next()).map(|child| child as u64));
        }
        woken
    }
}

#[allow(clippy::too_many_lines)] // one arm per step reads best in one place
fn follow(steps: &[Step], plain: bool) {
    let nanos = Duration::from_nanos;
    let mut real = Real::new();
    let mut model = Model::default();
    let mut ids = 0..;
    for step in steps {
        let now = u64::try_from(real.clock.now().since_start().as_nanos()).unwrap();
        let count = real.sleeps.len();
        let mut expected: Vec<u64> = Vec::new();
        match *step {
            Step::After(_) | Step::At(_) | Step::Never => {
                let id = ids.next().unwrap();
                let (asleep, state) = match *step {
                    Step::After(0) => (sleep(nanos(0)), Expected::Woken),
                    Step::After(after) => (sleep(nanos(after)), Expected::Staged { after, order: model.next_order() }),
                    Step::At(deadline) => (sleep_until(Instant::START + nanos(deadline)), model.arm_at(deadline)),
                    _ => (sleep(Duration::MAX), Expected::Never),
                };
                let whose = if plain { real.plain(id) } else { real.stranger(id) };
                real.sleeps.push((asleep, whose));
                assert!(real.poll(count).is_pending());
                model.timers.push((id, state));
                if state == Expected::Woken {
                    expected.push(id);
                }
            }
            Step::Reset { which, to, polled } if count > 0 => {
                let which = which % count;
                let (asleep, _) = &mut real.sleeps[which];
                real.runtime.enter(|| asleep.reset(Instant::START + nanos(to)));
                let (id, state) = model.timers[which];
                let mut state = match state {
                    Expected::Woken | Expected::New { .. } => Expected::New { deadline: to },
                    _ => Expected::Armed { deadline: to, order: model.next_order() },
                };
                if polled {
                    assert!(real.poll(which).is_pending());
                    if let Expected::New { deadline } = state {
                        state = model.arm_at(deadline);
                        expected.extend((state == Expected::Woken).then_some(id));
                    }
                }
                model.timers[which].1 = state;
            }
            Step::Drop(which) if count > 0 => {
                drop(real.sleeps.remove(which % count));
                model.timers.remove(which % count);
            }
            Step::Poll(which) if count > 0 => {
                let which = which % count;
                let (id, state) = model.timers[which];
                let ready = real.poll(which).is_ready();
                assert_eq!(ready, state == Expected::Woken, "{state:?}");
                if ready {
                    drop(real.sleeps.remove(which));
                    model.timers.remove(which);
                } else if let Expected::New { deadline } = state {
                    let state = model.arm_at(deadline);
                    expected.extend((state == Expected::Woken).then_some(id));
                    model.timers[which].1 = state;
                }
            }
            Step::Advance(by) => {
                real.clock.advance(nanos(by));
                let _ = real.runtime.turn().unwrap();
                expected = model.look(now + by);
            }
            Step::Deadline(which) if count > 0 => {
                let which = which % count;
                if matches!(model.timers[which].1, Expected::Staged { .. }) {
                    model.settle(now);
                }
                let deadline = real.runtime.enter(|| real.sleeps[which].0.deadline());
                match model.timers[which].1 {
                    Expected::New { deadline: to } | Expected::Armed { deadline: to, .. } => {
                        assert_eq!(deadline, Instant::START + nanos(to));
                    }
                    Expected::Never => assert_eq!(deadline, Instant::NEVER),
                    Expected::Woken => assert!(deadline <= Instant::START + nanos(now)),
                    Expected::Staged { .. } => unreachable!("settled"),
                }
            }
            Step::NextDeadline => {
                let next = real.runtime.next_deadline();
                if model.armed() > 0 {
                    model.settle(now);
                }
                let deadlines = model.timers.iter().filter_map(|(_, timer)| match timer {
                    Expected::Armed { deadline, .. } => Some(*deadline),
                    _ => None,
                });
                assert_eq!(next, deadlines.min().map(|deadline| Instant::START + nanos(deadline)));
            }
            _ => {}
        }
        assert_eq!(real.woken(), expected, "after {step:?}");
        assert_eq!(real.runtime.metrics().timers, model.armed(), "after {step:?}");
    }
    drop(real.sleeps);
    assert_eq!(real.runtime.metrics().timers, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn timers_do_what_a_sorted_list_would_do(steps in steps()) {
        follow(&steps, false);
        follow(&steps, true);
    }
}
