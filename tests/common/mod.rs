//! What the tests share: a watchdog that turns a hang into a failure, a log of events, counters of drops and of what the
//! process holds, and connected streams.
#![allow(dead_code)] // no test file needs all of it

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::future::IntoFuture;
use std::io::{self, Write};
use std::net;
use std::path::PathBuf;
use std::process::{Command, Output, abort};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use handcar::net::{TcpListener, TcpStream};
use handcar::{Builder, Clock};

/// Longer than any test takes, shorter than anyone waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a future as `handcar::run` does; if it hangs, the process ends with a message.
#[track_caller]
pub(crate) fn run<F: IntoFuture>(future: F) -> F::Output {
    let _watchdog = watchdog();
    handcar::run(future)
}

/// As [`run`], under a simulated clock.
#[track_caller]
pub(crate) fn simulated<F: IntoFuture>(future: F) -> F::Output {
    let _watchdog = watchdog();
    Builder::new().clock(Clock::simulated()).build().unwrap().block_on(future)
}

/// Ends the process with a message unless it is dropped in time.
#[must_use = "it watches until it is dropped"]
pub(crate) fn watchdog() -> Sender<()> {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let (watched, dropped) = channel();
    let watch = move || {
        if dropped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln`, which the test harness would keep to itself.
            let _ = writeln!(io::stderr(), "the test `{test}` hangs: it has not ended after {PATIENCE:?}");
            abort();
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).unwrap();
    watched
}

/// What happened, in order. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, event: impl Display) {
        self.0.borrow_mut().push(event.to_string());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Counts how many of its tokens live. Clones are the same counter.
#[derive(Clone, Default)]
pub(crate) struct Living(Rc<Cell<usize>>);

impl Living {
    pub(crate) fn token(&self) -> Token {
        self.0.set(self.0.get() + 1);
        Token(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// Something to be dropped. Made by [`Living::token`].
pub(crate) struct Token(Rc<Cell<usize>>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// An empty directory of its own, which is removed when it is dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("handcar-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    /// Of something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new file in it.
    pub(crate) fn file(&self, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("file");
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// A new named pipe in it, and its other end: to read what comes out waits until something has been written there.
    pub(crate) fn pipe(&self) -> (PathBuf, std::fs::File) {
        let path = self.path("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // For reading as well, or this would wait for a reader.
        let writer = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        (path, writer)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How many descriptors the process has open.
pub(crate) fn descriptors() -> usize {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    std::fs::read_dir(directory).unwrap().count()
}

/// How many threads of the process have this name. Linux only.
pub(crate) fn threads_named(name: &str) -> usize {
    let named = |entry: io::Result<std::fs::DirEntry>| {
        let comm = std::fs::read_to_string(entry.ok()?.path().join("comm")).ok()?; // it may have ended meanwhile
        (comm.trim_end() == &name[..name.len().min(15)]).then_some(())
    };
    std::fs::read_dir("/proc/self/task").unwrap().filter_map(named).count()
}

/// Set in the environment of a test that has been started again as a process of its own.
const CHILD: &str = "HANDCAR_TEST_CHILD";

/// Whether this process is the child of [`in_a_child`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs this very test again, alone in a process of its own, with `is_child()` true.
pub(crate) fn in_a_child() -> Output {
    in_a_child_with(CHILD, "1")
}

/// As [`in_a_child`], with something else in its environment.
pub(crate) fn in_a_child_with(variable: &str, value: &str) -> Output {
    let test = thread::current().name().expect("the harness names its threads after the tests").to_owned();
    Command::new(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env(variable, value)
        .env("RUST_BACKTRACE", "0")
        .env_remove("HANDCAR_ON_REPORT")
        .output()
        .unwrap()
}

/// Two ends of one connection, both of the current runtime.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

/// A stream of ours, and the peer as a blocking socket: what it does has happened when the call returns.
pub(crate) async fn stream_and_peer() -> io::Result<(TcpStream, net::TcpStream)> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    Ok((stream, listener.accept()?.0))
}

/// The same numbers each time: xorshift.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
