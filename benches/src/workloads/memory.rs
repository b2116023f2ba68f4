//! What a task takes while it waits: the reason why one can have a hundred thousand of them.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::marker::PhantomData;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{TimedWorkload, Workload, settle};
use crate::bencher::Bencher;
use crate::machine;
use crate::runtime::{Runtime, Timers};

/// How many are made.
const TASKS: u64 = 100_000;

/// By whose books memory is measured.
pub(crate) trait Books: 'static {
    /// Bytes that the process holds now.
    fn read() -> u64;
}

/// The system's: what is in memory.
#[derive(Debug)]
pub(crate) struct Resident;

impl Books for Resident {
    fn read() -> u64 {
        machine::resident_bytes()
    }
}

/// The allocator's: what it gave out.
#[derive(Debug)]
pub(crate) struct Allocated;

impl Books for Allocated {
    fn read() -> u64 {
        machine::allocated_bytes()
    }
}

/// Idle detached tasks whose futures hold so many words.
#[derive(Debug)]
pub(crate) struct Idle<const WORDS: usize, B>(PhantomData<B>);

impl<const WORDS: usize, B: Books> Workload for Idle<WORDS, B> {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        measure::<R, B, _>(bencher, |number| hold([number; WORDS])).await;
    }
}

/// Detached tasks that sleep.
#[derive(Debug)]
pub(crate) struct Sleeping<B>(PhantomData<B>);

impl<B: Books> TimedWorkload for Sleeping<B> {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        measure::<R, B, _>(bencher, |number| R::sleep(Duration::from_secs(3600 + number % 1000))).await;
    }
}

async fn measure<R: Runtime, B: Books, F: Future<Output = ()> + 'static>(
    bencher: &mut Bencher,
    future: impl Fn(u64) -> F,
) {
    // Written to once, so that it is in memory before the measurement.
    WAKERS.with_borrow_mut(|wakers| {
        wakers.extend((0..TASKS).map(|_| Waker::noop().clone()));
        wakers.clear();
    });
    bencher
        .measure_memory(TASKS, B::read, async |tasks| {
            for number in 0..tasks {
                R::spawn_detached(future(number));
            }
            settle::<R>().await; // each is polled once: it waits, and its timer is armed
        })
        .await;
    drop(WAKERS.take());
}

thread_local! {
    /// Somebody has a waiting task's waker, or it could never go on. monoio even frees a task whose waker nobody has.
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Holds its words for ever. The compiler adds a word for its state.
async fn hold<const WORDS: usize>(words: [u64; WORDS]) {
    poll_fn(|cx| {
        WAKERS.with_borrow_mut(|wakers| wakers.push(cx.waker().clone()));
        Poll::<()>::Pending
    })
    .await;
    black_box(&words);
}
