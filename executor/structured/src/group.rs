//! Task groups: children that cannot outlive the block that spawned them.
//!
//! ```text
//!     1. body runs, spawns ----> children on the run queue, each a task of its own, linked in the group's node
//!     |                                |
//!     |    2. an error, of a child or the body: the group is cancelled, so are siblings and body
//!     v                                v
//!     3. the body has ended      each child ends by the rule of scopes, cleanups included
//!              \                      /
//!               '--- 4. both are so -'---> 5. all errors together; or, if something around is cancelled,
//!                                               wait to be dropped, and report them
//! ```
//!
//! asyncio's `TaskGroup` and trio's nursery. Rust adds one way to leave: the group's future may be dropped in the middle. Then
//! nobody waits; the children are cancelled, end by the rule, and what they return is reported.
//!
//! A child is one allocation: the group's own state of it is a seat in a slab, given back when the child ends. So a group that
//! stays open for long keeps nothing of the children that have ended.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use handcar_executor::layer::{self, Ending};
use handcar_executor::{self as kernel, AbortHandle, PanicPayload, Report, TaskId, current_task, question};
use pin_project_lite::pin_project;

use crate::cleanup;
use crate::group_error::{GroupError, Whose};
use crate::node::{Grace, Kind, Node};
use crate::polls::{self, Frame};
use crate::reason::{CancelKind, CancelReason};
use crate::scoped::{Outcome, Stage, drop_body, drop_node, step};
use crate::task::Task;

/// What becomes of the others when a child fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// They are cancelled, and so is the body.
    #[default]
    CancelSiblings,
    /// They run on; the errors come out at the end.
    Continue,
}

/// What becomes of a child's panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChildPanic {
    /// The others are cancelled, and the panic goes on when they have ended.
    #[default]
    Propagate,
    /// It is one of the group's errors.
    Collect,
}

/// Sets up a group. Made by [`TaskGroup::builder`].
#[derive(Clone, Debug, Default)]
pub struct GroupBuilder {
    name: Option<Arc<str>>,
    on_error: OnError,
    on_panic: OnChildPanic,
    grace: Grace,
}

impl GroupBuilder {
    /// The prefix of its children's names: `name/0`, `name/1`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> GroupBuilder {
        self.name = Some(name.into());
        self
    }

    /// What becomes of the others when a child fails.
    pub fn on_error(mut self, on_error: OnError) -> GroupBuilder {
        self.on_error = on_error;
        self
    }

    /// What becomes of a child's panic.
    pub fn on_panic(mut self, on_panic: OnChildPanic) -> GroupBuilder {
        self.on_panic = on_panic;
        self
    }

    /// How long cleanups and what is shielded may take once the group is cancelled; `None`: without bound.
    pub fn grace(mut self, grace: Option<Duration>) -> GroupBuilder {
        self.grace = Grace::Set(grace);
        self
    }

    /// As [`task_group`], with these settings.
    ///
    /// # Errors
    ///
    /// As [`task_group`].
    #[track_caller]
    pub fn run<T, E, B>(self, body: B) -> impl Future<Output = Result<T, GroupError<E>>>
    where
        B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
        E: fmt::Display + 'static,
    {
        let at = Location::caller();
        async move {
            let inner = Inner::new(self, at);
            let body = body(TaskGroup { inner: Rc::clone(&inner) });
            RunGroup::new(inner, body, ()).await
        }
    }
}

/// Runs `body`, and waits for every task that was spawned into the group.
///
/// A child that fails cancels its siblings and the body. When all of them have ended, cleanups included, every error comes out,
/// in the order in which they happened.
///
/// ```
/// use handcar_structured::{run, sleep, task_group};
/// use std::time::Duration;
///
/// let pages = run(task_group(async |g| {
///     let first = g.spawn(async { Ok::<_, std::io::Error>("first") });
///     let second = g.spawn(async {
///         sleep(Duration::from_millis(1)).await;
///         Ok("second")
///     });
///     Ok([first.await.unwrap(), second.await.unwrap()])
/// }));
/// assert_eq!(pages.unwrap(), ["first", "second"]);
/// ```
///
/// # Errors
///
/// If a child or the body failed; or, without errors in it, if [`TaskGroup::cancel`] ended the body.
///
/// # Panics
///
/// With the first panic of a child or the body, when all have ended.
///
/// # Cancel safety
///
/// Cancelled from outside, it cancels its children and waits for them before it is dropped. Where a foreign combinator drops it,
/// its children are cancelled and end by themselves; their errors are reported.
#[track_caller]
pub fn task_group<T, E, B>(body: B) -> impl Future<Output = Result<T, GroupError<E>>>
where
    B: AsyncFnOnce(TaskGroup<E>) -> Result<T, E>,
    E: fmt::Display + 'static,
{
    GroupBuilder::default().run(body)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Its future has returned.
    Closed,
    /// Its future was dropped.
    Abandoned,
}

