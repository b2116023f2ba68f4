//! smol: async-executor's `LocalExecutor`, driven by async-io.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use async_executor::{LocalExecutor, StaticLocalExecutor, Task};
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use smol_hyper::rt::FuturesIo;

use super::Sure;
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::http::Http;

thread_local! {
    static RUNNING: RefCell<Option<Rc<LocalExecutor<'static>>>> = const { RefCell::new(None) };
}

/// smol.
#[derive(Debug)]
pub(crate) struct Smol;

impl Runtime for Smol {
    const NAME: &'static str = "smol";

    type JoinHandle<T: 'static> = Sure<Task<T>>;
    type JoinError = std::convert::Infallible;

    fn block_on<F: Future>(future: F) -> F::Output {
        let executor = Rc::new(LocalExecutor::new());
        RUNNING.set(Some(Rc::clone(&executor)));
        let value = async_io::block_on(executor.run(future));
        RUNNING.set(None);
        value
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        RUNNING.with_borrow(|running| Sure(running.as_ref().expect("tasks spawn tasks").spawn(future)))
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        task.0.detach();
    }

    fn yield_now() -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }
}

/// smol on the executor that it has for programs which never drop theirs. It stays where it is, so one process has one.
#[derive(Debug)]
pub(crate) struct SmolStatic;

thread_local! {
    static LEAKED: &'static StaticLocalExecutor = Box::leak(Box::new(StaticLocalExecutor::new()));
}

impl Runtime for SmolStatic {
    const NAME: &'static str = "smol, static";

    type JoinHandle<T: 'static> = Sure<Task<T>>;
    type JoinError = std::convert::Infallible;

    fn block_on<F: Future>(future: F) -> F::Output {
        async_io::block_on(LEAKED.with(|executor| *executor).run(future))
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Sure(LEAKED.with(|executor| executor.spawn(future)))
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        task.0.detach();
    }

    fn yield_now() -> impl Future<Output = ()> {
        futures_lite::future::yield_now()
    }
}

impl Timers for Smol {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        let timer = Timer::after(duration);
        async {
            timer.await;
        }
    }

    /// As smol's own documentation spells a timeout.
    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        futures_lite::future::or(async { Some(future.await) }, async {
            Timer::after(duration).await;
            None
        })
        .await
    }
}

impl Net for Smol {
    type Listener = Async<TcpListener>;
    type Stream = Async<TcpStream>;

    async fn listen() -> io::Result<Self::Listener> {
        Async::<TcpListener>::bind(([127, 0, 0, 1], 0))
    }

    fn address(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(address: SocketAddr) -> io::Result<Self::Stream> {
        Async::<TcpStream>::connect(address).await
    }

    fn set_nodelay(stream: &Self::Stream) -> io::Result<()> {
        stream.get_ref().set_nodelay(true)
    }

    async fn read(stream: &mut Self::Stream, mut buffer: Buffer, filled: usize) -> (io::Result<usize>, Buffer) {
        let read = stream.read(&mut buffer[filled..]).await;
        (read, buffer)
    }

    async fn write_all(stream: &mut Self::Stream, buffer: Buffer, length: usize) -> (io::Result<()>, Buffer) {
        let written = stream.write_all(&buffer[..length]).await;
        (written, buffer)
    }
}

impl Several for Smol {}

impl Http for Smol {
    type Io = FuturesIo<Self::Stream>;

    fn io(stream: Self::Stream) -> Self::Io {
        FuturesIo::new(stream)
    }
}
