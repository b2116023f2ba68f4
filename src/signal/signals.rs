//! Some signals, one after the other.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::os::raw::c_int;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use handcar_executor::{budget, question};
use handcar_io_reactor::Source;
use handcar_structured::unpolled::Unpolled;
use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::flag;
use signal_hook::low_level::{pipe, unregister};

/// Hears of signals, from its making on. A signal that comes several times before it is taken counts once.
///
/// From the first listener on, a signal no longer does by itself what it does by default, also when the listeners are gone.
/// It is a [`Stream`] too.
///
/// ```
/// use handcar::signal::Signals;
/// # use signal_hook::consts::{SIGHUP, SIGUSR1};
///
/// # handcar::run(async {
/// let mut signals = Signals::new([SIGHUP, SIGUSR1])?;
/// # signal_hook::low_level::raise(SIGUSR1)?;
/// assert_eq!(signals.recv().await?, SIGUSR1);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct Signals {
    pipe: Source<UnixStream>,
    watched: Vec<Watched>,
    /// The one that is looked at first, so that one that comes all the time hides no other.
    next: usize,
}

struct Watched {
    signal: c_int,
    came: Arc<AtomicBool>,
    handlers: [SigId; 2],
}

impl Signals {
    /// Listens to these.
    ///
    /// # Errors
    ///
    /// If there is none, or one of them cannot be heard of: `SIGKILL`, say, or a number that is no signal's. What the system says when it
    /// has no pipe left.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(signals: impl IntoIterator<Item = c_int>) -> io::Result<Signals> {
        let (reader, writer) = UnixStream::pair()?;
        let mut listening = Signals { pipe: Source::new(reader)?, watched: Vec::new(), next: 0 };
        for signal in signals {
            if listening.watched.iter().all(|watched| watched.signal != signal) {
                listening.watch(signal, writer.try_clone()?)?;
            }
        }
        if listening.watched.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no signal to listen to: name at least one"));
        }
        Ok(listening)
    }

    fn watch(&mut self, signal: c_int, writer: UnixStream) -> io::Result<()> {
        if FORBIDDEN.contains(&signal) {
            let error = format!("signal {signal} ends or stops the process: no program can listen to it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let came = Arc::new(AtomicBool::new(false));
        // In this order: who finds the byte finds the note.
        let noted = flag::register(signal, Arc::clone(&came))?;
        match pipe::register(signal, writer) {
            Ok(written) => self.watched.push(Watched { signal, came, handlers: [noted, written] }),
            Err(error) => {
                unregister(noted);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for the next one, and returns its number.
    ///
    /// # Errors
    ///
    /// If the runtime has ended; if somebody else has unregistered the handlers.
    ///
    /// # Cancel safety
    ///
    /// A signal is taken in the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> RecvSignal<'_> {
        RecvSignal { unpolled: Unpolled::new(&"recv"), signals: self }
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<c_int>> {
        ready!(question::poll_around(cx));
        loop {
            if let Some(signal) = self.take() {
                budget::spend();
                return Poll::Ready(Ok(signal));
            }
            if ready!(self.pipe.poll_read_with(cx, |mut pipe| pipe.read(&mut [0; 64])))? == 0 {
                return Poll::Ready(Err(io::Error::other(
                    "the handlers of these signals were unregistered: nothing is heard of them any more",
                )));
            }
        }
    }

    /// One that has come.
    fn take(&mut self) -> Option<c_int> {
        if question::is_question() {
            return None;
        }
        let many = self.watched.len();
        let came =
            (self.next..self.next + many).find(|at| self.watched[at % many].came.swap(false, Ordering::SeqCst))?;
        self.next = (came + 1) % many;
        Some(self.watched[came % many].signal)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.watched.iter().flat_map(|watched| watched.handlers) {
            unregister(handler);
        }
    }
}

impl Stream for Signals {
    type Item = io::Result<c_int>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<c_int>>> {
        self.poll_recv(cx).map(Some)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals: Vec<_> = self.watched.iter().map(|watched| watched.signal).collect();
        write!(f, "Signals({signals:?})")
    }
}

/// Waits for a signal. Made by [`Signals::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct RecvSignal<'a> {
    unpolled: Unpolled,
    signals: &'a mut Signals,
}

impl Future for RecvSignal<'_> {
    type Output = io::Result<c_int>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<c_int>> {
        self.unpolled.forget();
        self.signals.poll_recv(cx)
    }
}
