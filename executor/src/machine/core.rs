//! The core: one per runtime, and the loop.
//!
//! ```text
//!     turn ----------------------------------------------------------------------------------.
//!     |                                                                                      |
//!     |   pop a task from the run queue  ->  poll it  ->  finished? retire its slot          |
//!     |        ^                                |                                            |
//!     |        '---- until enough polls were made, or nothing is runnable, nor in the mail   |
//!     |                                                                                      |
//!     |   look:  1. sources   the parker collects I/O; it blocks only if nothing is runnable |
//!     |          2. clock     read once                                                      |
//!     |          3. timers    staged ones get their deadline, due ones wake their task       |
//!     |          4. mailbox   wakes from other threads                                       |
//!     '--------------------------------------------------------------------------------------'
//! ```
//!
//! The run queue is FIFO. What a poll wakes goes to its end, a task that wakes itself included; so between two polls of
//! one task every other runnable task is polled once, and the look comes by no matter how busy they are. One exception: who was polled
//! last before a look, and is last in line, since it has woken itself, is put behind whom the look wakes. It has just had its turn.
//!
//! `pace.rs` says how many polls are enough.
//!
//! **No user code runs under a borrow.** Whatever may call out (a poll, any destructor, a waker) is first taken out of its
//! cell, then the borrow ends, then it runs. So anything may be called from anywhere: a waker that spawns, a destructor that
//! wakes, a report hook that cancels.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::cells::Cells;
use crate::join_error::{CancelKind, CancelReason};
use crate::layer::{self, Ending};
use crate::machine::budget;
use crate::machine::header::{HasHeader, Header};
use crate::machine::join::JoinHandle;
use crate::machine::mailbox::{self, Address, Mailbox};
use crate::machine::pace::Pace;
use crate::machine::park::{self, Park, ThreadParker};
use crate::machine::slots::Slots;
use crate::machine::task::{Progress, Run, TaskCell};
use crate::machine::timers::Timers;
use crate::machine::waker::TaskId;
use crate::observe::{Cause, Event, Observer};
use crate::pool::Pool;
use crate::report::{self, Reporter};
use crate::runtime::{Builder, RunError};
use crate::shutdown::Closing;
use crate::time::clock::{Clock, Instant};

pub(crate) struct Core {
    pub(crate) address: Address,
    pub(crate) slots: Slots,
    pub(crate) cells: Cells,
    pub(crate) timers: Rc<Timers>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Made when it is first needed; the reactor takes its place.
    parker: RefCell<Option<Rc<dyn Park>>>,
    pub(crate) pool: Pool,
    pub(crate) reporter: Reporter,
    pub(crate) observer: Option<Observer>,
    poll_budget: i64,
    pub(crate) grace: Option<Duration>,
    pub(crate) report_unpolled: bool,
    /// The task of `block_on`'s own future, once there has been one, and who called `block_on` last.
    pub(crate) main: Cell<TaskId>,
    pub(crate) main_at: Cell<Option<&'static Location<'static>>>,
    /// The task that is being polled.
    pub(crate) running: Cell<TaskId>,
    /// The local task that it polls, if it polls one.
    pub(crate) hosted: Cell<Option<Rc<dyn Run>>>,
    /// What else wakes tasks at this moment.
    pub(crate) cause: Cell<Cause>,
    pace: Pace,
    pub(crate) closing: Cell<Closing>,
    /// Whether there ever was a task that ends by a rule of its own.
    pub(crate) has_layer: Cell<bool>,
    /// How often the tasks of this run were asked what they wait for, because it had come to a halt.
    pub(crate) asked: Cell<u32>,
    /// Buffers, kept for their memory.
    due: Cell<Vec<Waker>>,
    mail: Cell<Vec<TaskId>>,
}

/// How a turn ended.
pub(crate) enum Turned {
    /// It is main's turn to be polled.
    Main,
    /// Enough polls were made and a look, or nothing was runnable and the loop has looked, and slept if it might.
    Looked,
}

