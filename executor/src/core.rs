//! The core: one per runtime, and the loop.
//!
//! ```text
//!     turn ----------------------------------------------------------------------------------.
//!     |                                                                                      |
//!     |   pop a task from the run queue  ->  poll it  ->  finished? retire its slot          |
//!     |        ^                                |                                            |
//!     |        '---- until enough polls were made, or nothing is runnable                    |
//!     |                                                                                      |
//!     |   look:  1. sources   the parker collects I/O; it blocks only if nothing is runnable |
//!     |          2. clock     read once                                                      |
//!     |          3. timers    staged ones get their deadline, due ones wake their task       |
//!     |          4. mailbox   wakes from other threads                                       |
//!     '--------------------------------------------------------------------------------------'
//! ```
//!
//! The run queue is plain FIFO. What a poll wakes goes to its end, a task that wakes itself included; so between two polls of
//! one task every other runnable task is polled once, and the look comes by no matter how busy they are.
//!
//! *How many polls are enough?* A look costs a clock read and, once a source waits, a system call: after every poll that would
//! be more than the polls themselves. After very many, timers and sockets would be late. So the interval adapts: each look
//! measures how long the polls since the last one took, and aims at [`LOOK_EVERY`]. Cheap polls come to [`MAX_INTERVAL`] per
//! look; with polls of 200 us each there is a look after every one.
//!
//! **No user code runs under a borrow.** Whatever may call out (a poll, any destructor, a waker) is first taken out of its
//! cell, then the borrow ends, then it runs. So anything may be called from anywhere: a waker that spawns, a destructor that
//! wakes, a report hook that cancels.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::delegate::Ready;
use crate::join::{CancelKind, CancelReason, JoinHandle, PanicPayload};
use crate::mailbox::{self, Mailbox};
use crate::observe::{Cause, Event};
use crate::park::{Park, ThreadParker};
use crate::pool::Pool;
use crate::report::{Report, Reporter};
use crate::runtime::{Builder, Deadlock, RunError};
use crate::slots::{Slots, Woken};
use crate::task::{Header, Main, Progress, Run, TaskCell, TaskInfo};
use crate::timers::Timers;
use crate::waker::TaskId;
use crate::{budget, context};

/// The time between two looks that the interval aims at: what a timer or a socket may wait behind busy tasks.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// The most polls between two looks. A look of about 120 ns after 128 polls of 8 ns is a tenth of their time at the most.
const MAX_INTERVAL: u32 = 128;

/// How often, at shutdown, tasks that destructors spawned are cancelled in their turn.
const SHUTDOWN_ROUNDS: u32 = 1000;

pub(crate) struct Core {
    number: u16,
    slots: RefCell<Slots>,
    timers: Rc<Timers>,
    clock: Clock,
    mailbox: Arc<Mailbox>,
    /// Made when it is first needed; the reactor takes its place.
    parker: RefCell<Option<Rc<dyn Park>>>,
    pool: Pool,
    reporter: Reporter,
    observer: Option<Observer>,
    poll_budget: u32,
    grace: Option<Duration>,
    /// The task of `block_on`'s own future, once there has been one.
    main: Cell<TaskId>,
    /// The task that is being polled.
    running: Cell<TaskId>,
    /// What else wakes tasks at this moment.
    cause: Cell<Cause>,
    pace: Pace,
    closing: Cell<bool>,
    /// Buffers, kept for their memory.
    due: Cell<Vec<Waker>>,
    mail: Cell<Vec<TaskId>>,
}

