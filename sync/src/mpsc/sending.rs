//! One message on its way into the channel.
//!
//! ```text
//!            (1) a slot                       (2) the receiver takes it
//!   Waiting -----------> Offered ------------------------------------> Done
//!      |                    | (3) the receiver goes, or this is dropped:   ^
//!      |                    '--- the message is taken back ----------------|
//!      '--- (1) a slot, in any channel but a rendezvous -------------------'
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_executor::{budget, keep, question};

use super::error::SendError;
use super::{Channel, leave};
use crate::wait_queue::{Ticket, Wait, polled_after_ready};

static SEND: Wait = Wait::new("mpsc::Sending", "send", "channel", ", which is full");
static HAND_OVER: Wait = Wait::new("mpsc::Sending", "send", "channel", ", whose receiver takes nothing");

/// The future of [`Sender::send`](super::Sender::send).
#[must_use = "futures do nothing unless awaited"]
pub struct Sending<'a, T> {
    channel: &'a Channel<T>,
    /// Here until there is room for it.
    message: Option<T>,
    stage: Stage,
}

enum Stage {
    /// For a slot.
    Waiting(Ticket),
    /// For the rendezvous of this number.
    Offered(u64),
    Done,
}

// Nothing in it is ever pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !question::has_left() {
            return self.suspend(cx);
        }
        let Self { channel, message, stage } = &mut *self;
        if matches!(stage, Stage::Waiting(Ticket::New(_))) && channel.capacity > 0 && channel.slots.try_take(1).is_ok()
        {
            *stage = Stage::Done;
            channel.push_from(|| message.take());
            budget::spend();
            return Poll::Ready(Ok(()));
        }
        self.poll_slow(cx)
    }
}

impl<'a, T> Sending<'a, T> {
    #[track_caller]
    pub(super) fn new(channel: &'a Channel<T>, message: T) -> Self {
        Self { channel, message: Some(message), stage: Stage::Waiting(Ticket::new()) }
    }

    #[cold]
    #[inline(never)]
    fn suspend<R>(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        if let Stage::Waiting(ticket) = &mut self.stage {
            ticket.is_polled();
        }
        let wait = if self.channel.capacity > 0 { &SEND } else { &HAND_OVER };
        question::suspend_telling(cx, || wait.told(self.channel.slots.made_at()))
    }

    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let channel = self.channel;
        if let Stage::Waiting(ticket) = &mut self.stage {
            let slot = ready!(channel.slots.poll_acquire(ticket, 1, cx, &SEND));
            self.stage = Stage::Done;
            let message = self.message.take().expect("the message is there until the slot is");
            if slot.is_err() {
                return Poll::Ready(Err(SendError(message)));
            }
            if channel.capacity > 0 || !channel.receiver_lives.get() {
                return Poll::Ready(channel.push_if_received(message));
            }
            // Before the receiver is woken: its waker may take the message then and there.
            let number = channel.rendezvous.get() + 1;
            channel.rendezvous.set(number);
            self.stage = Stage::Offered(number);
            channel.push(message);
        }
        match self.stage {
            Stage::Offered(_) => self.poll_offered(cx),
            _ => polled_after_ready(SEND.future),
        }
    }

    fn poll_offered(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        if self.awaits_handover() {
            let waker = keep(cx.waker());
            // The clone was foreign code: look again. Whose message lies in the slot also owns the cell.
            if self.awaits_handover() {
                let _old = self.channel.handover.replace(waker);
                return Poll::Pending;
            }
        }
        Poll::Ready(self.withdraw().map_or(Ok(()), |message| Err(SendError(message))))
    }

    fn awaits_handover(&self) -> bool {
        self.channel.receiver_lives.get() && self.is_offered()
    }

    /// Whether the message still lies in the channel.
    fn is_offered(&self) -> bool {
        matches!(self.stage, Stage::Offered(number) if self.channel.rendezvous.get() == number)
    }

    #[cold]
    fn give_up(&mut self) {
        match &mut self.stage {
            Stage::Waiting(ticket) => leave(self.channel, ticket, 1, "send"),
            Stage::Offered(_) => drop(self.withdraw()),
            Stage::Done => {}
        }
    }

    /// Ends a rendezvous, and takes the message back if nobody else has.
    fn withdraw(&mut self) -> Option<T> {
        let is_offered = self.is_offered();
        self.stage = Stage::Done;
        if !is_offered {
            return None;
        }
        // Or `pop` would wake the one who withdraws.
        let waker = self.channel.handover.take();
        // Here until the waker is gone: should its drop panic, the message goes with this.
        self.message = self.channel.pop();
        drop(waker);
        self.message.take()
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Mostly the message was sent, and nothing is left to do.
        if !matches!(self.stage, Stage::Done) {
            self.give_up();
        }
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sending").field(self.channel).finish()
    }
}
