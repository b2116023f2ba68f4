//! `to_thread` under cancel scopes: what is waited for, what never runs, what is abandoned and told.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use handcar_structured::{
    Builder, CancelScope, Clock, ToThread, cancellable, defer, gather, run, shield, spawn, task_group, timeout,
    to_thread, yield_now,
};

mod common;
use common::{Log, Reports, for_ever, seconds, secs, text, watchdog};

/// A job that has started, and runs until the sender is used or dropped; then it returns 7.
fn blocked() -> (ToThread<u32>, Sender<()>) {
    let (go, wait): (Sender<()>, Receiver<()>) = channel();
    let (begun, has_begun) = channel();
    let job = to_thread(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
        7
    });
    has_begun.recv().unwrap();
    (job, go)
}

/// One thread, which a job that was started already keeps busy: what comes later does not start.
fn busy() -> (ToThread<u32>, Sender<()>) {
    blocked()
}

fn one_thread(reports: &Reports) -> handcar_structured::Runtime {
    reports.builder().clock(Clock::system()).blocking_threads(1).build().unwrap()
}

/// Counts how often it has run.
fn counting(ran: &Arc<AtomicUsize>) -> impl FnOnce() + Send + use<> {
    let ran = Arc::clone(ran);
    move || {
        ran.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_cancelled_scope_waits_for_a_running_job_and_its_value_counts() {
    let _dog = watchdog();
    let reports = Reports::default();
    one_thread(&reports).block_on(async {
        let (job, go) = blocked();
        let scope = CancelScope::new();
        let canceller = scope.clone();
        spawn(async move {
            canceller.cancel();
            for _ in 0..10 {
                yield_now().await; // the scope has its chance to drop the body
            }
            go.send(()).unwrap();
        })
        .detach();
        assert_eq!(scope.run(job).await.unwrap(), 7);
        assert!(scope.cancel_called() && !scope.cancelled_caught());
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_timeout_waits_for_a_running_job_and_then_drops_the_rest_of_the_body() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (job, go) = blocked();
        let log = Log::new();
        let limited = timeout(Duration::from_millis(5), async {
            let value = job.await;
            log.note(value);
            for_ever().await;
        });
        let releases = async {
            handcar_structured::sleep(Duration::from_millis(20)).await;
            drop(go);
        };
        let (late, ()) = futures::join!(limited, releases);
        assert!(late.is_err());
        assert_eq!(log.take(), ["7"]);
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_job_that_has_not_started_when_its_scope_is_cancelled_never_runs() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ran = Arc::new(AtomicUsize::new(0));
    one_thread(&reports).block_on(async {
        let (first, go) = busy();
        let cut = timeout(Duration::ZERO, to_thread(counting(&ran)));
        assert!(cut.await.is_err());
        let task = spawn(to_thread(counting(&ran)));
        yield_now().await;
        assert!(task.cancel_and_wait().await.is_err());
        // Beside a shield the body is not dropped at once. The job does not start meanwhile.
        let (go_on, waits) = futures::channel::oneshot::channel::<()>();
        let both = timeout(Duration::ZERO, async {
            futures::join!(to_thread(counting(&ran)), shield(waits)).1.unwrap();
        });
        let mut both = pin!(both);
        yield_now().await;
        assert!(both.as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        first.await;
        to_thread(|| ()).await; // behind where it was in the queue
        go_on.send(()).unwrap();
        assert!(both.await.is_err());
    });
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_job_that_was_taken_back_by_a_timeout_starts_when_it_is_awaited_again() {
    let _dog = watchdog();
    let ran = Arc::new(AtomicUsize::new(0));
    one_thread(&Reports::default()).block_on(async {
        let (first, go) = busy();
        let mut job = to_thread(counting(&ran));
        assert!(timeout(Duration::ZERO, &mut job).await.is_err());
        go.send(()).unwrap();
        first.await;
        to_thread(|| ()).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        job.await;
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_job_that_was_taken_back_does_not_hold_the_simulated_clock() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ran = Arc::new(AtomicUsize::new(0));
    reports.builder().blocking_threads(1).build().unwrap().block_on(async {
        let (first, go) = busy();
        let scope = CancelScope::new();
        scope.cancel();
        let mut cancelled = Box::pin(scope.run(async { futures::join!(to_thread(counting(&ran)), shield(secs(3))) }));
        assert!(cancelled.as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        first.await;
        assert!(cancelled.await.is_err());
        assert_eq!(seconds(), 3);
    });
    assert_eq!((ran.load(Ordering::SeqCst), reports.take()), (0, vec![]));
}

#[test]
fn a_job_in_a_combinator_that_polls_only_what_was_woken_hears_of_the_cancel() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ran = Arc::new(AtomicUsize::new(0));
    one_thread(&reports).block_on(async {
        let (first, go) = busy();
        let cut = timeout(Duration::ZERO, async {
            let mut jobs: FuturesUnordered<_> = (0..3).map(|_| to_thread(counting(&ran))).collect();
            while jobs.next().await.is_some() {}
        });
        assert!(cut.await.is_err());
        let gathered = timeout(Duration::ZERO, gather((0..3).map(|_| to_thread(counting(&ran)))));
        assert!(gathered.await.is_err());
        go.send(()).unwrap();
        first.await;
    });
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_job_that_outlives_the_grace_period_is_abandoned_and_reported_once() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (job, go) = blocked();
        let scope = CancelScope::new().grace(Some(Duration::from_millis(1)));
        scope.cancel();
        assert!(scope.run(job.named("slow")).await.is_err());
        go.send(()).unwrap();
        to_thread(|| ()).await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job abandoned: slow"]);
}

#[test]
fn a_job_that_is_to_be_abandoned_is_so_at_once_and_without_a_word() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (job, go) = blocked();
        assert!(timeout(Duration::ZERO, job.abandon_on_cancel()).await.is_err());
        go.send(()).unwrap();
        to_thread(|| ()).await;
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn the_panic_of_an_abandoned_job_is_reported_and_one_that_is_awaited_is_resumed() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let awaited: ToThread<()> = to_thread(|| panic!("in the job"));
        let payload = AssertUnwindSafe(awaited).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "in the job");
        let (go, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job: ToThread<()> = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            panic!("nobody sees it");
        });
        has_begun.recv().unwrap();
        assert!(timeout(Duration::ZERO, job.abandon_on_cancel()).await.is_err());
        go.send(()).unwrap();
        to_thread(|| ()).await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job panicked: nobody sees it"]);
}

#[test]
fn a_panic_under_a_cancelled_scope_is_resumed_too() {
    let _dog = watchdog();
    let reports = Reports::default();
    one_thread(&reports).block_on(async {
        let (go, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job: ToThread<()> = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            panic!("late");
        });
        has_begun.recv().unwrap();
        let scope = CancelScope::new();
        scope.cancel();
        let mut cancelled = Box::pin(scope.run(job));
        assert!(cancelled.as_mut().now_or_never().is_none());
        drop(go);
        let payload = AssertUnwindSafe(cancelled).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "late");
    });
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_catching_cancellable_waits_for_a_running_job() {
    let _dog = watchdog();
    one_thread(&Reports::default()).block_on(async {
        let (job, go) = blocked();
        let task = spawn(async move { cancellable(job).await });
        yield_now().await;
        task.cancel();
        yield_now().await;
        assert!(!task.is_finished());
        drop(go);
        assert_eq!(task.await.unwrap().unwrap(), 7);
    });
}

#[test]
fn in_a_cleanup_a_job_runs_although_everything_around_is_cancelled() {
    let _dog = watchdog();
    let ran = Arc::new(AtomicUsize::new(0));
    one_thread(&Reports::default()).block_on(async {
        let job = counting(&ran);
        let cut = timeout(Duration::ZERO, async {
            let _guard = defer(async move { to_thread(job).await });
            for_ever().await;
        });
        assert!(cut.await.is_err());
    });
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_group_waits_for_the_running_job_of_a_cancelled_child() {
    let _dog = watchdog();
    one_thread(&Reports::default()).block_on(async {
        let (job, go) = blocked();
        let group = task_group(async |g| {
            g.spawn(async move { Ok(job.await) });
            g.spawn(async { Err::<(), _>("a sibling".to_owned()) });
            Ok(())
        });
        let mut group = pin!(group);
        for _ in 0..10 {
            assert!(futures::poll!(group.as_mut()).is_pending());
            yield_now().await;
        }
        drop(go);
        assert!(group.await.unwrap_err().to_string().contains("a sibling"));
    });
}

#[test]
fn dropped_by_a_foreign_combinator_a_running_job_is_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (job, go) = blocked();
        futures::future::select(job.named("lost the race"), std::future::ready(())).await;
        drop(go);
        to_thread(|| ()).await;
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job abandoned: lost the race"]);
}

#[test]
fn a_running_job_that_is_dropped_before_it_was_polled_is_abandoned_and_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (job, go) = blocked();
        drop(job.named("never polled"));
        drop(go);
        let (job, go) = blocked();
        drop(job.abandon_on_cancel());
        drop(go);
    });
    drop(runtime);
    assert_eq!(reports.take(), ["job abandoned: never polled"]);
}

#[test]
fn a_job_that_is_abandoned_between_two_runs_is_reported_to_its_own_runtime() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = one_thread(&reports);
    let (job, go) = runtime.block_on(async {
        let (mut job, go) = blocked();
        assert!(futures::poll!(&mut job).is_pending());
        (job, go)
    });
    drop(job.named("between"));
    drop(go);
    drop(runtime);
    assert_eq!(reports.take(), ["job abandoned: between"]);
}

