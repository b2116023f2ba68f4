//! Context variables: what a request carries along without each function's handing it on. Python's `contextvars`.
//!
//! ```text
//!     REQUEST.scope(7, fut)       poll: context := [REQUEST = 7] + what is set around  ->  fut  ->  context := what it was
//!
//!     spawn, group, defer         take the context of this moment along; each of their polls happens in it
//!     to_thread                   takes along what may leave the thread
//! ```
//!
//! The thread has one current context: nothing, nearly always, else a counted list of values. A future that sets a value swaps
//! the list for a longer one while it is polled, and back after, however the poll ends. So nothing has to be undone between two
//! polls, and a task that has no context costs one look at an empty cell when it is spawned, and nothing later. One that has
//! gets a node of the scopes' tree at once, for the context to lie in.
//!
//! The list is flat and is copied when it grows. There are few variables in a program, so that is short; a chain would grow with
//! every task that sets a variable anew and spawns the next one, and would be dropped by recursion.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};

use handcar_executor::unpolled::Unpolled;
use pin_project_lite::pin_project;

use crate::node::Node;

/// Declares context variables.
///
/// A variable holds a value for everything that runs inside [`scope`](ContextVar::scope), in this task and in those that are
/// spawned there. With `= value` it has that value where none was set. Its type is `Send + Sync`, so that
/// [`to_thread`](crate::to_thread) can take the value along; a `local static` may be of any type, and stays behind on its thread.
///
/// ```
/// use handcar_structured::{context_var, run, spawn};
/// use std::{cell::Cell, rc::Rc};
///
/// context_var! {
///     /// The request that is being handled.
///     static REQUEST: u32;
///     static LANGUAGE: &'static str = "en";
///     local static STEPS: Rc<Cell<u32>>;
/// }
///
/// run(REQUEST.scope(7, async {
///     let child = spawn(async { (REQUEST.get(), LANGUAGE.get(), STEPS.try_get().is_some()) });
///     assert_eq!(child.await.unwrap(), (7, "en", false));
/// }));
/// assert_eq!(REQUEST.try_get(), None);
/// ```
///
/// Without `local` a type has to be `Send + Sync`:
///
/// ```compile_fail,E0277
/// handcar_structured::context_var! { static STEPS: std::rc::Rc<u32> }
/// ```
#[macro_export]
macro_rules! context_var {
    () => {};
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty $(= $default:expr)? $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visible static $name: $crate::ContextVar<$type> =
            $crate::ContextVar::shared(stringify!($name)) $(.or(|| $default))?;
        $($crate::context_var! { $($rest)* })?
    };
    ($(#[$attribute:meta])* $visible:vis local static $name:ident: $type:ty $(= $default:expr)? $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visible static $name: $crate::ContextVar<$type> =
            $crate::ContextVar::local(stringify!($name)) $(.or(|| $default))?;
        $($crate::context_var! { $($rest)* })?
    };
}

/// A variable whose value depends on who asks. Declared by [`context_var!`](crate::context_var).
pub struct ContextVar<T: 'static> {
    name: &'static str,
    keep: fn(T) -> Value,
    default: Option<fn() -> T>,
}

impl<T: Send + Sync> ContextVar<T> {
    #[doc(hidden)]
    pub const fn shared(name: &'static str) -> ContextVar<T> {
        ContextVar { name, keep: |value| Value::Shared(Arc::new(value)), default: None }
    }
}

impl<T> ContextVar<T> {
    #[doc(hidden)]
    pub const fn local(name: &'static str) -> ContextVar<T> {
        ContextVar { name, keep: |value| Value::Local(Rc::new(value)), default: None }
    }

    #[doc(hidden)]
    pub const fn or(self, default: fn() -> T) -> ContextVar<T> {
        ContextVar { default: Some(default), ..self }
    }

    /// Runs `future` with `value` in this variable.
    ///
    /// ```
    /// use handcar_structured::{context_var, run};
    ///
    /// context_var! { static DEPTH: u32 = 0 }
    ///
    /// run(async {
    ///     let inner = DEPTH.scope(1, async { DEPTH.get() });
    ///     assert_eq!((inner.await, DEPTH.get()), (1, 0));
    /// });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As that of `future`, which is dropped with it.
    #[track_caller]
    pub fn scope<F: IntoFuture>(&'static self, value: T, future: F) -> WithVar<F::IntoFuture> {
        let binding = Binding::new(self.key(), (self.keep)(value));
        let unpolled = Unpolled::new(&"ContextVar::scope");
        WithVar { unpolled, binding, merged: None, body: Some(future.into_future()) }
    }

    /// Calls `f` with `value` in this variable.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let binding = Binding::new(self.key(), (self.keep)(value));
        let context = merge(current().as_deref().unwrap_or_default(), &binding);
        let result = enter(Some(context), f);
        drop(binding); // as in `enter`
        result
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// If none was set around this call and the variable has no default.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        let Some(value) = self.try_get() else { self.is_missing() };
        value
    }

    /// The value, if one was set around this call or the variable has a default.
    pub fn try_get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        let context = current();
        let found = context.as_deref().and_then(|context| self.find(context));
        found.cloned().or_else(|| self.default.map(|default| default()))
    }

    /// Lends the value to `f`.
    ///
    /// ```
    /// use handcar_structured::context_var;
    ///
    /// context_var! { static USER: String }
    ///
    /// let greeting = USER.sync_scope("Ada".to_owned(), || USER.with(|user| format!("Hello, {user}")));
    /// assert_eq!(greeting, "Hello, Ada");
    /// ```
    ///
    /// # Panics
    ///
    /// As [`get`](ContextVar::get); as `f` does.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let context = current();
        if let Some(value) = context.as_deref().and_then(|context| self.find(context)) {
            return f(value);
        }
        let Some(default) = self.default else { self.is_missing() };
        f(&default())
    }

    #[track_caller]
    fn is_missing(&self) -> ! {
        panic!(
            "`{0}` has no value here: set one around this with `{0}.scope(value, future)`, or give it a default where it is declared",
            self.name
        )
    }

    fn find<'a>(&'static self, context: &'a [Binding]) -> Option<&'a T> {
        let value = &context.iter().find(|binding| binding.key == self.key())?.value;
        match value {
            Value::Shared(value) => value.downcast_ref(),
            Value::Local(value) => value.downcast_ref(),
        }
    }

    /// The variable is a static, so its address is its name.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextVar({})", self.name)
    }
}

