//! A channel whose senders live on other threads.
//!
//! Everything else in this crate is cells; this is its one meeting point with other threads, and a plain `Mutex` is all it takes.
//! The receiver takes the lock once for a batch: it swaps the queue under the lock with the empty one it has drained. A sender
//! wakes it only if it waits. The waker does the rest: on Handcar it is a number that goes through the runtime's mailbox.
//!
//! The capacity limits the queue alone. Were the batch counted as well, its room would have to come free with each message, at the
//! cost of an atomic exchange for each; come free with the last one, it could be waited for for ever, by a sender that the
//! receiver waits for before it takes that one.
//!
//! ```text
//!   other threads                               this thread
//!   send -> lock -> queue --(swap, one lock)--> batch -> recv, recv, recv ...
//!             '---> waker, if one is registered
//! ```
//!
//! A runtime on a simulated clock cannot know whether another thread is about to send. So the channel [holds](Clock::hold) the
//! clock for as long as there is a sender and a receiver: of the runtime in which it was made, and then of the one in which
//! the receiver last looked. A sender that is kept on the runtime's own thread holds it as well.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread::{self, ThreadId};

use futures_core::Stream;
use handcar_executor::{Clock, ClockHold, budget};

use crate::mpsc::error::{SendError, TryRecvError, TrySendError};
use crate::recv::{Receive, Recv};
use crate::sealed;
use crate::wait_queue::wake;

/// An empty batch with more room than this is given back.
const KEPT_MESSAGES: usize = 4096;

/// Creates a channel that holds up to `capacity` messages, besides those that the receiver found at its last look: it takes all of
/// them over at once. The receiver belongs to the calling thread.
///
/// ```
/// # use handcar_sync::remote;
/// let total: u32 = handcar_executor::run(async {
///     let (sender, mut receiver) = remote::channel(8);
///     std::thread::spawn(move || (1..=100).for_each(|n| sender.blocking_send(n).unwrap()));
///     let mut total = 0;
///     while let Some(n) = receiver.recv().await {
///         total += n;
///     }
///     total
/// });
/// assert_eq!(total, 5050);
/// ```
///
/// # Panics
///
/// Panics if `capacity` is 0.
#[track_caller]
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a remote channel has no rendezvous; give it a capacity of 1");
    let channel = Arc::new(Channel {
        capacity,
        receiver_thread: thread::current().id(),
        room: Condvar::new(),
        state: Mutex::new(State {
            messages: VecDeque::new(),
            waker: None,
            clock: hold_clock(),
            senders: 1,
            receiver_lives: true,
        }),
    });
    (Sender { channel: channel.clone() }, Receiver { channel, batch: VecDeque::new(), not_send: PhantomData })
}

struct Channel<T> {
    capacity: usize,
    receiver_thread: ThreadId,
    /// Notified when there is room again, or the receiver has gone.
    room: Condvar,
    state: Mutex<State<T>>,
}

struct State<T> {
    messages: VecDeque<T>,
    waker: Option<Waker>,
    /// Taken when the last sender or the receiver goes. Its drop may notify a runtime: not under the lock.
    clock: Option<ClockHold>,
    senders: usize,
    receiver_lives: bool,
}

/// Keeps the current runtime's clock from jumping, if there is a runtime.
fn hold_clock() -> Option<ClockHold> {
    Clock::current().map(|clock| clock.hold())
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under this lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State<T>) -> bool {
        state.messages.len() < self.capacity
    }
}

/// The end that sends, from any thread. Clone it for more senders.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// Sends if there is room.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is full, or the receiver has gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let state = self.channel.lock();
        if !state.receiver_lives {
            return Err(TrySendError::Closed(message));
        }
        if !self.channel.has_room(&state) {
            return Err(TrySendError::Full(message));
        }
        push(state, message);
        Ok(())
    }

    /// Blocks the calling thread until there is room, and sends.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver has gone.
    ///
    /// # Panics
    ///
    /// Panics on the receiver's own thread if the channel is full: nobody could ever make room.
    #[track_caller]
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.channel.lock();
        while state.receiver_lives && !self.channel.has_room(&state) {
            assert!(
                thread::current().id() != self.channel.receiver_thread,
                "`blocking_send` would block the thread that receives for ever; on that thread use `try_send`, or `mpsc`",
            );
            state = self.channel.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.receiver_lives {
            return Err(SendError(message));
        }
        push(state, message);
        Ok(())
    }

    /// Whether the receiver has gone.
    pub fn is_closed(&self) -> bool {
        !self.channel.lock().receiver_lives
    }
}

/// Takes the lock's guard, to wake without it.
fn push<T>(mut state: MutexGuard<'_, State<T>>, message: T) {
    state.messages.push_back(message);
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        wake(waker);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.lock().senders += 1;
        Self { channel: self.channel.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.senders -= 1;
        if state.senders > 0 {
            return;
        }
        let (waker, clock) = (state.waker.take(), state.clock.take());
        drop(state);
        if let Some(waker) = waker {
            wake(waker);
        }
        // Now that the receiver's task is awake.
        drop(clock);
    }
}

/// The end that receives, on the thread that made it; also a [`Stream`].
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    batch: VecDeque<T>,
    not_send: PhantomData<Rc<()>>,
}

impl<T> Receiver<T> {
    /// Waits for the next message, or for `None`, which says that all senders have gone and everything was received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: it takes the message in the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, Self> {
        Recv::new(self)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether there may still be one later.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.take_or_register(None)
    }

    /// Polls for what [`recv`](Self::recv) waits for. The last waker counts.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        ready!(budget::poll(cx));
        let waker = if self.batch.is_empty() { Some(cx.waker().clone()) } else { None };
        let result = self.take_or_register(waker);
        if let Err(TryRecvError::Empty) = result {
            return Poll::Pending;
        }
        budget::spend();
        Poll::Ready(result.ok())
    }

    /// Takes a message, or leaves `waker` with the senders.
    fn take_or_register(&mut self, waker: Option<Waker>) -> Result<T, TryRecvError> {
        let is_closed = self.batch.is_empty() && self.refill(waker);
        self.batch.pop_front().ok_or(if is_closed { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }

    /// Swaps the empty batch for what has been sent, or leaves `waker` with the senders; says whether all of them have gone.
    fn refill(&mut self, mut waker: Option<Waker>) -> bool {
        if self.batch.capacity() > KEPT_MESSAGES {
            self.batch = VecDeque::new();
        }
        let mut clock = hold_clock();
        let mut state = self.channel.lock();
        if !self.channel.has_room(&state) {
            self.channel.room.notify_all();
        }
        mem::swap(&mut self.batch, &mut state.messages);
        let is_closed = state.senders == 0;
        if !is_closed && clock.is_some() {
            mem::swap(&mut state.clock, &mut clock);
        }
        if !is_closed && self.batch.is_empty() && waker.is_some() {
            mem::swap(&mut state.waker, &mut waker);
        }
        drop(state);
        is_closed
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for Receiver<T> {}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.receiver_lives = false;
        let left = (mem::take(&mut state.messages), state.waker.take(), state.clock.take());
        drop(state);
        self.channel.room.notify_all();
        drop(left);
    }
}

impl<T> sealed::Sealed for Receiver<T> {}

impl<T> Receive for Receiver<T> {
    type Received = Option<T>;

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }

    fn unregister(&mut self) {
        let waker = self.channel.lock().waker.take();
        drop(waker);
    }
}

shows!(Sender<T> is_closed);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("batch", &self.batch.len()).finish_non_exhaustive()
    }
}
