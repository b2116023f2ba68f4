//! What the tests share: a runner that turns a hang into a failure, and pairs of connected streams.
#![allow(dead_code)] // no test file needs all of it

use std::any::Any;
use std::future::Future;
use std::io::{self, Write};
use std::net;
use std::process::abort;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
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
