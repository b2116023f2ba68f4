//! Borrowing scopes: a group whose children may borrow what the block around it owns.
//!
//! ```text
//!     'env    what the caller owns         ------------------------------------------------.
//!     'scope  the scope itself                   -----------------------------------.      |
//!             children: polled here, by the      |  dropped in this order: the body |      |
//!             scope's own future alone           |  the children, the scope         |      |
//! ```
//!
//! The children are not on the run queue. They live in the scope's future, which polls those that were woken, and drops them
//! before anything that they may have borrowed. So a child may borrow from outside the scope, also mutably, and the
//! scope itself, to spawn into it; but not what the body owns, which goes first. If the future is forgotten, the children leak
//! with it, and nobody touches them again.
//!
//! `std::thread::scope` is the model, and its two lifetimes are these.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use handcar_executor::layer;
use handcar_executor::{Delegates, PanicPayload, Report, budget};
use pin_project_lite::pin_project;
use slab::Slab;

use crate::context;
use crate::group::{GroupBuilder, Inner, Locals, RunGroup, TaskEnd};
use crate::group_error::{GroupError, Whose};
use crate::node::{Kind, Node};
use crate::polls;
use crate::reason::{CancelKind, CancelReason};
use crate::scoped::{Outcome, Scoped};

type LocalChild = Pin<Box<dyn Future<Output = ()>>>;

/// Spawns children that may borrow. The body of [`scope`] gets one.
pub struct Scope<'scope, 'env: 'scope, E> {
    inner: Rc<Inner<E>>,
    /// Spawned, and not yet among the children that are polled.
    new: RefCell<Vec<LocalChild>>,
    /// Invariant in both lifetimes, as in `std::thread::Scope`: a longer `'scope` would let a child borrow from the body.
    lifetimes: PhantomData<(&'scope mut &'scope (), &'env mut &'env ())>,
}

/// Runs `body`, and waits for every child that it spawned, as [`task_group`](crate::task_group) does; but the children may
/// borrow.
///
/// ```
/// use handcar_structured::{run, scope, yield_now};
///
/// run(async {
///     let name = String::from("handcar");
///     let mut counts = [0; 2];
///     let result = scope(async |s| {
///         for count in &mut counts {
///             s.spawn(async {
///                 yield_now().await;
///                 *count = name.len();
///                 Ok::<_, std::io::Error>(())
///             });
///         }
///         Ok(())
///     });
///     result.await.unwrap();
///     assert_eq!(counts, [7, 7]);
/// });
/// ```
///
/// A child cannot borrow what the body owns:
///
/// ```compile_fail,E0373
/// # use handcar_structured::scope;
/// # async fn test() {
/// let _ = scope(async |s| {
///     let local = 7;
///     s.spawn(async { println!("{local}"); Ok::<_, String>(()) });
///     Ok(())
/// }).await;
/// # }
/// ```
///
/// ```compile_fail,E0597
/// # use handcar_structured::scope;
/// # async fn test() {
/// let _ = scope(async |s| {
///     let local = 7;
///     let borrowed = &local;
///     s.spawn(async move { println!("{borrowed}"); Ok::<_, String>(()) });
///     Ok(())
/// }).await;
/// # }
/// ```
///
/// Nor can the scope be carried out of its body, or two children borrow the same thing mutably:
///
/// ```compile_fail
/// # use handcar_structured::{Scope, scope};
/// # use std::cell::Cell;
/// # async fn test<'a>(out: &'a Cell<Option<&'a Scope<'a, 'a, String>>>) {
/// let _ = scope(async |s| { out.set(Some(s)); Ok(()) }).await;
/// # }
/// ```
///
/// ```compile_fail,E0499
/// # use handcar_structured::scope;
/// # async fn test() {
/// let mut count = 0;
/// let _ = scope(async |s| {
///     s.spawn(async { count += 1; Ok::<_, String>(()) });
///     s.spawn(async { count += 1; Ok(()) });
///     Ok(())
/// }).await;
/// # }
/// ```
///
/// The error type has to own what it holds. With `&'static str` for errors, the compiler takes every borrow in the body to last for ever.
///
/// # Errors
///
/// As [`task_group`](crate::task_group).
///
/// # Panics
///
/// With the first panic of a child or the body, when all have ended; when it is polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future drops the body, then the children, at once; their cleanups go to the scope around.
#[track_caller]
pub fn scope<'env, T, E, B>(body: B) -> impl Future<Output = Result<T, GroupError<E>>>
where
    B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
    E: fmt::Display + 'static,
{
    let at = Location::caller();
    async move {
        let inner = Inner::new(GroupBuilder::default(), at);
        let scope = Scope { inner: Rc::clone(&inner), new: RefCell::default(), lifetimes: PhantomData };
        // The body is dropped first, then the children that run, then those that were only spawned, then the scope.
        let rest = DropRest(&scope.new);
        let children = Children { new: rest.0, running: Slab::new(), delegates: Delegates::new(), told: false };
        RunGroup::new(inner, body(&scope), children).await
    }
}

