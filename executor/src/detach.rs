//! Detaching: a task runs on without its handle, and each way of it says what becomes of a value or an error.

use std::error::Error;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;

use crate::discard::release;
use crate::machine::header::HasHeader;
use crate::machine::join::JoinHandle;
use crate::report::{self, Report};

impl<T> JoinHandle<T> {
    /// Lets the task run on and drops what it returns. A panic is still reported.
    #[inline(always)]
    #[allow(clippy::inline_always)] // into `detach`, which says why
    pub fn detach_ignoring(self) {
        let mut emptied = ManuallyDrop::new(self); // so that nothing is asked when it is dropped
        if let Some(task) = emptied.task.take()
            && task.header().joined.get()
        {
            release(task);
        }
    }

    /// Lets the task run on; when it ends, `tell` gets its value.
    pub fn detach_telling(mut self, tell: impl FnOnce(T) + 'static)
    where
        T: 'static,
    {
        let Some(task) = self.task.take() else { return };
        let finished = task.header().is_finished();
        let to_tell = Rc::clone(&task);
        let at_end = move || {
            if let Some(value) = to_tell.take_value() {
                tell(value);
            }
        };
        if finished {
            at_end();
        } else {
            task.header().at_end(Box::new(at_end));
        }
        release(task);
    }
}

impl JoinHandle<()> {
    /// Lets the task run on by itself. A panic is reported.
    ///
    /// ```
    /// handcar_executor::run(async {
    ///     handcar_executor::spawn(async { println!("on my own") }).detach();
    ///     handcar_executor::yield_now().await;
    /// });
    /// ```
    #[inline(always)]
    #[allow(clippy::inline_always)] // two stores where the task was just spawned: 7 % of a detached task
    pub fn detach(self) {
        self.detach_ignoring();
    }
}

impl<T: 'static, E: 'static> JoinHandle<Result<T, E>> {
    /// Lets the task run on; if it returns an error, that goes to the runtime's `on_report`, as a panic does.
    pub fn detach_reporting(self)
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let header = self.task().header();
        let (info, runtime) = (header.info(), header.address());
        self.detach_with(move |error| {
            report::deliver(runtime, Report::Failed { task: info, error: Arc::from(error.into()) });
        });
    }

    /// Lets the task run on; if it returns an error, `on_error` gets it.
    ///
    /// ```
    /// handcar_executor::run(async {
    ///     let task = handcar_executor::spawn(async { "seven".parse::<u32>() });
    ///     task.detach_with(|error| eprintln!("no number: {error}"));
    /// });
    /// ```
    pub fn detach_with(self, on_error: impl FnOnce(E) + 'static) {
        self.detach_telling(|result| {
            if let Err(error) = result {
                on_error(error);
            }
        });
    }
}
