//! Who is running.

use std::sync::Arc;

pub use handcar_structured::{TaskId, TaskInfo, current_task as current};

/// The number of the task that is being polled, if one is.
///
/// ```
/// handcar::run(async {
///     let task = handcar::spawn(async { handcar::task::id() });
///     let id = task.id();
///     assert_eq!(task.await.unwrap(), Some(id));
/// });
/// ```
pub fn id() -> Option<TaskId> {
    current().map(|task| task.id)
}

/// The name of the task that is being polled, if it has one.
///
/// ```
/// handcar::run(async {
///     let task = handcar::spawn_named("worker", async { handcar::task::name() });
///     assert_eq!(task.await.unwrap().as_deref(), Some("worker"));
/// });
/// ```
pub fn name() -> Option<Arc<str>> {
    current()?.name
}
