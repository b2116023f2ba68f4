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

use handcar_executor::layer;

use crate::polls;
use crate::reason::{CancelKind, CancelReason};

/// It is ready with the error of a signal that cannot be awaited.
type Signal = Pin<Box<dyn Future<Output = io::Result<Came>>>>;

#[derive(Default)]
enum State {
    #[default]
    Never,
    Waiting(Signal),
    /// What runs from now on ends at once.
    Came(Came),
}

#[derive(Default)]
pub(crate) struct Shutdown(Cell<State>);

impl Shutdown {
    #[track_caller]
    pub(crate) fn new<F>(signal: impl FnOnce() -> F + 'static) -> Shutdown
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let came = Came { cancel_all, at: Location::caller() };
        let signal = async move { signal().await.map(|()| came) };
        Shutdown(Cell::new(State::Waiting(Box::pin(signal))))
    }

    /// Whether there is one, or was: where there is none, none will ever be.
    pub(crate) fn is_some(&self) -> bool {
        let state = self.0.take();
        let is_some = !matches!(state, State::Never);
        self.0.set(state);
        is_some
    }

    /// Looks whether the signal has come. It is polled outside main's scope: what it shields, defers or panics with is not main's.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> io::Result<Option<Came>> {
        let came = match self.0.take() {
            State::Never => return Ok(None),
            State::Waiting(mut signal) => match signal.as_mut().poll(cx) {
                Poll::Ready(came) => came?,
                Poll::Pending => {
                    self.0.set(State::Waiting(signal));
                    return Ok(None);
                }
            },
            State::Came(came) => came,
        };
        self.0.set(State::Came(came));
        Ok(Some(came))
    }

    /// The runtime ends: what waits there ends before it.
    pub(crate) fn forget(&self) {
        drop(self.0.take());
    }
}

/// The signal has come. It brings along what that does: a program that waits for none does not contain it.
#[derive(Clone, Copy)]
pub(crate) struct Came {
    cancel_all: fn(&'static Location<'static>),
    /// The line that asked for the signal.
    at: &'static Location<'static>,
}

impl Came {
    /// Called within main's scope: cancels that, and all tasks.
    pub(crate) fn cancel_all(self) {
        (self.cancel_all)(self.at);
    }
}

fn cancel_all(at: &'static Location<'static>) {
    layer::cancel_all();
    if let Some(main) = polls::attach() {
        main.cancel(CancelReason::of(CancelKind::Shutdown, at));
    }
}
