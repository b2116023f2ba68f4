//! The runtime: what a program holds of a core, from building it to shutting it down.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::kept::{Detector, Kept, Lent};
use crate::layer::Ending;
use crate::machine::core::{Core, Turned};
use crate::machine::join::JoinHandle;
use crate::machine::waker::TaskId;
use crate::machine::{budget, context};
use crate::observe::{Event, Observer};
use crate::pool;
use crate::report::Report;
use crate::spawn::Spawner;
use crate::task_info::TaskInfo;
use crate::time::clock::{Clock, Instant};
use crate::wake_handle::WakeHandle;
use crate::watch;

/// How long a runtime waits at its end for blocking jobs, when the [`Builder`] says nothing else.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Runs `future` on a runtime of its own, to its end, and then ends everything it left behind.
///
/// The future may borrow from the caller.
///
/// ```
/// let name = String::from("handcar");
/// let length = handcar_executor::run(async { name.len() });
/// assert_eq!(length, 7);
/// ```
///
/// # Panics
///
/// If a runtime is running on this thread already: the message names its line. If `future` panics, with its panic, after
/// everything has been ended. If no runtime can be made, or the system refuses to wait for events.
#[track_caller]
pub fn run<F: IntoFuture>(future: F) -> F::Output {
    match try_run(future) {
        Ok(value) => value,
        Err(error) => panic!("{error}"), // not in a closure: the panic is at the caller's line
    }
}

/// As [`run`], with an error in place of the panics that are not the future's own.
///
/// ```
/// use handcar_executor::{RunError, try_run};
///
/// let inner = try_run(async { try_run(async {}) }).unwrap();
/// assert!(matches!(inner, Err(RunError::Nested { .. })));
/// ```
///
/// # Errors
///
/// See [`RunError`].
#[track_caller]
pub fn try_run<F: IntoFuture>(future: F) -> Result<F::Output, RunError> {
    Runtime::new()?.try_block_on(future)
}

/// Sets up a [`Runtime`].
pub struct Builder {
    pub(crate) clock: Option<Clock>,
    pub(crate) grace: Option<Duration>,
    pub(crate) blocking_threads: usize,
    pub(crate) poll_budget: u32,
    pub(crate) on_report: Option<Rc<dyn Fn(Report)>>,
    pub(crate) panics_are_fatal: bool,
    pub(crate) observer: Option<Observer>,
    pub(crate) watch: watch::Settings,
    pub(crate) report_unpolled: bool,
    #[expect(clippy::option_option, reason = "asked for, refused, or left to the clock")]
    pub(crate) detector: Option<Option<Detector>>,
}

/// What a panic does that no join handle will see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// It is reported, and the program goes on.
    #[default]
    Report,
    /// It ends `block_on`, which resumes it.
    Shutdown,
}

impl Builder {
    /// The defaults: the system's clock, five seconds of grace, reports on stderr.
    pub fn new() -> Builder {
        Builder {
            clock: None,
            grace: Some(DEFAULT_GRACE),
            blocking_threads: pool::DEFAULT_THREADS,
            poll_budget: budget::DEFAULT,
            on_report: None,
            panics_are_fatal: false,
            observer: None,
            watch: watch::Settings::default(),
            report_unpolled: false,
            detector: None,
        }
    }

    /// Where the time comes from.
    pub fn clock(mut self, clock: Clock) -> Builder {
        self.clock = Some(clock);
        self
    }

    /// How long the runtime's end waits for what does not end by itself; `None`: without bound.
    pub fn grace(mut self, grace: Option<Duration>) -> Builder {
        self.grace = grace;
        self
    }

