//! A child of a group: a task with a seat, which is given back when the child ends.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::layer;
use handcar_executor::{PanicPayload, current_task};
use pin_project_lite::pin_project;

use crate::crew::Crew;
use crate::gate::Pass;
use crate::group_error::Whose;
use crate::group_handle::TaskEnd;
use crate::task::Task;

/// A child's place in its group.
pub(crate) struct Seat<E> {
    pub(crate) crew: Rc<Crew<E>>,
    pub(crate) key: usize,
    pub(crate) pass: Pass,
}

impl<E> Drop for Seat<E> {
    fn drop(&mut self) {
        self.crew.left(self.key, self.pass);
    }
}

pin_project! {
    /// What is polled of a group's child.
    pub(crate) struct Child<F: Future, E> {
        // In this order: when the task is dropped, its seat is still there.
        #[pin]
        task: Task<F>,
        seat: Seat<E>,
    }
}

impl<F: Future, E> Child<F, E> {
    pub(crate) fn new(future: F, seat: Seat<E>) -> Child<F, E> {
        Child { task: Task::new(future, Some(Rc::clone(&seat.crew.node))), seat }
    }
}

impl<T, E: fmt::Display + 'static, F: Future<Output = Result<T, E>>> Future for Child<F, E> {
    type Output = Result<T, TaskEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, TaskEnd>> {
        let this = self.project();
        let Seat { crew, key, pass } = this.seat;
        // Whoever is cancelled need not wait for the gate: if it has not begun, it is never polled.
        if *pass != Pass::Free && layer::attention() & layer::FLAGGED == 0 && !crew.enters(*key, pass, cx) {
            return Poll::Pending;
        }
        let ended = match catch_unwind(AssertUnwindSafe(|| this.task.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(ended)) => ended,
            Err(payload) => {
                crew.panicked(whose(), PanicPayload::new(payload));
                return Poll::Ready(Err(TaskEnd::Panicked));
            }
        };
        Poll::Ready(match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                crew.failed(whose(), error);
                Err(TaskEnd::Failed)
            }
            Err(reason) => {
                crew.was_cut();
                Err(TaskEnd::Cancelled(*reason))
            }
        })
    }
}

/// The child that is being polled.
fn whose() -> Whose {
    current_task().map_or(Whose::Body, Whose::Task)
}
