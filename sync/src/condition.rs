//! The condition variable: waiting, inside a critical section, for what another one brings about. (asyncio's `Condition`,
//! std's `Condvar`; tokio has none.)

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, ready};

use handcar_executor::unpolled::Unpolled;

use crate::Hold;
use crate::lock::Lock;
use crate::mutex::{Guard, Mutex};
use crate::wait_queue::{Gate, Outcome, State, Ticket, Wait, WaitQueue};

static WAIT: Wait = Wait::new("ConditionWait", "wait", "condition", "");

/// Lets the holder of a [`Mutex`] wait until another holder notifies it.
///
/// A wait takes the guard and gives it back, so nobody can touch the value while it waits. Notifying takes a guard as the proof
/// that the mutex is locked: otherwise a notification could fall between a waiter's look at the value and its wait.
///
/// ```
/// # use handcar_sync::{Condition, Mutex};
/// # handcar_executor::run(async {
/// let (stock, grown) = (Mutex::new(0), Condition::new());
/// let consumer = async {
///     let mut stock = grown.wait_while(stock.lock().await, |stock| *stock == 0).await;
///     *stock -= 1;
/// };
/// let producer = async {
///     let mut stock = stock.lock().await;
///     *stock += 1;
///     grown.notify_one(&stock);
/// };
/// futures::join!(consumer, producer);
/// # });
/// ```
#[derive(Debug)]
pub struct Condition {
    /// The address of the mutex that those in the queue have released.
    mutex: Cell<*const ()>,
    queue: WaitQueue,
}

impl Condition {
    /// Creates a condition, which serves one mutex at a time.
    #[track_caller]
    pub const fn new() -> Self {
        Self { mutex: Cell::new(ptr::null()), queue: WaitQueue::new() }
    }

    /// Unlocks the mutex, waits for a notification, and locks it again.
    ///
    /// # Panics
    ///
    /// Panics if others wait with the guard of another mutex.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future passes on the notification that it had got, and leaves the mutex unlocked.
    #[track_caller]
    pub fn wait<T: ?Sized, M: Hold<Mutex<T>>>(&self, guard: Guard<T, M>) -> ConditionWait<'_, T, M> {
        self.check(&guard);
        ConditionWait { unpolled: Unpolled::new(&"wait"), condition: self, stage: Stage::New(guard) }
    }

    /// Waits for as long as `is_so` says yes; looks first, and again after each notification.
    ///
    /// # Panics and cancel safety
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_while<T, M, F>(&self, guard: Guard<T, M>, is_so: F) -> WaitWhile<'_, T, M, F>
    where
        T: ?Sized,
        M: Hold<Mutex<T>>,
        F: FnMut(&mut T) -> bool,
    {
        self.check(&guard);
        let unpolled = Unpolled::new(&"wait_while");
        WaitWhile { wait: ConditionWait { unpolled, condition: self, stage: Stage::New(guard) }, is_so }
    }

    /// Notifies the one that has waited longest, if somebody waits.
    ///
    /// # Panics
    ///
    /// Panics if `guard` locks another mutex than those who wait have released.
    #[track_caller]
    pub fn notify_one<T: ?Sized, M: Hold<Mutex<T>>>(&self, guard: &Guard<T, M>) {
        self.check(guard);
        self.queue.grant_one();
    }

    /// Notifies all who wait.
    ///
    /// # Panics
    ///
    /// As [`notify_one`](Self::notify_one).
    #[track_caller]
    pub fn notify_all<T: ?Sized, M: Hold<Mutex<T>>>(&self, guard: &Guard<T, M>) {
        self.check(guard);
        self.queue.dismiss_all();
    }

    #[track_caller]
    fn check<T: ?Sized, M: Hold<Mutex<T>>>(&self, guard: &Guard<T, M>) {
        assert!(
            self.queue.gate() == Gate::Open || self.mutex.get() == address(Guard::mutex(guard)),
            "this guard is of another mutex than those who wait on the condition; use one condition for each mutex",
        );
    }
}

