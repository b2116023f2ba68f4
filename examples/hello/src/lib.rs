//! What stands behind the example `hello`: with `--trace` each step of the machine is told in a sentence.
//!
//! The runtime calls an observer at each step, see [`Builder::observe`]. This one keeps the names of the tasks, so that it
//! can say "the speaker is woken by a timer" where the event holds only numbers, and says how long after the first step it
//! happened.
//!
//! ```text
//! after 10.2 ms   a timer wakes the speaker
//! after 10.2 ms   the speaker is polled
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::time::Instant;
use std::{env, process};

use handcar::task::TaskId;
use handcar::{Builder, Cause, Event, Runtime};

/// A runtime that tells what it does if the program was called with `--trace`.
///
/// # Panics
///
/// If the process has too many runtimes already.
pub fn runtime() -> Runtime {
    let builder = Builder::new();
    let builder = if env::args().any(|argument| argument == "--trace") { builder.observe(trace()) } else { builder };
    builder.build().expect("the first runtime of a process")
}

/// An observer that prints a line for each event, to be given to [`Builder::observe`].
pub fn trace() -> impl Fn(&Event<'_>) + 'static {
    let storyteller = RefCell::new(Storyteller::default());
    move |event| {
        let mut storyteller = storyteller.borrow_mut();
        let after = storyteller.begin.get_or_insert_with(Instant::now).elapsed();
        if let Some(sentence) = storyteller.sentence(event) {
            let told = writeln!(io::stdout(), "after {:5.1} ms   {sentence}", after.as_secs_f64() * 1e3);
            match told {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0), // `| head` has read enough
                Err(error) => {
                    eprintln!("the trace cannot be written: {error}");
                    process::exit(1);
                }
            }
        }
    }
}

#[derive(Default)]
struct Storyteller {
    begin: Option<Instant>,
    names: HashMap<TaskId, String>,
    /// Whose poll was the last: whoever spawns does it in its poll.
    polled: Option<TaskId>,
}

impl Storyteller {
    fn sentence(&mut self, event: &Event<'_>) -> Option<String> {
        Some(match *event {
            Event::Spawned { task, name, at } => {
                let spawner = self.polled.map_or_else(|| "the program".to_owned(), |polled| self.name(polled));
                self.names.insert(task, name.map_or_else(|| format!("task {task}"), str::to_owned));
                format!("{spawner} spawns {} at {}:{}", self.name(task), at.file(), at.line())
            }
            Event::Polled { task } => {
                self.polled = Some(task);
                format!("{} is polled", self.name(task))
            }
            Event::Woken { task, by: Cause::Task(waker) } if waker == task => {
                format!("{} wakes itself: it yields to the others", self.name(task))
            }
            Event::Woken { task, by: Cause::Task(waker) } => {
                format!("{} wakes {}", self.name(waker), self.name(task))
            }
            Event::Woken { task, by } => format!("{by} wakes {}", self.name(task)),
            Event::Ended { task } => {
                let sentence = format!("{} has ended", self.name(task));
                self.names.remove(&task);
                sentence
            }
            Event::Parked { timeout: Some(timeout) } => {
                format!("nothing to do: the loop sleeps, {timeout:.1?} at the most")
            }
            Event::Parked { timeout: None } => "nothing to do: the loop sleeps until somebody wakes it".to_owned(),
            Event::Unparked => "the loop is back".to_owned(),
            // A look comes before each sleep, and a jump needs the simulated clock: not part of this story.
            _ => return None,
        })
    }

    fn name(&self, task: TaskId) -> String {
        self.names.get(&task).cloned().unwrap_or_else(|| format!("task {task}"))
    }
}
