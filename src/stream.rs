//! Streams: the one extension trait, generators, and generators that run as a task.
//!
//! A generator made by [`generate`] runs in its consumer's poll and only while it is asked for an item. [`stream_task`] puts the
//! body into a task of its own instead, behind a rendezvous: it works on the next item while the consumer has the last one, and it
//! may yield inside a timeout or a group, since the runtime polls it.
//!
//! It stands here rather than beside the generators because it is made of both: groups, which channels know nothing of, and a
//! channel of capacity zero, which groups know nothing of.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::FusedStream;
pub use futures_core::stream::Stream;
pub use futures_lite::stream::StreamExt;
pub use handcar_structured::{Generate, TryGenerate, Yield, Yielder, generate, try_generate};
use handcar_structured::{GroupHandle, TaskGroup};
use handcar_sync::mpsc;

/// A stream of what `body` yields in a task of its own, a child of `group`.
///
/// The body begins at once. At each item it waits until the consumer has taken it; so it is ahead by one item at the most. Its error
/// is the group's, as that of any child; then the stream ends.
///
/// ```
/// use handcar::stream::{StreamExt, stream_task};
/// use handcar::{sleep, task_group, timeout};
/// use std::time::Duration;
///
/// handcar::run(async {
///     let sum = task_group(async |g| {
///         let mut numbers = stream_task(&g, async |y| {
///             for n in 1..=3 {
///                 let slow = async {
///                     sleep(Duration::from_millis(1)).await;
///                     y.yield_(n).await; // inside a timeout: a plain generator refuses that
///                 };
///                 timeout(Duration::from_secs(5), slow).await?;
///             }
///             Ok(())
///         });
///         let mut sum = 0;
///         while let Some(n) = numbers.next().await {
///             sum += n;
///         }
///         Ok::<_, handcar::Elapsed>(sum)
///     });
///     assert_eq!(sum.await.unwrap(), 6);
/// });
/// ```
///
/// # Panics
///
/// If the group has ended.
///
/// # Cancel safety
///
/// A dropped `next()` loses nothing. Dropping the stream cancels the task, which ends by the rule of scopes; the group waits for
/// it. An item that was not taken is dropped.
#[track_caller]
pub fn stream_task<T, E, B>(group: &TaskGroup<E>, body: B) -> StreamTask<T>
where
    T: 'static,
    E: fmt::Display + 'static,
    B: AsyncFnOnce(&mut TaskYielder<T>) -> Result<(), E> + 'static,
{
    let (sender, items) = mpsc::channel(0);
    let mut yielder = TaskYielder { sender };
    let task = group.spawn(async move { body(&mut yielder).await });
    StreamTask { items, ended: false, task }
}

/// What the body of a [`stream_task`] yields with.
pub struct TaskYielder<T> {
    sender: mpsc::Sender<T>,
}

impl<T> TaskYielder<T> {
    /// Hands `item` to the consumer, and waits until that has taken it.
    ///
    /// When the stream has been dropped this waits for ever: the task is cancelled, and ends here.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped before the consumer has taken the item, the item is dropped too, and was not yielded.
    #[track_caller]
    pub fn yield_(&mut self, item: T) -> TaskYield<'_, T> {
        TaskYield { sending: Some(self.sender.send(item)) }
    }
}

impl<T> fmt::Debug for TaskYielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskYielder")
    }
}

/// Hands an item to the consumer. Made by [`TaskYielder::yield_`].
#[must_use = "the item is yielded only when this is awaited"]
pub struct TaskYield<'a, T> {
    /// `None`: nobody will ever take it.
    sending: Option<mpsc::Sending<'a, T>>,
}

impl<T> Future for TaskYield<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sending) = &mut self.sending else { return Poll::Pending };
        if ready!(Pin::new(sending).poll(cx)).is_err() {
            self.sending = None;
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<T> fmt::Debug for TaskYield<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskYield")
    }
}

/// A stream of what a task yields. Made by [`stream_task`].
#[must_use = "dropping it cancels its task"]
pub struct StreamTask<T> {
    items: mpsc::Receiver<T>,
    ended: bool,
    task: GroupHandle<()>,
}

impl<T> StreamTask<T> {
    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Stream for StreamTask<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let item = ready!(self.items.poll_recv(cx));
        self.ended = item.is_none();
        Poll::Ready(item)
    }
}

impl<T> FusedStream for StreamTask<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T> Drop for StreamTask<T> {
    fn drop(&mut self) {
        self.task.cancel();
    }
}

impl<T> fmt::Debug for StreamTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamTask({:?})", self.task)
    }
}
