//! One operation on a file, on its way to a thread and back.
//!
//! ```text
//!    the loop's thread                       a pool thread
//!    -----------------                       -------------
//!    begin: Todo                      --->   1. takes it: Running
//!    takes what it has come to        <---   2. Done
//!    takes it back, if it never ran
//!    leaves: nobody will take it           2. tells what went wrong
//! ```
//!
//! The operation lies in what both sides share, not in the job. So a job that never runs, because nobody waits for it any more or its
//! runtime has ended, takes nothing with it: what was to be written is still there, and is begun again.

use std::fs::{self, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handcar_executor::{Report, ToThread};

use super::named;

/// How much one hop to another thread moves, at the most. As long as the hop takes, it could have copied that much; twice as much
/// would make reading lines another tenth faster, and each file twice as big.
pub(super) const BLOCK: usize = 128 * 1024;

/// What was read and not handed out yet: the system's cursor is that far ahead of what the program believes.
#[derive(Default)]
pub(super) struct Ahead {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Ahead {
    pub(super) fn rest(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    fn len(&self) -> i64 {
        i64::try_from(self.end - self.start).expect("a block is small")
    }

    fn clear(&mut self) {
        self.start = self.end;
    }

    /// Reads once.
    fn read(&mut self, mut file: &fs::File, room: usize) -> io::Result<()> {
        if self.block.len() < room {
            self.block.resize(room, 0);
        }
        self.clear();
        let count = loop {
            match file.read(&mut self.block[..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        (self.start, self.end) = (0, count);
        Ok(())
    }

    /// Sets the cursor back to where the program believes it. What has none, as a terminal, keeps what was read.
    fn unread(&mut self, mut file: &fs::File) -> io::Result<()> {
        if self.rest().is_empty() {
            return Ok(());
        }
        match file.seek(SeekFrom::Current(-self.len())) {
            Ok(_) => self.clear(),
            Err(error) if error.kind() == io::ErrorKind::NotSeekable => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

pub(super) enum Op {
    Read { room: usize },
    Write(Vec<u8>),
    Seek(SeekFrom),
    SetLen(u64),
    SyncAll,
    SyncData,
    Metadata,
}

/// What an operation returns.
pub(super) enum Value {
    Nothing,
    Position(u64),
    Metadata(Box<Metadata>),
}

/// What has to be known of an operation while a thread has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Seek(SeekFrom),
    Look,
    /// Its error must be told, and it must be done, even if who began it has gone.
    Change,
}

impl Op {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Op::Read { .. } => Kind::Read,
            Op::Seek(to) => Kind::Seek(*to),
            Op::Metadata => Kind::Look,
            Op::Write(_) | Op::SetLen(_) | Op::SyncAll | Op::SyncData => Kind::Change,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Op::Read { .. } => "read",
            Op::Write(_) => "write",
            Op::Seek(_) => "seek in",
            Op::SetLen(_) => "set the length of",
            Op::SyncAll | Op::SyncData => "sync",
            Op::Metadata => "look at",
        }
    }

    fn run(self, mut file: &fs::File, ahead: &mut Ahead) -> io::Result<Value> {
        match self {
            Op::Read { room } => ahead.read(file, room)?,
            Op::Write(block) => {
                ahead.unread(file)?;
                file.write_all(&block)?;
            }
            Op::SetLen(len) => {
                ahead.unread(file)?; // it may not be in the file any more
                file.set_len(len)?;
            }
            Op::Seek(to) => {
                let to = match to {
                    SeekFrom::Current(by) => SeekFrom::Current(by.saturating_sub(ahead.len())),
                    to => to,
                };
                let position = file.seek(to)?;
                ahead.clear();
                return Ok(Value::Position(position));
            }
            Op::SyncAll => file.sync_all()?,
            Op::SyncData => file.sync_data()?,
            Op::Metadata => return file.metadata().map(Box::new).map(Value::Metadata),
        }
        Ok(Value::Nothing)
    }
}

/// What the loop and the thread share of a file.
pub(super) struct Shared {
    pub(super) file: fs::File,
    pub(super) name: Arc<str>,
    /// The line that opened it.
    pub(super) at: &'static Location<'static>,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    /// The job, when the file was dropped while a thread was at it.
    left: Option<ToThread<()>>,
}

enum Stage {
    Idle,
    Todo(Op, Ahead),
    Running,
    Done(io::Result<Value>, Ahead),
}

impl Shared {
    pub(super) fn new(file: fs::File, name: Arc<str>, at: &'static Location<'static>) -> Shared {
        Shared { file, name, at, state: Mutex::new(State { stage: Stage::Idle, left: None }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has something to be done, by `hand_over`'s thread. If there is none it has not happened.
    pub(super) fn begin<J>(
        &self,
        op: Op,
        ahead: &mut Ahead,
        hand_over: impl FnOnce() -> io::Result<J>,
    ) -> io::Result<J> {
        let mut state = self.state(); // for which the thread waits
        let job = hand_over()?;
        state.stage = Stage::Todo(op, std::mem::take(ahead));
        Ok(job)
    }

    /// What it has come to, if it has come to an end.
    pub(super) fn take_done(&self) -> Option<(io::Result<Value>, Ahead)> {
        let mut state = self.state();
        match std::mem::replace(&mut state.stage, Stage::Idle) {
            Stage::Done(result, ahead) => Some((result, ahead)),
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// Does what is to be done.
    pub(super) fn run(&self) {
        let mut state = self.state();
        let Stage::Todo(op, mut ahead) = std::mem::replace(&mut state.stage, Stage::Running) else {
            unreachable!("who calls this has something to do")
        };
        drop(state);
        let verb = op.verb();
        let result = op.run(&self.file, &mut ahead).map_err(|error| named(verb, &self.name, error));
        let mut state = self.state();
        let left = state.left.take();
        state.stage = Stage::Done(result, ahead);
        drop(state);
        if let Some(job) = left {
            self.tell(&job);
        }
    }

    /// The file is dropped: the error of a change is told by whoever brings that to an end.
    pub(super) fn leave(&self, job: ToThread<()>) {
        let mut state = self.state();
        if let Stage::Todo(..) | Stage::Running = state.stage {
            state.left = Some(job);
            return;
        }
        drop(state);
        self.tell(&job);
    }

    /// Reports what went wrong, to the runtime of the job.
    fn tell(&self, job: &ToThread<()>) {
        if let Some((Err(error), _)) = self.take_done() {
            job.report(Report::CleanupFailed { at: self.at, error: Arc::new(error) });
        }
    }
}
