//! Brackets: acquire, use, release. Python's `async with`, trio's and Cats Effect's bracket.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Report, layer};

use crate::cleanup::Place;
use crate::crew::Text;
use crate::scoped::discard;

/// Acquires a resource, lets `body` use it, and releases it: exactly once, shielded, after success, error, panic and cancel.
///
/// A cancel during `acquire` drops that as it does any future: nothing has been acquired. From then on `release` runs whatever
/// happens. Where nobody is left to hear its error, that is reported.
///
/// ```
/// use handcar_structured::{bracket, run};
///
/// let length = run(bracket(
///     async { Ok::<_, std::io::Error>(String::from("a connection")) }, // __aenter__
///     async |connection| Ok(connection.len()),
///     async |connection| { drop(connection); Ok(()) },                // __aexit__
/// ));
/// assert_eq!(length.unwrap(), 12);
/// ```
///
/// # Errors
///
/// What failed, both errors if body and release did.
///
/// # Panics
///
/// As the body does, after the release; as the release does.
///
/// # Cancel safety
///
/// Dropping the future in the body or in the release has the scope around run the release to its end.
#[track_caller]
pub fn bracket<R, T, E, A, B, L>(acquire: A, body: B, release: L) -> impl Future<Output = Result<T, BracketError<E>>>
where
    A: IntoFuture<Output = Result<R, E>>,
    B: AsyncFnOnce(&mut R) -> Result<T, E>,
    L: AsyncFnOnce(R) -> Result<(), E> + 'static,
    R: 'static,
    E: fmt::Display + 'static,
{
    let at = Location::caller();
    let mut unpolled = Unpolled::at(&"bracket", at);
    async move {
        unpolled.forget();
        let resource = acquire.into_future().await.map_err(BracketError::Acquire)?;
        let mut held = Held { at, place: Some(Place::here(at)), parts: Some((resource, release)) };
        let used = body(held.resource()).await;
        let released = held.release().await;
        match (used, released) {
            (Ok(value), Ok(())) => Ok(value),
            (Err(body), Ok(())) => Err(BracketError::Body(body)),
            (Ok(unwanted), Err(release)) => {
                discard(Some(unwanted), at); // its destructor must not take the error along
                Err(BracketError::Release(release))
            }
            (Err(body), Err(release)) => Err(BracketError::Both { body, release }),
        }
    }
}

/// A resource, and what releases it when this is dropped.
struct Held<R: 'static, E: fmt::Display + 'static, L: AsyncFnOnce(R) -> Result<(), E> + 'static> {
    at: &'static Location<'static>,
    place: Option<Place>,
    parts: Option<(R, L)>,
}

impl<R: 'static, E: fmt::Display + 'static, L: AsyncFnOnce(R) -> Result<(), E> + 'static> Held<R, E, L> {
    fn resource(&mut self) -> &mut R {
        let Some((resource, _)) = &mut self.parts else { unreachable!("it is released at the end") };
        resource
    }

    /// Releases it in line.
    async fn release(&mut self) -> Result<(), E> {
        let (Some((resource, release)), Some(place)) = (self.parts.take(), self.place.take()) else { return Ok(()) };
        let result = Rc::new(Cell::new(None));
        let (to_set, at) = (Rc::downgrade(&result), self.at);
        let in_line = async move {
            let released = release(resource).await;
            match to_set.upgrade() {
                Some(result) => result.set(Some(released)),
                None => report(at, released), // dropped half-way, and run on by the scope
            }
        };
        place.run(in_line).await;
        result.take().unwrap_or(Ok(()))
    }
}

impl<R: 'static, E: fmt::Display + 'static, L: AsyncFnOnce(R) -> Result<(), E> + 'static> Drop for Held<R, E, L> {
    fn drop(&mut self) {
        let (Some((resource, release)), Some(place)) = (self.parts.take(), self.place.take()) else { return };
        let at = self.at;
        place.hand(async move { report(at, release(resource).await) });
    }
}

fn report<E: fmt::Display>(at: &'static Location<'static>, released: Result<(), E>) {
    if let Err(error) = released {
        layer::report(Report::CleanupFailed { at, error: Arc::new(Text(error.to_string())) });
    }
}

/// What failed in a [`bracket`].
#[derive(Debug)]
pub enum BracketError<E> {
    /// The resource could not be acquired.
    Acquire(E),
    /// The body failed; the release did not.
    Body(E),
    /// The release failed; the body did not.
    Release(E),
    /// Both did.
    Both {
        /// The body's error.
        body: E,
        /// The release's error.
        release: E,
    },
}

impl<E> BracketError<E> {
    /// The error that happened first.
    pub fn into_first(self) -> E {
        match self {
            BracketError::Acquire(error) | BracketError::Body(error) | BracketError::Release(error) => error,
            BracketError::Both { body, .. } => body,
        }
    }
}

impl<E: fmt::Display> fmt::Display for BracketError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BracketError::Acquire(error) => write!(f, "acquiring failed: {error}"),
            BracketError::Body(error) => write!(f, "{error}"),
            BracketError::Release(error) => write!(f, "releasing failed: {error}"),
            BracketError::Both { body, release } => write!(f, "{body}; and releasing failed: {release}"),
        }
    }
}

impl<E: Error + 'static> Error for BracketError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BracketError::Acquire(error) | BracketError::Body(error) | BracketError::Release(error) => Some(error),
            BracketError::Both { body, .. } => Some(body),
        }
    }
}