    /// The most threads for blocking calls.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn blocking_threads(mut self, limit: usize) -> Builder {
        assert!(limit > 0, "a blocking call needs a thread: allow at least one");
        self.blocking_threads = limit;
        self
    }

    /// How many operations one poll of a task may do before it yields.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn poll_budget(mut self, operations: u32) -> Builder {
        assert!(
            operations > 0,
            "with a budget of zero no task would ever get anything done: allow at least one operation"
        );
        self.poll_budget = operations;
        self
    }

    /// Who hears of what goes wrong where nobody waits for it; without one it is a line on stderr.
    pub fn on_report(mut self, hook: impl Fn(Report) + 'static) -> Builder {
        self.on_report = Some(Rc::new(hook));
        self
    }

    /// What a panic does that no join handle will see.
    pub fn on_panic(mut self, on_panic: OnPanic) -> Builder {
        self.panics_are_fatal = on_panic == OnPanic::Shutdown;
        self
    }

    /// Who is told each step of the machine. It is called in the middle of things: it must not panic, nor call the runtime.
    pub fn observe(mut self, observer: impl Fn(&Event<'_>) + 'static) -> Builder {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Reports each poll that took `limit` or longer, when it is over: see [`Report::SlowPoll`].
    ///
    /// A poll that long keeps everything else on the thread waiting. To watch for it costs 30 ns a poll (a switch: 12 ns without, 42
    /// with), most of it the clock, and 32 ns a task.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    #[track_caller]
    pub fn slow_poll(mut self, limit: Duration) -> Builder {
        assert!(!limit.is_zero(), "every poll takes longer than nothing: allow some milliseconds");
        self.watch.slow_poll(limit);
        self
    }

    /// Starts a thread that reports a poll which has lasted for `threshold`, while it lasts, and again after each further
    /// `threshold`: see [`Report::Stuck`]. It is told within 1.2 times the threshold.
    ///
    /// The loop is stuck at that time and cannot call `on_report`: without [`on_stuck`](Builder::on_stuck) the report is a line on
    /// stderr. It costs 5.5 ns a poll (a switch: 12.2 ns without, 17.7 with) and 17 ns a task.
    ///
    /// # Panics
    ///
    /// If `threshold` is zero.
    #[track_caller]
    pub fn watchdog(mut self, threshold: Duration) -> Builder {
        assert!(!threshold.is_zero(), "every poll takes longer than nothing: allow some milliseconds");
        self.watch.watchdog(threshold);
        self
    }

    /// Whether to report what was made to be awaited and was dropped without ever having been polled: any future of Handcar
    /// without its `.await`, a task whose handle was dropped at once. See [`Report::FutureUnpolled`] and [`Report::TaskUnpolled`].
    ///
    /// Off by default, since it may be meant so: a cancelled group never polls the children that come late, and a `select` of others
    /// may be over before it has polled its second future. What goes down with a panic or a cancelled task is not told. It costs
    /// nothing but where there is something to report.
    pub fn report_unpolled(mut self, report: bool) -> Builder {
        self.report_unpolled = report;
        self
    }

    /// Whether [`block_on`](Runtime::block_on) ends with [`RunError::Deadlock`], in place of waiting for ever, when no task is runnable
    /// and nothing can wake one any more. Without this it does so under a simulated clock, and not under the system's.
    ///
    /// What can is declared, or counted: an armed timer, a source that a task waits for (a socket, a signal), a blocking job, a living
    /// sender of a `remote` channel, a [hold](Clock::hold) of the clock, a waker that something foreign has cloned, on this thread or
    /// another. When the last one goes, wherever that is, the verdict comes. A [`WakeHandle`] wakes no task, and so does not count.
    ///
    /// It costs what is foreign a lock for each clone of a waker and for its drop, and the rest next to nothing. Channels of other
    /// crates keep such clones: a deadlock through them cannot be told from a thread that is about to send, and is waited for.
    ///
    /// ```
    /// use handcar_executor::{Builder, RunError};
    /// use std::future::pending;
    ///
    /// let runtime = Builder::new().detect_deadlocks(true).build().unwrap();
    /// let end = runtime.try_block_on(pending::<()>());
    /// assert!(matches!(end, Err(RunError::Deadlock(_))));
    /// ```
    pub fn detect_deadlocks(mut self, detect: bool) -> Builder {
        self.detector = Some(detect.then_some(Kept::detector));
        self
    }

    /// Who hears the [`watchdog`](Builder::watchdog). It is called on the watchdog's thread.
    pub fn on_stuck(mut self, hook: impl Fn(Report) + Send + 'static) -> Builder {
        self.watch.on_stuck = Some(Box::new(hook));
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// [`RunError::TooManyRuntimes`]; [`RunError::Io`], if the system gives the watchdog no thread.
    pub fn build(self) -> Result<Runtime, RunError> {
        Core::new(self).map(|core| Runtime { core })
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("clock", &self.clock).field("grace", &self.grace).finish_non_exhaustive()
    }
}

/// A runtime on this thread. Dropping it ends its tasks and joins its blocking threads.
///
/// Between two calls of [`block_on`](Runtime::block_on) its tasks stay where they are.
pub struct Runtime {
    pub(crate) core: Rc<Core>,
}

impl Runtime {
    /// One with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// [`RunError::TooManyRuntimes`].
    pub fn new() -> Result<Runtime, RunError> {
        Builder::new().build()
    }

    /// Runs until `future` is ready. It may borrow.
    ///
    /// # Panics
    ///
    /// As [`run`].
    #[track_caller]
    pub fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`block_on`](Runtime::block_on), with an error in place of the panics that are not the future's own.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    #[track_caller]
    pub fn try_block_on<F: IntoFuture>(&self, future: F) -> Result<F::Output, RunError> {
        let at = Location::caller();
        self.run_loop(at, || {
            let main = self.core.queue_main(at);
            let waker = Lent::new(main);
            let mut cx = Context::from_waker(&waker);
            let value; // outside: should the future panic as it is dropped, this is dropped as well, and does not leak
            {
                let mut future = pin!(future.into_future());
                value = loop {
                    match self.core.turn(true) {
                        Ok(Turned::Main) => {} // its poll has begun with its turn
                        Ok(Turned::Looked) => {
                            self.resume_fatal();
                            continue;
                        }
                        Err(error) => {
                            let Some(detector) = &self.core.mailbox.detector else { return Err(error) };
                            let mut polled = Poll::Pending;
                            let mut poll = || polled = future.as_mut().poll(&mut cx);
                            let asked = detector.ask_main(&self.core, error, &mut poll);
                            if let Poll::Ready(value) = polled {
                                break value;
                            }
                            asked?;
                            continue;
                        }
                    }
                    if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                        self.resume_fatal();
                        break value;
                    }
                    self.resume_fatal();
                };
            }
            Ok(value)
        })
    }

    /// Runs tasks until the loop has looked outside once; never blocks. For a host loop, which calls it when
    /// [`next_deadline`](Runtime::next_deadline) has come, a descriptor is readable, or something was spawned or woken inside
    /// [`enter`](Runtime::enter). The simulated clock does not jump here: the host [advances](Clock::advance) it.
    ///
    /// # Errors
    ///
    /// [`RunError::Nested`] inside another turn, or the error of the system call that collects events.
    #[track_caller]
    pub fn turn(&self) -> Result<Turn, RunError> {
        self.run_loop(Location::caller(), || {
            // Without `block_on` a wake of its last future may still stand in the queue: nobody is there to be polled.
            while let Turned::Main = self.core.turn(false)? {}
            self.resume_fatal();
            Ok(if self.core.has_work() { Turn::More } else { Turn::Idle })
        })
    }

    #[track_caller]
    fn run_loop<R>(
        &self,
        at: &'static Location<'static>,
        f: impl FnOnce() -> Result<R, RunError>,
    ) -> Result<R, RunError> {
        struct End<'a>(&'a Core);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end_polls();
                self.0.observe(|| Event::Left);
                self.0.mailbox.leave();
            }
        }
        let run = || {
            let _end = End(&self.core);
            self.core.observe(|| Event::Entered { at });
            self.core.mailbox.wake_up();
            context::enter(&self.core, f)
        };
        match context::run(at, run) {
            Ok(result) => result,
            Err(outer) => Err(RunError::Nested { outer }),
        }
    }

    #[inline]
    fn resume_fatal(&self) {
        if let Some((_, payload)) = self.core.reporter.take_fatal() {
            payload.resume();
        }
    }

    /// The deadline of the earliest timer: when a host loop should call [`turn`](Runtime::turn) next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    /// Spawns a task; it runs while [`block_on`](Runtime::block_on) or [`turn`](Runtime::turn) do.
    ///
    /// # Panics
    ///
    /// If the runtime holds as many tasks as it can.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.core.spawn(|| future, Ending::Dropped, None, Location::caller())
    }

    /// Something to spawn with from wherever the runtime is not at hand.
    pub fn spawner(&self) -> Spawner {
        Spawner::new(&self.core)
    }

    /// Calls `f` with this runtime as the thread's current one, so that `spawn`, `sleep` and sockets find it.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        context::enter(&self.core, f)
    }

    /// Ends the runtime's park from any thread.
    pub fn wake_handle(&self) -> WakeHandle {
        WakeHandle(Arc::clone(&self.core.mailbox))
    }

    /// The runtime's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.timers.clock
    }

    /// What the runtime holds at this moment.
    pub fn metrics(&self) -> Metrics {
        Metrics { tasks: self.core.task_count(), timers: self.core.timers.len() }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        shut_down(&self.core);
    }
}

