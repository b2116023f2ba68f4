//! Cleanups: work that is awaited however a scope is left.
//!
//! ```text
//!     defer(fut) -> DeferGuard --- dropped: end of block, `?`, panic, cancel ---> 1. the scope in which `defer` was called,
//!                       |                                                            or the nearest around it that lives
//!                       |                                                         2. its wrapper polls it, newest first,
//!                       '-- .run().await: in line      .disarm(): never              one at a time, before the scope ends
//! ```
//!
//! Each cleanup is a scope that is shielded: what is cancelled around it does not reach in, and defers, timeouts and groups
//! work in it as anywhere. At the end of the grace period it is dropped if it had begun, and polled exactly once if it had not.
//!
//! Rust has no destructors that wait. So the guard's destructor only hands the cleanup over, and the scope waits.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, Waker, ready};

use futures_task::LocalSpawn;
use handcar_executor::layer::{self, Ending};
use handcar_executor::{PanicPayload, Report, Spawner};

use crate::context::{self, Context};
use crate::node::{Kind, Node};
use crate::polls::{self, Frame};
use crate::scoped::{Outcome, Scoped};

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// How often, at the end of the grace period, cleanups that cleanups have deferred get their one poll.
const CUT_ROUNDS: u32 = 1000;

pub(crate) struct Cleanup {
    /// Of the call to `defer`.
    order: u64,
    at: &'static Location<'static>,
    begun: bool,
    /// What was set where `defer` was called.
    context: Option<Context>,
    /// The runtime in which it was called.
    home: Option<Spawner>,
    /// `None` once it is being dropped.
    future: Option<Pin<Box<dyn Future<Output = Outcome<()>>>>>,
}

impl Cleanup {
    fn new(place: &mut Place, future: impl Future<Output = ()> + 'static) -> Cleanup {
        let Place { order, at, .. } = *place;
        let future = Box::pin(Scoped::light(Kind::Cleanup, at, None, future));
        let (context, home) = (place.context.take(), place.home.take());
        Cleanup { order, at, begun: false, context, home, future: Some(future) }
    }

    fn poll(&mut self, cx: &mut Polling<'_>) -> Poll<Outcome<()>> {
        self.begun = true;
        let future = self.future.as_mut().expect("only the destructor takes it out");
        context::enter(self.context.clone(), || future.as_mut().poll(cx))
    }

    /// Drops one that has ended so. Returns its panic, or that of its destructor.
    fn end(self, outcome: Outcome<()>) -> Option<PanicPayload> {
        let (mut first, at) = (None, self.at);
        keep(outcome, &mut first, at);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
            keep(Outcome::Panicked(PanicPayload::new(payload)), &mut first, at);
        }
        first.map(|(panic, _)| panic)
    }

    /// Hands it to `scope`, or to the nearest one around that that lives; at the root it becomes a task.
    pub(crate) fn hand_to(self, scope: Option<Rc<Node>>) {
        let mut scope = scope;
        while let Some(node) = scope {
            if !node.is_closed() && node.kind != Kind::Shield {
                let mut cleanups = node.cleanups.borrow_mut();
                let place = cleanups.partition_point(|other| other.order < self.order);
                cleanups.insert(place, self);
                drop(cleanups);
                return node.wake_wrapper();
            }
            scope = node.parent();
        }
        self.run_as_task();
    }

    /// On the runtime that it belongs to; if that has ended, on the current one.
    fn run_as_task(mut self) {
        let at = self.at;
        let lives = |home: &Spawner| home.status_local().is_ok();
        let Some(home) = self.home.take().filter(lives).or_else(layer::home) else {
            layer::report(Report::CleanupLeft { at });
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
                layer::report(Report::CleanupPanicked { at, payload: PanicPayload::new(payload) });
            }
            return;
        };
        let task = AsTask { cleanup: Some(self), polled: false };
        let spawned = layer::spawn_on(&home, || task, Ending::Member, at);
        spawned.expect("its runtime lives").detach();
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let future = &mut self.future;
        context::enter(self.context.take(), || *future = None);
    }
}

/// A cleanup with no scope left to await it. The runtime's end does, within the grace period.
struct AsTask {
    cleanup: Option<Cleanup>,
    polled: bool,
}

impl Future for AsTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<()> {
        self.polled = true;
        let cleanup = self.cleanup.as_mut().expect("a task is not polled after its end");
        let outcome = ready!(cleanup.poll(cx));
        if let Some(panic) = self.cleanup.take().and_then(|ended| ended.end(outcome)) {
            panic.resume();
        }
        Poll::Ready(())
    }
}