#[test]
fn a_job_may_be_told_to_be_abandoned_also_after_its_first_poll() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().clock(Clock::system()).grace(None).build().unwrap();
    runtime.block_on(async {
        let (mut job, go) = blocked();
        let scope = CancelScope::new();
        let body = async {
            assert!(futures::poll!(&mut job).is_pending());
            scope.cancel();
            job.abandon_on_cancel().await
        };
        assert!(scope.run(body).await.is_err());
        drop(go);
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

#[test]
fn a_runtime_that_ends_joins_its_jobs_within_the_grace_period_and_names_the_others() {
    let _dog = watchdog();
    let reports = Reports::default();
    let builder = || reports.builder().clock(Clock::system()).blocking_threads(2);
    let runtime = builder().grace(Some(Duration::from_secs(3600))).build().unwrap(); // it ends with the job, not after an hour
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    runtime.block_on(async move {
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            counted.fetch_add(1, Ordering::SeqCst);
        });
        has_begun.recv().unwrap();
        spawn(job).detach();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(reports.take(), [""; 0]);

    let runtime = builder().grace(Some(Duration::from_millis(1))).build().unwrap();
    let mut kept = None;
    runtime.block_on(async {
        let (job, go) = blocked();
        kept = Some(go);
        spawn(job.named("stuck").abandon_on_cancel()).detach_ignoring();
        yield_now().await;
    });
    drop(runtime);
    drop(kept);
    let told = reports.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the runtime ended, and its grace period, before these did:\n"), "{}", told[0]);
    assert!(told[0].contains("`stuck`, made at executor/structured/tests/threads.rs:"), "{}", told[0]);
}

#[test]
fn a_hundred_thousand_jobs_on_four_threads() {
    let _dog = watchdog();
    let ran = Arc::new(AtomicUsize::new(0));
    Builder::new().blocking_threads(4).build().unwrap().block_on(async {
        let jobs: Vec<_> = (0..100_000).map(|_| to_thread(counting(&ran))).collect();
        gather(jobs).await;
    });
    assert_eq!(ran.load(Ordering::SeqCst), 100_000);
}

#[test]
fn a_hundred_thousand_jobs_whose_caller_is_cancelled_leave_nothing_behind() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (first, go) = busy();
        let jobs = async { gather((0..100_000).map(|_| to_thread(counting(&ran)))).await };
        assert!(timeout(Duration::ZERO, jobs).await.is_err());
        go.send(()).unwrap();
        first.await;
        to_thread(|| ()).await;
    });
    drop(runtime);
    assert_eq!((ran.load(Ordering::SeqCst), reports.take()), (0, vec![]));
    assert_eq!(Arc::strong_count(&ran), 1, "what the jobs had captured is gone");
}

#[test]
fn a_job_is_dropped_unpolled_without_a_word() {
    let _dog = watchdog();
    let reports = Reports::default();
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = one_thread(&reports);
    runtime.block_on(async {
        let (first, go) = busy();
        drop(to_thread(counting(&ran)));
        drop(go);
        first.await;
    });
    drop(runtime);
    assert_eq!((ran.load(Ordering::SeqCst), reports.take()), (0, vec![]));
}

#[test]
fn outside_every_scope_it_awaits_as_any_future() {
    let _dog = watchdog();
    assert_eq!(run(async { to_thread(|| 1 + 1).await }), 2);
    let runtime = Builder::new().build().unwrap();
    let job = runtime.enter(|| to_thread(|| 5));
    assert_eq!(futures::executor::block_on(job), 5);
}