impl Core {
    pub(crate) fn new(builder: Builder) -> Result<Rc<Core>, RunError> {
        let clock = builder.clock.unwrap_or_else(Clock::unheld);
        let mailbox = Arc::new(Mailbox::new(builder.detector.unwrap_or_else(|| clock.detector())));
        clock.belongs_to(&mailbox);
        let observer = builder.watch.with_own(&mailbox, builder.observer)?;
        let address = mailbox::register(Arc::clone(&mailbox)).ok_or(RunError::TooManyRuntimes)?;
        Ok(Rc::new_cyclic(|_| Core {
            address,
            slots: Slots::new(address.executor),
            cells: Cells::new(),
            timers: Rc::new(Timers::new(clock)),
            pool: Pool::new(builder.blocking_threads),
            mailbox,
            parker: RefCell::new(None),
            reporter: Reporter::new(builder.on_report, builder.panics_are_fatal),
            observer,
            poll_budget: i64::from(builder.poll_budget),
            grace: builder.grace,
            report_unpolled: builder.report_unpolled,
            main: Cell::new(TaskId::NONE),
            main_at: Cell::new(None),
            running: Cell::new(TaskId::NONE),
            hosted: Cell::default(),
            cause: Cell::new(Cause::Outside),
            pace: Pace::default(),
            closing: Cell::new(Closing::Open),
            has_layer: Cell::new(false),
            asked: Cell::new(0),
            due: Cell::default(),
            mail: Cell::default(),
        }))
    }

    /// Whether a cancelled task is dropped now, rather than polled on.
    pub(crate) fn drops(&self, task: &Header) -> bool {
        task.ending.get() == Ending::Dropped || self.closing.get() == Closing::Closed
    }

    /// `future` makes it, after the last reason not to, and runs no user code.
    #[inline]
    #[track_caller]
    pub(crate) fn spawn<F>(
        &self,
        future: impl FnOnce() -> F,
        ending: Ending,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.slots.expect_room();
        let task = TaskCell::new(future, Header::new(at, name, ending, self.address.incarnation), &self.cells);
        let header = task.header();
        self.has_layer.set(self.has_layer.get() || ending != Ending::Dropped);
        if self.closing.get() != Closing::Open && !self.may_still_spawn(ending) {
            header.flag(CancelReason { kind: CancelKind::Shutdown, at });
        }
        let id = self.slots.insert_task(Rc::clone(&task) as Rc<dyn Run>);
        header.id.set(id);
        self.observe(move || Event::Spawned { task: id, name: header.name().map(|name| &**name), at });
        JoinHandle::new(task)
    }

    /// Puts a task into the run queue.
    #[inline(always)]
    #[allow(clippy::inline_always)] // a call less for each wake: 9.0 to 8.7 ns a switch
    pub(crate) fn mark(&self, id: TaskId) {
        let is_new = self.slots.wake(id);
        if is_new && self.observer.is_some() {
            self.tell_woken(id);
        }
    }

    #[cold]
    #[inline(never)] // a wake has no frame
    fn tell_woken(&self, id: TaskId) {
        self.observe(|| Event::Woken { task: id, by: self.cause() });
    }

    /// The loop, up to main's turn or to the end of the next look.
    pub(crate) fn turn(&self, may_block: bool) -> Result<Turned, RunError> {
        while !self.pace.is_over() {
            let Some(task) = self.next_task() else {
                if self.got_mail() {
                    continue;
                }
                break;
            };
            let progress = self.run(&*task);
            if progress != Progress::Over {
                self.pace.count();
            }
            if progress == Progress::Main {
                return Ok(Turned::Main);
            }
            if progress != Progress::Pending && Rc::strong_count(&task) == 1 {
                self.cells.keep(task);
            }
        }
        self.look(may_block)?;
        Ok(Turned::Looked)
    }

    /// The next in the run queue. It is the one that runs from now on.
    #[inline]
    pub(crate) fn next_task(&self) -> Option<Rc<dyn Run>> {
        let task = self.slots.pop(|| self.pace.end_with_next(self.timers.clock.now()))?;
        self.running.set(task.header().id.get());
        Some(task)
    }

    /// Nothing is runnable: mail that came during the polls does not have to wait for the next look. True if there was any.
    fn got_mail(&self) -> bool {
        let came = self.mailbox.has_mail();
        if came {
            self.end_polls();
            self.open_mail();
        }
        came
    }

    #[inline]
    pub(crate) fn run(&self, task: &dyn Run) -> Progress {
        let id = self.running.get();
        self.begin_poll(id);
        if self.observer.is_some() && !task.header().is_finished() {
            self.observe(|| Event::Polled { task: id });
        }
        let progress = task.poll(id);
        if let Progress::Finished | Progress::Over = progress {
            self.retire(id);
        }
        progress
    }

