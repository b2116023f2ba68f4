//! A channel for one message.
//!
//! Its whole state is three cells in one allocation, and nothing counts who still lives: the `Rc` that the two ends share does
//! that already. One reference left means that the peer has gone.
//!
//! ```
//! # use handcar_sync::oneshot;
//! # handcar_executor::run(async {
//! let (sender, receiver) = oneshot::channel();
//! sender.send("done").unwrap();
//! assert_eq!(receiver.await, Ok("done"));
//! # });
//! ```

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Recycled, budget, question};

use crate::wait_queue::{Wait, polled_after_ready};
use crate::waker_cell::WakerCell;

static RECV: Wait = Wait::new("oneshot::Receiver", "recv", "oneshot channel", ", 1 sender");
static CLOSED: Wait = Wait::new("oneshot::Closed", "closed", "oneshot channel", ", 1 receiver");

/// Error types, under the path that they have in tokio.
pub mod error {
    pub use super::{RecvError, TryRecvError};
}

/// Creates the two ends.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let made_at = Location::caller();
    let shared = Recycled::new(|| Shared {
        message: Cell::new(None),
        made_at,
        receiver: WakerCell::default(),
        sender: WakerCell::default(),
    });
    (Sender { shared: Some(shared.clone()) }, Receiver { shared: Some(shared), finished: false })
}

struct Shared<T> {
    message: Cell<Option<T>>,
    made_at: &'static Location<'static>,
    receiver: WakerCell,
    /// Set while the sender waits for the receiver to go.
    sender: WakerCell,
}

/// The end that sends.
#[must_use = "dropping the sender tells the receiver that nothing will come"]
pub struct Sender<T> {
    /// Taken before the receiver is woken, for the receiver reads the reference count.
    shared: Option<Recycled<Shared<T>>>,
}

/// The end that receives: a future of the message.
///
/// # Cancel safety
///
/// Await `&mut receiver` to be able to wait again after the wait was dropped. A message stays in the channel until the poll that
/// returns it.
#[must_use = "dropping the receiver closes the channel"]
pub struct Receiver<T> {
    /// `None` when closed, or when the one result has been returned.
    shared: Option<Recycled<Shared<T>>>,
    finished: bool,
}

impl<T> Sender<T> {
    /// Sends the message; it never waits.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone or has closed the channel.
    #[inline]
    pub fn send(mut self, message: T) -> Result<(), T> {
        let Some(shared) = self.shared.take().filter(|shared| Recycled::strong_count(shared) > 1) else {
            return Err(message);
        };
        shared.message.set(Some(message));
        Self::leave(shared);
        Ok(())
    }

    /// Whether a message would come back: the receiver has gone or has closed the channel.
    pub fn is_closed(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| Recycled::strong_count(shared) == 1)
    }

    /// Waits until nobody wants the message any more, so that the work on it can be given up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the wait, and nothing else.
    ///
    /// ```
    /// # use handcar_sync::oneshot;
    /// # handcar_executor::run(async {
    /// let (mut sender, receiver) = oneshot::channel::<u32>();
    /// drop(receiver);
    /// sender.closed().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed { unpolled: Unpolled::new(&"closed"), sender: Some(self) }
    }

    /// Polls for what [`closed`](Self::closed) waits for.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(question::poll_telling(cx, || told(self.shared.as_ref(), &CLOSED)));
        if !self.is_closed() {
            if let Some(shared) = &self.shared {
                shared.sender.register(cx.waker());
            }
            // Registering runs foreign code: look again.
            if !self.is_closed() {
                return Poll::Pending;
            }
            // Not left for `send`, with the message in hand.
            drop(self.shared.as_ref().map(|shared| shared.sender.take()));
        }
        budget::spend();
        Poll::Ready(())
    }

    #[inline]
    fn leave(shared: Recycled<Shared<T>>) {
        // Its own waker is not left for the receiver to drop, with the message in hand: the drop may panic.
        let (receiver, _sender) = (shared.receiver.take(), shared.sender.take());
        drop(shared);
        receiver.wake();
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            Self::leave(shared);
        }
    }
}

