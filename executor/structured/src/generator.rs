//! Generators: streams that are written as a body which yields. Python's `async def` with a `yield`.
//!
//! ```text
//!     consumer: next()  ---> 1. polls the body, in a scope of its own  ---> body: y.yield_(item)
//!                                                                                 |
//!     consumer: item    <--- 3. cleanups that the body has left   <--- 2. item in the slot, body suspended
//!                               behind are awaited
//!
//!     dropped at a yield: the body is dropped; its pending cleanups go to the scope in which it was polled last
//! ```
//!
//! No thread of control is behind a generator: the body runs inside the consumer's poll of the stream, in the consumer's task,
//! and may borrow. A slot takes the item from one to the other. Rust's own coroutines would do without the slot, but they are
//! not stable; a macro that rewrites `yield` would hide from the reader that this is an `async` body like any other.
//!
//! Between two items nothing in the body runs. So a scope cannot stay open over a `yield_`: its timeout could not act, its group
//! could not be waited for, and its frame would be missing from the poll stack. asyncio lets that happen, and cancels the wrong
//! task (PEP 789); here `yield_` sees the frame and panics. A [`bracket`](crate::bracket) and a [`defer`](crate::defer) leave no
//! frame and may stay open.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use futures_core::stream::{FusedStream, Stream};
use handcar_executor::unpolled::Unpolled;
use handcar_executor::{PanicPayload, Report, is_same, keep, layer};
use pin_project_lite::pin_project;

use crate::cleanup;
use crate::node::{self, Node};
use crate::polls::{self, Frame, Light};
use crate::scoped::{Outcome, Stage, drop_body, step};

/// A stream of what `body` yields.
///
/// The body runs inside the poll of whoever consumes the stream, and may borrow. Cleanups that it leaves behind are awaited
/// before the next item is handed out, or the end.
///
/// ```
/// use futures_core::Stream;
/// use handcar_structured::{generate, run};
/// use std::{future::poll_fn, pin::pin};
///
/// run(async {
///     let words = String::from("to and fro");
///     let mut lengths = pin!(generate(async |y| {
///         for word in words.split(' ') {
///             y.yield_(word.len()).await;
///         }
///     }));
///     let mut sum = 0;
///     while let Some(length) = poll_fn(|cx| lengths.as_mut().poll_next(cx)).await {
///         sum += length;
///     }
///     assert_eq!(sum, 8);
/// });
/// ```
///
/// # Panics
///
/// The stream panics as the body does, and then has ended.
///
/// # Cancel safety
///
/// A dropped `next()` loses nothing. Dropping the stream drops the body where it stands; the cleanups that it has pending go to
/// the scope in which the stream was polled last.
#[track_caller]
pub fn generate<T, B>(body: B) -> Generate<T, impl Future<Output = ()>>
where
    B: AsyncFnOnce(&mut Yielder<T>),
{
    let slot = Rc::new(Slot::new());
    let mut yielder = Yielder { slot: Rc::clone(&slot) };
    Generate { body: Body::new(slot, Location::caller(), async move { body(&mut yielder).await }) }
}

/// As [`generate`], of a body that may fail: its error is the stream's last item.
///
/// ```
/// use futures_core::Stream;
/// use handcar_structured::{run, try_generate};
/// use std::{future::poll_fn, num::ParseIntError, pin::pin};
///
/// run(async {
///     let mut numbers = pin!(try_generate(async |y| {
///         for text in ["1", "2", "three", "4"] {
///             y.yield_(text.parse::<u32>()?).await;
///         }
///         Ok::<_, ParseIntError>(())
///     }));
///     let mut seen = Vec::new();
///     while let Some(item) = poll_fn(|cx| numbers.as_mut().poll_next(cx)).await {
///         seen.push(item.ok());
///     }
///     assert_eq!(seen, [Some(1), Some(2), None]);
/// });
/// ```
///
/// # Panics
///
/// As [`generate`].
///
/// # Cancel safety
///
/// As [`generate`].
#[track_caller]
pub fn try_generate<T, E, B>(body: B) -> TryGenerate<T, impl Future<Output = Result<(), E>>>
where
    B: AsyncFnOnce(&mut Yielder<T>) -> Result<(), E>,
{
    let slot = Rc::new(Slot::new());
    let mut yielder = Yielder { slot: Rc::clone(&slot) };
    TryGenerate { body: Body::new(slot, Location::caller(), async move { body(&mut yielder).await }) }
}

/// Where an item lies on its way from the body to the consumer.
struct Slot<T> {
    item: RefCell<Option<T>>,
    /// Later ones, of a body that went on without awaiting its `yield_` to the end: rare, so without memory of its own.
    behind: RefCell<VecDeque<T>>,
    /// Of the `yield_` that waits until the consumer comes back.
    waker: Cell<Option<Waker>>,
    /// How many scopes are around the body, its own included.
    depth: Cell<usize>,
}

impl<T> Slot<T> {
    fn new() -> Slot<T> {
        Slot {
            item: RefCell::new(None),
            behind: RefCell::new(VecDeque::new()),
            waker: Cell::new(None),
            depth: Cell::new(0),
        }
    }

