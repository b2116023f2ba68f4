//! glommio. It knows `io_uring` alone, and locks memory for it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement, Task};
use smol_hyper::rt::FuturesIo;

use super::Sure;
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::http::Http;
use crate::workloads::several::yield_once;

/// glommio.
#[derive(Debug)]
pub(crate) struct Glommio;

impl Runtime for Glommio {
    const NAME: &'static str = "glommio";

    type JoinHandle<T: 'static> = Sure<Task<T>>;
    type JoinError = std::convert::Infallible;

    fn block_on<F: Future>(future: F) -> F::Output {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make();
        executor.expect("the kernel allows io_uring and the memory it locks").run(future)
    }

    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Sure(glommio::spawn_local(future))
    }

    fn detach<T: 'static>(task: Self::JoinHandle<T>) {
        task.0.detach();
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }
}

impl Timers for Glommio {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        glommio::timer::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        glommio::timer::timeout(duration, async { Ok(future.await) }).await.ok()
    }
}

impl Net for Glommio {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn listen() -> io::Result<TcpListener> {
        Ok(TcpListener::bind("127.0.0.1:0")?)
    }

    fn address(listener: &TcpListener) -> io::Result<SocketAddr> {
        Ok(listener.local_addr()?)
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?)
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        Ok(TcpStream::connect(address).await?)
    }

    fn set_nodelay(stream: &TcpStream) -> io::Result<()> {
        Ok(stream.set_nodelay(true)?)
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

impl Several for Glommio {
    async fn counted(children: u64) -> u64 {
        let count = Cell::new(0);
        let mut tasks = Vec::new();
        for _ in 0..children {
            let add = async {
                let one = yield_once().await;
                count.set(count.get() + one);
            };
            // SAFETY: the task must be awaited or dropped before what it borrows goes. The vector of the tasks is dropped before
            // the counter, wherever this future ends.
            tasks.push(unsafe { glommio::spawn_scoped_local(add) });
        }
        for task in tasks {
            task.await;
        }
        count.get()
    }
}

impl Http for Glommio {
    type Io = FuturesIo<TcpStream>;

    fn io(stream: TcpStream) -> Self::Io {
        FuturesIo::new(stream)
    }
}
