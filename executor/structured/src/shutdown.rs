//! The signal on which a runtime shuts down.
//!
//! It may be any future. It is made and polled by `block_on`, beside main and with main's waker, so it costs no task, and nothing
//! where there is none.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::reason::{CancelKind, CancelReason};

type Signal = Pin<Box<dyn Future<Output = io::Result<()>>>>;

#[derive(Default)]
enum State {
    #[default]
    Never,
    New(Box<dyn FnOnce() -> Signal>),
    Waiting(Signal),
    /// It has come, and what runs from now on ends at once.
    Came,
}

pub(crate) struct Shutdown {
    state: Cell<State>,
    /// The line that asked for it.
    at: &'static Location<'static>,
}

impl Shutdown {
    #[track_caller]
    pub(crate) fn new<F>(signal: impl FnOnce() -> F + 'static) -> Shutdown
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let make = || -> Signal { Box::pin(signal()) };
        Shutdown { state: Cell::new(State::New(Box::new(make))), at: Location::caller() }
    }

    /// Looks whether the signal has come: then main is to be cancelled for this reason.
    #[inline]
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> io::Result<Option<CancelReason>> {
        let mut signal = match self.state.take() {
            State::Never => return Ok(None),
            State::New(make) => make(),
            State::Waiting(signal) => signal,
            State::Came => return Ok(Some(self.came())),
        };
        match signal.as_mut().poll(cx) {
            Poll::Pending => {
                self.state.set(State::Waiting(signal));
                Ok(None)
            }
            Poll::Ready(result) => result.map(|()| Some(self.came())),
        }
    }

    fn came(&self) -> CancelReason {
        self.state.set(State::Came);
        CancelReason::of(CancelKind::Shutdown, self.at)
    }

    /// The runtime ends: what waits there ends before it.
    pub(crate) fn forget(&self) {
        drop(self.state.take());
    }
}

impl Default for Shutdown {
    #[track_caller]
    fn default() -> Shutdown {
        Shutdown { state: Cell::default(), at: Location::caller() }
    }
}