    fn put(&self, item: T) {
        if self.is_full() {
            self.behind.borrow_mut().push_back(item);
        } else {
            self.item.replace(Some(item));
        }
    }

    fn take(&self) -> Option<T> {
        let next = self.behind.borrow_mut().pop_front();
        self.item.replace(next)
    }

    fn len(&self) -> usize {
        usize::from(self.is_full()) + self.behind.borrow().len()
    }

    fn is_full(&self) -> bool {
        self.item.borrow().is_some()
    }

    /// The consumer is back. A `yield_` that the body polls by itself needs no wake; one in a combinator with wakers of its own
    /// does.
    fn consumer_is_back(&self, cx: &Context<'_>) {
        if let Some(waker) = self.waker.take()
            && !is_same(&waker, cx.waker())
        {
            node::wake(waker);
        }
    }
}

/// What the body of a generator yields with. Given to the body by [`generate`] and [`try_generate`].
pub struct Yielder<T> {
    slot: Rc<Slot<T>>,
}

impl<T> Yielder<T> {
    /// Hands `item` to the consumer, and suspends the body until the consumer wants another one.
    ///
    /// # Panics
    ///
    /// When it is awaited inside a scope that the generator has opened: a timeout, a shield, a group, a branch of `gather`.
    /// The message names both lines.
    ///
    /// # Cancel safety
    ///
    /// Once it has been polled the item is the consumer's, also if this is dropped.
    #[track_caller]
    pub fn yield_(&mut self, item: T) -> Yield<'_, T> {
        let (unpolled, at) = (Unpolled::new(&"yield_"), Location::caller());
        Yield { unpolled, slot: &self.slot, at, state: Yielding::New(item), yielder: PhantomData }
    }
}

impl<T> fmt::Debug for Yielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yielder")
    }
}

enum Yielding<T> {
    New(T),
    /// The item is in the slot, or was taken out.
    Given,
    Over,
}

/// Hands an item to the consumer. Made by [`Yielder::yield_`].
#[must_use = "the item is yielded only when this is awaited"]
pub struct Yield<'a, T> {
    unpolled: Unpolled,
    slot: &'a Slot<T>,
    at: &'static Location<'static>,
    state: Yielding<T>,
    yielder: PhantomData<&'a mut Yielder<T>>,
}

/// The item is moved, never pinned.
impl<T> Unpin for Yield<'_, T> {}

impl<T> Future for Yield<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.unpolled.forget();
        if let Yielding::New(_) = self.state {
            self.refuse_scopes();
        }
        match std::mem::replace(&mut self.state, Yielding::Over) {
            Yielding::New(item) => self.slot.put(item),
            Yielding::Given if self.slot.is_full() => {}
            Yielding::Given => return Poll::Ready(()),
            Yielding::Over => panic!("`Yield` polled after it had ended"),
        }
        self.state = Yielding::Given;
        let old = self.slot.waker.replace(Some(keep(cx.waker())));
        drop(old);
        Poll::Pending
    }
}

impl<T> Yield<'_, T> {
    fn refuse_scopes(&self) {
        let Some(scope) = polls::opened_above(self.slot.depth.get()) else { return };
        panic!(
            "the `yield_` at {} is inside the scope that the generator opened at {scope}: between two items the generator is not \
             polled, so no timeout, shield or group in it could do its work; close the scope before you yield, or put it around \
             the consumer, or use `stream_task`",
            self.at
        );
    }
}

impl<T> fmt::Debug for Yield<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Yield(at {})", self.at)
    }
}

/// What the body has come to.
enum Phase<R> {
    Running,
    /// It is gone; its cleanups run, or a last item waits to be taken.
    Ended(Outcome<R>),
    Over,
}

enum Given<T, R> {
    Item(T),
    End(R),
    Over,
}

pin_project! {
    /// The body in its scope, which nothing cancels but what is around it. So it never drops the body by itself, and a stream
    /// whose `next()` was cut off goes on with the next `next()`.
    struct Body<T, F: Future> {
        slot: Rc<Slot<T>>,
        at: &'static Location<'static>,
        node: Option<Rc<Node>>,
        phase: Phase<F::Output>,
        #[pin]
        stage: Stage<F>,
    }

    impl<T, F: Future> PinnedDrop for Body<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Phase::Ended(Outcome::Panicked(payload)) = std::mem::replace(this.phase, Phase::Over) {
                layer::report(Report::CleanupPanicked { at: this.at, payload });
            }
            drop_frame(this.node.as_ref(), this.at, this.stage);
        }
    }
}

fn frame<'a>(node: Option<&'a Rc<Node>>, at: &'static Location<'static>) -> Frame<'a> {
    node.map_or_else(|| Frame::Light(Light::plain(at)), Frame::Heavy)
}

