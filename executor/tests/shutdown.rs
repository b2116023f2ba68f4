//! The runtime's end: every task is dropped, destructors may do what they like, and it never hangs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handcar_executor::{
    AbortHandle, Builder, CancelKind, Instant, JoinError, Runtime, Spawner, current_task, run, sleep, spawn,
    spawn_named, timeout, to_thread, yield_now,
};

mod common;
use common::{Drops, Log, OnDrop, Reports, for_ever, simulated, watchdog};

#[test]
fn everything_left_is_dropped_before_run_returns() {
    let _dog = watchdog();
    let drops = Drops::new();
    run(async {
        for stage in 0..3 {
            let token = drops.token();
            spawn(async move {
                let _token = token;
                for _ in 0..stage {
                    yield_now().await;
                }
                for_ever().await;
            })
            .detach();
        }
        yield_now().await;
        let token = drops.token();
        spawn(async move { drop(token) }).detach(); // never polled
    });
    assert_eq!(drops.count(), 4);
}

#[test]
fn a_task_is_not_polled_at_shutdown_but_dropped() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    runtime
        .spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        })
        .detach();
    runtime.block_on(yield_now());
    let before = polls.get();
    drop(runtime);
    assert_eq!(polls.get(), before);
}

#[test]
fn main_is_returned_even_if_tasks_stay_busy() {
    let _dog = watchdog();
    let value = run(async {
        spawn(async {
            loop {
                yield_now().await;
            }
        })
        .detach();
        yield_now().await;
        7
    });
    assert_eq!(value, 7);
}