impl Default for Condition {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

fn address<T: ?Sized, M: Hold<Mutex<T>>>(mutex: &M) -> *const () {
    (&raw const **mutex).cast()
}

/// The future of [`Condition::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ConditionWait<'a, T: ?Sized, M: Hold<Mutex<T>>> {
    unpolled: Unpolled,
    condition: &'a Condition,
    stage: Stage<T, M>,
}

#[derive(Debug)]
enum Stage<T: ?Sized, M: Hold<Mutex<T>>> {
    New(Guard<T, M>),
    Waiting(Ticket, M),
    /// Notified in this way, and waiting for the mutex.
    Locking(Outcome, Lock<Guard<T, M>>),
    Done,
}

impl<T: ?Sized, M: Hold<Mutex<T>>> Future for ConditionWait<'_, T, M> {
    type Output = Guard<T, M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { unpolled, condition, stage } = &mut *self;
        unpolled.forget();
        if let Stage::New(guard) = stage {
            let mut ticket = Ticket::New(None);
            let enter = || {
                // Once more: others may have come since it was made, even while the waker was cloned.
                condition.check(guard);
                condition.mutex.set(address(Guard::mutex(guard)));
                None
            };
            let _ = condition.queue.poll(&mut ticket, cx, &WAIT, enter);
            if let Ticket::New(_) = ticket {
                // The budget of this poll is used up.
                return Poll::Pending;
            }
            let mutex = Guard::mutex(guard).clone();
            // Unlocks, now that the place in the line is taken.
            drop(mem::replace(stage, Stage::Waiting(ticket, mutex)));
            return Poll::Pending;
        }
        if let Stage::Waiting(ticket, mutex) = stage {
            let poll = condition.queue.poll(ticket, cx, &WAIT, || None);
            *stage = Stage::Locking(ready!(poll), Lock::new(mutex.clone()));
        }
        let Stage::Locking(_, lock) = stage else { crate::wait_queue::polled_after_ready(WAIT.future) };
        let guard = ready!(Pin::new(lock).poll(cx));
        *stage = Stage::Done;
        Poll::Ready(guard)
    }
}

impl<T: ?Sized, M: Hold<Mutex<T>>> Drop for ConditionWait<'_, T, M> {
    fn drop(&mut self) {
        let queue = &self.condition.queue;
        let unused = match &mut self.stage {
            Stage::New(_) | Stage::Done => false,
            Stage::Locking(outcome, _) => *outcome == Outcome::Granted,
            Stage::Waiting(ticket, _) => {
                matches!(queue.leave(ticket, "wait"), Some(State::Settled(Outcome::Granted)))
            }
        };
        if unused {
            queue.grant_one();
        }
    }
}

/// The future of [`Condition::wait_while`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct WaitWhile<'a, T: ?Sized, M: Hold<Mutex<T>>, F> {
    wait: ConditionWait<'a, T, M>,
    is_so: F,
}

// Nothing in it is ever pinned.
impl<T: ?Sized, M: Hold<Mutex<T>>, F> Unpin for WaitWhile<'_, T, M, F> {}

impl<T: ?Sized, M: Hold<Mutex<T>>, F: FnMut(&mut T) -> bool> Future for WaitWhile<'_, T, M, F> {
    type Output = Guard<T, M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.wait.unpolled.forget();
        loop {
            if let Stage::New(guard) = &mut this.wait.stage
                && !(this.is_so)(guard)
            {
                let stage = mem::replace(&mut this.wait.stage, Stage::Done);
                let Stage::New(guard) = stage else { unreachable!("it was new a moment ago") };
                return Poll::Ready(guard);
            }
            let guard = ready!(Pin::new(&mut this.wait).poll(cx));
            this.wait.stage = Stage::New(guard);
        }
    }
}