/// Drops a body in its scope, which ends: where that has no node, a destructor may yet leave a cleanup.
fn drop_frame<F: Future>(node: Option<&Rc<Node>>, at: &'static Location<'static>, stage: Pin<&mut Stage<F>>) {
    let (attached, outcome) = polls::under(frame(node, at), || drop_body(stage, Outcome::Cancelled(None)));
    if let Some(node) = node.or(attached.as_ref()) {
        node.close();
    }
    match outcome {
        Outcome::Panicked(payload) if thread::panicking() => layer::report(Report::DropPanicked { at, payload }),
        Outcome::Panicked(payload) => payload.resume(),
        _ => {}
    }
}

impl<T, F: Future> Body<T, F> {
    fn new(slot: Rc<Slot<T>>, at: &'static Location<'static>, body: F) -> Body<T, F> {
        Body { slot, at, node: None, phase: Phase::Running, stage: Stage::Body { body } }
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.is_over() { (0, Some(0)) } else { (self.slot.len(), None) }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Given<T, F::Output>> {
        if self.is_over() {
            return Poll::Ready(Given::Over);
        }
        if let Some(node) = &self.node {
            node.keep_waker(cx);
            node.reparent(polls::attach().as_ref());
        }
        if !self.slot.is_full() {
            self.slot.consumer_is_back(cx);
            self.as_mut().run(cx);
        }
        ready!(self.as_mut().drain(cx));
        let this = self.project();
        if let Some(item) = this.slot.take() {
            return Poll::Ready(Given::Item(item));
        }
        if let Phase::Running = this.phase {
            return Poll::Pending;
        }
        if let Some(node) = this.node.take() {
            node.close();
        }
        Poll::Ready(match std::mem::replace(this.phase, Phase::Over) {
            Phase::Ended(Outcome::Value(end)) => Given::End(end),
            Phase::Ended(Outcome::Panicked(panic)) => panic.resume(),
            _ => unreachable!("a body ends with a value or a panic"),
        })
    }

    /// Polls the body, under its frame.
    fn run(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        let Phase::Running = this.phase else { return };
        let (node, outcome) = polls::under(frame(this.node.as_ref(), this.at), || {
            this.slot.depth.set(polls::depth());
            step(this.stage, cx)
        });
        // Before a stranger's waker is cloned, which may panic.
        if let Some(outcome) = outcome {
            *this.phase = Phase::Ended(outcome);
        }
        if let (None, Some(node)) = (&this.node, node) {
            this.node.insert(node).keep_waker(cx);
        }
    }

    /// Awaits the cleanups. The first panic of one ends the body.
    fn drain(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(node) = self.node.clone() else { return Poll::Ready(()) };
        loop {
            let mut panicked = None;
            let drained = cleanup::run(&node, &mut panicked, cx);
            match panicked {
                Some((panic, at)) => self.as_mut().cleanup_panicked(&node, panic, at), // whose destructors may leave another cleanup
                None if drained => return Poll::Ready(()),
                None => return Poll::Pending,
            }
        }
    }

    #[cold]
    fn cleanup_panicked(self: Pin<&mut Self>, node: &Rc<Node>, panic: PanicPayload, at: &'static Location<'static>) {
        let this = self.project();
        *this.phase = match std::mem::replace(this.phase, Phase::Over) {
            Phase::Running => {
                let drop_it = || drop_body(this.stage, Outcome::Panicked(panic));
                Phase::Ended(polls::under(Frame::Heavy(node), drop_it).1)
            }
            Phase::Ended(Outcome::Panicked(first)) => {
                layer::report(Report::CleanupPanicked { at, payload: panic });
                Phase::Ended(Outcome::Panicked(first))
            }
            _ => Phase::Ended(Outcome::Panicked(panic)),
        };
    }
}

pin_project! {
    /// A stream of what a body yields. Made by [`generate`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct Generate<T, F: Future> {
        #[pin]
        body: Body<T, F>,
    }
}

impl<T, F: Future<Output = ()>> Stream for Generate<T, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(match ready!(self.project().body.poll_next(cx)) {
            Given::Item(item) => Some(item),
            Given::End(()) | Given::Over => None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.body.size_hint()
    }
}

impl<T, F: Future<Output = ()>> FusedStream for Generate<T, F> {
    fn is_terminated(&self) -> bool {
        self.body.is_over()
    }
}

impl<T, F: Future> fmt::Debug for Generate<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generate(made at {})", self.body.at)
    }
}

pin_project! {
    /// A stream of what a body yields, and of its error at the end. Made by [`try_generate`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct TryGenerate<T, F: Future> {
        #[pin]
        body: Body<T, F>,
    }
}

impl<T, E, F: Future<Output = Result<(), E>>> Stream for TryGenerate<T, F> {
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        Poll::Ready(match ready!(self.project().body.poll_next(cx)) {
            Given::Item(item) => Some(Ok(item)),
            Given::End(Err(error)) => Some(Err(error)),
            Given::End(Ok(())) | Given::Over => None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.body.size_hint()
    }
}

impl<T, E, F: Future<Output = Result<(), E>>> FusedStream for TryGenerate<T, F> {
    fn is_terminated(&self) -> bool {
        self.body.is_over()
    }
}

impl<T, F: Future> fmt::Debug for TryGenerate<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TryGenerate(made at {})", self.body.at)
    }
}
