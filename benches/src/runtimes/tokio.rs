//! tokio on one thread, in the ways it offers that for futures that are not `Send`.
//!
//! Its third way, `spawn` on a current-thread runtime, is the scheduler of `LocalRuntime` with a bound on top.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::runtime::{Buffer, Net, Runtime, Several, Timers};

/// tokio, started by `H`.
#[derive(Debug)]
pub(crate) struct Tokio<H>(PhantomData<H>);

/// What of tokio polls the tasks.
pub(crate) trait Host: Debug + 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// As [`Runtime::block_on`].
    fn block_on<F: Future>(future: F) -> F::Output;

    /// As [`Timers::timeout`].
    fn timeout<F: Future>(duration: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        async move { tokio::time::timeout(duration, future).await.ok() }
    }
}

/// A `LocalSet` on a current-thread runtime: what most programs use.
#[derive(Debug)]
pub(crate) struct LocalSet;

impl Host for LocalSet {
    const NAME: &'static str = "tokio LocalSet";

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_all().build().expect("tokio starts");
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }
}

/// `LocalRuntime`, whose own tasks need not be `Send`.
#[derive(Debug)]
pub(crate) struct LocalRuntime;

impl Host for LocalRuntime {
    const NAME: &'static str = "tokio LocalRuntime";

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `LocalRuntime` without I/O and time. It opens no descriptor and parks on a condition variable, as Handcar does before its
/// first socket; shown where that decides.
#[derive(Debug)]
pub(crate) struct NoDrivers;

impl Host for NoDrivers {
    const NAME: &'static str = "tokio without drivers";

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default());
        runtime.expect("tokio starts").block_on(future)
    }
}

/// `LocalRuntime` where a deadline is at hand, so that a timeout need not read the clock.
#[derive(Debug)]
pub(crate) struct TimeoutAt;

thread_local! {
    static DEADLINE: Instant = Instant::now() + Duration::from_secs(3600);
}

impl Host for TimeoutAt {
    const NAME: &'static str = "tokio timeout_at";

    fn block_on<F: Future>(future: F) -> F::Output {
        LocalRuntime::block_on(future)
    }

    async fn timeout<F: Future>(_: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(DEADLINE.with(|deadline| *deadline), future).await.ok()
    }
}

/// `LocalRuntime` with the timeouts of pingora: they come on ticks of 10 ms, from a thread of their own.
#[cfg(feature = "peers")]
#[derive(Debug)]
pub(crate) struct Pingora;

#[cfg(feature = "peers")]
impl Host for Pingora {
    const NAME: &'static str = "pingora-timeout on tokio";

    fn block_on<F: Future>(future: F) -> F::Output {
        LocalRuntime::block_on(future)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        pingora_timeout::timeout(duration, future).await.ok()
    }
}

impl<H: Host> Runtime for Tokio<H> {
    const NAME: &'static str = H::NAME;

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        H::block_on(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        tokio::task::spawn_local(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        drop(task);
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}

impl<H: Host> Timers for Tokio<H> {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(duration)
    }

    fn timeout<F: Future>(duration: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        H::timeout(duration, future)
    }
}

impl<H: Host> Net for Tokio<H> {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn listen() -> io::Result<TcpListener> {
        TcpListener::bind("127.0.0.1:0").await
    }

    fn address(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    fn set_nodelay(stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)
    }

    async fn read(stream: &mut TcpStream, mut buffer: Buffer, filled: usize) -> (io::Result<usize>, Buffer) {
        let read = stream.read(&mut buffer[filled..]).await;
        (read, buffer)
    }

    async fn write_all(stream: &mut TcpStream, buffer: Buffer, length: usize) -> (io::Result<()>, Buffer) {
        let written = stream.write_all(&buffer[..length]).await;
        (written, buffer)
    }
}

#[cfg(feature = "peers")]
impl<H: Host> crate::workloads::http::Http for Tokio<H> {
    type Io = hyper_util::rt::TokioIo<TcpStream>;

    fn io(stream: TcpStream) -> Self::Io {
        hyper_util::rt::TokioIo::new(stream)
    }
}

impl<H: Host> Several for Tokio<H> {
    fn all<F: Future>(futures: impl Iterator<Item = F>) -> impl Future<Output = Vec<F::Output>> {
        futures::future::join_all(futures)
    }

    async fn two<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
        tokio::join!(a, b)
    }

    async fn group<F>(children: impl Iterator<Item = F>) -> u64
    where
        F: Future<Output = u64> + 'static,
    {
        let mut set = JoinSet::new();
        children.for_each(|child| drop(set.spawn_local(child)));
        let mut sum = 0;
        while let Some(value) = set.join_next().await {
            sum += value.expect("it neither panics nor is cancelled");
        }
        sum
    }

    async fn counted(children: u64) -> u64 {
        let count = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for _ in 0..children {
            let count = Rc::clone(&count);
            set.spawn_local(async move { count.set(count.get() + 1) });
        }
        while let Some(ended) = set.join_next().await {
            ended.expect("it neither panics nor is cancelled");
        }
        count.get()
    }
}
