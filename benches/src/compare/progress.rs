//! A bar on a terminal, and a line now and then elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

const WIDTH: usize = 30;

/// How far a run has come.
pub(super) struct Progress {
    done: usize,
    all: usize,
    since: Instant,
    terminal: bool,
}

impl Progress {
    /// At the beginning of so many steps.
    pub(super) fn new(all: usize) -> Progress {
        Progress { done: 0, all, since: Instant::now(), terminal: stderr().is_terminal() }
    }

    /// Says which step begins.
    pub(super) fn step(&mut self, what: &str) {
        if self.terminal {
            eprint!("\r\x1b[K{} {what}", self.bar());
            let _ = stderr().flush();
        } else if self.done.is_multiple_of((self.all / 20).max(1)) {
            eprintln!("{} {what}", self.bar());
        }
        self.done += 1;
    }

    /// Clears the line.
    pub(super) fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "few steps")]
    fn bar(&self) -> String {
        let filled = WIDTH * self.done / self.all.max(1);
        let left = match self.done {
            0 => String::from("    "),
            done => {
                let left = self.since.elapsed().mul_f64((self.all - done) as f64 / done as f64);
                format!("{:>2}:{:02}", left.as_secs() / 60, left.as_secs() % 60)
            }
        };
        format!("[{}{}] {left} left,", "#".repeat(filled), " ".repeat(WIDTH - filled))
    }
}