#[test]
fn destructors_at_shutdown_find_their_runtime() {
    let _dog = watchdog();
    let log = Log::new();
    let (runtime, clock) = simulated();
    let at_drop = log.clone();
    runtime
        .spawn(async move {
            let _guard = OnDrop::new(move || {
                at_drop.note(format!("named {:?}", current_task().unwrap().spawned_at.file() == file!()));
                at_drop.note(format!("now {:?}", Instant::now()));
                drop(sleep(Duration::from_secs(1)));
                let _ = Spawner::current();
            });
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    clock.advance(Duration::from_secs(2));
    drop(runtime);
    assert_eq!(log.take(), ["named true", "now start + 2s"]);
}

#[test]
fn a_task_that_a_destructor_spawns_is_dropped_unpolled() {
    let _dog = watchdog();
    let drops = Drops::new();
    let log = Log::new();
    let (runtime, _) = simulated();
    let (at_drop, token) = (log.clone(), drops.token());
    runtime
        .spawn(async move {
            let _guard = OnDrop::new(move || {
                let in_task = at_drop.clone();
                spawn(async move {
                    let _token = token;
                    in_task.note("polled");
                })
                .detach();
                at_drop.note("spawned");
            });
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(log.take(), ["spawned"]);
    assert_eq!(drops.count(), 1);
}

#[test]
fn destructors_may_wake_cancel_and_join_each_other() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (runtime, _) = simulated();
    let handles = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..10 {
        let (in_task, token) = (Rc::clone(&handles), drops.token());
        let task = runtime.spawn(async move {
            let waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
            let _guard = OnDrop::new(move || {
                let _token = token;
                let handles: Vec<handcar_executor::JoinHandle<()>> = in_task.take();
                for handle in &handles {
                    handle.cancel();
                    waker.wake_by_ref();
                }
                drop(handles);
            });
            for_ever().await;
        });
        handles.borrow_mut().push(task);
    }
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.count(), 10);
}

/// Spawns itself again whenever it is dropped.
struct Phoenix(Rc<Cell<u32>>);

impl Drop for Phoenix {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        let next = Rc::clone(&self.0);
        spawn(async move {
            let _phoenix = Phoenix(next);
            for_ever().await;
        })
        .detach();
    }
}

/// Tasks that a runtime forgot, kept reachable: that they are never freed is meant.
static FORGOTTEN: Mutex<Vec<Forgotten>> = Mutex::new(Vec::new());

struct Forgotten(#[allow(dead_code)] AbortHandle);

// SAFETY: it is put away and never looked at again, by no thread.
unsafe impl Send for Forgotten {}

/// As [`Phoenix`], but what is spawned holds it from the start, polled or not.
struct EagerPhoenix(Rc<Cell<u32>>);

impl Drop for EagerPhoenix {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        let next = EagerPhoenix(Rc::clone(&self.0));
        let reborn = spawn_named("phoenix", async move {
            let _next = next;
            for_ever().await;
        });
        FORGOTTEN.lock().unwrap().push(Forgotten(reborn.abort_handle()));
        reborn.detach();
    }
}

#[test]
fn a_destructor_that_spawns_a_task_whose_future_was_never_begun_ends() {
    let _dog = watchdog();
    let rebirths = Rc::new(Cell::new(0));
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    let phoenix = Phoenix(Rc::clone(&rebirths));
    runtime
        .spawn(async move {
            let _phoenix = phoenix;
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(rebirths.get(), 1, "the second one is never polled, and so makes no phoenix");
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_destructor_that_respawns_itself_for_ever_does_not_hang_the_end() {
    let _dog = watchdog();
    let rebirths = Rc::new(Cell::new(0));
    let reports = Reports::new();
    let runtime = reports.builder().build().unwrap();
    let phoenix = EagerPhoenix(Rc::clone(&rebirths));
    runtime
        .spawn(async move {
            let _phoenix = phoenix;
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert!(rebirths.get() > 1);
    let all = reports.take_all();
    let [handcar_executor::Report::TasksLeft { tasks }] = &all[..] else { panic!("{all:?}") };
    assert_eq!(tasks[0].name.as_deref(), Some("phoenix"));
}

#[test]
fn tasks_stay_suspended_between_two_runs() {
    let _dog = watchdog();
    let (runtime, clock) = simulated();
    let log = Log::new();
    let in_task = log.clone();
    let task = runtime.spawn(async move {
        in_task.note("first poll");
        sleep(Duration::from_secs(10)).await;
        in_task.note("slept");
        yield_now().await;
        in_task.note("end");
        7
    });
    assert_eq!(log.take(), [""; 0]);
    runtime.block_on(yield_now());
    assert_eq!(log.take(), ["first poll"]);
    clock.advance(Duration::from_secs(20));
    assert_eq!(log.take(), [""; 0], "nothing runs while no run does");
    assert_eq!(runtime.metrics().timers, 1);
    assert_eq!(runtime.block_on(task).unwrap(), 7);
    assert_eq!(log.take(), ["slept", "end"]);
    assert_eq!(clock.now().since_start(), Duration::from_secs(20), "no jump was needed");
}

#[test]
fn a_handle_made_in_one_run_can_be_awaited_in_the_next() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let mut made = None;
    runtime.block_on(async {
        made = Some(spawn(async {
            sleep(Duration::from_secs(1)).await;
            7
        }));
    });
    assert_eq!(runtime.block_on(made.unwrap()).unwrap(), 7);
}

#[test]
fn each_task_is_told_that_it_was_the_shutdown() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let task = runtime.spawn(for_ever());
    runtime.block_on(yield_now());
    drop(runtime);
    let result = common::test_run(task);
    assert!(matches!(result, Err(JoinError::Cancelled(reason)) if reason.kind == CancelKind::Shutdown));
}

#[test]
fn a_joiner_that_ends_at_shutdown_itself_loses_nothing() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (runtime, _) = simulated();
    let token = drops.token();
    let inner = runtime.spawn(async move {
        let _token = token;
        for_ever().await;
    });
    let token = drops.token();
    let outer = runtime.spawn(async move {
        let _token = token;
        timeout(Duration::MAX, inner).await.unwrap().unwrap();
    });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.count(), 2);
    drop(outer);
}

#[test]
fn the_pool_is_joined_before_the_runtime_is_gone() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (go, wait) = channel::<()>();
    let token = drops.token();
    let (runtime, _) = simulated();
    runtime.block_on(async {
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            let _token = token;
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        drop(job); // it has started, and runs to its end
        spawn(async move {
            let _go = OnDrop::new(move || go.send(()).unwrap());
            for_ever().await;
        })
        .detach();
        yield_now().await;
    });
    assert_eq!(drops.count(), 0);
    drop(runtime);
    assert_eq!(drops.count(), 1);
}

#[test]
fn jobs_that_have_not_started_never_run() {
    let _dog = watchdog();
    let drops = Drops::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let (go, wait) = channel::<()>();
    let runtime = Builder::new().blocking_threads(1).build().unwrap();
    let mut kept = None; // wanted to the last
    runtime.block_on(async {
        let (begun, has_begun) = channel();
        let first = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        // The first of them lets the running job go, when it is dropped.
        let mut go = Some(go);
        let jobs: Vec<_> = (0..3)
            .map(|_| {
                let (captured, ran) = ((drops.token(), go.take()), Arc::clone(&ran));
                to_thread(move || {
                    let _captured = captured;
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        kept = Some((first, jobs));
    });
    drop(runtime);
    drop(kept);
    assert_eq!(drops.count(), 3, "their captures are gone");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn a_job_that_outlives_the_grace_period_is_reported_and_left_behind() {
    let _dog = watchdog();
    let reports = Reports::new();
    let (go, wait) = channel::<()>();
    let runtime = reports.builder().grace(Some(Duration::from_millis(1))).build().unwrap();
    runtime.block_on(async {
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        drop(job);
    });
    drop(runtime);
    assert_eq!(reports.take(), ["jobs left: 1"]);
    drop(go);
}

#[test]
fn a_destructor_at_shutdown_may_drop_another_runtime() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (inner, _) = simulated();
    let token = drops.token();
    inner
        .spawn(async move {
            let _token = token;
            for_ever().await;
        })
        .detach();
    inner.block_on(yield_now());
    let (outer, _) = simulated();
    outer
        .spawn(async move {
            let _inner = inner;
            for_ever().await;
        })
        .detach();
    outer.block_on(yield_now());
    drop(outer);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_destructor_at_shutdown_may_run_a_runtime_of_its_own() {
    let _dog = watchdog();
    let value = Rc::new(Cell::new(0));
    let result = Rc::clone(&value);
    let (runtime, _) = simulated();
    runtime
        .spawn(async move {
            let _guard = OnDrop::new(move || result.set(run(async { spawn(async { 7 }).await.unwrap() })));
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(value.get(), 7);
}

#[test]
fn nothing_keeps_the_core_alive() {
    let _dog = watchdog();
    let drops = Drops::new();
    let token = drops.token();
    let runtime = Builder::new()
        .observe(move |_| {
            let _ = &token;
        })
        .build()
        .unwrap();
    let spawner = runtime.spawner();
    let handle = runtime.wake_handle();
    let mut timer = sleep(Duration::from_secs(100));
    let (task, abort, waker) = runtime.block_on(async {
        assert!(common::poll_once(&mut timer).is_pending());
        let task = spawn(for_ever());
        yield_now().await;
        let waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
        let abort = task.abort_handle();
        (task, abort, waker)
    });
    assert_eq!(drops.count(), 0);
    drop(runtime);
    assert_eq!(drops.count(), 1, "the observer went with the core, although all these still live");
    waker.wake();
    handle.wake();
    abort.cancel();
    drop((timer, task, abort, spawner, handle));
}

#[test]
fn a_runtime_kept_in_a_thread_local_ends_with_its_thread() {
    const CHILD: &str = "HANDCAR_TEST_THREAD_LOCAL";
    thread_local! {
        static RUNTIME: Runtime = Runtime::new().unwrap();
    }
    let _dog = watchdog();
    if std::env::var_os(CHILD).is_some() {
        let drops = Drops::new();
        let token = drops.token();
        std::thread::spawn(move || {
            RUNTIME.with(|runtime| {
                runtime
                    .spawn(async move {
                        let _token = token;
                        for_ever().await;
                    })
                    .detach();
                runtime.block_on(yield_now());
            });
        })
        .join()
        .unwrap();
        assert_eq!(drops.count(), 1);
        return;
    }
    // In a process of its own: what goes wrong while a thread's locals are destroyed takes the process along.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_runtime_kept_in_a_thread_local_ends_with_its_thread"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_report_hook_at_the_end_may_spawn() {
    let _dog = watchdog();
    let drops = Drops::new();
    let captured = Rc::new(RefCell::new(Vec::new()));
    captured.borrow_mut().push(drops.token());
    let in_hook = Rc::clone(&captured);
    let (go, wait) = channel::<()>();
    let runtime = Builder::new()
        .grace(Some(Duration::ZERO))
        .on_report(move |_| {
            let token = in_hook.borrow_mut().pop();
            spawn(async move {
                let _token = token;
                for_ever().await;
            })
            .detach();
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        drop(job);
    });
    drop(runtime);
    assert_eq!(drops.count(), 1, "what the hook spawned is dropped too");
    drop(go);
}

/// Spawns when it is dropped, which is last of all: with the jobs that never started.
struct SpawnsAtTheEnd(Drops, #[allow(dead_code)] Sender<()>);

impl Drop for SpawnsAtTheEnd {
    fn drop(&mut self) {
        let token = self.0.token();
        // What is spawned needs a runtime in its turn: so it must be dropped while there is one.
        let last = OnDrop::new(move || {
            let _token = token;
            drop(spawn(async {}));
        });
        spawn(async move {
            let _last = last;
            for_ever().await;
        })
        .detach();
    }
}

#[test]
fn a_job_that_never_started_may_spawn_in_its_destructor() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (go, wait) = channel::<()>();
    let runtime = Builder::new().blocking_threads(1).build().unwrap();
    // Were they dropped, a pool thread would drop the second job, and there is no runtime there.
    let mut kept = None;
    runtime.block_on(async {
        let (begun, has_begun) = channel();
        let first = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        has_begun.recv().unwrap();
        let captured = SpawnsAtTheEnd(drops.clone(), go);
        let second = to_thread(move || drop(captured));
        kept = Some((first, second));
    });
    drop(runtime);
    drop(kept);
    assert_eq!(drops.count(), 1);
}
