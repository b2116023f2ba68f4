//! Where hyper takes its time from.
//!
//! hyper keeps its timer in an `Arc<dyn Timer + Send + Sync>` and insists that a sleep be `Send + Sync` too. Nothing of Handcar
//! is. So the timer holds nothing at all and finds the runtime through the thread that it is called on; and the sleep sits in
//! a shell that checks at run time what the compiler cannot be told: that whoever touches it is still on that thread. hyper
//! always is, since it keeps the sleep inside its connection, and that is polled by a task of ours.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use handcar_structured as handcar;
use hyper::rt::{Sleep, Timer};
use send_wrapper::SendWrapper;

/// Gives hyper the current runtime's timers and clock, the simulated one too.
///
/// Without a timer hyper waits for ever for a peer that says nothing.
///
/// ```
/// use std::time::Duration;
///
/// use handcar_hyper::HyperTimer;
/// use hyper::server::conn::http1;
///
/// let mut builder = http1::Builder::new();
/// builder.timer(HyperTimer).header_read_timeout(Duration::from_secs(10));
/// ```
///
/// # Panics
///
/// Outside a runtime its methods panic, and a sleep that is polled there. So does one that is polled or dropped on another
/// thread than the one that made it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        HyperSleep::boxed(handcar::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        HyperSleep::boxed(handcar::sleep_until(handcar::Instant::from_std(deadline)))
    }

    fn now(&self) -> Instant {
        handcar::Instant::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(ours) => ours.get_mut().sleep.reset(handcar::Instant::from_std(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

struct HyperSleep {
    sleep: SendWrapper<handcar::Sleep>,
}

impl HyperSleep {
    fn boxed(sleep: handcar::Sleep) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep { sleep: SendWrapper::new(sleep.unreported()) })
    }
}

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut *self.sleep).poll(cx)
    }
}

impl Sleep for HyperSleep {}