pub(crate) struct Inner<E> {
    pub(crate) node: Rc<Node>,
    settings: GroupBuilder,
    living: Cell<usize>,
    spawned: Cell<u64>,
    state: Cell<State>,
    /// A child, or the body, was ended by something around the group.
    was_cut: Cell<bool>,
    errors: RefCell<GroupError<E>>,
    panic: Cell<Option<PanicPayload>>,
}

impl<E: fmt::Display + 'static> Inner<E> {
    pub(crate) fn new(settings: GroupBuilder, at: &'static Location<'static>) -> Rc<Inner<E>> {
        let node = Node::new(Kind::Scope, at, None, None);
        if let Grace::Set(grace) = settings.grace {
            node.set_grace(grace);
        }
        Rc::new(Inner {
            node,
            settings,
            living: Cell::new(0),
            spawned: Cell::new(0),
            state: Cell::new(State::Open),
            was_cut: Cell::new(false),
            errors: RefCell::new(GroupError::new(at)),
            panic: Cell::new(None),
        })
    }

    /// A child was cancelled: notes whether that came from around the group.
    pub(crate) fn was_cut(&self) {
        if self.node.is_cancelled_from_above() {
            self.was_cut.set(true);
        }
    }

    /// What the others are told, and the line that it points at.
    fn blame(&self, whose: &Whose) -> (CancelKind, &'static Location<'static>) {
        match whose {
            Whose::Task(task) => (CancelKind::SiblingFailed(Some(task.id)), task.spawned_at),
            Whose::Child(at) => (CancelKind::SiblingFailed(None), at),
            Whose::Body => (CancelKind::BodyFailed, self.node.at),
        }
    }

    pub(crate) fn failed(&self, whose: Whose, error: E) {
        let (kind, at) = self.blame(&whose);
        self.errors.borrow_mut().push(whose, error);
        self.went_wrong(kind, at);
    }

    pub(crate) fn panicked(&self, whose: Whose, panic: PanicPayload) {
        let (kind, at) = self.blame(&whose);
        if self.settings.on_panic == OnChildPanic::Collect || self.state.get() == State::Abandoned {
            self.errors.borrow_mut().push_panic(whose, panic);
            return self.went_wrong(kind, at);
        }
        match self.panic.take() {
            None => self.panic.set(Some(panic)),
            Some(first) => {
                self.panic.set(Some(first));
                let payload = panic;
                match whose {
                    Whose::Task(task) => layer::report_panic(task, payload),
                    Whose::Child(_) | Whose::Body => layer::report(Report::CleanupPanicked { at, payload }),
                }
            }
        }
        self.cancel(kind, at);
    }

    fn went_wrong(&self, kind: CancelKind, at: &'static Location<'static>) {
        if self.state.get() == State::Abandoned {
            self.report_errors();
        } else if self.settings.on_error == OnError::CancelSiblings {
            self.cancel(kind, at);
        }
    }

    fn cancel(&self, kind: CancelKind, at: &'static Location<'static>) {
        let reason = CancelReason::of(kind, at);
        if !self.node.is_cancelled_itself() {
            *self.node.for_children.borrow_mut() = Some(reason.clone());
        }
        self.node.cancel(reason);
    }

    /// Nobody will get the errors.
    fn report_errors(&self) {
        let errors = self.errors.replace(GroupError::new(self.node.at));
        if !errors.is_empty() {
            let error = Arc::new(Text(errors.to_string()));
            layer::report(Report::GroupCut { error });
        }
    }
}

/// A group error that may not leave its thread, as it prints.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Text {}

/// Spawns into a group. The body of [`task_group`] gets one; clones are the same group, and may go into its children.
pub struct TaskGroup<E> {
    inner: Rc<Inner<E>>,
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup { inner: Rc::clone(&self.inner) }
    }
}

