//! What a server's clients do, on a thread of their own: plain blocking sockets, the same for every runtime.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

/// Runs `job` on a new thread, which this one may serve meanwhile, and waits for its end.
pub(crate) async fn on_another_thread(job: impl FnOnce() + Send + 'static) {
    let ending = Arc::new(Mutex::new(Ending::Awaited(None)));
    let thread = thread::spawn({
        let announce = Announce(Arc::clone(&ending));
        move || {
            job();
            drop(announce);
        }
    });
    poll_fn(|cx| match &mut *ending.lock().unwrap_or_else(PoisonError::into_inner) {
        Ending::Come => Poll::Ready(()),
        Ending::Awaited(waker) => {
            *waker = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await;
    thread.join().expect("the clients are served");
}

enum Ending {
    Awaited(Option<Waker>),
    Come,
}

/// Wakes whoever waits, also when the job has panicked.
struct Announce(Arc<Mutex<Ending>>);

impl Drop for Announce {
    fn drop(&mut self) {
        let ending = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Ending::Come);
        if let Ending::Awaited(Some(waker)) = ending {
            waker.wake();
        }
    }
}
