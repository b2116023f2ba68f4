//! Where hyper puts its tasks.

use handcar_structured::spawn;
use hyper::rt::Executor;

/// Spawns hyper's tasks on the current runtime and lets them run on by themselves; a panic in one is reported.
///
/// ```
/// use handcar_hyper::HyperExecutor;
/// use hyper::rt::Executor;
///
/// handcar_structured::run(async {
///     HyperExecutor.execute(async { println!("nobody waits for me") });
///     handcar_structured::yield_now().await;
/// });
/// ```
///
/// # Panics
///
/// [`execute`](Executor::execute) panics outside a runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> Executor<F> for HyperExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        spawn(future).detach_ignoring();
    }
}