impl TaskGroup<std::convert::Infallible> {
    /// Settings for a group.
    ///
    /// ```
    /// use handcar_structured::{OnError, TaskGroup, run};
    ///
    /// let group = TaskGroup::builder().name("fetch").on_error(OnError::Continue);
    /// let result = run(group.run(async |g| {
    ///     g.spawn(async { Err::<(), _>("one") });
    ///     g.spawn(async { Err::<(), _>("two") });
    ///     Ok(())
    /// }));
    /// assert_eq!(result.unwrap_err().flatten(), ["one", "two"]);
    /// ```
    pub fn builder() -> GroupBuilder {
        GroupBuilder::default()
    }
}

impl<E: fmt::Display + 'static> TaskGroup<E> {
    /// Spawns a child. In a cancelled group it is never polled.
    ///
    /// # Panics
    ///
    /// If the group has ended; see [`try_spawn`](TaskGroup::try_spawn).
    #[track_caller]
    pub fn spawn<T, F>(&self, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let Ok(handle) = self.try_spawn(child) else {
            panic!("a task was spawned into a group that has ended: use `try_spawn` where that may be")
        };
        handle
    }

    /// As [`spawn`](TaskGroup::spawn), with a name.
    ///
    /// # Panics
    ///
    /// If the group has ended.
    #[track_caller]
    pub fn spawn_named<T, F>(&self, name: impl Into<Arc<str>>, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        assert!(self.inner.state.get() == State::Open, "a task was spawned into a group that has ended");
        self.seat(child, Some(name.into()), Location::caller())
    }

    /// As [`spawn`](TaskGroup::spawn), of a group that may have ended.
    ///
    /// # Errors
    ///
    /// The future, if the group has ended.
    #[track_caller]
    pub fn try_spawn<T, F>(&self, child: F) -> Result<GroupHandle<T>, F>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        if self.inner.state.get() != State::Open {
            return Err(child);
        }
        let number = self.inner.spawned.replace(self.inner.spawned.get() + 1);
        let name = self.inner.settings.name.as_ref().map(|name| Arc::from(format!("{name}/{number}")));
        Ok(self.seat(child, name, Location::caller()))
    }

    fn seat<T, F>(&self, child: F, name: Option<Arc<str>>, at: &'static Location<'static>) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let node = &self.inner.node;
        let key = node.members.borrow().vacant_key();
        if self.inner.living.replace(self.inner.living.get() + 1) == 0 {
            node.hold_parent();
        }
        let seat = Seat { inner: Rc::clone(&self.inner), key };
        let child = Child { task: Task::new(child, Some(Rc::clone(node))), seat };
        let task = layer::spawn(child, Ending::Member, name, at);
        node.members.borrow_mut().insert(task.abort_handle());
        if node.is_cancelled() {
            task.abort_handle().cancel_as(kernel::CancelKind::Parent);
        }
        GroupHandle { task: Some(task) }
    }

    /// Cancels the group: its children and its body. False if it was cancelled before, or has ended.
    ///
    /// If the body returned a value before, the group returns that.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.inner.node.cancel(CancelReason::of(CancelKind::Explicit, Location::caller()))
    }

    /// How many children have not ended.
    pub fn len(&self) -> usize {
        self.inner.living.get()
    }

    /// Whether every child has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskGroup({} children, made at {})", self.inner.living.get(), self.inner.node.at)
    }
}

/// A child's place in its group.
struct Seat<E> {
    inner: Rc<Inner<E>>,
    key: usize,
}

impl<E> Drop for Seat<E> {
    fn drop(&mut self) {
        let Seat { inner, key } = self;
        let member = inner.node.members.borrow_mut().try_remove(*key);
        drop(member);
        inner.living.set(inner.living.get() - 1);
        if inner.living.get() == 0 {
            inner.node.release_parent();
            inner.node.wake_wrapper();
        }
    }
}

pin_project! {
    /// What the kernel polls of a group's child.
    struct Child<F: Future, E> {
        // In this order: when the task is dropped, its seat is still there.
        #[pin]
        task: Task<F>,
        seat: Seat<E>,
    }
}

impl<T, E: fmt::Display + 'static, F: Future<Output = Result<T, E>>> Future for Child<F, E> {
    type Output = Result<T, TaskEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, TaskEnd>> {
        let this = self.project();
        let inner = &this.seat.inner;
        Poll::Ready(match ready!(this.task.poll_outcome(cx)) {
            Outcome::Value(Ok(value)) => Ok(value),
            Outcome::Value(Err(error)) => {
                inner.failed(whose(), error);
                Err(TaskEnd::Failed)
            }
            Outcome::Panicked(panic) => {
                inner.panicked(whose(), panic);
                Err(TaskEnd::Panicked)
            }
            Outcome::Cancelled(reason) => {
                inner.was_cut();
                Err(TaskEnd::Cancelled(reason.unwrap_or_default()))
            }
        })
    }
}

