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

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;

use handcar_executor::layer::{Ending, Host, Local, LocalTask};
use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Delegates, budget, question};

use crate::crew::Crew;
use crate::group_builder::GroupBuilder;
use crate::group_child::Child;
use crate::group_error::GroupError;
use crate::group_handle::GroupHandle;
use crate::group_run::{Locals, RunGroup};
use crate::group_start::{Start, Started, begin};
use crate::node;

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
    run(Unpolled::new(&"scope"), GroupBuilder::default(), body, Location::caller())
}

pub(crate) async fn run<'env, T, E, B>(
    mut unpolled: Unpolled,
    settings: GroupBuilder,
    body: B,
    at: &'static Location<'static>,
) -> Result<T, GroupError<E>>
where
    B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
    E: fmt::Display + 'static,
{
    unpolled.forget();
    let crew = Crew::new(settings, at);
    let scope = Scope { crew: Rc::clone(&crew), new: RefCell::default(), lifetimes: PhantomData };
    // The body is dropped first, then the children that run, then those that were only spawned, then the scope.
    let rest = DropRest(&scope.new);
    let children = Children { new: rest.0, running: Vec::new(), delegates: Delegates::new() };
    RunGroup::new(crew, body(&scope), children).await
}

/// Spawns children that may borrow. The body of [`scope`] gets one.
pub struct Scope<'scope, 'env: 'scope, E> {
    crew: Rc<Crew<E>>,
    /// Spawned, and not yet among the children that are polled.
    new: RefCell<Vec<LocalTask>>,
    /// Invariant in both lifetimes, as in `std::thread::Scope`: a longer `'scope` would let a child borrow from the body.
    lifetimes: PhantomData<(&'scope mut &'scope (), &'env mut &'env ())>,
}

/// Forgets how long a child may borrow.
#[allow(unsafe_code)]
fn for_good<'scope, T: 'scope>(child: Local<'scope, T>) -> Local<'static, T> {
    // SAFETY: the two types differ in a lifetime alone, so in nothing that is there at run time. A local task is used through
    // its two halves. The `JoinHandle` never touches the child's future; a result that it may hold is a `T`, which is in its own
    // type; and it is gone when the handle's drop returns, since `Local::new` marks the task as one that borrows. The
    // `LocalTask` must be dropped while `'scope` lasts, or never: that lifetime is the borrow of the `Scope` that `spawn` was
    // called on. `Scope::board`, the only caller, puts it into that scope's `new`, from where `Children::poll` moves it to
    // `Children::running`; both are in the future that `scope` returns, and nobody else can reach them. That future owns the
    // `Scope` too and drops it last: before it come `Children`, whose drop drops those that run, and `DropRest`, which drops
    // the others, and what those spawn in their destructors, until none is left. A `LocalTask`'s drop drops the future in place
    // and does not panic, so neither stops half-way. If the future is forgotten, it leaks with all of its children, which are
    // then neither polled nor dropped: their memory is held by what leaked.
    unsafe { std::mem::transmute::<Local<'scope, T>, Local<'static, T>>(child) }
}

impl<'scope, E: fmt::Display + 'static> Scope<'scope, '_, E> {
    /// Spawns a child. In a cancelled scope it is never polled.
    #[track_caller]
    pub fn spawn<T, F>(&'scope self, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        self.board(child, self.crew.next_name(), Location::caller())
    }

    /// As [`spawn`](Scope::spawn), with a name for reports and errors.
    #[track_caller]
    pub fn spawn_named<T, F>(&'scope self, name: impl Into<Arc<str>>, child: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        self.board(child, Some(name.into()), Location::caller())
    }

    /// As [`spawn`](Scope::spawn), unless the scope's future is being dropped: a destructor may find itself there.
    ///
    /// # Errors
    ///
    /// The future, if so.
    #[track_caller]
    pub fn try_spawn<T, F>(&'scope self, child: F) -> Result<GroupHandle<T>, F>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        if !self.crew.is_open() {
            return Err(child);
        }
        Ok(self.board(child, self.crew.next_name(), Location::caller()))
    }

    /// Spawns a child and waits until it says that it has started. See [`TaskGroup::start`](crate::TaskGroup::start).
    ///
    /// # Errors
    ///
    /// See [`StartError`](crate::StartError).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it has returned the value, it cancels the child.
    #[track_caller]
    pub fn start<V, C, F>(&'scope self, child: C) -> Start<V, E>
    where
        C: FnOnce(Started<V, E>) -> F,
        F: Future<Output = Result<(), E>> + 'scope,
        V: 'scope,
    {
        let at = Location::caller(); // not in the closure, whose caller is another
        begin(child, |child| self.board(child, self.crew.next_name(), at))
    }

    #[track_caller]
    fn board<T, F>(&'scope self, child: F, name: Option<Arc<str>>, at: &'static Location<'static>) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        let mut number = 0;
        let child = Local::new(|| Child::new(child, &self.crew, &mut number), Ending::Member, name, at);
        let (task, handle) = for_good(child).split();
        self.new.borrow_mut().push(task);
        let handle = self.crew.take_on(number, handle);
        self.crew.wake();
        handle
    }

    /// Cancels the scope: its children and its body. False if it was cancelled before, or has ended.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.crew.cancel()
    }

    /// How many children have not ended.
    pub fn len(&self) -> usize {
        self.crew.living()
    }

    /// Whether every child has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> fmt::Debug for Scope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} children, made at {})", self.crew.living(), self.crew.node.at)
    }
}

/// Drops the children that were spawned and never came to be polled.
struct DropRest<'a>(&'a RefCell<Vec<LocalTask>>);

impl Drop for DropRest<'_> {
    fn drop(&mut self) {
        loop {
            let Some(child) = self.0.borrow_mut().pop() else { return };
            drop(child);
        }
    }
}

/// The children that are polled.
struct Children<'a> {
    new: &'a RefCell<Vec<LocalTask>>,
    /// At the places that they have among the delegates.
    running: Vec<Option<LocalTask>>,
    delegates: Delegates,
}

impl Locals for Children<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) {
        let new = self.new.take();
        self.running.reserve(new.len());
        for child in new {
            let seat = self.delegates.insert_before_begin();
            if seat == self.running.len() {
                self.running.push(Some(child));
            } else {
                self.running[seat] = Some(child);
            }
        }
        if self.delegates.is_empty() {
            return;
        }
        self.delegates.begin(cx);
        if question::is_question() {
            self.running.iter().flatten().for_each(LocalTask::tell);
        }
        let host = Host::enter();
        let mut is_cut_short = false;
        while !is_cut_short && let Some(seat) = self.delegates.next() {
            let Some(child) = &self.running[seat] else { continue };
            if host.poll(child, &self.delegates, seat).is_ready() {
                self.delegates.remove(seat);
                drop(self.running[seat].take());
            }
            is_cut_short = budget::is_spent() && self.delegates.has_woken();
        }
        drop(host); // a stranger's waker is none of the children's
        if is_cut_short || !self.new.borrow().is_empty() {
            node::wake_by_ref(cx.waker()); // what they spawned has its turn in the next poll
        }
    }
}
