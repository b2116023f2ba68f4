//! Watchers: polls that take too long, told after them and while they last.
//!
//! These measure real time, on a machine that may be busy with something else: what is slow on purpose has to be told, and anything
//! else may be as well. What exactly is told, and when, the tests in `src/watch.rs` say, which set the time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::panic::Location;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use handcar_executor::{Builder, Clock, Event, Report, Runtime, layer, sleep, spawn_named, to_thread, yield_now};

mod common;
use common::watchdog;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<Report>>>);

impl Told {
    fn builder(&self) -> Builder {
        let told = self.clone();
        Builder::new().on_report(move |report| told.0.borrow_mut().push(report))
    }

    /// Checks that the tasks of these names had a slow poll, in this order.
    #[track_caller]
    fn slow(&self, names: &[&str]) {
        let tell = |report: Report| match report {
            Report::SlowPoll { task, took, limit } => {
                assert!(took >= limit, "{took:?}");
                task.name.map_or_else(|| "-".to_owned(), |name| name.to_string())
            }
            other => panic!("unexpected: {other}"),
        };
        let told: Vec<_> = self.0.take().into_iter().map(tell).collect();
        let mut rest = told.iter();
        assert!(names.iter().all(|name| rest.any(|told| told == name)), "{names:?} in {told:?}");
    }
}

#[test]
fn a_slow_poll_is_reported_after_it_with_its_task_and_line() {
    let _dog = watchdog();
    let told = Told::default();
    let runtime = told.builder().slow_poll(ms(20)).build().unwrap();
    let line = line!() + 2;
    runtime.block_on(async {
        let slow = spawn_named("slow", async {
            thread::sleep(ms(30));
            yield_now().await;
            yield_now().await;
        });
        slow.await.unwrap();
        yield_now().await;
        let reports = told.0.take();
        let is_it = |report: &&Report| report.to_string().contains("task `slow`");
        let Some(Report::SlowPoll { task, took, limit }) = reports.iter().find(is_it) else { panic!("{reports:?}") };
        assert_eq!((task.name.as_deref(), task.spawned_at.line(), *limit), (Some("slow"), line, ms(20)));
        assert!(*took >= ms(30));
        let words = reports.iter().find(is_it).unwrap().to_string();
        assert!(words.contains("20ms are allowed"), "{words}");
    });
}

#[test]
fn each_slow_poll_is_reported_once_also_the_last_of_a_task_and_of_main() {
    let _dog = watchdog();
    let told = Told::default();
    let runtime = told.builder().clock(Clock::simulated()).slow_poll(ms(15)).build().unwrap();
    runtime.block_on(async {
        thread::sleep(ms(20));
        yield_now().await;
        spawn_named("ends so", async { thread::sleep(ms(20)) }).await.unwrap();
        let panics = spawn_named("panics", async {
            thread::sleep(ms(20));
            panic!("oh");
        });
        assert!(panics.await.map(|(): ()| ()).unwrap_err().is_panic());
        sleep(Duration::from_secs(9)).await;
        thread::sleep(ms(20));
    });
    told.slow(&["main", "ends so", "panics"]);
    drop(runtime);
    told.slow(&["main"]);
}

