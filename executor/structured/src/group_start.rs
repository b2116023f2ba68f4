//! Starting a child and waiting until it is ready: trio's `nursery.start`.
//!
//! ```text
//!     start(child) --> not ready ---- ready(value) ----> a child like any other; `start` returns the value
//!                          |
//!                          '-------- ends ----> `start` returns why, and the group hears of no error
//! ```

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use handcar_executor::{keep, let_go};
use pin_project_lite::pin_project;

use crate::group_handle::{GroupHandle, TaskEnd};
use crate::node;

/// Spawns the child that `child` makes with `board`.
pub(crate) fn begin<V, E, C, F, B>(child: C, board: B) -> Start<V, E>
where
    C: FnOnce(Started<V, E>) -> F,
    F: Future<Output = Result<(), E>>,
    B: FnOnce(Starting<F, V, E>) -> GroupHandle<()>,
{
    let signal =
        Rc::new(Signal { state: Cell::new(State::Starting), is_awaited: Cell::new(true), waiter: Cell::default() });
    let future = child(Started { signal: Rc::clone(&signal) });
    Start { handle: board(Starting { future, signal: Rc::clone(&signal) }), signal }
}

/// What the child and who waits for it share.
struct Signal<V, E> {
    state: Cell<State<V, E>>,
    /// Somebody waits: what goes wrong is theirs.
    is_awaited: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

enum State<V, E> {
    Starting,
    Ready(V),
    /// It ends, and this is why.
    Failed(E),
}

impl<V, E> Signal<V, E> {
    /// The value, if it is there; anything else stays where it is.
    fn take_ready(&self) -> Option<V> {
        match self.state.replace(State::Starting) {
            State::Ready(value) => Some(value),
            other => {
                self.state.set(other);
                None
            }
        }
    }
}

/// Says that a child has started. The closure that [`TaskGroup::start`](crate::TaskGroup::start) calls gets one.
#[must_use = "the child has not started until `ready` is called"]
pub struct Started<V, E> {
    signal: Rc<Signal<V, E>>,
}

impl<V, E> Started<V, E> {
    /// The child has started: `start` returns `value`. Where nobody waits for it any more, `value` is dropped.
    pub fn ready(self, value: V) {
        if self.signal.is_awaited.replace(false) {
            self.signal.state.set(State::Ready(value));
            if let Some(waiter) = self.signal.waiter.take() {
                node::wake(waiter);
            }
        }
    }
}

impl<V, E> fmt::Debug for Started<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Started")
    }
}

pin_project! {
    /// The child, with its signal.
    pub(crate) struct Starting<F, V, E> {
        #[pin]
        future: F,
        signal: Rc<Signal<V, E>>,
    }
}

impl<V, E, F: Future<Output = Result<(), E>>> Future for Starting<F, V, E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let this = self.project();
        match ready!(this.future.poll(cx)) {
            Err(error) if this.signal.is_awaited.replace(false) => {
                this.signal.state.set(State::Failed(error));
                Poll::Ready(Ok(()))
            }
            result => Poll::Ready(result),
        }
    }
}

/// Waits until a child has started. Made by [`TaskGroup::start`](crate::TaskGroup::start).
///
/// Dropped before, it cancels the child; an error with which the child has failed by then goes with it.
#[must_use = "dropping it cancels the child: await it"]
pub struct Start<V, E> {
    signal: Rc<Signal<V, E>>,
    handle: GroupHandle<()>,
}

impl<V, E> Future for Start<V, E> {
    type Output = Result<V, StartError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(value) = self.signal.take_ready() {
            return Poll::Ready(Ok(value));
        }
        // If it has failed, its cleanups are awaited first.
        let Poll::Ready(ended) = Pin::new(&mut self.handle).poll(cx) else {
            let before = self.signal.waiter.replace(Some(keep(cx.waker())));
            drop(before);
            // The clone was a stranger's code: look again.
            return self.signal.take_ready().map_or(Poll::Pending, |value| Poll::Ready(Ok(value)));
        };
        Poll::Ready(match (self.signal.state.replace(State::Starting), ended) {
            (State::Ready(value), _) => Ok(value),
            (State::Failed(error), _) => Err(StartError::Failed(error)),
            (State::Starting, Ok(())) => Err(StartError::NoSignal),
            (State::Starting, Err(end)) => Err(StartError::Ended(end)),
        })
    }
}

impl<V, E> Drop for Start<V, E> {
    fn drop(&mut self) {
        let state = self.signal.state.replace(State::Starting); // dropped last: it may hold what panics then
        let got_nothing = match &state {
            State::Starting => self.signal.is_awaited.replace(false),
            State::Ready(_) | State::Failed(_) => true,
        };
        if got_nothing {
            self.handle.cancel();
        }
        let_go(self.signal.waiter.take());
    }
}

impl<V, E> fmt::Debug for Start<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Start({:?})", self.handle)
    }
}

/// Why a child did not start.
#[derive(Debug)]
pub enum StartError<E> {
    /// It failed before it had started.
    Failed(E),
    /// It returned without having said that it had started.
    NoSignal,
    /// It was cancelled, or it panicked: then the panic goes on in the group.
    Ended(TaskEnd),
}

impl<E> StartError<E> {
    /// The child's own error, if it failed.
    pub fn into_error(self) -> Option<E> {
        match self {
            StartError::Failed(error) => Some(error),
            StartError::NoSignal | StartError::Ended(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Failed(error) => write!(f, "the task failed before it had started: {error}"),
            StartError::NoSignal => f.write_str("the task ended without having started: call `Started::ready` in it"),
            StartError::Ended(end) => write!(f, "before it had started, {end}"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> Error for StartError<E> {}