/// The child that is being polled.
fn whose() -> Whose {
    current_task().map_or(Whose::Body, Whose::Task)
}

/// Why a child has no value. Its error itself belongs to the group.
#[derive(Clone, Debug)]
pub enum TaskEnd {
    /// It was cancelled.
    Cancelled(CancelReason),
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskEnd::Cancelled(reason) => write!(f, "the task was cancelled: {reason}"),
            TaskEnd::Failed => f.write_str("the task failed; its group has the error"),
            TaskEnd::Panicked => f.write_str("the task panicked"),
        }
    }
}

impl Error for TaskEnd {}

/// Waits for a child of a group. Dropping it does nothing: the group waits.
pub struct GroupHandle<T> {
    /// Taken out only by the destructor.
    task: Option<kernel::JoinHandle<Result<T, TaskEnd>>>,
}

impl<T> GroupHandle<T> {
    fn task(&self) -> &kernel::JoinHandle<Result<T, TaskEnd>> {
        let Some(task) = &self.task else { unreachable!("only the destructor takes it out") };
        task
    }

    /// The child's result, once, after it has ended.
    pub fn result(&mut self) -> Option<Result<T, TaskEnd>> {
        self.task.as_mut()?.try_take().map(flat)
    }

    /// Cancels the child: that is no error of the group. False if it has ended or was cancelled before.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.task().cancel()
    }

    /// Whether the child has ended.
    pub fn is_finished(&self) -> bool {
        self.task().is_finished()
    }

    /// The child's number.
    pub fn id(&self) -> TaskId {
        self.task().id()
    }

    /// The child's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.task().name()
    }

    /// A handle that can cancel the child.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task().abort_handle()
    }
}

fn flat<T>(result: Result<Result<T, TaskEnd>, kernel::JoinError>) -> Result<T, TaskEnd> {
    match result {
        Ok(result) => result,
        Err(kernel::JoinError::Cancelled(reason)) => Err(TaskEnd::Cancelled(CancelReason::from_kernel(reason))),
        Err(kernel::JoinError::Panicked(_)) => Err(TaskEnd::Panicked),
    }
}

impl<T> Future for GroupHandle<T> {
    type Output = Result<T, TaskEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else { unreachable!("only the destructor takes it out") };
        Pin::new(task).poll(cx).map(flat)
    }
}

impl<T> Drop for GroupHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach_ignoring();
        }
    }
}

impl<T> fmt::Debug for GroupHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupHandle({:?})", self.task())
    }
}

pin_project! {
    /// Polls a group to its end.
    pub(crate) struct RunGroup<F: Future, T, E, L> where E: fmt::Display, E: 'static {
        inner: Rc<Inner<E>>,
        #[pin]
        body: Stage<F>,
        value: Option<T>,
        // Dropped after the body.
        locals: L,
        // The result is there, or it never will be: something around will drop this.
        ended: bool,
    }

    impl<F: Future, T, E, L> PinnedDrop for RunGroup<F, T, E, L> where E: fmt::Display, E: 'static {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

/// Children that the group polls itself.
pub(crate) trait Locals {
    fn poll(&mut self, node: &Rc<Node>, cx: &mut Context<'_>);

    fn living(&self) -> usize;
}

/// A task group has none: its children are on the run queue.
impl Locals for () {
    fn poll(&mut self, _: &Rc<Node>, _: &mut Context<'_>) {}

    fn living(&self) -> usize {
        0
    }
}

impl<F: Future, T, E: fmt::Display + 'static, L> RunGroup<F, T, E, L> {
    pub(crate) fn new(inner: Rc<Inner<E>>, body: F, locals: L) -> RunGroup<F, T, E, L> {
        RunGroup { inner, body: Stage::Body { body }, value: None, locals, ended: false }
    }

