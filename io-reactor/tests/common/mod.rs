//! What the tests share: a runner that turns a hang into a failure, and pairs of connected streams.
#![allow(dead_code)] // no test file needs all of it

use std::any::Any;
use std::future::Future;
use std::io::{self, Write};
use std::net;
use std::panic;
use std::pin::Pin;
use std::process::abort;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use handcar_io_reactor::{TcpListener, TcpStream};

/// Longer than any test takes, shorter than anyone waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future; if it hangs, the process ends with a message.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = watchdog();
    handcar_executor::run(future)
}

/// Ends the process with a message unless it is dropped in time.
pub(crate) fn watchdog() -> Sender<()> {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let (watched, dropped) = channel();
    thread::spawn(move || {
        if dropped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln`, which the test harness would keep to itself.
            let _ = writeln!(io::stderr(), "{test} hangs");
            abort();
        }
    });
    watched
}

/// A stream of ours, and the peer as a blocking socket: what it does has happened when the call returns.
pub(crate) async fn stream_and_peer() -> io::Result<(TcpStream, net::TcpStream)> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    Ok((stream, listener.accept()?.0))
}

/// Two ends of one connection.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

/// `len` bytes, no two neighbours alike.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    text.expect("a panic with a message").to_owned()
}

/// What a future says that is polled until it is ready, and once more.
pub(crate) fn polled_again<F: Future + Unpin>(mut future: F) -> String {
    let polled = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut future).poll(&mut cx).is_ready());
        let _ = Pin::new(&mut future).poll(&mut cx);
    }));
    panic_text(&*polled.unwrap_err())
}

/// Counts its wakes.
#[derive(Default)]
pub(crate) struct Counts(AtomicUsize);

impl Counts {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
