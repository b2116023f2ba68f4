//! compio, with either of its drivers.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use compio::buf::{BufResult, IntoInner, IoBuf};
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{JoinError, JoinHandle, RuntimeBuilder};
use cyper_core::HyperStream;

use super::{Epoll, Uring};
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::http::Http;

/// compio on `D`.
#[derive(Debug)]
pub(crate) struct Compio<D>(PhantomData<D>);

/// How compio waits for the kernel.
pub(crate) trait Driver: 'static {
    const NAME: &'static str;
    const TYPE: DriverType;
}

impl Driver for Epoll {
    const NAME: &'static str = "compio epoll";
    const TYPE: DriverType = DriverType::Poll;
}

impl Driver for Uring {
    const NAME: &'static str = "compio io_uring";
    const TYPE: DriverType = DriverType::IoUring;
}

impl<D: Driver> Runtime for Compio<D> {
    const NAME: &'static str = D::NAME;

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut driver = ProactorBuilder::new();
        driver.driver_type(D::TYPE);
        // What its documentation advises for most programs; epoll does not know them.
        driver.coop_taskrun(true).taskrun_flag(true);
        let runtime = RuntimeBuilder::new().with_proactor(driver).build().expect("the kernel has what compio needs");
        assert_eq!(runtime.driver_type(), D::TYPE, "it falls back on nothing else");
        runtime.block_on(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        compio::runtime::spawn(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        task.detach();
    }

    /// It has none; this is the field's.
    fn yield_now() -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }
}

impl<D: Driver> Timers for Compio<D> {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        compio::time::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        compio::time::timeout(duration, future).await.ok()
    }
}

impl<D: Driver> Net for Compio<D> {
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

    async fn read(stream: &mut TcpStream, buffer: Buffer, filled: usize) -> (io::Result<usize>, Buffer) {
        let BufResult(read, slice) = stream.read(buffer.slice(filled..)).await;
        (read, slice.into_inner())
    }

    async fn write_all(stream: &mut TcpStream, buffer: Buffer, length: usize) -> (io::Result<()>, Buffer) {
        let BufResult(written, slice) = stream.write_all(buffer.slice(..length)).await;
        (written, slice.into_inner())
    }
}

impl<D: Driver> Several for Compio<D> {}

impl<D: Driver> Http for Compio<D> {
    type Io = HyperStream<TcpStream>;

    fn io(stream: TcpStream) -> HyperStream<TcpStream> {
        HyperStream::new_plain(stream)
    }
}
