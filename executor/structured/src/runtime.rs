//! The runtime with a root scope: what `block_on` runs is a scope, and the runtime's end awaits cleanups.
//!
//! The kernel's runtime does the work. This one wraps main in a scope, and gives it and what ends with the runtime a poll stack
//! of its own, since a runtime may be dropped inside a poll of another one.
//!
//! At the end every task is cancelled, for the reason `Shutdown`, and the loop runs on until they have ended: each by the
//! rule, within the grace period. What a cleanup spawns into a group of its own still runs; a plain task is cancelled at its
//! birth.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::process;
use std::task::{Poll, ready};
use std::time::Duration;

use handcar_executor::layer;
use handcar_executor::{self as kernel, Clock, Event, Instant, Metrics, OnPanic, Report, RunError, Turn, WakeHandle};

use crate::context;
use crate::join::JoinHandle;
use crate::main_scope::Main;
use crate::polls::Isolated;
use crate::scoped::Outcome;
use crate::shutdown::Shutdown;
use crate::spawn::{self, Spawner};

/// Runs `future` on a runtime of its own, to its end, then cancels everything it left behind and awaits the cleanups.
///
/// The future may borrow from the caller.
///
/// ```
/// let name = String::from("handcar");
/// let length = handcar_structured::run(async { name.len() });
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
/// # Errors
///
/// See [`RunError`].
#[track_caller]
pub fn try_run<F: IntoFuture>(future: F) -> Result<F::Output, RunError> {
    Runtime::new()?.try_block_on(future)
}

/// Sets up a [`Runtime`]. See the [kernel's](kernel::Builder) for what each setting means.
#[derive(Default)]
pub struct Builder {
    kernel: kernel::Builder,
    shutdown: Shutdown,
}

impl Builder {
    /// The defaults: the system's clock, five seconds of grace, reports on stderr.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Where the time comes from.
    pub fn clock(self, clock: Clock) -> Builder {
        Builder { kernel: self.kernel.clock(clock), ..self }
    }

    /// How long what was cancelled may clean up, where its scope says nothing else, and how long the runtime's end waits;
    /// `None`: without bound.
    pub fn grace(self, grace: Option<Duration>) -> Builder {
        Builder { kernel: self.kernel.grace(grace), ..self }
    }