#[test]
fn a_slow_destructor_at_the_end_is_reported_too() {
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(ms(20));
        }
    }
    let _dog = watchdog();
    let told = Told::default();
    let runtime = told.builder().slow_poll(ms(15)).build().unwrap();
    runtime.block_on(async {
        spawn_named("kept", async {
            let _slow = Slow;
            std::future::pending::<()>().await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    told.slow(&["kept"]);
}

#[test]
fn main_is_told_with_the_line_of_its_own_block_on() {
    let _dog = watchdog();
    let told = Told::default();
    let runtime = told.builder().slow_poll(ms(10)).build().unwrap();
    runtime.block_on(async {});
    let line = line!() + 1;
    runtime.block_on(async {
        thread::sleep(ms(15));
        yield_now().await;
    });
    drop(runtime);
    let reports = told.0.take();
    let Some(Report::SlowPoll { task, .. }) = reports.last() else { panic!("nothing was told") };
    assert_eq!((task.name.as_deref(), task.spawned_at.line()), (Some("main"), line));
}

#[test]
fn the_watchdog_tells_while_the_loop_is_stuck_again_and_again() {
    let _dog = watchdog();
    let threshold = ms(100);
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let hook = move |report: Report| tell.lock().unwrap().send((Instant::now(), report)).unwrap();
    let runtime = Builder::new().watchdog(threshold).on_stuck(hook).build().unwrap();
    let line = line!() + 2;
    runtime.block_on(async {
        let stuck = spawn_named("stuck", async move {
            let begun = Instant::now();
            // The poll ends only once it has been told of three times.
            let told: Vec<_> = (0..3).map(|_| told.recv().unwrap()).collect();
            (begun, told)
        });
        let (begun, told) = stuck.await.unwrap();
        for (nth, (at, report)) in (1..).zip(told) {
            let Report::Stuck { task, stuck_for } = &report else { panic!("{report}") };
            assert_eq!((task.name.as_deref(), task.spawned_at.line()), (Some("stuck"), line));
            let (after, threshold) = (at - begun, threshold * nth);
            assert!(after >= threshold && *stuck_for >= threshold, "told after {after:?}: {report}");
            assert!(report.to_string().contains("task `stuck`"), "{report}");
        }
    });
}

#[test]
fn the_watchdog_is_silent_while_the_loop_sleeps_and_while_nobody_runs_it() {
    let _dog = watchdog();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let runtime = Builder::new().watchdog(ms(1000)).on_stuck(move |_| *count.lock().unwrap() += 1).build().unwrap();
    runtime.block_on(sleep(ms(1200)));
    thread::sleep(ms(1200));
    runtime.block_on(runtime.spawn(sleep(ms(50)))).unwrap();
    drop(runtime);
    assert_eq!(*told.lock().unwrap(), 0);
    assert_eq!(Arc::strong_count(&told), 1, "the watchdog has ended with the runtime");
}

#[test]
fn a_hook_of_the_watchdog_that_panics_takes_nobody_along() {
    let _dog = watchdog();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let hook = move |_: Report| {
        *counted.lock().unwrap() += 1;
        panic!("in the hook");
    };
    let runtime = Builder::new().watchdog(ms(20)).on_stuck(hook).build().unwrap();
    runtime.block_on(async {
        while *calls.lock().unwrap() < 2 {
            thread::yield_now();
        }
    });
}

#[test]
fn a_report_hook_that_takes_long_is_no_slow_poll() {
    let _dog = watchdog();
    let told = Told::default();
    let hook = told.clone();
    let builder = Builder::new().slow_poll(ms(200)).blocking_threads(1).on_report(move |report| {
        hook.0.borrow_mut().push(report);
        thread::sleep(ms(250));
    });
    let runtime = builder.build().unwrap();
    runtime.block_on(async {
        for _ in 0..200 {
            yield_now().await; // from now on many polls are made before the loop looks
        }
        let (begun, has_begun) = channel();
        let (go, may_go) = channel::<()>();
        let panics = to_thread(move || {
            begun.send(()).unwrap();
            may_go.recv().unwrap_err();
            std::panic::resume_unwind(Box::new("without a backtrace, which takes its time"));
        });
        has_begun.recv().unwrap();
        drop(panics);
        drop(go);
        let (tell, next_has_begun) = channel();
        let next = to_thread(move || tell.send(()).unwrap());
        next_has_begun.recv().unwrap(); // so the report is in the mail when this poll ends
        next.await;
    });
    drop(runtime);
    let reports = told.0.take();
    assert!(matches!(reports[..], [Report::JobPanicked { .. }]), "{reports:?}");
}

#[test]
fn the_end_of_the_runtime_is_no_poll_of_main() {
    let _dog = watchdog();
    let (tell, told) = channel();
    let runtime = Builder::new().watchdog(ms(100)).on_stuck(move |report| tell.send(report).unwrap()).build().unwrap();
    runtime.block_on(async {
        let task = layer::spawn(|| async {}, layer::Ending::Own, None, Location::caller());
        let (begun, has_begun) = channel();
        let job = to_thread(move || {
            begun.send(()).unwrap();
            thread::sleep(ms(250)); // the runtime's end waits for it
        });
        has_begun.recv().unwrap();
        drop(job);
        task.await.unwrap();
        poll_fn(|cx| {
            cx.waker().wake_by_ref(); // so main stands in the queue when it has ended
            Poll::Ready(())
        })
        .await;
    });
    drop(runtime);
    assert!(told.recv().is_err(), "nobody was stuck");
}

#[test]
fn a_task_that_is_called_main_keeps_its_own_line() {
    let _dog = watchdog();
    let told = Told::default();
    let runtime = told.builder().slow_poll(ms(10)).build().unwrap();
    let line = line!() + 1;
    runtime.block_on(async { spawn_named("main", async { thread::sleep(ms(15)) }).await.unwrap() });
    drop(runtime);
    let reports = told.0.take();
    let [Report::SlowPoll { task, .. }] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((task.spawned_at.line(), task.spawned_at.column()), (line, 30));
}

#[test]
fn time_for_which_the_process_was_stopped_is_not_held_against_a_poll() {
    const CHILD: &str = "HANDCAR_TEST_STOPPED";
    const THRESHOLD: Duration = ms(2000);
    let _dog = watchdog();
    if std::env::var_os(CHILD).is_some() {
        let runtime = Builder::new().watchdog(THRESHOLD).on_stuck(|_| std::process::exit(9)).build().unwrap();
        return runtime.block_on(async {
            thread::sleep(THRESHOLD * 3 / 20); // so that the watchdog has seen this poll
            println!("begun");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        });
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "time_for_which_the_process_was_stopped_is_not_held_against_a_poll", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("begun")));
    let signal = |which: &str| {
        assert!(Command::new("sh").args(["-c", &format!("kill -{which} {}", child.id())]).status().unwrap().success());
    };
    signal("STOP");
    thread::sleep(THRESHOLD * 5 / 4);
    signal("CONT");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn both_watchers_and_an_observer_work_side_by_side() {
    let _dog = watchdog();
    let (seen, told) = (Rc::new(Cell::new(0)), Told::default());
    let counted = Rc::clone(&seen);
    let runtime: Runtime = told
        .builder()
        .slow_poll(ms(15))
        .watchdog(Duration::from_secs(3600))
        .observe(move |event| counted.set(counted.get() + u32::from(matches!(event, Event::Polled { .. }))))
        .build()
        .unwrap();
    runtime.block_on(async {
        spawn_named("slow", async { thread::sleep(ms(20)) }).await.unwrap();
    });
    drop(runtime);
    told.slow(&["slow"]);
    assert_eq!(seen.get(), 3);
}

#[test]
fn thresholds_of_zero_are_refused() {
    for refused in [
        common::panic_of(|| drop(Builder::new().slow_poll(Duration::ZERO))),
        common::panic_of(|| drop(Builder::new().watchdog(Duration::ZERO))),
    ] {
        assert_eq!(refused, "every poll takes longer than nothing: allow some milliseconds");
    }
}
