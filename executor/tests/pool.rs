//! The blocking pool: order, panics, drops, and what the runtime's end does to its jobs.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::thread::ThreadId;
use std::time::Duration;

use handcar_executor::{
    Builder, Instant, OnPanic, Report, ToThread, current_task, run, sleep, spawn, timeout, to_thread, try_to_thread,
    yield_now,
};

mod common;
use common::{Call, Drops, Reports, calling, panic_of, panics_when_dropped, poll_once, test_run, watchdog};

/// A job that has started and runs until the sender is used or dropped.
fn blocked() -> (ToThread<()>, Sender<()>) {
    let (go, wait): (Sender<()>, Receiver<()>) = channel();
    let (begun, has_begun) = channel();
    let job = to_thread(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    has_begun.recv().unwrap();
    (job, go)
}

fn one_thread() -> Builder {
    Builder::new().blocking_threads(1)
}

#[test]
fn a_job_returns_its_value_from_another_thread() {
    let _dog = watchdog();
    let here = std::thread::current().id();
    let there: ThreadId = run(async { to_thread(|| std::thread::current().id()).await });
    assert_ne!(here, there);
}

#[test]
fn a_jobs_panic_goes_on_in_the_awaiting_task() {
    let _dog = watchdog();
    test_run(async {
        let task = spawn(async { to_thread(|| panic!("in the job")).await });
        let error = task.await.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.to_string(), "task panicked: in the job");
        assert_eq!(to_thread(|| 7).await, 7, "the pool goes on");
    });
}

#[test]
fn jobs_start_in_the_order_in_which_they_came() {
    let _dog = watchdog();
    one_thread().build().unwrap().block_on(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let (first, go) = blocked();
        let jobs: Vec<_> = (0..10)
            .map(|number| {
                let order = Arc::clone(&order);
                to_thread(move || order.lock().unwrap().push(number))
            })
            .collect();
        go.send(()).unwrap();
        first.await;
        for job in jobs {
            job.await;
        }
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn the_limit_holds_and_a_thread_is_used_again() {
    let _dog = watchdog();
    Builder::new().blocking_threads(2).build().unwrap().block_on(async {
        let mut threads = std::collections::HashSet::new();
        for _ in 0..20 {
            let jobs: Vec<_> = (0..4).map(|_| to_thread(|| std::thread::current().id())).collect();
            for job in jobs {
                threads.insert(job.await);
            }
        }
        assert!(threads.len() <= 2, "{threads:?}");
    });
}

#[test]
fn a_job_whose_future_is_dropped_before_it_starts_never_runs() {
    let _dog = watchdog();
    one_thread().build().unwrap().block_on(async {
        let ran = Arc::new(Mutex::new(false));
        let drops = Drops::new();
        let (first, go) = blocked();
        let (seen, token) = (Arc::clone(&ran), drops.token());
        let job = to_thread(move || {
            let _token = token;
            *seen.lock().unwrap() = true;
        });
        drop(job);
        let mut polled = to_thread(|| ());
        assert!(poll_once(&mut polled).is_pending());
        drop(polled);
        go.send(()).unwrap();
        first.await;
        to_thread(|| ()).await;
        assert!(!*ran.lock().unwrap());
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_started_job_whose_future_is_dropped_runs_to_its_end_and_its_value_is_dropped_there() {
    let _dog = watchdog();
    one_thread().build().unwrap().block_on(async {
        let drops = Drops::new();
        let token = drops.token();
        let (go, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            token
        });
        has_begun.recv().unwrap();
        drop(job);
        assert_eq!(drops.count(), 0);
        go.send(()).unwrap();
        to_thread(|| ()).await; // behind it, on the same thread
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_panic_of_an_abandoned_job_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (go, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            panic!("abandoned");
        });
        has_begun.recv().unwrap();
        drop::<ToThread<()>>(job);
        go.send(()).unwrap();
        assert_eq!(to_thread(|| 7).await, 7);
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: abandoned"]);
}

#[test]
fn a_panic_in_the_drop_of_an_abandoned_jobs_value_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (go, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            panics_when_dropped("in the value's drop")
        });
        has_begun.recv().unwrap();
        drop(job);
        go.send(()).unwrap();
        assert_eq!(to_thread(|| 7).await, 7);
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: in the value's drop"]);
}

#[test]
fn an_unread_panic_of_a_finished_job_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let job = to_thread(|| panic!("unread"));
        to_thread(|| ()).await;
        drop::<ToThread<()>>(job);
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: unread"]);
}

#[test]
fn an_unread_panic_of_a_job_is_reported_to_its_own_runtime() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    let mut made = None::<ToThread<()>>;
    runtime.block_on(async {
        made = Some(to_thread(|| panic!("unread")));
        to_thread(|| ()).await;
    });
    drop(made);
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: unread"]);
}

#[test]
fn a_panic_in_what_an_unstarted_job_captured_is_reported_and_the_thread_lives_on() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (first, go) = blocked();
        let captured = panics_when_dropped("captured");
        drop(to_thread(move || drop(captured)));
        go.send(()).unwrap();
        first.await;
        assert_eq!(to_thread(|| 7).await, 7, "the one thread that is allowed still works");
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: captured"]);
}

