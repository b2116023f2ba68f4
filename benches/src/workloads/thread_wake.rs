//! A wake from another thread, to which the runtime has gone to sleep.
//!
//! Both threads share the one core that the process is pinned to, so that an operation is two context switches and what the
//! runtime adds. The kernel likes to run a thread as soon as it is notified, which would wake the task before its poll has
//! returned; so the other thread first lets the runtime go to sleep. That a wake comes so early is a row of its own. Over two cores the same binary takes 2 or 60 us as the scheduler pleases.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};

use super::{NetWorkload, Workload, settle};
use crate::bencher::Bencher;
use crate::runtime::{Net, Runtime};

/// Hands a waker to another thread and goes to sleep, over and over.
#[derive(Debug)]
pub(crate) struct ThreadWake;

impl Workload for ThreadWake {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        wake_over_and_over(Answers::WhenAsleep, bencher).await;
    }
}

/// The same on a runtime that has a socket to watch, and so waits for that and for other threads at once.
#[derive(Debug)]
pub(crate) struct ThreadWakeWatching;

impl NetWorkload for ThreadWakeWatching {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        watch::<R>().await?;
        wake_over_and_over(Answers::WhenAsleep, bencher).await;
        Ok(())
    }
}

/// The same, but the wake comes while the task is still being polled.
#[derive(Debug)]
pub(crate) struct ThreadWakeEarly;

impl NetWorkload for ThreadWakeEarly {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        watch::<R>().await?;
        wake_over_and_over(Answers::AtOnce, bencher).await;
        Ok(())
    }
}

/// Gives the runtime a socket to wait for.
async fn watch<R: Net>() -> io::Result<()> {
    let listener = R::listen().await?;
    R::spawn_detached(async move { R::accept(&listener).await });
    settle::<R>().await;
    Ok(())
}

async fn wake_over_and_over(answers: Answers, bencher: &mut Bencher) {
    let other = Other::start(answers);
    bencher
        .measure(async |operations| {
            for _ in 0..operations {
                let mut asked = false;
                poll_fn(|cx| {
                    if asked {
                        return if other.answered() { Poll::Ready(()) } else { Poll::Pending };
                    }
                    asked = true;
                    other.ask(Call::Wake(cx.waker().clone()));
                    if answers == Answers::AtOnce {
                        other.await_wake();
                    }
                    Poll::Pending
                })
                .await;
            }
        })
        .await;
}

/// The same between two threads that park.
pub(crate) fn two_threads(bencher: &mut Bencher) {
    let other = Other::start(Answers::WhenAsleep);
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            other.ask(Call::Unpark(thread::current()));
            while !other.answered() {
                thread::park();
            }
        }
    });
}

enum Call {
    Wake(Waker),
    Unpark(thread::Thread),
    Stop,
}

/// When a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// As soon as the caller has nothing left to do: it has the core first.
    WhenAsleep,
    /// While the caller waits for it.
    AtOnce,
}

/// A thread that answers calls.
struct Other {
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    call: Mutex<Option<Call>>,
    ringing: Condvar,
    answered: AtomicBool,
    woken: AtomicBool,
}

impl Other {
    fn start(answers: Answers) -> Other {
        let line = Arc::new(Line::default());
        let thread = thread::spawn({
            let line = Arc::clone(&line);
            move || line.answer(answers)
        });
        Other { line, thread: Some(thread) }
    }

    fn ask(&self, call: Call) {
        *self.line.call.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
        self.line.ringing.notify_one();
    }

    fn answered(&self) -> bool {
        self.line.answered.swap(false, Ordering::AcqRel)
    }

    fn await_wake(&self) {
        while !self.line.woken.swap(false, Ordering::AcqRel) {
            thread::yield_now();
        }
    }
}

impl Line {
    fn answer(&self, answers: Answers) {
        loop {
            let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
            let call = loop {
                match call.take() {
                    Some(call) => break call,
                    None => call = self.ringing.wait(call).unwrap_or_else(PoisonError::into_inner),
                }
            };
            if answers == Answers::WhenAsleep {
                thread::yield_now();
            }
            self.answered.store(true, Ordering::Release);
            match call {
                Call::Wake(waker) => waker.wake(),
                Call::Unpark(thread) => thread.unpark(),
                Call::Stop => return,
            }
            self.woken.store(true, Ordering::Release);
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.ask(Call::Stop);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only answers calls");
        }
    }
}