impl Core {
    /// Whether a turn would find something to do at once.
    pub(crate) fn has_work(&self) -> bool {
        self.slots.has_queued() || self.mailbox.has_mail()
    }

    /// The deadline of the earliest timer, as the clock stands.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.timers.is_empty() {
            return None;
        }
        self.timers.settle(self.timers.clock.now());
        self.timers.next_deadline()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("tasks", &self.core.task_count()).finish_non_exhaustive()
    }
}

/// Ends what lives on a runtime; the second time there is nothing left to do.
pub(crate) fn shut_down(core: &Rc<Core>) {
    let left = budget::start(i64::from(budget::DEFAULT)); // this may be inside a poll of another runtime
    context::enter(core, || core.shut_down());
    budget::start(left);
}

/// What [`Runtime::turn`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is runnable: wait for a deadline or for the outside.
    Idle,
    /// More is runnable: call [`Runtime::turn`] again soon.
    More,
}

/// What a runtime holds. Made by [`Runtime::metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that have not ended, `block_on`'s own not counted.
    pub tasks: usize,
    /// Timers that are armed.
    pub timers: usize,
}

/// Why a runtime did not run a future to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A runtime is running on this thread: inside it another one would bring everything to a halt.
    Nested {
        /// The line that runs the outer one.
        outer: &'static Location<'static>,
    },
    /// Nothing is runnable, no timer is armed, and nothing outside is awaited: these tasks wait for ever.
    Deadlock(Deadlock),
    /// As many runtimes live in this process as there are numbers for them.
    TooManyRuntimes,
    /// The system refused to wait for events.
    Io(io::Error),
    /// A layer that can shut a runtime down has done so, and the future has no value.
    ShutDown,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Nested { outer } => write!(
                f,
                "a runtime is already running on this thread, started at {outer}: await the future there, or run this one on a thread of its own"
            ),
            RunError::Deadlock(deadlock) => write!(f, "{deadlock}"),
            RunError::TooManyRuntimes => f.write_str("too many runtimes live in this process: drop some first"),
            RunError::Io(error) => write!(f, "waiting for events failed: {error}"),
            RunError::ShutDown => f.write_str("the runtime was shut down before its future had a value"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RunError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> RunError {
        RunError::Io(error)
    }
}

