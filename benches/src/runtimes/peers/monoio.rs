//! monoio, with either of its drivers.
//!
//! It puts a task that wakes itself at the front of its queue, before all others that are ready. So its switch rows with many
//! tasks run one task to its end after the other, out of a warm cache; and a loop of `yield_now` that waits for another
//! task waits for ever.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::task::JoinHandle;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use monoio_compat::TcpStreamCompat;

use super::{CoopUring, Epoll, Sure, Uring};
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::http::Http;

/// monoio on `D`.
#[derive(Debug)]
pub(crate) struct Monoio<D>(PhantomData<D>);

/// How monoio waits for the kernel.
pub(crate) trait Driver: 'static {
    const NAME: &'static str;

    fn block_on<F: Future>(future: F) -> F::Output;
}

impl Driver for Epoll {
    const NAME: &'static str = "monoio epoll";

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = RuntimeBuilder::<TimeDriver<LegacyDriver>>::new().build();
        runtime.expect("monoio starts").block_on(future)
    }
}

impl Driver for Uring {
    const NAME: &'static str = "monoio io_uring";

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = RuntimeBuilder::<TimeDriver<IoUringDriver>>::new().build();
        runtime.expect("the kernel allows io_uring").block_on(future)
    }
}

impl Driver for CoopUring {
    const NAME: &'static str = "monoio io_uring, coop_taskrun";

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut ring = io_uring_06::IoUring::builder();
        ring.setup_coop_taskrun();
        let runtime = RuntimeBuilder::<TimeDriver<IoUringDriver>>::new().uring_builder(ring).build();
        runtime.expect("the kernel allows io_uring").block_on(future)
    }
}

impl<D: Driver> Runtime for Monoio<D> {
    const NAME: &'static str = D::NAME;

    type JoinHandle<T: 'static> = Sure<JoinHandle<T>>;
    type JoinError = std::convert::Infallible;

    fn block_on<F: Future>(future: F) -> F::Output {
        D::block_on(future)
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Sure(monoio::spawn(future))
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        drop(task);
    }

    /// It has none; this is the field's.
    fn yield_now() -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }
}

impl<D: Driver> Timers for Monoio<D> {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        monoio::time::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        monoio::time::timeout(duration, future).await.ok()
    }
}

impl<D: Driver> Net for Monoio<D> {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn listen() -> io::Result<TcpListener> {
        TcpListener::bind("127.0.0.1:0")
    }

    fn address(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_addr(address).await
    }

    fn set_nodelay(stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)
    }

    async fn read(stream: &mut TcpStream, buffer: Buffer, filled: usize) -> (io::Result<usize>, Buffer) {
        let (read, slice) = stream.read(buffer.slice_mut(filled..)).await;
        (read, slice.into_inner())
    }

    async fn write_all(stream: &mut TcpStream, buffer: Buffer, length: usize) -> (io::Result<()>, Buffer) {
        let (written, slice) = stream.write_all(buffer.slice(..length)).await;
        (written.map(|_| ()), slice.into_inner())
    }
}

impl<D: Driver> Several for Monoio<D> {}

impl<D: Driver> Http for Monoio<D> {
    type Io = TokioIo<TcpStreamCompat>;

    fn io(stream: TcpStream) -> TokioIo<TcpStreamCompat> {
        TokioIo::new(TcpStreamCompat::new(stream))
    }
}
