//! Group errors: everything that went wrong in a group, as a tree, and Python's `except*` over it.
//!
//! ```text
//!     3 errors in the group at server.rs:20
//!     |- task `reader` #7.2, spawned at server.rs:24: connection reset
//!     |- the body: no route
//!     `- task #9.1, spawned at server.rs:31: 1 error in the group at client.rs:8
//!        `- task #10.1, spawned at client.rs:12: timed out
//! ```
//!
//! A handler takes the largest part of the tree that it matches, with its nesting, and what nobody takes comes back as
//! an error. So nothing disappears because somebody caught something else.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::Location;

use handcar_executor::{PanicPayload, TaskInfo};

use crate::handling::{Handling, HoldsError};
use crate::reason::CancelReason;

type Boxed = Box<dyn Error + Send + Sync>;

/// What went wrong in a group: every error of its children and its body, in the order in which they happened.
pub struct GroupError<E> {
    entries: Vec<Entry<E>>,
    at: &'static Location<'static>,
    cancelled: Option<CancelReason>,
}

/// Where an error comes from.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    Task(TaskInfo),
    Body,
}

struct Entry<E> {
    whose: Whose,
    what: What<E>,
}

enum What<E> {
    Failed(E),
    Panicked(PanicPayload),
    Group(GroupError<E>),
}

/// One error of a group, and whose it is.
#[derive(Debug)]
pub struct Leaf<'a, E> {
    /// The child: its number, its name and the line that spawned it. `None` is the body of the group.
    pub task: Option<&'a TaskInfo>,
    /// What happened.
    pub cause: LeafCause<'a, E>,
}

/// What a [`Leaf`] is.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeafCause<'a, E> {
    /// It returned this error.
    Failed(&'a E),
    /// It panicked, in a group that collects panics.
    Panicked(&'a PanicPayload),
}

impl<'a, E> Leaf<'a, E> {
    /// The error, if it is one and no panic.
    pub fn error(&self) -> Option<&'a E> {
        match self.cause {
            LeafCause::Failed(error) => Some(error),
            LeafCause::Panicked(_) => None,
        }
    }
}