    /// The future is dropped: whoever lives is cancelled.
    fn leave(self: Pin<&mut Self>) {
        let this = self.project();
        let inner = Rc::clone(this.inner);
        if inner.state.get() == State::Open {
            inner.state.set(State::Abandoned);
            let members: Vec<_> = inner.node.members.borrow().iter().map(|(_, member)| member.clone()).collect();
            for member in members {
                member.cancel_as(kernel::CancelKind::HandleDropped);
            }
        }
        let _unheard = Unheard(&inner);
        drop_node(&inner.node, this.body);
    }
}

/// Reports what went wrong in a group whose future is dropped, after its body.
struct Unheard<'a, E: fmt::Display + 'static>(&'a Inner<E>);

impl<E: fmt::Display + 'static> Drop for Unheard<'_, E> {
    fn drop(&mut self) {
        self.0.report_errors();
        if let Some(panic) = self.0.panic.take() {
            let payload = panic;
            layer::report(Report::CleanupPanicked { at: self.0.node.at, payload });
        }
    }
}

impl<F, T, E, L> Future for RunGroup<F, T, E, L>
where
    F: Future<Output = Result<T, E>>,
    L: Locals,
    E: fmt::Display + 'static,
{
    type Output = Result<T, GroupError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let inner = &**this.inner;
        let node = &inner.node;
        if *this.ended {
            return Poll::Pending;
        }
        node.keep_waker(cx);
        node.reparent(polls::attach().as_ref());
        node.look_at_clock(cx);
        if let Stage::Body { .. } = *this.body {
            poll_body(inner, this.body.as_mut(), this.value, cx);
        }
        polls::under(Frame::Heavy(Rc::clone(node)), || this.locals.poll(node, cx));
        let drained = drain(inner, cx);
        let has_body = matches!(*this.body, Stage::Body { .. });
        if has_body || !drained || inner.living.get() + this.locals.living() > 0 {
            if question::is_question() && inner.living.get() > 0 {
                question::answer(format!("{} children of the group made at {}", inner.living.get(), node.at));
            }
            return Poll::Pending;
        }
        // What an enclosing cancel does not stop: a panic, and a value that nothing was missing from.
        let panic = inner.panic.take();
        let is_value = this.value.is_some() && inner.errors.borrow().is_empty() && !inner.was_cut.get();
        if panic.is_none() && !is_value {
            if node.is_cancelled_from_above() {
                inner.report_errors();
                *this.ended = true;
                return Poll::Pending;
            }
            if node.parent().is_some_and(|parent| parent.cancel_expired()) {
                return Poll::Pending;
            }
        }
        *this.ended = true;
        inner.state.set(State::Closed);
        node.close();
        if let Some(panic) = panic {
            inner.report_errors();
            panic.resume();
        }
        let mut errors = inner.errors.replace(GroupError::new(node.at));
        Poll::Ready(match this.value.take() {
            Some(value) if errors.is_empty() => Ok(value),
            _ => {
                if errors.is_empty() {
                    errors.set_cancelled(node.own_reason());
                }
                Err(errors)
            }
        })
    }
}

/// Polls the body by the rule of scopes.
fn poll_body<F, T, E>(inner: &Inner<E>, mut body: Pin<&mut Stage<F>>, value: &mut Option<T>, cx: &mut Context<'_>)
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display + 'static,
{
    let node = &inner.node;
    let frame = || Frame::Heavy(Rc::clone(node));
    let mut outcome = polls::under(frame(), || step(body.as_mut(), cx)).1;
    if outcome.is_none() {
        node.look_at_clock(cx); // it may have cancelled itself
    }
    if outcome.is_none() && node.is_cancelled() && (!node.is_protected() || node.is_grace_over()) {
        outcome = Some(polls::under(frame(), || drop_body(body.as_mut(), Outcome::Cancelled(None))).1);
    }
    match outcome {
        None => {}
        Some(Outcome::Value(Ok(returned))) => *value = Some(returned),
        Some(Outcome::Value(Err(error))) => inner.failed(Whose::Body, error),
        Some(Outcome::Panicked(panic)) => inner.panicked(Whose::Body, panic),
        Some(Outcome::Cancelled(_)) => inner.was_cut(),
    }
}

/// Runs the cleanups of the group's own scope. True when none is left.
fn drain<E: fmt::Display + 'static>(inner: &Inner<E>, cx: &mut Context<'_>) -> bool {
    let node = &inner.node;
    let mut panicked = None;
    let mut drained = cleanup::run(node, &mut panicked, cx);
    if !drained {
        node.look_at_clock(cx);
        if node.is_grace_over() {
            cleanup::cut(node, &mut panicked, cx);
            drained = true;
        }
    }
    if let Some((panic, _)) = panicked {
        inner.panicked(Whose::Body, panic);
    }
    drained
}
