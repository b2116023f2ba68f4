//! The signal on which a runtime shuts down.
//!
//! It may be any future. It is made and polled by `block_on`, beside main and with main's waker, so it costs no task, and nothing
//! where there is none.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use handcar_executor::layer;

use crate::polls;
use crate::reason::{CancelKind, CancelReason};

/// It is ready only with the error of a signal that cannot be awaited.
type Signal = Pin<Box<dyn Future<Output = io::Result<()>>>>;

#[derive(Default)]
pub(crate) struct Shutdown(Cell<Option<Signal>>);

impl Shutdown {
    #[track_caller]
    pub(crate) fn new<F>(signal: impl FnOnce() -> F + 'static) -> Shutdown
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let at = Location::caller();
        let shut_down = async move {
            signal().await?;
            poll_fn(|_| come(at)).await
        };
        Shutdown(Cell::new(Some(Box::pin(shut_down))))
    }

    /// Looks whether the signal has come. Called within main's scope, which is cancelled then.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(mut signal) = self.0.take() else { return Ok(()) };
        if let Poll::Ready(failed) = signal.as_mut().poll(cx) {
            return failed;
        }
        self.0.set(Some(signal));
        Ok(())
    }

    /// The runtime ends: what waits there ends before it.
    pub(crate) fn forget(&self) {
        drop(self.0.take());
    }
}

/// The signal has come: cancels all tasks, main, and what runs as main from now on.
fn come<T>(at: &'static Location<'static>) -> Poll<T> {
    layer::cancel_all();
    if let Some(main) = polls::attach() {
        main.cancel(CancelReason::of(CancelKind::Shutdown, at));
    }
    Poll::Pending
}
