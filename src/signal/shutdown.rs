//! The signals that ask a program to end.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::raw::c_int;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use handcar_structured::unpolled::Unpolled;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::unregister;
use signal_hook::{SigId, flag};

use super::Signals;

const ASKING: [c_int; 2] = [SIGINT, SIGTERM];

/// What a shell reports of a program that Ctrl-C has ended.
const IMPATIENT: c_int = 130;

/// Waits for `SIGINT` or `SIGTERM`; the next one of them ends the process at once, with exit code 130.
///
/// It is made for [`Builder::shutdown_on`](crate::Builder::shutdown_on): the first signal has a server drain, and who does not
/// want to wait for that sends a second one.
///
/// ```no_run
/// use handcar::{Builder, signal};
/// # async fn serve() {}
///
/// let runtime = Builder::new().shutdown_on(signal::shutdown).build()?;
/// runtime.block_on(serve());
/// # Ok::<(), handcar::RunError>(())
/// ```
///
/// # Errors
///
/// When it is awaited: what the system said when the pipe or a handler was made.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// A signal that has come and was not awaited is gone with the future; poll it by reference to keep it.
#[track_caller]
pub fn shutdown() -> ShutdownSignal {
    ShutdownSignal { unpolled: Unpolled::new(&"shutdown"), listening: Some(Listening::start()) }
}

/// Waits until the program is asked to end. Made by [`shutdown`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ShutdownSignal {
    unpolled: Unpolled,
    listening: Option<io::Result<Listening>>,
}

struct Listening {
    signals: Signals,
    /// One of the signals has come.
    came: Arc<AtomicBool>,
    exits: Vec<SigId>,
}

impl Listening {
    #[track_caller]
    fn start() -> io::Result<Listening> {
        let came = Arc::new(AtomicBool::new(false));
        let mut listening = Listening { signals: Signals::new(ASKING)?, came, exits: Vec::new() };
        for signal in ASKING {
            // Handlers run in this order, so that only the second signal finds the first one's note.
            let exit = flag::register_conditional_shutdown(signal, IMPATIENT, Arc::clone(&listening.came))?;
            listening.exits.push(exit);
            listening.exits.push(flag::register(signal, Arc::clone(&listening.came))?);
        }
        Ok(listening)
    }
}

impl Drop for Listening {
    /// Once a signal has come the handlers stay: the program is ending, and the next signal is to end it at once.
    fn drop(&mut self) {
        if !self.came.load(Ordering::SeqCst) {
            for exit in self.exits.drain(..) {
                unregister(exit);
            }
        }
    }
}

impl Future for ShutdownSignal {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unpolled.forget();
        let result = match &mut self.listening {
            Some(Ok(listening)) => ready!(listening.signals.poll_recv(cx)).map(drop),
            Some(Err(_)) => Ok(()),
            None => panic!("`ShutdownSignal` polled after it had ended"),
        };
        Poll::Ready(match self.listening.take() {
            Some(Err(error)) => Err(error),
            _ => result,
        })
    }
}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShutdownSignal")
    }
}
