//! The memory of tasks that have ended serves the next ones, and not without bound. Every allocation of the test's
//! thread is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use handcar_executor::{
    AbortHandle, Builder, Event, JoinHandle, Recycled, Runtime, layer, run, sleep, spawn, spawn_named, yield_now,
};

struct Counting;

// Of each thread, for the test harness allocates on its own. No destructor and no allocation: the allocator may use them at any time.
thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on as it is to the system's allocator, which keeps the contract; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        LIVE.set(LIVE.get() + layout.size().cast_signed());
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size().cast_signed());
        // SAFETY: `block` came from `alloc` above, and so from the system's allocator with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Spawns `count` tasks of many kinds, and puts their handles into `handles`.
fn burst(handles: &mut Vec<JoinHandle<u64>>, count: u64) {
    for number in 0..count {
        handles.push(match number % 3 {
            0 => spawn(async move { number }),
            1 => spawn(async move {
                yield_now().await;
                number
            }),
            _ => spawn(async move {
                let held = [number; 4];
                yield_now().await;
                held.iter().sum::<u64>() / 4
            }),
        });
        spawn(async move { assert_eq!(number, number.wrapping_add(0)) }).detach();
    }
}

async fn join(handles: &mut Vec<JoinHandle<u64>>) {
    for (number, handle) in handles.drain(..).enumerate() {
        assert_eq!(handle.await.unwrap(), number as u64);
    }
}

#[test]
fn tasks_are_written_into_the_memory_of_tasks_that_have_ended_and_a_burst_gives_most_of_its_own_back() {
    // What is made once for a process, and room in its table of runtimes: else whoever makes the next one, in whichever test, makes it grow.
    for _ in 0..20 {
        Runtime::new().unwrap().block_on(async {});
    }
    let before_all = LIVE.get();
    let runtime = Runtime::new().unwrap();
    let mut handles = Vec::with_capacity(30_000);
    runtime.block_on(async {
        burst(&mut handles, 300);
        join(&mut handles).await;

        let calls = CALLS.get();
        for _ in 0..10 {
            burst(&mut handles, 300);
            join(&mut handles).await;
        }
        assert_eq!(CALLS.get(), calls, "nothing had to be allocated");

        // What has a name, or ended otherwise than by a value that was taken, is freed as ever.
        for _ in 0..10 {
            let named = spawn_named("named", async { String::from("dropped with its task") });
            let cancelled = spawn(pending::<()>());
            yield_now().await;
            drop((named, cancelled));
            yield_now().await;
        }

        let small = LIVE.get();
        burst(&mut handles, 30_000);
        let big = LIVE.get();
        join(&mut handles).await;
        let kept = LIVE.get();
        assert!(big - small > 30_000 * 2 * 64, "the burst took memory: {}", big - small);
        let slots = 2 * 60_000_isize.cast_unsigned().next_power_of_two().cast_signed() * 24; // of the run queue, which never shrinks
        assert!(kept - small < slots + (1 << 20), "it gave back what it took: {} of {}", kept - small, big - small);
    });
    drop(runtime);
    drop(handles);
    assert_eq!(LIVE.get(), before_all, "the end of the runtime frees what is kept");
}

/// How many allocations a hundred of these take, after as many that were not counted.
fn calls(one: impl Fn()) -> usize {
    Runtime::new().unwrap().block_on(async {
        let mut before = 0;
        for number in 0..200 {
            if number == 100 {
                before = CALLS.get();
            }
            one();
            yield_now().await;
            yield_now().await;
        }
        CALLS.get() - before
    })
}

#[test]
fn the_memory_of_tasks_that_end_otherwise_is_kept_too() {
    assert_eq!(calls(|| drop(spawn(pending::<()>()))), 0, "dropped before its first poll");
    assert_eq!(calls(|| spawn(async {}).detach()), 0, "detached");
    let woken_in_its_last_poll = || {
        spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(())
        }))
    };
    assert_eq!(calls(|| woken_in_its_last_poll().detach()), 0, "detached, and queued once more");
}

#[test]
fn what_is_kept_with_a_task_at_its_very_end_is_dropped_with_it() {
    let kept = Rc::new(());
    let last: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
    let (keep, task) = (Rc::clone(&kept), Rc::clone(&last));
    let observer = move |event: &Event<'_>| {
        if let Event::Ended { .. } = event
            && let Some(task) = task.take()
        {
            layer::keep_with(&task, Rc::clone(&keep) as _);
        }
    };
    Builder::new().observe(observer).build().unwrap().block_on(async {
        let task = spawn(async {});
        last.replace(Some(task.abort_handle()));
        task.detach();
        yield_now().await;
        assert!(last.borrow().is_none(), "it was seen to end");
    });
    assert_eq!(Rc::strong_count(&kept), 1);
}

#[test]
fn what_is_recycled_is_dropped_once_and_its_memory_is_used_again() {
    struct Counts(Rc<Cell<u32>>, bool);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            if self.1 {
                resume_unwind(Box::new(()));
            }
        }
    }
    run(async {
        let drops = Rc::new(Cell::new(0));
        let make = |falls| Counts(Rc::clone(&drops), falls);
        let first = Recycled::new(|| make(false));
        let second = first.clone();
        drop(first);
        assert_eq!(drops.get(), 0, "there is another one");
        let place = &raw const *second;
        drop(second);
        assert_eq!(drops.get(), 1);

        let before = CALLS.get();
        let third = Recycled::new(|| make(true));
        assert_eq!((&raw const *third, CALLS.get()), (place, before));
        let live = LIVE.get();
        let fallen = catch_unwind(AssertUnwindSafe(|| drop(third)));
        assert!(fallen.is_err());
        drop(fallen);
        assert_eq!(drops.get(), 2);
        assert!(LIVE.get() < live, "it is freed");
    });
    let live = LIVE.get();
    drop(Recycled::new(|| [0_u64; 4]));
    assert_eq!(LIVE.get(), live, "outside a runtime nobody keeps it");
}

#[test]
fn timers_use_the_memory_of_timers_that_have_gone() {
    let one = || {
        let mut asleep = pin!(sleep(Duration::from_secs(1)));
        assert!(asleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    };
    assert_eq!(calls(one), 0);
}
