//! tokio, in each of the ways that it offers for a single thread.

mod hosts;
mod ways;

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};

use self::hosts::Host;
#[cfg(feature = "peers")]
pub(crate) use self::hosts::Pingora;
pub(crate) use self::hosts::{InTurn, LocalRuntime, LocalSet, LooksOften, MultiThread, NoDrivers, Spawn, TimeoutAt};
use self::ways::Way;
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::several::{self, yield_once};

/// tokio, started by `H`.
#[derive(Debug)]
pub(crate) struct Tokio<H>(PhantomData<H>);

impl<H: Host> Runtime for Tokio<H> {
    const NAME: &'static str = H::NAME;

    type JoinHandle<T: 'static> = <H::Way as Way>::Handle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        H::block_on(future)
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        H::Way::spawn(future)
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        drop(task);
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}

impl<H: Host> Timers for Tokio<H> {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        H::sleep(duration)
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
    async fn two<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
        tokio::join!(a, b)
    }

    async fn group(children: u64) -> u64 {
        if H::IN_TURN {
            return several::in_turn::<Self>(children).await;
        }
        let mut set = JoinSet::new();
        for number in 0..children {
            H::Way::spawn_into(&mut set, async move { black_box(number) });
        }
        let mut sum = 0;
        while let Some(value) = set.join_next().await {
            sum += H::Way::value(value.expect("it neither panics nor is cancelled"));
        }
        sum
    }

    async fn counted(children: u64) -> u64 {
        if H::IN_TURN {
            return several::counted_in_turn::<Self>(children).await;
        }
        let count = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for _ in 0..children {
            let count = Rc::clone(&count);
            H::Way::spawn_into(&mut set, async move {
                let one = yield_once().await;
                count.set(count.get() + one);
            });
        }
        while let Some(ended) = set.join_next().await {
            ended.expect("it neither panics nor is cancelled");
        }
        count.get()
    }
}