/// The tasks that wait although nothing can wake them.
#[derive(Debug)]
pub struct Deadlock {
    /// In a box, to keep [`RunError`] small.
    halted: Box<Halted>,
}

#[derive(Debug)]
struct Halted {
    tasks: Vec<TaskInfo>,
    /// Of each task; none at all if it has not said.
    waits: Vec<Vec<String>>,
}

impl Deadlock {
    pub(crate) fn new(tasks: Vec<TaskInfo>, mut waits: Vec<Vec<String>>) -> Deadlock {
        waits.resize(tasks.len(), Vec::new());
        Deadlock { halted: Box::new(Halted { tasks, waits }) }
    }

    pub(crate) fn said(&mut self, id: TaskId, waits: Vec<String>) {
        if let Some(place) = self.tasks().iter().position(|task| task.id == id) {
            self.halted.waits[place] = waits;
        }
    }

    /// Each task with what it waits for, in words: nothing, if that is something foreign.
    pub fn waits(&self) -> impl Iterator<Item = (&TaskInfo, &[String])> {
        self.tasks().iter().zip(self.halted.waits.iter().map(Vec::as_slice))
    }

    /// The tasks, `block_on`'s own first among them as `main`.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.halted.tasks
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "deadlock: nothing is runnable, no timer is armed and nothing outside is awaited, but these wait:",
        )?;
        for (task, waits) in self.waits() {
            write!(f, "\n  {task}")?;
            waits.iter().try_for_each(|what| write!(f, "\n    waits for {what}"))?;
        }
        Ok(())
    }
}
