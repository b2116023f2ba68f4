//! What the tests share: polls by hand, wakers that count, call back or panic.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

/// Counts how often it was woken.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future that is polled by hand, with a waker of its own.
pub struct Hand<F> {
    pub future: Pin<Box<F>>,
    count: Arc<Count>,
    waker: Waker,
}

impl<F: Future> Hand<F> {
    pub fn new(future: F) -> Self {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        Self { future: Box::pin(future), count, waker }
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    pub fn is_pending(&mut self) -> bool {
        self.poll().is_pending()
    }

    /// Polls, and expects the result now.
    #[track_caller]
    pub fn ready(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future is not ready"),
        }
    }

    pub fn woken(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }
}

/// Polls once without a waker that matters.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Expects the result at the first poll.
#[track_caller]
pub fn now<F: Future>(future: F) -> F::Output {
    Hand::new(future).ready()
}

/// What a [`spiteful`] waker does, on whichever of its four operations.
pub trait Spite: 'static {
    fn on_clone(&self) {}
    fn on_wake(&self) {}
    fn on_drop(&self) {}
}

/// A waker whose operations run foreign code, as any waker's may. It leaks `spite`, and has to stay on this thread.
pub fn spiteful<S: Spite>(spite: S) -> Waker {
    struct VTable<S>(S);
    impl<S: Spite> VTable<S> {
        const TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                Self::spite(data).on_clone();
                RawWaker::new(data, &Self::TABLE)
            },
            |data| {
                Self::spite(data).on_wake();
                Self::spite(data).on_drop();
            },
            |data| Self::spite(data).on_wake(),
            |data| Self::spite(data).on_drop(),
        );

        fn spite(data: *const ()) -> &'static S {
            // SAFETY: `spiteful` leaked it as an `S`.
            unsafe { &*data.cast::<S>() }
        }
    }
    let data: *const S = Box::leak(Box::new(spite));
    // SAFETY: the table keeps the contract of `RawWaker`, except that the waker must stay on this thread, and no test moves it.
    unsafe { Waker::from_raw(RawWaker::new(data.cast(), &VTable::<S>::TABLE)) }
}

/// Runs a closure once, at the moment of that name: `"clone"`, `"wake"` or `"drop"`.
pub struct Once<F>(&'static str, RefCell<Option<F>>);

impl<F: FnOnce() + 'static> Once<F> {
    pub fn at(moment: &'static str, f: F) -> Waker {
        spiteful(Self(moment, RefCell::new(Some(f))))
    }

    fn run(&self, moment: &str) {
        if moment == self.0 {
            let f = self.1.borrow_mut().take();
            if let Some(f) = f {
                f();
            }
        }
    }
}

impl<F: FnOnce() + 'static> Spite for Once<F> {
    fn on_clone(&self) {
        self.run("clone");
    }
    fn on_wake(&self) {
        self.run("wake");
    }
    fn on_drop(&self) {
        self.run("drop");
    }
}

/// Runs a closure when dropped: a message with a will of its own.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Polls with a given waker.
pub fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// The message of the panic in `f`.
pub fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).err().unwrap();
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_string(),
    }
}

/// Suspends once, on any executor.
pub struct YieldOnce(pub bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A generator of random numbers, good enough to choose by. (Knuth's MMIX.)
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// A future of any shape that the exhaustive tests poll, drop and make anew.
pub type Boxed<R> = Pin<Box<dyn Future<Output = R>>>;

/// A place for a future, with a waker that remembers whether it was woken since the last look.
pub struct Waiter<R> {
    pub future: Option<Boxed<R>>,
    count: Arc<Count>,
    seen: usize,
}

impl<R> Default for Waiter<R> {
    fn default() -> Self {
        Self { future: None, count: Arc::default(), seen: 0 }
    }
}

impl<R> Waiter<R> {
    pub fn of(future: Boxed<R>) -> Self {
        Self { future: Some(future), ..Self::default() }
    }

    /// Polls the future, or the one that `make` makes if there is none; it goes when it is ready.
    pub fn poll(&mut self, make: impl FnOnce() -> Boxed<R>) -> Option<R> {
        let future = self.future.get_or_insert_with(make);
        match future.as_mut().poll(&mut Context::from_waker(&Waker::from(self.count.clone()))) {
            Poll::Ready(result) => {
                self.future = None;
                Some(result)
            }
            Poll::Pending => None,
        }
    }

    pub fn was_woken(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, self.count.0.load(Ordering::Relaxed));
        before != self.seen
    }
}

/// A primitive beside a reference model of it.
pub trait Model {
    /// How many operations there are.
    const OPERATIONS: usize;

    /// Does operation number `operation` on both, and compares. Says no, and does nothing, where it makes no sense.
    fn step(&mut self, operation: usize) -> bool;
}

/// Runs all sequences of `depth` operations.
pub fn explore<M: Model>(depth: usize, new: impl Fn() -> M) {
    let mut sequence = vec![0; depth];
    let mut runs = 0_u64;
    loop {
        let mut model = new();
        let steps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            sequence.iter().take_while(|&&operation| model.step(operation)).count()
        }));
        let Ok(steps) = steps else { panic!("the sequence was {sequence:?}") };
        runs += 1;
        // All that begin with an operation that makes no sense are skipped at once.
        let mut last = steps.min(depth - 1);
        sequence[last + 1..].fill(0);
        loop {
            sequence[last] += 1;
            if sequence[last] < M::OPERATIONS {
                break;
            }
            sequence[last] = 0;
            if last == 0 {
                assert!(runs > 1000, "only {runs} sequences: the model refuses too much");
                return;
            }
            last -= 1;
        }
    }
}