pub(crate) type Observer = Box<dyn Fn(&Event<'_>)>;

/// How a turn ended.
pub(crate) enum Turned {
    /// It is main's turn to be polled.
    Main,
    /// Enough polls were made and a look, or nothing was runnable and the loop has looked, and slept if it might.
    Looked,
}

impl Core {
    pub(crate) fn new(builder: Builder) -> Result<Rc<Core>, RunError> {
        let mailbox = Arc::new(Mailbox::default());
        let Some(number) = mailbox::register(Arc::clone(&mailbox)) else {
            return Err(RunError::TooManyRuntimes);
        };
        let clock = builder.clock.unwrap_or_else(Clock::system);
        clock.belongs_to(&mailbox);
        Ok(Rc::new(Core {
            number,
            slots: RefCell::new(Slots::new(number)),
            timers: Rc::default(),
            clock,
            pool: Pool::new(builder.blocking_threads, Arc::clone(&mailbox)),
            mailbox,
            parker: RefCell::new(None),
            reporter: Reporter::new(builder.on_report, builder.panics_are_fatal),
            observer: builder.observer,
            poll_budget: builder.poll_budget,
            grace: builder.grace,
            main: Cell::new(TaskId::NONE),
            running: Cell::new(TaskId::NONE),
            cause: Cell::new(Cause::Outside),
            pace: Pace::default(),
            closing: Cell::new(false),
            due: Cell::default(),
            mail: Cell::default(),
        }))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(crate) fn slots(&self) -> &RefCell<Slots> {
        &self.slots
    }

    /// The task that is being polled, if one is.
    pub(crate) fn running(&self) -> Option<TaskInfo> {
        self.slots.borrow().task(self.running.get()).map(|task| task.header().info())
    }

    pub(crate) fn spawn<F>(
        &self,
        future: F,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = TaskCell::new(future, Header::new(at, name));
        let header = task.header();
        if self.closing.get() {
            header.flag(CancelReason { kind: CancelKind::Shutdown, at });
        }
        let id = self.slots.borrow_mut().insert_task(Rc::clone(&task) as Rc<dyn Run>);
        header.id.set(id);
        self.observe(|| Event::Spawned { task: id, name: header.name().map(|name| &**name), at });
        JoinHandle::new(task)
    }

    /// Puts whoever `id` names into its queue. A child's ready list is returned: its parent must be woken too, which may be
    /// a stranger's waker and so has to wait until the caller's borrow has ended.
    #[inline]
    pub(crate) fn mark(&self, id: TaskId) -> Option<Rc<Ready>> {
        let woken = self.slots.borrow_mut().wake(id);
        match woken {
            Woken::Queued => self.observe(|| Event::Woken { task: id, by: self.cause() }),
            Woken::Child(ready) => return Some(ready),
            Woken::Already | Woken::Stale => {}
        }
        None
    }

    fn cause(&self) -> Cause {
        match self.running.get() {
            TaskId::NONE => self.cause.get(),
            task => Cause::Task(task),
        }
    }

    /// Calls `wake` with `cause` noted as the reason, for the observer.
    fn because<R>(&self, cause: Cause, wake: impl FnOnce() -> R) -> R {
        let before = self.cause.replace(cause);
        let result = wake();
        self.cause.set(before);
        result
    }

    #[inline]
    fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(observer) = &self.observer {
            observer(&event());
        }
    }

    /// The loop, up to main's turn or to the end of the next look.
    pub(crate) fn turn(&self, may_block: bool) -> Result<Turned, RunError> {
        while !self.pace.is_over() {
            let Some((id, task)) = self.next_task() else { break };
            self.pace.count();
            if self.run(id, &*task) == Progress::Main {
                return Ok(Turned::Main);
            }
        }
        self.look(may_block)?;
        Ok(Turned::Looked)
    }

    #[inline]
    fn next_task(&self) -> Option<(TaskId, Rc<dyn Run>)> {
        self.slots.borrow_mut().pop()
    }

    #[inline]
    fn run(&self, id: TaskId, task: &dyn Run) -> Progress {
        self.begin_poll(id);
        self.observe(|| Event::Polled { task: id });
        let progress = task.poll(self, id);
        if progress == Progress::Finished {
            self.retire(id);
        }
        progress
    }

    #[inline(never)]
    fn retire(&self, id: TaskId) {
        let retired = self.slots.borrow_mut().retire(id);
        if retired.is_some() {
            self.observe(|| Event::Ended { task: id });
        }
    }

    /// Notes which task runs from now on, and what it may spend. Nothing is put back after each poll: the next one
    /// overwrites it, and a look ends it.
    #[inline]
    pub(crate) fn begin_poll(&self, id: TaskId) {
        self.running.set(id);
        budget::start(self.poll_budget);
    }

    /// No task runs any more.
    pub(crate) fn end_polls(&self) {
        self.running.set(TaskId::NONE);
        budget::stop();
    }

    /// Main's place in the run queue; made by the first `block_on`, and queued.
    pub(crate) fn queue_main(&self, at: &'static Location<'static>) -> TaskId {
        if self.main.get() == TaskId::NONE {
            let main = Rc::new(Main(Header::new(at, None)));
            let id = self.slots.borrow_mut().insert_task(Rc::clone(&main) as Rc<dyn Run>);
            main.0.id.set(id);
            self.main.set(id);
            self.observe(|| Event::Spawned { task: id, name: Some("main"), at });
        } else {
            self.mark(self.main.get());
        }
        self.main.get()
    }

    fn look(&self, may_block: bool) -> Result<(), RunError> {
        self.end_polls();
        let idle = !self.slots.borrow().has_queued() && !self.mailbox.has_mail();
        self.observe(|| Event::Looked { polls: self.pace.polls() });
        if idle && may_block {
            self.wait()?;
        } else {
            let parker = self.parker.borrow().clone();
            if let Some(parker) = parker.filter(|parker| parker.is_watching()) {
                self.because(Cause::Source, || parker.park(Some(Duration::ZERO)))?;
            }
        }
        if idle && self.timers.is_empty() {
            self.pace.idled();
        } else {
            let now = self.clock.now();
            self.pace.looked(now, idle);
            self.fire_timers(now);
        }
        if self.mailbox.has_mail() {
            self.open_mail();
        }
        Ok(())
    }

    /// Nothing is runnable: sleeps until something is, or lets the simulated clock jump.
    fn wait(&self) -> Result<(), RunError> {
        let parker = self.parker();
        let mut timeout = None;
        if !self.timers.is_empty() {
            let now = self.clock.now();
            self.timers.settle(now);
            timeout = self.timers.next_deadline().map(|deadline| deadline - now);
        }
        if self.clock.is_simulated() {
            if parker.is_watching() {
                self.because(Cause::Source, || parker.park(Some(Duration::ZERO)))?;
            }
            if self.slots.borrow().has_queued() || self.mailbox.has_mail() {
                return Ok(());
            }
            if !self.clock.is_held() {
                if let Some(by) = timeout {
                    self.observe(|| Event::Jumped { by });
                    self.clock.advance(by);
                    return Ok(());
                }
                if !parker.is_watching() {
                    return Err(RunError::Deadlock(Deadlock { tasks: self.waiting_tasks() }));
                }
            }
            timeout = None;
        }
        if timeout != Some(Duration::ZERO) {
            self.observe(|| Event::Parked { timeout });
        }
        self.because(Cause::Source, || parker.park(timeout))?;
        if timeout != Some(Duration::ZERO) {
            self.observe(|| Event::Unparked);
        }
        Ok(())
    }

    fn fire_timers(&self, now: Instant) {
        self.timers.settle(now);
        let mut due = self.due.take();
        self.timers.fire(now, &mut due);
        self.because(Cause::Timer, || wake_all(&mut due, &self.reporter));
        self.due.set(due);
    }

    fn open_mail(&self) {
        let mut mail = self.mail.take();
        let reports = self.mailbox.take(&mut mail);
        for id in mail.drain(..) {
            id.wake();
        }
        self.mail.set(mail);
        for report in reports {
            self.reporter.report(report);
        }
    }

    /// The earliest deadline of a timer.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.timers.is_empty() {
            return None;
        }
        self.timers.settle(self.clock.now());
        self.timers.next_deadline()
    }

    /// Whether a turn would find something to do at once.
    pub(crate) fn has_work(&self) -> bool {
        self.slots.borrow().has_queued() || self.mailbox.has_mail()
    }

    pub(crate) fn parker(&self) -> Rc<dyn Park> {
        if let Some(parker) = &*self.parker.borrow() {
            return Rc::clone(parker);
        }
        self.set_parker(Rc::new(ThreadParker::default()))
    }

    /// Parks there from now on.
    pub(crate) fn set_parker(&self, parker: Rc<dyn Park>) -> Rc<dyn Park> {
        self.mailbox.set_notifier(parker.notifier());
        let before = self.parker.borrow_mut().replace(Rc::clone(&parker));
        drop(before);
        parker
    }

    pub(crate) fn waiting_tasks(&self) -> Vec<TaskInfo> {
        self.slots.borrow().tasks().map(|task| task.header().info()).collect()
    }

    /// How many tasks there are, main not counted.
    pub(crate) fn task_count(&self) -> usize {
        self.slots.borrow().tasks().filter(|task| task.header().id.get() != self.main.get()).count()
    }

    /// Ends every task and the blocking pool. Called once, with this core as the current one.
    pub(crate) fn shut_down(&self) {
        self.closing.set(true);
        let mut rounds = 0;
        while self.task_count() > 0 && rounds < SHUTDOWN_ROUNDS {
            self.cancel_all();
            while let Some((id, task)) = self.next_task() {
                self.run(id, &*task);
            }
            self.end_polls();
            rounds += 1;
        }
        let left = self.slots.borrow_mut().forget_tasks(self.main.get());
        if !left.is_empty() {
            self.reporter.report(Report::TasksLeft { tasks: left });
        }
        let jobs_left = self.pool.shut_down(self.grace);
        if jobs_left > 0 {
            self.reporter.report(Report::JobsLeft { count: jobs_left });
        }
        if self.mailbox.has_mail() {
            self.open_mail();
        }
        mailbox::unregister(self.number);
    }

    fn cancel_all(&self) {
        let tasks: Vec<_> = self.slots.borrow().tasks().cloned().collect();
        for task in tasks {
            task.header().flag(CancelReason::new(CancelKind::Shutdown));
            let _child = self.because(Cause::Cancel, || self.mark(task.header().id.get()));
        }
    }
}

