//! Ctrl-C.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use handcar_structured::unpolled::Unpolled;
use signal_hook::consts::SIGINT;

use super::Signals;

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
    CtrlC { unpolled: Unpolled::new(&"ctrl_c"), listening: Some(Signals::new([SIGINT])) }
}

/// Waits for Ctrl-C. Made by [`ctrl_c`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CtrlC {
    unpolled: Unpolled,
    listening: Option<io::Result<Signals>>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unpolled.forget();
        let result = match &mut self.listening {
            Some(Ok(listening)) => ready!(listening.poll_recv(cx)).map(drop),
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
