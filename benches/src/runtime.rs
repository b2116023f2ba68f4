//! What a workload asks of a runtime: the one seam between the two.
//!
//! A workload is written once, against this trait, and compiled once for each runtime. So the trait says only what every
//! runtime has, hands out each runtime's own types without wrapping them, and does nothing by itself.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::workloads::several;

/// A runtime that can be measured: a type without values, whose functions are the runtime's own.
pub(crate) trait Runtime: 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// Waits for a task.
    type JoinHandle<T: 'static>: Future<Output = Result<T, Self::JoinError>> + Unpin;
    /// Why a task has no value.
    type JoinError: Debug;

    /// Starts a runtime, polls `future` on it to its end, and ends the runtime.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Spawns a task on the runtime that is running.
    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;

    /// Lets a task run on, whatever it returns.
    fn detach<T: 'static>(task: Self::JoinHandle<T>);

    /// Spawns a task that nobody will wait for: where a runtime has no other way, one with a handle that is given up.
    fn spawn_detached<F>(future: F)
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Self::detach(Self::spawn(future));
    }

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()>;

    /// Runs `future` as a spawned task of a runtime of its own. Everything is measured like this: a runtime may treat the
    /// future that it was started with in another way than its tasks.
    fn run<F>(future: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // Boxed, so that a runtime's own loop is compiled once and not for each workload: it only waits for the task.
        let task = async { Self::spawn(future).await.expect("a workload neither panics nor is cancelled") };
        Self::block_on(Box::pin(task) as Pin<Box<dyn Future<Output = F::Output>>>)
    }
}

/// A runtime with timers.
pub(crate) trait Timers: Runtime {
    /// Waits for `duration`.
    fn sleep(duration: Duration) -> impl Future<Output = ()>;

    /// Waits for `future`, for `duration` at the most.
    fn timeout<F: Future>(duration: Duration, future: F) -> impl Future<Output = Option<F::Output>>;
}

/// What is read into and written from. It moves into each call and back out: the runtimes on `io_uring` must own it meanwhile, and
/// to the others that is two words in registers.
pub(crate) type Buffer = Box<[u8]>;

/// A runtime with sockets.
pub(crate) trait Net: Timers {
    /// Waits for connections.
    type Listener: 'static;
    /// A connection.
    type Stream: 'static;

    /// Listens on a free port of the loopback.
    fn listen() -> impl Future<Output = io::Result<Self::Listener>>;

    /// Where it listens.
    fn address(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// The next connection.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;

    /// A new connection.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Sends small messages at once.
    fn set_nodelay(stream: &Self::Stream) -> io::Result<()>;

    /// Reads what there is behind the first `filled` bytes; nothing means the end.
    fn read(
        stream: &mut Self::Stream,
        buffer: Buffer,
        filled: usize,
    ) -> impl Future<Output = (io::Result<usize>, Buffer)>;

    /// Writes the first `length` bytes, all of them.
    fn write_all(
        stream: &mut Self::Stream,
        buffer: Buffer,
        length: usize,
    ) -> impl Future<Output = (io::Result<()>, Buffer)>;
}

/// A runtime's ways to wait for several things; where it brings none, what its programs do instead.
pub(crate) trait Several: Runtime + Sized {
    /// Waits for many futures in one task: with futures' `join_all`, which works on any runtime.
    fn all<F: Future>(futures: impl Iterator<Item = F>) -> impl Future<Output = Vec<F::Output>> {
        futures::future::join_all(futures)
    }

    /// Waits for two futures in one task.
    fn two<A: Future, B: Future>(a: A, b: B) -> impl Future<Output = (A::Output, B::Output)> {
        futures::future::join(a, b)
    }

    /// Spawns so many children, each of which returns its number, and adds the numbers up.
    fn group(children: u64) -> impl Future<Output = u64> {
        several::in_turn::<Self>(children)
    }

    /// Spawns so many children, each of which yields once and adds one to a counter outside, and waits for them. Where children
    /// may borrow it they do.
    fn counted(children: u64) -> impl Future<Output = u64> {
        several::counted_in_turn::<Self>(children)
    }
}