impl<'scope, E: fmt::Display + 'static> Scope<'scope, '_, E> {
    /// Spawns a child. In a cancelled scope it is never polled.
    #[track_caller]
    pub fn spawn<T, F>(&'scope self, child: F) -> ScopeHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        let at = Location::caller();
        let slot = Rc::new(Slot::default());
        let child: Pin<Box<dyn Future<Output = ()> + 'scope>> = Box::pin(Local {
            scoped: Scoped::light(Kind::Catch, at, None, child),
            begun: false,
            at,
            context: context::current(),
            slot: Rc::clone(&slot),
            inner: Rc::clone(&self.inner),
        });
        self.new.borrow_mut().push(for_good(child));
        self.inner.node.wake_wrapper();
        ScopeHandle { slot }
    }

    /// Cancels the scope: its children and its body. False if it was cancelled before, or has ended.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.inner.node.cancel(CancelReason::of(CancelKind::Explicit, Location::caller()))
    }
}

/// Forgets how long a child may live.
#[allow(unsafe_code)]
fn for_good<'scope>(child: Pin<Box<dyn Future<Output = ()> + 'scope>>) -> LocalChild {
    // SAFETY: the two types differ in the lifetime bound alone, so in nothing that is there at run time. The child must not be
    // used when `'scope` has ended, which lasts as long as the borrow of the `Scope` that `spawn` was called on. It is kept
    // in that scope's `new` or, moved on by `Children::poll`, in `Children::running`, both in the future that `scope` returns;
    // nobody else gets it, since `LocalChild` is private here. That future owns the `Scope` too and drops it last: before
    // it come `Children`, whose destructor drops those that run, and `DropRest`, which drops the others, and whatever those
    // spawn in their destructors, until none is left. Neither stops at a panic. If the future is forgotten, it leaks with all
    // of its children, which are then neither polled nor dropped: they are reached through it alone, never through a waker.
    unsafe { std::mem::transmute::<Pin<Box<dyn Future<Output = ()> + 'scope>>, LocalChild>(child) }
}

impl<E> fmt::Debug for Scope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope(made at {})", self.inner.node.at)
    }
}

/// Drops the children that were spawned and never came to be polled.
struct DropRest<'a>(&'a RefCell<Vec<LocalChild>>);

impl Drop for DropRest<'_> {
    fn drop(&mut self) {
        loop {
            let Some(child) = self.0.borrow_mut().pop() else { return };
            drop_child(child);
        }
    }
}

/// Drops one child; a panic is reported, so that the others are dropped too.
fn drop_child(child: LocalChild) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(child))) {
        let payload = PanicPayload::new(payload);
        layer::report(Report::CleanupPanicked { at: Location::caller(), payload });
    }
}

/// The children that are polled.
struct Children<'a> {
    new: &'a RefCell<Vec<LocalChild>>,
    /// At the places that they have among the delegates.
    running: Slab<LocalChild>,
    delegates: Delegates,
    /// Every child has been polled since the scope was cancelled.
    told: bool,
}

impl Children<'_> {
    fn poll_one(&mut self, seat: usize) {
        let Some(child) = self.running.get_mut(seat) else { return };
        let waker = self.delegates.waker(seat);
        if child.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.delegates.remove(seat);
            drop_child(self.running.remove(seat));
        }
    }
}

impl Locals for Children<'_> {
    fn poll(&mut self, node: &Rc<Node>, cx: &mut Context<'_>) {
        for child in self.new.take() {
            let seat = self.delegates.insert();
            assert_eq!(self.running.insert(child), seat, "children and delegates take their places alike");
        }
        if self.running.is_empty() {
            return;
        }
        self.delegates.begin(cx);
        if node.is_cancelled() && !self.told {
            self.told = true;
            let seats: Vec<_> = self.running.iter().map(|(seat, _)| seat).collect();
            for seat in seats {
                self.poll_one(seat);
            }
        }
        while let Some(seat) = self.delegates.next() {
            self.poll_one(seat);
            if budget::is_spent() && self.delegates.has_woken() {
                cx.waker().wake_by_ref();
                return;
            }
        }
    }

    fn living(&self) -> usize {
        self.running.len() + self.new.borrow().len()
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        for child in self.running.drain() {
            drop_child(child);
        }
    }
}