/// A value; only a shared one may go to another thread.
#[derive(Clone)]
enum Value {
    Shared(Arc<dyn Any + Send + Sync>),
    Local(Rc<dyn Any>),
}

#[derive(Clone)]
pub(crate) struct Binding {
    key: usize,
    value: Value,
    /// [`Node::inheriting`]: what is to be inherited brings it along, so that programs without context variables do not contain it.
    inheriting: fn(Option<Rc<Node>>) -> Rc<Node>,
}

impl Binding {
    fn new(key: usize, value: Value) -> Binding {
        Binding { key, value, inheriting: Node::inheriting }
    }
}

/// The variables that are set, each once.
pub(crate) type Context = Rc<[Binding]>;

thread_local! {
    /// Without a destructor, as what is beside the poll stack: it is empty whenever nothing is polled.
    static CURRENT: ManuallyDrop<Cell<Option<Context>>> = const { ManuallyDrop::new(Cell::new(None)) };
    /// Whether it is not empty: all that a spawn looks at.
    static IS_SET: Cell<bool> = const { Cell::new(false) };
}

/// What is set at this moment.
#[inline]
pub(crate) fn current() -> Option<Context> {
    CURRENT.with(|current| {
        let context = current.take();
        let copy = context.clone();
        current.set(context);
        copy
    })
}

/// Whether anything is.
#[inline]
pub(crate) fn is_set() -> bool {
    IS_SET.get()
}

/// A node for a task that is to have the current context, if there is one.
pub(crate) fn inheriting() -> Option<Rc<Node>> {
    let inheriting = current()?.first()?.inheriting;
    Some(inheriting(None))
}

/// Makes `context` the current one, in place of whatever is set, until the guard is dropped.
#[must_use]
pub(crate) fn replace(context: Option<Context>) -> Restore {
    Restore { outer: swap(context) }
}

#[inline(never)]
fn swap(context: Option<Context>) -> Option<Context> {
    IS_SET.set(context.is_some());
    CURRENT.with(|current| current.replace(context))
}

/// Made by [`replace`].
pub(crate) struct Restore {
    outer: Option<Context>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        let inner = swap(self.outer.take());
        drop(inner); // the values are a stranger's: when the cell is whole again
    }
}

/// Calls `f` in `context`.
pub(crate) fn enter<R>(context: Option<Context>, f: impl FnOnce() -> R) -> R {
    let restore = replace(context);
    let result = f();
    drop(restore); // here: should a value of the context panic as it is dropped, the result is dropped as well, and does not leak
    result
}

/// `around`, and over it `binding`.
fn merge(around: &[Binding], binding: &Binding) -> Context {
    let others = around.iter().filter(|other| other.key != binding.key);
    std::iter::once(binding).chain(others).cloned().collect()
}

/// What of the current context may go to another thread.
pub(crate) fn portable() -> Portable {
    let shared = |binding: &Binding| match &binding.value {
        Value::Shared(value) => Some((binding.key, Arc::clone(value))),
        Value::Local(_) => None,
    };
    Portable(current().map(|context| context.iter().filter_map(shared).collect()))
}

/// A context on its way to another thread. Made by [`portable`].
pub(crate) struct Portable(Option<Vec<(usize, Arc<dyn Any + Send + Sync>)>>);

impl Portable {
    /// Calls `f` in it.
    pub(crate) fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        let Some(values) = self.0 else { return f() };
        enter(Some(values.into_iter().map(|(key, value)| Binding::new(key, Value::Shared(value))).collect()), f)
    }
}

pin_project! {
    /// Runs a future with a value in a variable. Made by [`ContextVar::scope`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct WithVar<F> {
        unpolled: Unpolled,
        binding: Binding,
        // What was set around it at its last poll, and what is set within it.
        merged: Option<(Option<Context>, Context)>,
        #[pin]
        body: Option<F>,
    }

    impl<F> PinnedDrop for WithVar<F> {
        fn drop(this: Pin<&mut Self>) {
            let context = this.as_ref().merged.as_ref().map(|(_, within)| Rc::clone(within));
            let this = this.project();
            this.unpolled.tell(); // before the body, which may have something to tell too
            let mut body = this.body;
            match context {
                Some(context) => enter(Some(context), || body.set(None)),
                None => body.set(None),
            }
        }
    }
}

impl<F: Future> Future for WithVar<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.unpolled.forget();
        let around = current();
        let context = match this.merged {
            Some((before, within)) if is_same(before.as_ref(), around.as_ref()) => Rc::clone(within),
            merged => {
                let within = merge(around.as_deref().unwrap_or_default(), this.binding);
                *merged = Some((around, Rc::clone(&within)));
                within
            }
        };
        enter(Some(context), || {
            let body = this.body.as_mut().as_pin_mut().expect("`WithVar` polled after it had ended");
            let polled = body.poll(cx);
            if polled.is_ready() {
                this.body.set(None);
            }
            polled
        })
    }
}

fn is_same(one: Option<&Context>, other: Option<&Context>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Rc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl<F> fmt::Debug for WithVar<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithVar")
    }
}
