//! A whole runtime, for next to nothing.

use std::future::ready;
use std::hint::black_box;

use crate::bencher::Bencher;
use crate::runtime::Runtime;

/// The fewest at once: one of the runtimes takes milliseconds for each.
const FEW: u64 = 10;

/// Starts a runtime, runs a ready future, and drops it. Not a [`Workload`](super::Workload): it cannot run inside a task.
#[derive(Debug)]
pub(crate) struct Start;

impl Start {
    /// Measures it.
    pub(crate) fn drive<R: Runtime>(bencher: &mut Bencher) {
        bencher.measure_outside_least(FEW, |operations| {
            for number in 0..operations {
                assert_eq!(R::block_on(ready(black_box(number))), number);
            }
        });
    }
}