    #[inline]
    pub(crate) fn retire(&self, id: TaskId) {
        let retired = self.slots.retire(id);
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
        layer::set_attention(0);
    }

    /// No task runs any more.
    pub(crate) fn end_polls(&self) {
        self.running.set(TaskId::NONE);
        budget::stop();
        layer::set_attention(0);
        self.observe(|| Event::Paused);
    }

    fn look(&self, may_block: bool) -> Result<(), RunError> {
        let last = self.running.get();
        self.end_polls();
        if self.reporter.is_fatal() {
            return Ok(()); // `block_on` resumes the panic
        }
        let idle = !self.has_work();
        let _aside = Aside::new(self, last);
        self.observe(|| Event::Looked { polls: self.pace.polls() });
        if idle && may_block {
            self.wait()?;
        } else {
            // A host waits for the parker's descriptor, which goes on asking for turns until all is collected.
            let parker = self.parker.borrow().clone();
            if let Some(parker) = parker.filter(|parker| parker.is_watching() || !may_block) {
                self.because(Cause::Source, || parker.park(Some(Duration::ZERO)))?;
            }
        }
        if idle && self.timers.is_empty() {
            self.pace.idled();
        } else {
            let now = self.timers.clock.now();
            if self.pace.looked(now, idle) {
                self.slots.note_slow(last);
            }
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
        let mut timeout = self.next_deadline().map(|deadline| deadline - self.timers.looked_at());
        if self.timers.clock.is_simulated() {
            if parker.is_watching() {
                self.because(Cause::Source, || parker.park(Some(Duration::ZERO)))?;
            }
            // First the hold, then the mail: a blocking job sends its wake before it lets the clock go.
            let held = self.timers.clock.is_held();
            if self.has_work() || timeout == Some(Duration::ZERO) {
                return Ok(()); // something is runnable, or a timer is due
            }
            if let Some(by) = timeout.filter(|_| !held) {
                self.observe(|| Event::Jumped { by });
                self.timers.clock.advance(by);
                return Ok(());
            }
        }
        if let (Some(detector), None) = (&self.mailbox.detector, timeout)
            && detector.has_halted(self)?
        {
            return Ok(());
        }
        if self.timers.clock.is_simulated() {
            timeout = self.grace.filter(|_| self.closing.get() == Closing::Draining); // real time: virtual time stands still
        }
        if self.mailbox.fall_asleep() {
            self.observe(|| Event::Parked { timeout });
            self.because(Cause::Source, || parker.park(timeout))?;
            self.observe(|| Event::Unparked);
        }
        self.mailbox.wake_up();
        Ok(())
    }

    fn fire_timers(&self, now: Instant) {
        self.timers.settle(now);
        let mut due = self.due.take();
        self.timers.fire(now, &mut due);
        self.because(Cause::Timer, || park::wake_all(&mut due));
        self.due.set(due);
    }

    pub(crate) fn open_mail(&self) {
        let mut mail = self.mail.take();
        let reports = self.mailbox.take(&mut mail);
        for id in mail.drain(..) {
            report::wake(|| id.wake());
        }
        self.mail.set(mail);
        for report in reports {
            self.reporter.report(report);
        }
    }

    pub(crate) fn parker(&self) -> Rc<dyn Park> {
        if let Some(parker) = &*self.parker.borrow() {
            return Rc::clone(parker);
        }
        self.set_parker(Rc::new(ThreadParker::default()))
    }

    /// Whether that is the address of its parker.
    pub(crate) fn parks_at(&self, parker: *const ()) -> bool {
        self.parker.borrow().as_ref().is_some_and(|known| Rc::as_ptr(known).addr() == parker.addr())
    }

    /// Parks there from now on.
    pub(crate) fn set_parker(&self, parker: Rc<dyn Park>) -> Rc<dyn Park> {
        self.mailbox.set_notifier(parker.notifier());
        let before = self.parker.borrow_mut().replace(Rc::clone(&parker));
        drop(before);
        parker
    }
}

/// Who was polled last and is last in line, if it is: during a look, so that whom the look wakes goes first.
struct Aside<'a>(&'a Slots, Option<TaskId>);

impl<'a> Aside<'a> {
    fn new(core: &'a Core, last: TaskId) -> Aside<'a> {
        let is_last = core.slots.set_aside(last);
        Aside(&core.slots, is_last.then_some(last))
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.1 {
            self.0.put_back(id);
        }
    }
}
