//! Handcar, as a program gets it by default: budgets and panic capture are on.

mod watched;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::{Builder, Clock, JoinError, JoinHandle};

pub(crate) use self::watched::{Observed, ReportUnpolled, SlowPoll, Watchdog, Watched};
use crate::runtime::{Buffer, Net, Runtime, Several, Timers};
use crate::workloads::several::yield_once;

/// Handcar.
#[derive(Debug)]
pub(crate) struct Handcar;

static CLOCK_STANDS: AtomicBool = AtomicBool::new(false);

impl Handcar {
    /// From here on no time passes in its runtimes while a task can run.
    pub(crate) fn stop_the_clock() {
        CLOCK_STANDS.store(true, Relaxed);
    }
}

impl Runtime for Handcar {
    const NAME: &'static str = "handcar";

    type JoinHandle<T: 'static> = JoinHandle<T>;
    type JoinError = JoinError;

    fn block_on<F: Future>(future: F) -> F::Output {
        if CLOCK_STANDS.load(Relaxed) {
            let runtime = Builder::new().clock(Clock::simulated()).detect_deadlocks(false).build();
            return runtime.expect("there is room for a runtime").block_on(future);
        }
        handcar::run(future)
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        handcar::spawn(future)
    }

    fn detach<T: 'static>(task: JoinHandle<T>) {
        task.detach_ignoring();
    }

    fn yield_now() -> impl Future<Output = ()> {
        handcar::yield_now()
    }
}

impl Timers for Handcar {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        handcar::sleep(duration)
    }

    async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
        handcar::timeout(duration, future).await.ok()
    }
}

impl Net for Handcar {
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
impl crate::workloads::http::Http for Handcar {
    type Io = handcar::hyper::HyperIo<TcpStream>;

    fn io(stream: TcpStream) -> Self::Io {
        handcar::hyper::HyperIo::new(stream)
    }
}

impl Several for Handcar {
    fn all<F: Future>(futures: impl Iterator<Item = F>) -> impl Future<Output = Vec<F::Output>> {
        handcar::gather(futures)
    }

    fn two<A: Future, B: Future>(a: A, b: B) -> impl Future<Output = (A::Output, B::Output)> {
        handcar::gather!(a, b)
    }

    async fn group(children: u64) -> u64 {
        let sum = handcar::task_group(async |group| {
            let child = async |number| Ok::<_, Infallible>(black_box(number));
            let handles: Vec<_> = (0..children).map(|number| group.spawn(child(number))).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("it neither fails nor is cancelled");
            }
            Ok(sum)
        });
        sum.await.expect("no child fails")
    }

    async fn counted(children: u64) -> u64 {
        let count = Cell::new(0);
        let scoped = handcar::scope(async |scope| {
            for _ in 0..children {
                scope.spawn(async {
                    let one = yield_once().await;
                    count.set(count.get() + one);
                    Ok::<_, Infallible>(())
                });
            }
            Ok(())
        });
        scoped.await.expect("no child fails");
        count.get()
    }
}
