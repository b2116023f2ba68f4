//! The observer: one function that is told what the machine does.
//!
//! [`Builder::observe`](crate::Builder::observe) takes it. Each kind of event comes from one place in the kernel. Without an
//! observer each of these places costs one branch that is always predicted.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::machine::context;
use crate::machine::core::Core;
use crate::machine::waker::TaskId;

/// One step of the machine.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A task was made and queued for its first poll.
    Spawned {
        /// Its number.
        task: TaskId,
        /// Its name, if it has one.
        name: Option<&'a str>,
        /// The line that spawned it.
        at: &'static Location<'static>,
    },
    /// A task is about to be polled.
    Polled {
        /// Its number.
        task: TaskId,
    },
    /// A task was put into the run queue.
    Woken {
        /// Its number.
        task: TaskId,
        /// By whom.
        by: Cause,
    },
    /// A task's future is gone; its result is there for whoever waits.
    Ended {
        /// Its number.
        task: TaskId,
    },
    /// The loop begins to run.
    Entered {
        /// The line that runs it, with `block_on` or `turn`.
        at: &'static Location<'static>,
    },
    /// The loop does not run any more: `block_on` or `turn` returns, or the runtime has ended.
    Left,
    /// The loop looks outside: at its sources, timers and mailbox.
    Looked {
        /// How many polls it made since it last did.
        polls: u32,
    },
    /// No task is polled any more: the loop looks, opens its mail, or ends.
    Paused,
    /// Nothing is runnable: the loop sleeps, for this long at the most.
    Parked {
        /// `None`: until somebody ends it.
        timeout: Option<Duration>,
    },
    /// The loop is back from its sleep.
    Unparked,
    /// Nothing is runnable and nothing outside is awaited: the simulated clock jumps ahead by this much.
    Jumped {
        /// By how much.
        by: Duration,
    },
}

/// Who woke a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A task, in its poll. If it is the woken one itself, it yielded.
    Task(TaskId),
    /// A timer.
    Timer,
    /// A source: a socket, a pipe, a signal.
    Source,
    /// A cancellation.
    Cancel,
    /// Another thread, or this thread outside the runtime.
    Outside,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Task(id) => write!(f, "task {id}"),
            Cause::Timer => f.write_str("a timer"),
            Cause::Source => f.write_str("a source"),
            Cause::Cancel => f.write_str("a cancellation"),
            Cause::Outside => f.write_str("outside"),
        }
    }
}

pub(crate) type Observer = Box<dyn Fn(&Event<'_>)>;

impl Core {
    pub(crate) fn cause(&self) -> Cause {
        match (self.cause.get(), self.running.get()) {
            (Cause::Outside, TaskId::NONE) => Cause::Outside,
            (Cause::Outside, task) => Cause::Task(task),
            (cause, _) => cause,
        }
    }

    /// Calls `wake` with `cause` noted as the reason, for the observer.
    pub(crate) fn because<R>(&self, cause: Cause, wake: impl FnOnce() -> R) -> R {
        let before = self.cause.replace(cause);
        let result = wake();
        self.cause.set(before);
        result
    }

    #[inline]
    pub(crate) fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        #[cold]
        fn tell<'a>(observer: &Observer, event: impl FnOnce() -> Event<'a>) {
            observer(&event());
        }
        if let Some(observer) = &self.observer {
            tell(observer, event);
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