impl<E: 'static> GroupError<E> {
    pub(crate) fn new(at: &'static Location<'static>) -> GroupError<E> {
        GroupError { entries: Vec::new(), at, cancelled: None }
    }

    pub(crate) fn set_cancelled(&mut self, reason: Option<CancelReason>) {
        self.cancelled = reason;
    }

    pub(crate) fn push(&mut self, whose: Whose, error: E) {
        let what = nested(error).map_or_else(What::Failed, What::Group);
        self.entries.push(Entry { whose, what });
    }

    pub(crate) fn push_panic(&mut self, whose: Whose, payload: PanicPayload) {
        self.entries.push(Entry { whose, what: What::Panicked(payload) });
    }

    pub(crate) fn push_group(&mut self, whose: Whose, group: GroupError<E>) {
        self.entries.push(Entry { whose, what: What::Group(group) });
    }

    /// Splits it into what `matches` and the rest; both keep the nesting. Panics belong to the rest.
    ///
    /// ```
    /// # use handcar_structured::{OnError, TaskGroup, run};
    /// let error = run(TaskGroup::builder().on_error(OnError::Continue).run(async |g| {
    ///     g.spawn(async { Err::<(), _>(1) });
    ///     g.spawn(async { Err::<(), _>(2) });
    ///     Ok(())
    /// }))
    /// .unwrap_err();
    /// let (even, odd) = error.split(|n| n % 2 == 0);
    /// assert_eq!(even.unwrap().errors().collect::<Vec<_>>(), [&2]);
    /// assert_eq!(odd.unwrap().errors().collect::<Vec<_>>(), [&1]);
    /// ```
    pub fn split(self, mut matches: impl FnMut(&E) -> bool) -> (Option<GroupError<E>>, Option<GroupError<E>>) {
        self.split_by(&mut matches)
    }

    fn split_by(self, matches: &mut dyn FnMut(&E) -> bool) -> (Option<GroupError<E>>, Option<GroupError<E>>) {
        let GroupError { entries, at, cancelled } = self;
        let mut taken = GroupError { entries: Vec::new(), at, cancelled: None };
        let mut left = GroupError { entries: Vec::new(), at, cancelled };
        for Entry { whose, what } in entries {
            match what {
                What::Failed(error) if matches(&error) => {
                    taken.entries.push(Entry { whose, what: What::Failed(error) });
                }
                What::Group(group) => {
                    let (inner_taken, inner_left) = group.split_by(matches);
                    let of = |group| Entry { whose: whose.clone(), what: What::Group(group) };
                    taken.entries.extend(inner_taken.map(of));
                    left.entries.extend(inner_left.map(of));
                }
                what => left.entries.push(Entry { whose, what }),
            }
        }
        (taken.if_any(), left.if_any())
    }

    fn if_any(self) -> Option<GroupError<E>> {
        (!self.entries.is_empty() || self.cancelled.is_some()).then_some(self)
    }

    /// Hands the largest part that `matches` to `handler`, if there is any: `except*`. The handler's own error joins what is
    /// left.
    ///
    /// ```
    /// # use handcar_structured::{OnError, TaskGroup, run};
    /// let error = run(TaskGroup::builder().on_error(OnError::Continue).run(async |g| {
    ///     g.spawn(async { Err::<(), _>("value") });
    ///     g.spawn(async { Err::<(), _>("connection") });
    ///     Ok(())
    /// }))
    /// .unwrap_err();
    /// let rest = error
    ///     .handle(|e| *e == "value", |part| { eprintln!("{part}"); Ok(()) })
    ///     .handle(|e| *e == "connection", |part| { eprintln!("{part}"); Ok(()) })
    ///     .finish();
    /// assert!(rest.is_ok());
    /// ```
    pub fn handle(
        self,
        matches: impl FnMut(&E) -> bool,
        handler: impl FnOnce(GroupError<E>) -> Result<(), E>,
    ) -> Handling<E> {
        Handling::new(self).handle(matches, handler)
    }

    /// As [`handle`](GroupError::handle), of the errors that are an `X`.
    pub fn handle_type<X: Error + 'static>(self, handler: impl FnOnce(GroupError<E>) -> Result<(), E>) -> Handling<E>
    where
        E: HoldsError,
    {
        self.handle(E::holds::<X>, handler)
    }

    /// Every error as it is, without the tree. Panics are left out.
    pub fn flatten(self) -> Vec<E> {
        let mut errors = Vec::new();
        let mut groups = vec![self.entries.into_iter()];
        while let Some(entries) = groups.last_mut() {
            match entries.next().map(|entry| entry.what) {
                Some(What::Failed(error)) => errors.push(error),
                Some(What::Group(group)) => groups.push(group.entries.into_iter()),
                Some(What::Panicked(_)) => {}
                None => drop(groups.pop()),
            }
        }
        errors
    }
}

impl<E> GroupError<E> {
    /// Every error and every collected panic, with its task, in order.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter { groups: vec![self.entries.iter()] }
    }

    /// Every error, in order.
    pub fn errors(&self) -> impl Iterator<Item = &E> {
        self.iter().filter_map(|leaf| leaf.error())
    }

    /// The error that happened first; `None` if the group was only cancelled.
    pub fn first(&self) -> Option<&E> {
        self.errors().next()
    }

    /// Why the group was cancelled by a call of its own `cancel`, if nothing else went wrong.
    pub fn cancelled(&self) -> Option<&CancelReason> {
        self.cancelled.as_ref()
    }

    /// The line that made the group.
    pub fn made_at(&self) -> &'static Location<'static> {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a, E> IntoIterator for &'a GroupError<E> {
    type Item = Leaf<'a, E>;
    type IntoIter = Iter<'a, E>;

    fn into_iter(self) -> Iter<'a, E> {
        self.iter()
    }
}