/// Wakes each, also when one of them panics.
fn wake_all(wakers: &mut Vec<Waker>, reporter: &Reporter) {
    for waker in wakers.drain(..) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            reporter.report(Report::WakerPanicked { payload: PanicPayload::new(payload) });
        }
    }
}

/// Notes `cause` as the reason of a wake, if a runtime is current, for its observer.
pub(crate) fn because(cause: Cause, wake: impl FnOnce()) {
    match context::with_current(Rc::clone) {
        Some(core) => core.because(cause, wake),
        None => wake(),
    }
}

/// How many polls are made between two looks.
struct Pace {
    interval: Cell<u32>,
    left: Cell<u32>,
    /// The clock at the end of the last look, if that look read it.
    since: Cell<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval: Cell::new(1), left: Cell::new(1), since: Cell::new(None) }
    }
}

impl Pace {
    #[inline]
    fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    #[inline]
    fn count(&self) {
        self.left.set(self.left.get() - 1);
    }

    fn polls(&self) -> u32 {
        self.interval.get() - self.left.get()
    }

    /// The loop has looked because it had nothing to run, and did not read the clock.
    fn idled(&self) {
        self.since.set(None);
        self.left.set(self.interval.get());
    }

    /// The loop has looked, at `now`. Only the time of polls tells anything about the interval, not that of sleep.
    #[allow(clippy::cast_possible_truncation)] // at most MAX_INTERVAL
    fn looked(&self, now: Instant, slept: bool) {
        let interval = self.interval.get();
        if let (Some(since), false) = (self.since.get(), slept) {
            let took = (now - since).as_nanos().max(1);
            let fitting = u128::from(interval) * LOOK_EVERY.as_nanos() / took;
            self.interval.set(fitting.clamp(1, u128::from(interval * 2).min(u128::from(MAX_INTERVAL))) as u32);
        }
        self.since.set(Some(now));
        self.left.set(self.interval.get());
    }
}