#[test]
fn a_panic_in_what_an_unstarted_job_captured_at_the_end_is_reported() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (first, go) = blocked();
        let captured = panics_when_dropped("captured");
        let second = to_thread(move || drop(captured));
        // Kept until the end of the runtime, which lets the first one go only then.
        spawn(async move {
            let _kept = (second, first, go);
            std::future::pending::<()>().await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: captured"]);
}

/// Panics when it is woken, on whichever thread.
struct PanicsWhenWoken;

impl std::task::Wake for PanicsWhenWoken {
    fn wake(self: Arc<Self>) {
        panic!("in the waker");
    }
}

#[test]
fn a_waker_that_panics_does_not_cost_the_pool_a_thread() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (mut first, go) = blocked();
        let waker = std::task::Waker::from(Arc::new(PanicsWhenWoken));
        let pending = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
        assert!(pending.is_pending());
        go.send(()).unwrap();
        assert_eq!(to_thread(|| 7).await, 7);
        first.await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["waker panicked: in the waker"]);
}

#[test]
fn only_the_last_waker_of_a_job_is_woken_and_wakers_may_call_back() {
    let _dog = watchdog();
    test_run(async {
        let calls = Rc::new(Cell::new((0, 0)));
        let counted = Rc::clone(&calls);
        let nosy = calling(move |call| {
            let (clones, drops) = counted.get();
            match call {
                Call::Clone => counted.set((clones + 1, drops)),
                Call::Drop => counted.set((clones, drops + 1)),
                Call::Wake | Call::WakeByRef => {}
            }
            drop(spawn(async {}));
            drop(to_thread(|| ()));
        });
        let (mut job, go) = blocked();
        assert!(nosy.poll(&mut job).is_pending());
        assert!(nosy.poll(&mut job).is_pending());
        go.send(()).unwrap();
        job.await;
        let (clones, drops) = calls.get();
        assert!(
            drops == clones || drops + 1 == clones,
            "one may have been woken on the job's thread: {clones}, {drops}"
        );
    });
}

#[test]
fn a_job_polled_after_ready_panics_with_its_name() {
    let _dog = watchdog();
    test_run(async {
        let mut job = to_thread(|| ());
        (&mut job).await;
        assert!(panic_of(|| assert!(poll_once(&mut job).is_ready())).contains("`ToThread` polled after"));
    });
}

#[test]
fn a_job_keeps_the_simulated_clock_from_jumping() {
    let _dog = watchdog();
    test_run(async {
        let (job, go) = blocked();
        let releases = spawn(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            drop(go);
        });
        timeout(Duration::from_millis(1), job).await.expect("no time passes while a job runs");
        releases.await.unwrap();
        assert_eq!(Instant::now(), Instant::START);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(Instant::now().since_start(), Duration::from_secs(1), "and afterwards it jumps again");
    });
}

