//! Signals.
//!
//! A signal handler may do next to nothing. So it writes one byte into a pipe, and the reactor reads the other end, as it
//! reads any descriptor.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_io_reactor::Source;
use signal_hook::SigId;
use signal_hook::consts::SIGINT;
use signal_hook::low_level::{pipe, unregister};

/// Waits for Ctrl-C, which is `SIGINT`. It listens from this call on, not from the first poll.
///
/// From the first call on, `SIGINT` no longer ends the process by itself, also when the future has been dropped.
///
/// ```
/// # use std::time::Duration;
/// # handcar::run(async {
/// let mut ctrl_c = handcar::signal::ctrl_c();
/// # signal_hook::low_level::raise(signal_hook::consts::SIGINT)?;
/// handcar::timeout(Duration::from_secs(5), &mut ctrl_c).await??;
/// println!("shutting down");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// When it is awaited: what the system said when the pipe or the handler was made.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// A signal that has come and was not awaited is gone with the future; poll it by reference to keep it.
#[track_caller]
pub fn ctrl_c() -> CtrlC {
    CtrlC { listening: Some(Listening::start()) }
}

/// Waits for Ctrl-C. Made by [`ctrl_c`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CtrlC {
    listening: Option<io::Result<Listening>>,
}

struct Listening {
    pipe: Source<UnixStream>,
    handler: SigId,
}

impl Listening {
    #[track_caller]
    fn start() -> io::Result<Listening> {
        let (reader, writer) = UnixStream::pair()?;
        let pipe = Source::new(reader)?;
        let handler = pipe::register(SIGINT, writer)?;
        Ok(Listening { pipe, handler })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &self.listening {
            Some(Ok(listening)) => ready!(listening.pipe.poll_read_with(cx, |mut pipe| pipe.read(&mut [0]))).map(drop),
            Some(Err(_)) => Ok(()),
            None => panic!("`CtrlC` polled after it had ended"),
        };
        Poll::Ready(match self.listening.take() {
            Some(Err(error)) => Err(error),
            _ => result,
        })
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CtrlC")
    }
}