impl<T> Receiver<T> {
    /// Closes the channel: from now on a message comes back to its sender. One that has been sent stays to be received.
    pub fn close(&mut self) {
        if self.has_message() {
            return;
        }
        self.leave();
    }

    /// Takes the message if it is there.
    ///
    /// # Errors
    ///
    /// Says whether it may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(shared) = &self.shared else {
            return Err(TryRecvError::Closed);
        };
        let Some(message) = shared.message.take() else {
            // The order matters: whoever sends sets the message first and goes afterwards.
            return Err(match Recycled::strong_count(shared) {
                1 => TryRecvError::Closed,
                _ => TryRecvError::Empty,
            });
        };
        if let Some(shared) = self.shared.take() {
            drop(shared);
        }
        Ok(message)
    }

    /// Whether this future has returned its result, so that it must not be polled again.
    pub fn is_terminated(&self) -> bool {
        self.finished
    }

    /// Whether the channel holds no message now.
    pub fn is_empty(&self) -> bool {
        !self.has_message()
    }

    #[inline(never)]
    fn leave(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        // Its own waker is not left for the sender to drop: it may hold the task, and the task the sender.
        let (_receiver, sender) = (shared.receiver.take(), shared.sender.take());
        drop(shared);
        sender.wake();
    }

    #[cold]
    fn suspend<R>(&self, cx: &mut Context<'_>) -> Poll<R> {
        question::suspend_telling(cx, || told(self.shared.as_ref(), &RECV))
    }

    /// Called without a message: while the sender is there, it may still come. Mostly a wait begins, which needs no frame.
    #[inline(never)]
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        match &self.shared {
            Some(shared) if Recycled::strong_count(shared) > 1 && shared.receiver.register_first(cx.waker()) => {
                Poll::Pending
            }
            _ => self.poll_rare(cx),
        }
    }

    /// Apart: all of this may run foreign code, and so needs a frame.
    #[inline(never)]
    fn poll_rare(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        if self.finished {
            polled_after_ready(RECV.future);
        }
        if let Some(shared) = &self.shared {
            shared.receiver.register(cx.waker());
        }
        // Registering runs foreign code: look again.
        if let Some(shared) = &self.shared
            && Recycled::strong_count(shared) == 1
        {
            drop(shared.receiver.take()); // while the message is still there, since this may panic
        }
        let result = self.try_recv();
        if let Err(TryRecvError::Empty) = result {
            return Poll::Pending;
        }
        self.finished = true;
        budget::spend();
        Poll::Ready(result.map_err(|_| RecvError(())))
    }

    fn has_message(&self) -> bool {
        let Some(shared) = &self.shared else {
            return false;
        };
        let message = shared.message.take();
        let has_message = message.is_some();
        shared.message.set(message);
        has_message
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !question::has_left() {
            return self.suspend(cx);
        }
        let Ok(message) = self.try_recv() else { return self.poll_empty(cx) };
        budget::spend();
        self.finished = true;
        Poll::Ready(Ok(message))
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        // Mostly the message was received, and nothing is left to do.
        if self.shared.is_some() {
            self.leave();
        }
    }
}

/// The future of [`Sender::closed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    unpolled: Unpolled,
    sender: Option<&'a mut Sender<T>>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.unpolled.forget();
        let Some(sender) = &mut self.sender else { polled_after_ready(CLOSED.future) };
        ready!(sender.poll_closed(cx));
        self.sender = None;
        Poll::Ready(())
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if let Some(shared) = self.sender.take().and_then(|sender| sender.shared.as_ref()) {
            drop(shared.sender.take());
        }
    }
}

/// For a deadlock report.
fn told<T>(shared: Option<&Recycled<Shared<T>>>, wait: &'static Wait) -> String {
    shared.map_or_else(String::new, |shared| wait.told(shared.made_at))
}

shows!(Sender<T> is_closed);

shows!(Receiver<T> is_empty, is_terminated);

/// The sender went without sending, or the receiver had closed the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError(());

says!(RecvError { _ => "the channel is closed and empty" });

/// Why [`Receiver::try_recv`] returned no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// It may still come.
    Empty,
    /// None will come.
    Closed,
}

says!(TryRecvError {
    Self::Empty => "the channel is empty",
    Self::Closed => "the channel is closed and empty"
});
