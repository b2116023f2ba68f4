//! Tokens: the half of a scope that other threads may hold.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use handcar_executor::let_go;

use crate::node;
use crate::reason::{CancelKind, CancelReason};

/// What a scope shares with its tokens.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reason: Option<CancelReason>,
    /// Of the scope's wrapper, while there is a token: it says that another thread may wake it.
    waker: Option<Waker>,
    tokens: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scope's wrapper is polled: leaves its waker, and takes a reason to be cancelled.
    pub(crate) fn look(&self, waker: &Waker) -> Option<CancelReason> {
        let new = waker.clone(); // a stranger's code: before the lock, as its destructor after it
        let mut state = self.lock();
        let unused = if state.tokens > 0 { state.waker.replace(new) } else { Some(new) };
        let reason = state.reason.clone();
        drop(state);
        drop(unused);
        reason
    }
}

/// Cancels a scope from any thread. Made by [`CancelScope::token`](crate::CancelScope::token).
///
/// ```
/// use handcar_structured::{CancelScope, run};
///
/// run(async {
///     let scope = CancelScope::new();
///     let token = scope.token();
///     std::thread::spawn(move || token.cancel());
///     assert!(scope.run(std::future::pending::<()>()).await.is_err());
/// });
/// ```
pub struct CancelToken {
    shared: Arc<Shared>,
}

impl CancelToken {
    pub(crate) fn new(shared: Arc<Shared>) -> CancelToken {
        shared.lock().tokens += 1;
        CancelToken { shared }
    }

    /// Cancels the scope when it is polled next, and has it polled. False if a token did so before.
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.cancel_with(CancelReason::of(CancelKind::Explicit, Location::caller()))
    }

    /// As [`cancel`](CancelToken::cancel), for `reason`.
    pub fn cancel_with(&self, reason: CancelReason) -> bool {
        let mut state = self.shared.lock();
        if state.reason.is_some() {
            return false;
        }
        state.reason = Some(reason);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            node::wake(waker);
        }
        true
    }

    /// Whether a token cancelled the scope.
    pub fn is_cancelled(&self) -> bool {
        self.shared.lock().reason.is_some()
    }

    /// Cancels the scope when the guard is dropped.
    #[track_caller]
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self), at: Location::caller() }
    }
}

impl Clone for CancelToken {
    fn clone(&self) -> CancelToken {
        CancelToken::new(Arc::clone(&self.shared))
    }
}

impl Drop for CancelToken {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.tokens -= 1;
        let unused = if state.tokens == 0 { state.waker.take() } else { None };
        drop(state);
        let_go(unused);
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelToken(cancelled: {})", self.is_cancelled())
    }
}

/// Cancels a scope when it is dropped. Made by [`CancelToken::drop_guard`].
#[derive(Debug)]
#[must_use = "dropping the guard cancels the scope"]
pub struct DropGuard {
    token: Option<CancelToken>,
    at: &'static Location<'static>,
}

impl DropGuard {
    /// Gives the token back; nothing is cancelled.
    pub fn disarm(mut self) -> CancelToken {
        let Some(token) = self.token.take() else { unreachable!("only this method takes it out") };
        token
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel_with(CancelReason::of(CancelKind::Explicit, self.at));
        }
    }
}
