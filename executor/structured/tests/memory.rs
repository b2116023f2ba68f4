//! A group that stays open for ever must not grow. One test in a process of its own: every allocation of the process is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

use handcar_structured::{scope, task_group, yield_now};

mod common;
use common::test_run;

/// Counts what was allocated and not given back.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on as it is to the system's allocator, which keeps the contract; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: `block` came from `alloc` above, and so from the system's allocator with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Spawns 250,000 children, never more than a hundred at a time. Returns by how much the memory grew after the first tenth.
async fn grown_by(spawn: impl Fn(), len: impl Fn() -> usize) -> isize {
    let mut before = 0;
    for n in 0..250_000 {
        if n == 25_000 {
            while len() > 0 {
                yield_now().await;
            }
            before = BYTES.load(Ordering::Relaxed);
        }
        spawn();
        while len() >= 100 {
            yield_now().await;
        }
    }
    while len() > 0 {
        yield_now().await;
    }
    BYTES.load(Ordering::Relaxed) - before
}

#[test]
fn hundreds_of_thousands_of_children_of_a_long_open_group_leave_the_memory_as_it_was() {
    test_run(async {
        let grown = Cell::new(None);
        task_group(async |g| {
            let spawn = || drop(g.spawn(async { Ok::<_, String>([0_u8; 64]) }));
            grown.set(Some(grown_by(spawn, || g.len()).await));
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(grown.take(), Some(0), "task_group");
        let local = [0_u8; 64];
        scope(async |s| {
            let spawn = || drop(s.spawn(async { Ok::<_, String>(local.len()) }));
            grown.set(Some(grown_by(spawn, || s.len()).await));
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(grown.take(), Some(0), "scope");
    });
}