    /// The most threads for blocking calls.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn blocking_threads(self, limit: usize) -> Builder {
        Builder { kernel: self.kernel.blocking_threads(limit), ..self }
    }

    /// How many operations one poll of a task may do before it yields.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn poll_budget(self, operations: u32) -> Builder {
        Builder { kernel: self.kernel.poll_budget(operations), ..self }
    }

    /// Who hears of what goes wrong where nobody waits for it; without one it is a line on stderr.
    pub fn on_report(self, hook: impl Fn(Report) + 'static) -> Builder {
        Builder { kernel: self.kernel.on_report(hook), ..self }
    }

    /// What a panic does that no join handle will see.
    pub fn on_panic(self, on_panic: OnPanic) -> Builder {
        Builder { kernel: self.kernel.on_panic(on_panic), ..self }
    }

    /// Who is told each step of the machine. It is called in the middle of things: it must not panic, nor call the runtime.
    pub fn observe(self, observer: impl Fn(&Event<'_>) + 'static) -> Builder {
        Builder { kernel: self.kernel.observe(observer), ..self }
    }

    /// Shuts the runtime down when a signal comes: main and all tasks are cancelled, for the reason
    /// [`Shutdown`](crate::CancelKind::Shutdown), and their cleanups are awaited.
    ///
    /// `signal` is called when `block_on` begins, and the future that it makes is polled beside main. If main has no value in
    /// the end, [`Runtime::try_block_on`] returns [`RunError::ShutDown`], and `block_on`, which has nothing to return, ends the
    /// process with exit code 0. A main that wants to return nevertheless uses [`cancellable`](crate::cancellable), or ends when
    /// [`cancelled`](crate::cancelled) does.
    ///
    /// ```
    /// use handcar_structured::{Builder, RunError, sleep};
    /// use std::time::Duration;
    ///
    /// let in_a_moment = || async { Ok(sleep(Duration::from_millis(1)).await) };
    /// let runtime = Builder::new().shutdown_on(in_a_moment).build().unwrap();
    /// let end = runtime.try_block_on(sleep(Duration::MAX));
    /// assert!(matches!(end, Err(RunError::ShutDown)));
    /// ```
    #[track_caller]
    pub fn shutdown_on<F>(self, signal: impl FnOnce() -> F + 'static) -> Builder
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        Builder { shutdown: Shutdown::new(signal), ..self }
    }

    /// Reports each poll that took `limit` or longer, when it is over: see the [kernel's](kernel::Builder::slow_poll).
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    #[track_caller]
    pub fn slow_poll(self, limit: Duration) -> Builder {
        Builder { kernel: self.kernel.slow_poll(limit), ..self }
    }

    /// Starts a thread that reports a poll which has lasted for `threshold`, while it lasts: see the
    /// [kernel's](kernel::Builder::watchdog).
    ///
    /// # Panics
    ///
    /// If `threshold` is zero.
    #[track_caller]
    pub fn watchdog(self, threshold: Duration) -> Builder {
        Builder { kernel: self.kernel.watchdog(threshold), ..self }
    }

    /// Whether to report tasks and leaf futures that are dropped without ever having been polled: see the
    /// [kernel's](kernel::Builder::report_unpolled).
    pub fn report_unpolled(self, report: bool) -> Builder {
        Builder { kernel: self.kernel.report_unpolled(report), ..self }
    }

    /// Whether `block_on` ends with [`RunError::Deadlock`], in place of waiting for ever, when nothing can wake a task any more: see the
    /// [kernel's](kernel::Builder::detect_deadlocks).
    ///
    /// A living [`CancelToken`](crate::CancelToken) of a scope counts as somebody who may wake it; what
    /// [`shutdown_on`](Builder::shutdown_on) waits for counts as what it is.
    pub fn detect_deadlocks(self, detect: bool) -> Builder {
        Builder { kernel: self.kernel.detect_deadlocks(detect), ..self }
    }

    /// Who hears the [`watchdog`](Builder::watchdog), on the watchdog's thread; without one it is a line on stderr.
    pub fn on_stuck(self, hook: impl Fn(Report) + Send + 'static) -> Builder {
        Builder { kernel: self.kernel.on_stuck(hook), ..self }
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// [`RunError::TooManyRuntimes`].
    pub fn build(self) -> Result<Runtime, RunError> {
        Ok(Runtime { shutdown: self.shutdown, kernel: Some(self.kernel.build()?) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kernel.fmt(f)
    }
}

/// A runtime on this thread. Dropping it cancels its tasks, awaits their cleanups and joins its blocking threads, within the
/// grace period.
///
/// Between two calls of [`block_on`](Runtime::block_on) its tasks stay where they are.
pub struct Runtime {
    shutdown: Shutdown,
    /// Taken out only by the destructor.
    kernel: Option<kernel::Runtime>,
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

    /// Runs until `future` is ready and its cleanups have ended. It may borrow.
    ///
    /// # Panics
    ///
    /// As [`run`].
    #[track_caller]
    pub fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(value) => value,
            Err(RunError::ShutDown) => {
                layer::shut_down(self.kernel());
                process::exit(0)
            }
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
        let (at, context) = (Location::caller(), context::inheriting());
        let main = async move {
            let mut main = pin!(Main::new(future.into_future(), at, context));
            let has_signal = self.shutdown.is_some();
            poll_fn(move |cx| {
                if has_signal && let Some(signal) = self.shutdown.poll(cx)? {
                    main.as_mut().within(|_| signal.cancel_all());
                }
                match ready!(main.as_mut().poll(cx)) {
                    Outcome::Value(value) => Poll::Ready(Ok(value)),
                    Outcome::Panicked(panic) => panic.resume(),
                    Outcome::Cancelled(_) => Poll::Ready(Err(RunError::ShutDown)),
                }
            })
            .await
        };
        let _isolated = Isolated::new();
        self.kernel().try_block_on(main)?
    }

    fn kernel(&self) -> &kernel::Runtime {
        self.kernel.as_ref().expect("only the destructor takes it out")
    }

    /// Runs tasks until the loop has looked outside once; never blocks. For a host loop, which calls it when
    /// [`next_deadline`](Runtime::next_deadline) has come, a descriptor is readable, or something was spawned or woken inside
    /// [`enter`](Runtime::enter). The simulated clock does not jump here: the host [advances](Clock::advance) it.
    ///
    /// ```
    /// use handcar_structured::{Runtime, Turn, yield_now};
    ///
    /// let runtime = Runtime::new().unwrap();
    /// let task = runtime.spawn(yield_now());
    /// while runtime.turn().unwrap() == Turn::More {}
    /// assert!(task.is_finished());
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::Nested`] inside another turn, or the error of the system call that collects events.
    #[track_caller]
    pub fn turn(&self) -> Result<Turn, RunError> {
        let _isolated = Isolated::new();
        self.kernel().turn()
    }

    /// The deadline of the earliest timer: when a host loop should call [`turn`](Runtime::turn) next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.kernel().next_deadline()
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
        let at = Location::caller();
        self.enter(|| spawn::spawn_at(future, None, at))
    }

    /// Something to spawn with from wherever the runtime is not at hand.
    pub fn spawner(&self) -> Spawner {
        Spawner::new(self.kernel().spawner())
    }

    /// Calls `f` with this runtime as the thread's current one, so that `spawn`, `sleep` and sockets find it.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let context = context::current(); // what is spawned inherits it
        let _isolated = Isolated::new();
        context::enter(context, || self.kernel().enter(f))
    }

    /// Ends the runtime's park from any thread.
    pub fn wake_handle(&self) -> WakeHandle {
        self.kernel().wake_handle()
    }

    /// The runtime's clock.
    pub fn clock(&self) -> &Clock {
        self.kernel().clock()
    }

    /// What the runtime holds at this moment.
    pub fn metrics(&self) -> Metrics {
        self.kernel().metrics()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _isolated = Isolated::new();
        // Dropped before `_isolated`, also when what the signal has captured panics as it is dropped.
        let Some(kernel) = self.kernel.take() else { unreachable!("only this takes it out") };
        kernel.enter(|| self.shutdown.forget());
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kernel().fmt(f)
    }
}