impl Drop for AsTask {
    /// The runtime has ended, and its grace period is over: as in [`cut`]. It names those that it has polled as tasks itself.
    fn drop(&mut self) {
        let Some(mut cleanup) = self.cleanup.take().filter(|_| !self.polled) else { return };
        let mut cx = Polling::from_waker(Waker::noop());
        match if cleanup.begun { Poll::Pending } else { cleanup.poll(&mut cx) } {
            Poll::Pending => layer::report(Report::CutShort { what: "a cleanup", at: cleanup.at }),
            Poll::Ready(Outcome::Panicked(panic)) => {
                layer::report(Report::CleanupPanicked { at: cleanup.at, payload: panic });
            }
            Poll::Ready(_) => {}
        }
    }
}

/// The first panic of a cleanup, and the line that made that.
pub(crate) type First = (PanicPayload, &'static Location<'static>);

/// Polls the cleanups of `node`; with `may_cut`, cuts them if its grace period is over. Whether none is left, and the first panic.
pub(crate) fn drain(node: &Rc<Node>, may_cut: bool, cx: &mut Polling<'_>) -> (bool, Option<First>) {
    let mut panicked = None;
    let mut drained = run(node, &mut panicked, cx);
    if !drained && may_cut {
        node.look_at_clock(cx);
        if node.is_grace_over() {
            cut(node, &mut panicked, cx);
            drained = true;
        }
    }
    (drained, panicked)
}

/// Polls the cleanups of `node`, one after the other. True when none is left.
pub(crate) fn run(node: &Rc<Node>, first: &mut Option<First>, cx: &mut Polling<'_>) -> bool {
    loop {
        let Some(mut cleanup) = node.begun.take().or_else(|| node.cleanups.borrow_mut().pop()) else { return true };
        match poll(node, &mut cleanup, cx) {
            Poll::Pending => {
                node.begun.set(Some(cleanup));
                return false;
            }
            Poll::Ready(outcome) => {
                keep(outcome, first, cleanup.at);
                discard(node, cleanup, first);
            }
        }
    }
}

/// The grace period is over: drops the one that has begun, polls each other one once. What these defer has its turn after them;
/// where that comes to no end, the last are dropped unpolled, and what their destructors defer is leaked.
fn cut(node: &Rc<Node>, first: &mut Option<First>, cx: &mut Polling<'_>) {
    for round in 0..=CUT_ROUNDS {
        let mut cleanups = node.cleanups.take();
        cleanups.extend(node.begun.take());
        if cleanups.is_empty() {
            return;
        }
        while let Some(mut cleanup) = cleanups.pop() {
            let polled =
                if cleanup.begun || round == CUT_ROUNDS { Poll::Pending } else { poll(node, &mut cleanup, cx) };
            match polled {
                Poll::Pending => layer::report(Report::CutShort { what: "a cleanup", at: cleanup.at }),
                Poll::Ready(outcome) => keep(outcome, first, cleanup.at),
            }
            discard(node, cleanup, first);
        }
    }
    for cleanup in node.cleanups.take() {
        layer::report(Report::CutShort { what: "what a cleanup's destructor defers without end", at: cleanup.at });
        std::mem::forget(cleanup);
    }
}

fn poll(node: &Rc<Node>, cleanup: &mut Cleanup, cx: &mut Polling<'_>) -> Poll<Outcome<()>> {
    polls::under(Frame::Heavy(node), || cleanup.poll(cx)).1
}

fn discard(node: &Rc<Node>, cleanup: Cleanup, first: &mut Option<First>) {
    let at = cleanup.at;
    let drop_it = || catch_unwind(AssertUnwindSafe(|| drop(cleanup)));
    if let Err(payload) = polls::under(Frame::Heavy(node), drop_it).1 {
        keep(Outcome::Panicked(PanicPayload::new(payload)), first, at);
    }
}

/// Keeps the first panic, which goes on when the scope has ended, and reports the others.
fn keep(outcome: Outcome<()>, first: &mut Option<First>, at: &'static Location<'static>) {
    let Outcome::Panicked(panic) = outcome else { return };
    if first.is_none() {
        *first = Some((panic, at));
    } else {
        layer::report(Report::CleanupPanicked { at, payload: panic });
    }
}