/// The leaves of a [`GroupError`]. Made by [`GroupError::iter`].
pub struct Iter<'a, E> {
    groups: Vec<std::slice::Iter<'a, Entry<E>>>,
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = Leaf<'a, E>;

    fn next(&mut self) -> Option<Leaf<'a, E>> {
        loop {
            let Some(entry) = self.groups.last_mut()?.next() else {
                self.groups.pop();
                continue;
            };
            let cause = match &entry.what {
                What::Failed(error) => LeafCause::Failed(error),
                What::Panicked(payload) => LeafCause::Panicked(payload),
                What::Group(group) => {
                    self.groups.push(group.entries.iter());
                    continue;
                }
            };
            let task = match &entry.whose {
                Whose::Task(task) => Some(task),
                Whose::Body => None,
            };
            return Some(Leaf { task, cause });
        }
    }
}

impl<E> fmt::Debug for Iter<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter")
    }
}

/// A boxed error may be that of an inner group, by `?`: then it is a branch of the tree.
fn nested<E: 'static>(error: E) -> Result<GroupError<E>, E> {
    let mut error = Some(error);
    let any: &mut dyn Any = &mut error;
    let group: Option<Box<dyn Any>> = if let Some(boxed) = any.downcast_mut::<Option<Boxed>>() {
        unbox(boxed, |boxed| boxed.downcast::<GroupError<Boxed>>().map(|group| group as Box<dyn Any>))
    } else if let Some(boxed) = any.downcast_mut::<Option<Box<dyn Error>>>() {
        unbox(boxed, |boxed| boxed.downcast::<GroupError<Box<dyn Error>>>().map(|group| group as Box<dyn Any>))
    } else {
        None
    };
    match (group.and_then(|group| group.downcast::<GroupError<E>>().ok()), error) {
        (Some(group), _) => Ok(*group),
        (None, Some(error)) => Err(error),
        (None, None) => unreachable!("an error that was taken out is a group"),
    }
}

/// Puts back what is no group.
fn unbox<B>(boxed: &mut Option<B>, downcast: impl FnOnce(B) -> Result<Box<dyn Any>, B>) -> Option<Box<dyn Any>> {
    match downcast(boxed.take()?) {
        Ok(group) => Some(group),
        Err(other) => {
            *boxed = Some(other);
            None
        }
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, "", &|error, f| write!(f, "{error}"))
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, "", &|error, f| write!(f, "{error:?}"))
    }
}

type Print<'a, E> = &'a dyn Fn(&E, &mut fmt::Formatter<'_>) -> fmt::Result;

impl<E> GroupError<E> {
    fn print(&self, f: &mut fmt::Formatter<'_>, indent: &str, print: Print<'_, E>) -> fmt::Result {
        match (self.entries.len(), &self.cancelled) {
            (0, Some(reason)) => write!(f, "the group at {}: {reason}", self.at)?,
            (1, _) => write!(f, "1 error in the group at {}", self.at)?,
            (n, _) => write!(f, "{n} errors in the group at {}", self.at)?,
        }
        for (n, entry) in self.entries.iter().enumerate() {
            let is_last = n + 1 == self.entries.len();
            write!(f, "\n{indent}{} ", if is_last { "`-" } else { "|-" })?;
            match &entry.whose {
                Whose::Task(task) => write!(f, "{task}: ")?,
                Whose::Body => f.write_str("the body: ")?,
            }
            match &entry.what {
                What::Failed(error) => print(error, f)?,
                What::Panicked(payload) => write!(f, "panicked: {payload}")?,
                What::Group(group) => {
                    let deeper = format!("{indent}{}", if is_last { "   " } else { "|  " });
                    group.print(f, &deeper, print)?;
                }
            }
        }
        Ok(())
    }
}

impl<E: fmt::Display + fmt::Debug + 'static> Error for GroupError<E> {
    /// The error that happened first, if errors are boxed.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let first: &dyn Any = self.first()?;
        match (first.downcast_ref::<Boxed>(), first.downcast_ref::<Box<dyn Error>>()) {
            (Some(error), _) => Some(&**error),
            (_, Some(error)) => Some(&**error),
            (None, None) => None,
        }
    }
}
