//! The end of a runtime: every task is cancelled, and what is to be told of it is told.
//!
//! ```text
//!     Open --> Draining: tasks that end by a rule of their own (layer.rs) are cancelled, and the loop runs on until they have
//!                 |      ended, at most for the grace period
//!                 v
//!              Closed:   every task that is left is dropped, then what their destructors spawned; the pool is joined
//! ```

use std::mem;
use std::time::Duration;

use crate::join_error::{CancelKind, CancelReason};
use crate::layer::Ending;
use crate::machine::core::Core;
use crate::machine::header::{HasHeader, Header};
use crate::machine::mailbox;
use crate::machine::waker::TaskId;
use crate::observe::{Cause, Event};
use crate::report::Report;
use crate::task_info::TaskInfo;
use crate::time::clock::{Clock, Instant};

/// How often, at shutdown, tasks that destructors spawned are cancelled in their turn.
const SHUTDOWN_ROUNDS: u32 = 1000;

/// How much longer than the grace period the runtime's end waits for tasks that end by a rule of their own: they keep the
/// period themselves, and began to count a little later.
const DRAIN_SLACK: Duration = Duration::from_millis(50);

/// How long busy tasks may keep a simulated clock from moving at the runtime's end.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(5);

/// How far the runtime's end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Open,
    /// Tasks that end by a rule of their own are cancelled and run on.
    Draining,
    /// Every task is dropped.
    Closed,
}

impl Core {
    /// Whether a task that is spawned while the tasks drain may run.
    #[cold]
    pub(crate) fn may_still_spawn(&self, ending: Ending) -> bool {
        self.closing.get() == Closing::Draining && ending == Ending::Member
    }

    /// Ends every task and the blocking pool, once. This core has to be the current one.
    pub(crate) fn shut_down(&self) {
        if self.closing.get() == Closing::Closed {
            return;
        }
        let runs_code = self.reporter.is_fatal() || self.pool.was_used() || self.task_count() > 0;
        let begun = runs_code.then(std::time::Instant::now);
        if let Some((task, payload)) = self.reporter.end_fatal() {
            self.reporter.report(Report::Panicked { task, payload });
        }
        if self.has_layer.get() {
            self.drain();
        }
        self.closing.set(Closing::Closed);
        self.end_tasks();
        let gone = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let left = self.grace.map(|grace| grace.saturating_sub(gone).max(DRAIN_SLACK.min(grace)));
        let jobs = self.pool.shut_down(left);
        if !jobs.is_empty() {
            self.reporter.report(Report::JobsLeft { jobs });
        }
        self.mailbox.close();
        if self.mailbox.has_mail() {
            self.open_mail();
        }
        self.end_tasks(); // what a job's captures or a report hook spawned
        let left = self.forget_tasks();
        if !left.is_empty() {
            self.reporter.report(Report::TasksLeft { tasks: left });
            self.end_tasks(); // what the hook spawned while it heard that
            self.forget_tasks();
        }
        self.observe(|| Event::Left);
        mailbox::unregister(self.address.number());
    }

    /// Cancels the tasks that end by a rule of their own, and runs the loop until they have, within the grace period.
    fn drain(&self) {
        self.closing.set(Closing::Draining);
        self.cancel_all(&|header| header.ending.get() != Ending::Member);
        let end = self.grace.map(|grace| self.timers.clock.now() + grace + DRAIN_SLACK);
        let alarm = end.map(|end| self.timers.arm_at(end, TaskId::NONE.waker()));
        let mut stands = Standstill::new(&self.timers.clock);
        while self.slots.has_queued() || self.task_count() > 0 {
            let may_block = !self.slots.has_queued(); // else the last one may end in this turn
            if self.turn(may_block).is_err() || end.is_some_and(|end| self.timers.looked_at() >= end) {
                break;
            }
            if self.grace.is_some_and(|grace| stands.outlasts(grace, &self.timers.clock)) {
                break;
            }
        }
        if let Some(alarm) = alarm {
            self.timers.disarm(alarm);
        }
        self.end_polls();
        let mut tasks = self.waiting_tasks();
        tasks.retain(|task| task.id != self.main.get());
        if !tasks.is_empty() {
            self.reporter.report(Report::TasksCut { tasks });
        }
    }

    fn end_tasks(&self) {
        let mut rounds = 0;
        while self.task_count() > 0 && rounds < SHUTDOWN_ROUNDS {
            // Not more than these: a destructor may spawn a task whose destructor spawns a task.
            for _ in 0..self.cancel_all(&|_| true) {
                let Some(task) = self.next_task() else { break };
                self.run(&*task);
            }
            self.end_polls();
            rounds += 1;
        }
    }

    /// Leaks every task but main, because their destructors do not come to an end.
    fn forget_tasks(&self) -> Vec<TaskInfo> {
        let left = self.slots.tasks().into_iter().filter(|task| task.header().id.get() != self.main.get());
        let forgotten = left.map(|task| {
            let info = task.header().info();
            mem::forget(task);
            info
        });
        forgotten.collect()
    }

    /// Flags and queues every task that `is_meant`, and says how many there are. Main is not meant: it is `block_on`'s.
    pub(crate) fn cancel_all(&self, is_meant: &dyn Fn(&Header) -> bool) -> usize {
        let main = self.main.get();
        let mut tasks = self.slots.tasks();
        tasks.retain(|task| task.header().id.get() != main && is_meant(task.header()));
        for task in &tasks {
            task.header().flag(CancelReason::new(CancelKind::Shutdown));
            self.because(Cause::Cancel, || self.mark(task.header().id.get()));
        }
        tasks.len()
    }

    /// Main first.
    pub(crate) fn waiting_tasks(&self) -> Vec<TaskInfo> {
        let others = self.slots.tasks().into_iter().filter(|task| task.header().id.get() != self.main.get());
        self.slots.task(self.main.get()).into_iter().chain(others).map(|task| self.info(&task)).collect()
    }

    /// How many tasks there are, main not counted.
    pub(crate) fn task_count(&self) -> usize {
        self.slots.len() - usize::from(self.slots.task(self.main.get()).is_some())
    }
}

/// For how long a clock has stood still, in real time. At its end a runtime must not wait for a time that never comes.
pub(crate) struct Standstill {
    at: Instant,
    since: std::time::Instant,
}

impl Standstill {
    pub(crate) fn new(clock: &Clock) -> Standstill {
        Standstill { at: clock.now(), since: std::time::Instant::now() }
    }

    /// Whether the clock stands for longer than `grace`; where nothing holds it, and tasks are busy, they get more.
    pub(crate) fn outlasts(&mut self, grace: Duration, clock: &Clock) -> bool {
        let now = clock.now();
        if now != self.at {
            *self = Standstill { at: now, since: std::time::Instant::now() };
        }
        self.since.elapsed() >= if clock.is_held() { grace } else { grace.max(LONGEST_STANDSTILL) }
    }
}