/// Has `cleanup` awaited when the guard is dropped, however that comes: by the scope in which this was called.
///
/// ```
/// use handcar_structured::{defer, run, scope_of};
/// use std::{cell::RefCell, rc::Rc};
///
/// let log = Rc::new(RefCell::new(Vec::new()));
/// run(scope_of({
///     let log = Rc::clone(&log);
///     async move {
///         let in_cleanup = Rc::clone(&log);
///         let _guard = defer(async move { in_cleanup.borrow_mut().push("cleanup") });
///         log.borrow_mut().push("body");
///     }
/// }))
/// .unwrap();
/// assert_eq!(*log.borrow(), ["body", "cleanup"]);
/// ```
///
/// The cleanup owns what it uses. It starts as soon as the guard is dropped, beside the body if that still runs; of several
/// that wait the one whose `defer` was called last comes first.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn defer<F: Future<Output = ()> + 'static>(cleanup: F) -> DeferGuard<F> {
    assert!(
        layer::grace().is_some(),
        "defer needs a runtime that awaits the cleanup: call it inside `handcar::run` or `Runtime::block_on`"
    );
    DeferGuard { place: Place::here(Location::caller()), cleanup: Some(cleanup) }
}

/// Where a cleanup belongs: its scope, and its turn among the others there.
pub(crate) struct Place {
    order: u64,
    at: &'static Location<'static>,
    scope: Option<Rc<Node>>,
    context: Option<Context>,
    home: Option<Spawner>,
}

impl Place {
    /// In the scope that is being polled, as its newest.
    pub(crate) fn here(at: &'static Location<'static>) -> Place {
        let order = NEXT.get();
        NEXT.set(order + 1);
        Place { order, at, scope: polls::attach_scope(), context: context::current(), home: layer::home() }
    }

    fn take(&mut self) -> Place {
        Place { scope: self.scope.take(), context: self.context.take(), home: self.home.take(), ..*self }
    }

    /// Has `cleanup` run by the scope.
    pub(crate) fn hand(mut self, cleanup: impl Future<Output = ()> + 'static) {
        Cleanup::new(&mut self, cleanup).hand_to(self.scope);
    }

    /// Has `cleanup` run in line.
    pub(crate) fn run(mut self, cleanup: impl Future<Output = ()> + 'static) -> RunCleanup {
        let cleanup = Cleanup::new(&mut self, cleanup);
        RunCleanup { cleanup: Some(cleanup), scope: self.scope, protected: None }
    }
}

/// Hands a cleanup to its scope when it is dropped. Made by [`defer`].
#[must_use = "a guard that is not kept runs its cleanup at once: bind it to a name"]
pub struct DeferGuard<F: Future<Output = ()> + 'static> {
    place: Place,
    cleanup: Option<F>,
}

impl<F: Future<Output = ()> + 'static> DeferGuard<F> {
    /// Gives the cleanup back; it will not run.
    pub fn disarm(mut self) -> F {
        self.take()
    }

    fn take(&mut self) -> F {
        let Some(cleanup) = self.cleanup.take() else { unreachable!("only what takes the guard takes it out") };
        cleanup
    }

    /// Awaits the cleanup here and now, shielded.
    ///
    /// # Cancel safety
    ///
    /// When it is dropped half-run, the scope runs it on.
    pub fn run(mut self) -> RunCleanup {
        let cleanup = self.take();
        self.place.take().run(cleanup)
    }
}

impl<F: Future<Output = ()> + 'static> Drop for DeferGuard<F> {
    fn drop(&mut self) {
        if let Some(cleanup) = self.cleanup.take() {
            self.place.take().hand(cleanup);
        }
    }
}

impl<F: Future<Output = ()> + 'static> fmt::Debug for DeferGuard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeferGuard(made at {})", self.place.at)
    }
}

/// Awaits a cleanup in line. Made by [`DeferGuard::run`].
#[must_use = "futures do nothing unless they are awaited; dropped, the scope runs the cleanup"]
pub struct RunCleanup {
    cleanup: Option<Cleanup>,
    scope: Option<Rc<Node>>,
    /// The shield that keeps the scopes around from dropping this.
    protected: Option<Rc<Node>>,
}

impl Future for RunCleanup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<()> {
        let this = &mut *self;
        let cleanup = this.cleanup.as_mut().expect("`RunCleanup` polled after it had ended");
        let parent = polls::attach();
        if let Some(shield) = &this.protected {
            shield.reparent(parent.as_ref());
        } else {
            let shield = Node::new(Kind::Shield, cleanup.at, parent, None);
            shield.hold_parent();
            this.protected = Some(shield);
        }
        let outcome = ready!(cleanup.poll(cx));
        let panic = this.cleanup.take().and_then(|ended| ended.end(outcome));
        if let Some(shield) = this.protected.take() {
            shield.close();
        }
        if let Some(panic) = panic {
            panic.resume();
        }
        Poll::Ready(())
    }
}

impl Drop for RunCleanup {
    fn drop(&mut self) {
        if let Some(cleanup) = self.cleanup.take() {
            cleanup.hand_to(self.scope.take());
        }
        if let Some(shield) = self.protected.take() {
            shield.close();
        }
    }
}

impl fmt::Debug for RunCleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunCleanup")
    }
}