#[test]
fn the_clock_is_free_again_after_a_job_that_panicked_or_never_ran() {
    let _dog = watchdog();
    let reports = Reports::new();
    reports.builder().blocking_threads(1).build().unwrap().block_on(async {
        let (first, go) = blocked();
        let abandoned = to_thread(|| panic!("job"));
        drop(to_thread(|| ()));
        drop(go);
        first.await;
        drop::<ToThread<()>>(abandoned);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(Instant::now().since_start(), Duration::from_secs(1));
    });
}

#[test]
fn a_job_runs_in_no_task() {
    let _dog = watchdog();
    run(async {
        assert!(current_task().is_some());
        assert!(to_thread(current_task).await.is_none());
    });
}

#[test]
fn a_job_may_be_awaited_in_another_runtime() {
    let _dog = watchdog();
    let (a, _) = common::simulated();
    let (job, go) = a.enter(blocked);
    let (b, _) = common::simulated();
    let hold = b.clock().hold(); // the job is declared to `a` only
    b.block_on(async {
        spawn(async move { drop(go) }).detach();
        job.await;
    });
    drop(hold);
}

#[test]
fn a_spent_budget_postpones_a_finished_job_and_loses_nothing() {
    let _dog = watchdog();
    Builder::new().poll_budget(1).build().unwrap().block_on(async {
        let jobs: Vec<_> = (0..5).map(|number| to_thread(move || number)).collect();
        let mut values = Vec::new();
        for job in jobs {
            values.push(job.await);
        }
        assert_eq!(values, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_job_that_was_taken_back_starts_only_once_it_is_polled_again() {
    let _dog = watchdog();
    one_thread().build().unwrap().block_on(async {
        let (first, go) = blocked();
        let mut job = to_thread(|| 7).named("later");
        assert!(poll_once(&mut job).is_pending());
        assert!(job.withdraw() && job.withdraw());
        assert!(!job.has_started());
        go.send(()).unwrap();
        first.await;
        to_thread(|| ()).await; // behind its old place in the queue
        assert!(!job.has_started());
        assert_eq!((&mut job).await, 7);
        assert_eq!(job.info().name.as_deref(), Some("later"));
    });
}

#[test]
fn a_job_that_has_started_cannot_be_taken_back() {
    let _dog = watchdog();
    one_thread().build().unwrap().block_on(async {
        let (mut job, go) = blocked();
        assert!(!job.withdraw());
        assert!(job.has_started() && !job.is_finished());
        go.send(()).unwrap();
        job.await;
    });
}

#[test]
fn a_job_of_a_runtime_that_has_ended_tells_who_awaits_it_and_what_it_captured_is_gone() {
    let _dog = watchdog();
    let drops = Drops::new();
    let reports = Reports::new();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    let token = drops.token();
    let mut late = runtime.enter(|| {
        let (first, go) = blocked();
        let mut late = to_thread(move || drop(token));
        assert!(late.withdraw());
        drop((first, go));
        late
    });
    drop(runtime);
    assert!(!late.is_closed());
    assert!(poll_once(&mut late).is_pending());
    assert!(late.is_closed() && !late.has_started());
    assert_eq!(drops.count(), 1);
    let told = panic_of(|| _ = poll_once(&mut late));
    assert!(told.contains("pool.rs") && told.contains("ended before a thread began with it"), "{told}");
    drop(late);
    assert!(reports.take().is_empty());
}

/// Runs a test of this file again in a process that has `address_space` kilobytes, and where each thread asks for `stack` bytes.
fn in_little_room(test: &str, address_space: u64, stack: u64) -> bool {
    const INSIDE: &str = "HANDCAR_TEST_LITTLE_ROOM";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", &format!("ulimit -v {address_space}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap());
    // Without threads of the harness, which would take as much.
    limited.args([test, "--exact", "--test-threads=1"]).env(INSIDE, "1").env("RUST_MIN_STACK", stack.to_string());
    let output = limited.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    if ["Sanitizer failed to allocate", "limited virtual address space"]
        .iter()
        .any(|sanitizer| complained.contains(sanitizer))
    {
        eprintln!("SKIPPED {test}: a sanitizer wants more room than there is to be");
        return false;
    }
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
    false
}

const GIB: u64 = 1 << 30;

#[test]
#[cfg(target_os = "linux")]
fn where_the_system_gives_no_second_thread_the_first_does_all_jobs() {
    if in_little_room("where_the_system_gives_no_second_thread_the_first_does_all_jobs", 7 << 20, 2 * GIB) {
        let idle = || std::thread::Builder::new().spawn(std::thread::park);
        let mut others: Vec<_> = std::iter::from_fn(|| idle().ok()).collect();
        let last = others.pop().expect("one at least");
        last.thread().unpark();
        last.join().unwrap(); // now there is room for one
        run(async {
            let (first, go) = blocked();
            let threads: Vec<_> = (0..10).map(|_| to_thread(|| std::thread::current().id())).collect();
            go.send(()).unwrap();
            first.await;
            let mut used = Vec::new();
            for thread in threads {
                used.push(thread.await);
            }
            used.dedup();
            assert_eq!(used.len(), 1, "no other one was started");
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn where_the_system_gives_no_thread_at_all_that_is_an_error_and_the_loop_goes_on() {
    if in_little_room("where_the_system_gives_no_thread_at_all_that_is_an_error_and_the_loop_goes_on", 3 << 20, 4 * GIB)
    {
        run(async {
            assert!(try_to_thread(|| ()).is_err());
            let panicked = panic_of(|| drop(to_thread(|| ())));
            assert!(panicked.starts_with("no thread could be started for a blocking job: "), "{panicked}");
            sleep(Duration::from_millis(1)).await;
        });
    }
}

#[test]
fn a_result_is_not_lost_to_a_waker_that_panics_as_it_is_dropped() {
    let _dog = watchdog();
    run(async {
        let mut job = to_thread(|| 7);
        while !job.is_finished() {
            yield_now().await;
        }
        let armed = Cell::new(true);
        let waker = calling(move |call| assert!(!(call == Call::Drop && armed.take()), "spite"));
        let poll = || waker.poll(&mut job).is_pending();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).is_err());
        assert_eq!(job.await, 7);
    });
}

#[test]
fn a_job_is_taken_back_though_its_waker_panics_as_it_is_dropped() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (first, go) = blocked();
        let mut job = to_thread(|| 7);
        let armed = Rc::new(Cell::new(false));
        let to_panic = Rc::clone(&armed);
        let waker = calling(move |call| assert!(!(call == Call::Drop && to_panic.take()), "spite"));
        assert!(waker.poll(&mut job).is_pending());
        armed.set(true);
        let withdrawn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.withdraw()));
        assert!(withdrawn.is_ok_and(|withdrawn| withdrawn));
        drop(go);
        first.await;
        assert_eq!(job.await, 7);
    });
    assert_eq!(reports.take().len(), 1);
}

#[test]
fn the_grace_of_jobs_counts_from_the_beginning_of_the_end_though_only_a_report_takes_time() {
    let _dog = watchdog();
    let grace = Duration::from_millis(800);
    let job = Rc::new(Cell::new(None));
    let keep = Rc::clone(&job);
    let runtime = Builder::new()
        .grace(Some(grace))
        .on_panic(OnPanic::Shutdown)
        .on_report(move |report| {
            if let Report::Panicked { .. } = report {
                keep.set(Some(blocked()));
                let begun = std::time::Instant::now();
                while begun.elapsed() < grace {} // a slow hook
            }
        })
        .build()
        .unwrap();
    let task = runtime.spawn(async { panic!("nobody hears of it before the end") });
    runtime.block_on(yield_now());
    runtime.enter(|| drop(task));
    let begun = std::time::Instant::now();
    drop(runtime);
    let took = begun.elapsed();
    drop(job.take());
    assert!(took < grace + grace / 2, "{took:?}");
}