/// Where a child leaves its result.
struct Slot<T> {
    result: Cell<Option<Result<T, TaskEnd>>>,
    finished: Cell<bool>,
    cancelled: Cell<Option<CancelReason>>,
    /// Of whoever waits for the result, and of the child.
    joiner: Cell<Option<Waker>>,
    child: Cell<Option<Waker>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot {
            result: Cell::new(None),
            finished: Cell::new(false),
            cancelled: Cell::new(None),
            joiner: Cell::new(None),
            child: Cell::new(None),
        }
    }
}

pin_project! {
    /// A child, with whom it reports to.
    struct Local<F: Future, T, E> {
        #[pin]
        scoped: Scoped<F>,
        begun: bool,
        at: &'static Location<'static>,
        // The variables that it has inherited.
        context: Option<context::Context>,
        slot: Rc<Slot<T>>,
        inner: Rc<Inner<E>>,
    }

    impl<F: Future, T, E> PinnedDrop for Local<F, T, E> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !this.slot.finished.get() {
                let reason = CancelReason::of(CancelKind::HandleDropped, this.at);
                finish(this.slot, Err(TaskEnd::Cancelled(reason)));
            }
        }
    }
}

fn finish<T>(slot: &Slot<T>, result: Result<T, TaskEnd>) {
    slot.result.set(Some(result));
    slot.finished.set(true);
    drop(slot.child.take());
    if let Some(joiner) = slot.joiner.take() {
        joiner.wake();
    }
}

impl<T, E: fmt::Display + 'static, F: Future<Output = Result<T, E>>> Future for Local<F, T, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let cancelled = this.slot.cancelled.take();
        if !std::mem::replace(this.begun, true) && (cancelled.is_some() || polls::is_flagged()) {
            let reason = cancelled.or_else(|| this.inner.node.reason_for_children()).unwrap_or_default();
            finish(this.slot, Err(TaskEnd::Cancelled(reason)));
            return Poll::Ready(());
        }
        if let Some(reason) = cancelled {
            this.scoped.as_mut().node().cancel(reason);
        }
        let result = match context::enter(this.context.clone(), || this.scoped.poll(cx)) {
            Poll::Pending => {
                let before = this.slot.child.replace(Some(cx.waker().clone()));
                drop(before);
                return Poll::Pending;
            }
            Poll::Ready(Outcome::Value(Ok(value))) => Ok(value),
            Poll::Ready(Outcome::Value(Err(error))) => {
                this.inner.failed(Whose::Child(this.at), error);
                Err(TaskEnd::Failed)
            }
            Poll::Ready(Outcome::Panicked(panic)) => {
                this.inner.panicked(Whose::Child(this.at), panic);
                Err(TaskEnd::Panicked)
            }
            Poll::Ready(Outcome::Cancelled(reason)) => {
                this.inner.was_cut(); // if it was from outside
                let of_scope = || this.inner.node.reason_for_children().unwrap_or_default();
                Err(TaskEnd::Cancelled(reason.unwrap_or_else(of_scope)))
            }
        };
        finish(this.slot, result);
        Poll::Ready(())
    }
}

/// Waits for a child of a scope. Dropping it does nothing: the scope waits.
pub struct ScopeHandle<T> {
    slot: Rc<Slot<T>>,
}

impl<T> ScopeHandle<T> {
    /// The child's result, once, after it has ended.
    pub fn result(&mut self) -> Option<Result<T, TaskEnd>> {
        self.slot.result.take()
    }

    /// Cancels the child: that is no error of the scope. False if it has ended.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        if self.slot.finished.get() {
            return false;
        }
        self.slot.cancelled.set(Some(CancelReason::of(CancelKind::Explicit, Location::caller())));
        if let Some(child) = self.slot.child.take() {
            child.wake();
        }
        true
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.slot.finished.get()
    }
}

impl<T> Future for ScopeHandle<T> {
    type Output = Result<T, TaskEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.slot.result.take() {
            return Poll::Ready(result);
        }
        assert!(!self.slot.finished.get(), "`ScopeHandle` polled after it had returned the result");
        let before = self.slot.joiner.replace(Some(cx.waker().clone()));
        drop(before);
        Poll::Pending
    }
}

impl<T> fmt::Debug for ScopeHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeHandle(finished: {})", self.is_finished())
    }
}
