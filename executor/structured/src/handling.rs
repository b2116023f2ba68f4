//! Handling a group's errors: Python's `except*`, one handler after the other.
//!
//! A handler takes what it matches, once; what an earlier one took is not seen again, and what a handler itself fails with joins
//! what nobody took.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use crate::group_error::{GroupError, Whose};

/// A group error that is being handled, part by part. Made by [`GroupError::handle`].
#[must_use = "what no handler took is in `finish`"]
pub struct Handling<E> {
    rest: Option<GroupError<E>>,
    raised: Vec<E>,
}

impl<E: 'static> Handling<E> {
    pub(crate) fn new(error: GroupError<E>) -> Handling<E> {
        Handling { rest: Some(error), raised: Vec::new() }
    }

    /// Hands the next part to `handler`; what an earlier one took is not seen again.
    pub fn handle(
        mut self,
        matches: impl FnMut(&E) -> bool,
        handler: impl FnOnce(GroupError<E>) -> Result<(), E>,
    ) -> Handling<E> {
        let Some(rest) = self.rest.take() else { return self };
        let (part, rest) = rest.split(matches);
        self.rest = rest;
        if let Some(part) = part
            && let Err(error) = handler(part)
        {
            self.raised.push(error);
        }
        self
    }

    /// As [`GroupError::handle_type`].
    pub fn handle_type<X: Error + 'static>(self, handler: impl FnOnce(GroupError<E>) -> Result<(), E>) -> Handling<E>
    where
        E: HoldsError,
    {
        self.handle(E::holds::<X>, handler)
    }

    /// What is left: the handlers' own errors, and what none of them took.
    ///
    /// # Errors
    ///
    /// All of that, if there is any.
    #[track_caller]
    pub fn finish(self) -> Result<(), GroupError<E>> {
        if self.raised.is_empty() {
            return self.rest.map_or(Ok(()), Err);
        }
        let mut all = GroupError::new(Location::caller());
        self.raised.into_iter().for_each(|error| all.push(Whose::Body, error));
        if let Some(rest) = self.rest {
            all.push_group(Whose::Body, rest);
        }
        Err(all)
    }
}

impl<E> fmt::Debug for Handling<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handling")
    }
}

/// An error type that may be one of several: what [`GroupError::handle_type`] asks.
///
/// Boxed errors are. For an enum it is a line a variant:
///
/// ```
/// use handcar_structured::HoldsError;
/// use std::{any::TypeId, error::Error, io, num::ParseIntError};
///
/// enum Failure {
///     Io(io::Error),
///     Parse(ParseIntError),
/// }
///
/// impl HoldsError for Failure {
///     fn holds<X: Error + 'static>(&self) -> bool {
///         TypeId::of::<X>() == match self {
///             Failure::Io(_) => TypeId::of::<io::Error>(),
///             Failure::Parse(_) => TypeId::of::<ParseIntError>(),
///         }
///     }
/// }
/// ```
pub trait HoldsError {
    /// Whether it is an `X`.
    fn holds<X: Error + 'static>(&self) -> bool;
}

impl HoldsError for Box<dyn Error + Send + Sync> {
    fn holds<X: Error + 'static>(&self) -> bool {
        self.is::<X>()
    }
}

impl HoldsError for Box<dyn Error> {
    fn holds<X: Error + 'static>(&self) -> bool {
        self.is::<X>()
    }
}
