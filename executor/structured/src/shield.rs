//! Shields: what no cancel from outside reaches, until the grace period ends.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use handcar_executor::unpolled::Unpolled;
use handcar_executor::{Report, layer};
use pin_project_lite::pin_project;

use crate::node::{Kind, Node};
use crate::polls::{self, Frame};
use crate::timeout::{Timeout, timeout};

/// Puts off every cancel from outside until `future` has ended.
///
/// A cancelled scope does not drop its body while a shield in it lives, unless its grace period ends. Inside, nothing of the
/// cancel can be seen. The shield may borrow.
///
/// ```
/// use handcar_structured::{move_on_after, run, shield, sleep};
/// use std::time::Duration;
///
/// run(async {
///     let mut written = 0;
///     let value = move_on_after(Duration::from_millis(1), shield(async {
///         sleep(Duration::from_millis(5)).await;
///         written += 1;
///     }));
///     assert_eq!(value.await, Some(()));
///     assert_eq!(written, 1);
/// });
/// ```
///
/// asyncio's `shield` is another thing; here, that is to spawn a task and await `&mut handle`.
///
/// # Cancel safety
///
/// Dropping it drops `future`: a foreign combinator that does so ends the shield. What must happen even then is for
/// [`defer`](crate::defer).
#[track_caller]
pub fn shield<F: IntoFuture>(future: F) -> Shield<F::IntoFuture> {
    let (unpolled, at) = (Unpolled::new(&"shield"), Location::caller());
    Shield { unpolled, state: State::New, polling: false, at, body: Some(future.into_future()) }
}

/// As [`shield`], for `duration` at the most.
#[track_caller]
pub fn shield_for<F: IntoFuture>(duration: Duration, future: F) -> Shield<Timeout<F::IntoFuture>> {
    let mut body = timeout(duration, future);
    body.made_at = None; // its own shield's matter
    let (unpolled, at) = (Unpolled::new(&"shield_for"), Location::caller());
    Shield { unpolled, state: State::New, polling: false, at, body: Some(body) }
}

enum State {
    New,
    /// Nothing is around it.
    Alone,
    Holding(Rc<Node>),
}

pin_project! {
    /// Puts off cancels. Made by [`shield`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Shield<F: Future> {
        unpolled: Unpolled,
        state: State,
        // Still so when it is dropped: the body has panicked.
        polling: bool,
        at: &'static Location<'static>,
        #[pin]
        body: Option<F>,
    }

    impl<F: Future> PinnedDrop for Shield<F> {
        fn drop(mut this: Pin<&mut Self>) {
            this.as_mut().project().unpolled.tell(); // before the body, which may have something to tell too
            this.tell_if_cut();
            this.end();
        }
    }
}

impl<F: Future> Shield<F> {
    /// Reports a body that is dropped before its end: because the grace period is over, or by a combinator.
    fn tell_if_cut(&self) {
        let State::Holding(node) = &self.state else { return };
        if self.polling || self.body.is_none() {
            return;
        }
        layer::report(if node.is_grace_over_around() {
            Report::CutShort { what: "a shielded future", at: self.at }
        } else {
            Report::ShieldDropped { at: self.at }
        });
    }

    /// Drops the body, and lets the cancel in.
    fn end(self: Pin<&mut Self>) {
        struct Close(Rc<Node>);
        impl Drop for Close {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let mut this = self.project();
        match std::mem::replace(this.state, State::Alone) {
            State::Holding(node) => {
                let _close = Close(Rc::clone(&node));
                polls::under(Frame::Heavy(&node), || this.body.set(None));
            }
            State::New | State::Alone => this.body.set(None),
        }
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.as_mut().project();
        this.unpolled.forget();
        let body = this.body.as_pin_mut().expect("`Shield` polled after it had ended");
        if let State::New = this.state {
            *this.state = match polls::attach() {
                None => State::Alone,
                parent => {
                    let node = Node::new(Kind::Shield, this.at, parent, None);
                    node.hold_parent();
                    State::Holding(node)
                }
            };
        } else if let State::Holding(node) = this.state {
            node.reparent(polls::attach().as_ref());
        }
        *this.polling = true;
        let polled = match this.state {
            State::Holding(node) => polls::under(Frame::Heavy(node), || body.poll(cx)).1,
            State::New | State::Alone => body.poll(cx),
        };
        *this.polling = false;
        let value = ready!(polled);
        self.end();
        Poll::Ready(value)
    }
}

impl<F: Future> fmt::Debug for Shield<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shield")
    }
}
