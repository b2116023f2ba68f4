//! Long chains: a million tasks that own each other, directly or through their results, end on a small stack.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use handcar_executor::{JoinHandle, Runtime, spawn, yield_now};

mod common;
use common::{Drops, Reports, for_ever, watchdog};

const STACK: usize = 256 * 1024;

/// A tenth under the sanitizers and without optimization, where each task costs more.
const LENGTH: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(test).unwrap().join().unwrap();
}

/// Tasks that wait for ever, each owning the next one's handle; the first one's handle.
fn chain_of_waiting(runtime: &Runtime, drops: &Drops) -> JoinHandle<()> {
    let mut next = runtime.spawn(for_ever());
    for _ in 0..LENGTH {
        let token = drops.token();
        next = runtime.spawn(async move {
            let _token = token;
            let _ = next.await;
        });
    }
    next
}

/// What a finished task returns: the handle of another finished task.
struct Link(#[allow(dead_code)] Option<JoinHandle<Link>>, #[allow(dead_code)] common::Token);

fn chain_of_results(runtime: &Runtime, drops: &Drops) -> JoinHandle<Link> {
    let token = drops.token();
    let mut next = runtime.spawn(async move { Link(None, token) });
    for _ in 0..LENGTH {
        let token = drops.token();
        next = runtime.spawn(async move { Link(Some(next), token) });
    }
    while runtime.turn().unwrap() == handcar_executor::Turn::More {}
    assert!(next.is_finished());
    next
}

#[test]
fn a_chain_of_waiting_tasks_is_cancelled_from_its_head() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_waiting(&runtime, &drops);
        while runtime.turn().unwrap() == handcar_executor::Turn::More {}
        drop(first);
        runtime.block_on(async {
            while drops.count() < LENGTH {
                yield_now().await;
            }
        });
        assert_eq!(runtime.metrics().tasks, 1, "the last one waits for its turn at the most");
    });
}

#[test]
fn a_chain_of_waiting_tasks_is_dropped_at_shutdown() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_waiting(&runtime, &drops);
        while runtime.turn().unwrap() == handcar_executor::Turn::More {}
        drop(runtime);
        assert_eq!(drops.count(), LENGTH);
        drop(first);
    });
}

#[test]
fn a_chain_of_unpolled_tasks_is_dropped_at_shutdown() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_waiting(&runtime, &drops);
        drop(first);
        drop(runtime);
        assert_eq!(drops.count(), LENGTH);
    });
}

#[test]
fn a_chain_of_results_is_dropped_with_its_head() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_results(&runtime, &drops);
        drop(first);
        assert_eq!(drops.count(), LENGTH + 1);
    });
}

#[test]
fn a_chain_of_results_is_dropped_after_the_runtimes_end() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_results(&runtime, &drops);
        drop(runtime);
        assert_eq!(drops.count(), 0);
        drop(first);
        assert_eq!(drops.count(), LENGTH + 1);
    });
}

#[test]
fn a_chain_of_results_ends_with_a_task_that_nobody_wants() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_results(&runtime, &drops);
        // Awaited by a task that is detached: its value is dropped by the loop.
        runtime.spawn(first).detach_ignoring();
        while runtime.turn().unwrap() == handcar_executor::Turn::More {}
        assert_eq!(drops.count(), LENGTH + 1);
    });
}

#[test]
fn a_chain_of_results_is_dropped_at_shutdown() {
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let runtime = Runtime::new().unwrap();
        let first = chain_of_results(&runtime, &drops);
        runtime
            .spawn(async move {
                let _first = first;
                for_ever().await;
            })
            .detach();
        while runtime.turn().unwrap() == handcar_executor::Turn::More {}
        drop(runtime);
        assert_eq!(drops.count(), LENGTH + 1);
    });
}

#[test]
fn a_chain_through_panics_is_dropped_iteratively_too() {
    struct Payload(#[allow(dead_code)] Option<JoinHandle<()>>);
    // A payload must be Send, and a handle is not: so the handles hang on what the future owned.
    let _dog = watchdog();
    on_a_small_stack(|| {
        let drops = Drops::new();
        let reports = Reports::new();
        let runtime = reports.builder().build().unwrap();
        let mut next = runtime.spawn(async {});
        for _ in 0..1000 {
            let token = drops.token();
            let payload = Payload(Some(next));
            next = runtime.spawn(async move {
                let _owned = (payload, token);
                std::panic::resume_unwind(Box::new("quietly"));
            });
        }
        let result = runtime.block_on(next);
        assert!(result.is_err());
        assert_eq!(drops.count(), 1000);
        assert_eq!(reports.take(), ["panicked: quietly"; 999], "nobody waited for the others");
    });
}

#[test]
fn a_tree_of_results_is_dropped_whole() {
    struct Node(#[allow(dead_code)] Vec<JoinHandle<Node>>, #[allow(dead_code)] common::Token);
    fn grow(depth: u32, drops: &Drops, runtime: &Runtime) -> JoinHandle<Node> {
        let children: Vec<_> = (0..if depth == 0 { 0 } else { 3 }).map(|_| grow(depth - 1, drops, runtime)).collect();
        let token = drops.token();
        runtime.spawn(async move { Node(children, token) })
    }
    let _dog = watchdog();
    let drops = Drops::new();
    let runtime = Runtime::new().unwrap();
    let root = grow(8, &drops, &runtime);
    while runtime.turn().unwrap() == handcar_executor::Turn::More {}
    assert!(root.is_finished());
    drop(root);
    assert_eq!(drops.count(), (3_usize.pow(9) - 1) / 2);
}

#[test]
fn a_result_may_spawn_and_drop_handles_while_it_is_dropped() {
    let _dog = watchdog();
    let runtime = Runtime::new().unwrap();
    let seen = Rc::new(Cell::new(0));
    let finished = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..10 {
        let seen = Rc::clone(&seen);
        finished.borrow_mut().push(runtime.spawn(async move { common::OnDrop::new(move || seen.set(seen.get() + 1)) }));
    }
    let (in_drop, count) = (Rc::clone(&finished), Rc::clone(&seen));
    let first = runtime.spawn(async move {
        common::OnDrop::new(move || {
            drop(spawn(async {}));
            let others = in_drop.take();
            assert_eq!(others.len(), 10);
            drop(others);
            count.set(count.get() + 1);
        })
    });
    runtime.block_on(yield_now());
    runtime.enter(|| drop(first));
    assert_eq!(seen.get(), 11);
}

#[test]
fn the_value_of_main_is_dropped_where_the_future_panics_as_it_is() {
    struct Main(std::rc::Rc<std::cell::Cell<u32>>);
    impl std::future::Future for Main {
        type Output = Value;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Value> {
            std::task::Poll::Ready(Value(self.0.clone()))
        }
    }
    impl Drop for Main {
        fn drop(&mut self) {
            panic!("spite");
        }
    }
    struct Value(std::rc::Rc<std::cell::Cell<u32>>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = std::rc::Rc::new(std::cell::Cell::new(0));
    let run = || drop(handcar_executor::run(Main(drops.clone())));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    assert_eq!(drops.get(), 1, "it was leaked");
}
