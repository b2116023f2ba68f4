//! Panics and errors that nobody waits for reach the report hook, once, with the task's name and line; without a hook, stderr.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use common::{Living, OnDrop, in_a_child, is_child, watchdog};
use handcar::sync::oneshot;
use handcar::{Builder, JoinError, OnPanic, Report, Runtime, sleep, spawn, spawn_named, to_thread, yield_now};

/// A runtime, and what it reports.
fn reporting(builder: Builder) -> (Runtime, Rc<RefCell<Vec<Report>>>) {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let hook = Rc::clone(&reports);
    let runtime = builder.on_report(move |report| hook.borrow_mut().push(report)).build().unwrap();
    (runtime, reports)
}

fn texts(reports: &RefCell<Vec<Report>>) -> Vec<String> {
    reports.borrow().iter().map(ToString::to_string).collect()
}

#[test]
fn a_panic_in_a_detached_task_is_reported_once_with_name_and_line() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    let line = runtime.block_on(async {
        let (task, line) = (spawn_named("worker", async { panic!("lost {}", 7) }), line!());
        task.detach();
        for _ in 0..5 {
            yield_now().await;
        }
        line
    });
    drop(runtime);
    let reports = reports.take();
    let [Report::Panicked { task, payload }] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(task.name.as_deref(), Some("worker"));
    assert_eq!((task.spawned_at.file(), task.spawned_at.line()), (file!(), line));
    assert_eq!(payload.to_string(), "lost 7");
    let said = reports[0].to_string();
    assert!(said.contains("`worker`") && said.contains(&format!("{}:{line}", file!())), "{said}");
}

#[test]
fn without_a_hook_it_is_one_line_on_stderr_and_the_program_goes_on() {
    let _watchdog = watchdog();
    if is_child() {
        handcar::run(async {
            spawn_named("worker", async { panic!("nobody looks") }).detach();
            yield_now().await;
            println!("still here");
        });
        return;
    }
    let output = in_a_child();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(out.contains("still here"), "{out}");
    let lines: Vec<_> = err.lines().filter(|line| line.starts_with("handcar: ")).collect();
    let [line] = lines[..] else { panic!("{err}") };
    assert!(
        line.contains("task `worker`") && line.contains(file!()) && line.ends_with("panicked: nobody looks"),
        "{line}"
    );
}

#[test]
fn a_panic_that_a_handle_returns_is_not_reported() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        let error = spawn(async { panic!("seen") }).await.unwrap_err();
        assert!(error.is_panic());
        let JoinError::Panicked(payload) = error else { unreachable!() };
        assert_eq!(*payload.into_inner().downcast::<&str>().unwrap(), "seen");
    });
    drop(runtime);
    assert_eq!(texts(&reports), [""; 0]);
}

#[test]
fn a_panic_whose_handle_is_dropped_unread_is_reported_whenever_that_is() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    let mut kept = None;
    runtime.block_on(async {
        let (early, late) = (spawn(async { panic!("early") }), spawn(async { panic!("late") }));
        yield_now().await;
        yield_now().await;
        assert_eq!(texts(&reports), [""; 0]);
        drop(early);
        assert_eq!(reports.borrow().len(), 1);
        kept = Some(late);
    });
    drop(runtime);
    assert_eq!(reports.borrow().len(), 1);
    drop(kept);
    let texts = texts(&reports);
    assert!(texts.len() == 2 && texts[0].ends_with("early") && texts[1].ends_with("late"), "{texts:?}");
}

#[test]
fn a_panic_of_a_cancelled_tasks_destructor_is_returned_or_reported() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        let explosive = || async {
            let _bomb = OnDrop(|| panic!("in drop"));
            pending::<()>().await;
        };
        let (joined, dropped) = (spawn(explosive()), spawn(explosive()));
        yield_now().await;
        yield_now().await;
        let end = joined.cancel_and_wait().await.unwrap_err();
        assert!(end.is_panic(), "{end}");
        drop(dropped);
        yield_now().await;
        yield_now().await;
        assert_eq!(reports.borrow().len(), 1);
    });
}

#[test]
fn destructors_that_panic_at_shutdown_are_all_reported_and_keep_nothing_alive() {
    let _watchdog = watchdog();
    let living = Living::default();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        for _ in 0..10 {
            let token = living.token();
            spawn(async move {
                let _token = token;
                let _bomb = OnDrop(|| panic!("in drop"));
                pending::<()>().await;
            })
            .detach();
        }
        yield_now().await;
        yield_now().await;
    });
    drop(runtime);
    assert_eq!((reports.borrow().len(), living.count()), (10, 0));
}

#[test]
fn an_error_of_a_detached_task_goes_where_the_detaching_said() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    let heard = Rc::new(Cell::new(None));
    runtime.block_on(async {
        spawn_named("parser", async { "seven".parse::<u32>() }).detach_reporting();
        spawn(async { "7".parse::<u32>() }).detach_reporting();
        let tell = Rc::clone(&heard);
        spawn(async { Err::<(), _>(7) }).detach_with(move |error| tell.set(Some(error)));
        spawn(async { Err::<(), _>(8) }).detach_ignoring();
        for _ in 0..3 {
            yield_now().await;
        }
    });
    assert_eq!(heard.get(), Some(7));
    let texts = texts(&reports);
    let [said] = &texts[..] else { panic!("{texts:?}") };
    assert!(said.contains("`parser`") && said.contains("invalid digit"), "{said}");
}

#[test]
fn a_task_cancelled_after_detaching_reports_no_error() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        spawn(pending::<Result<(), std::fmt::Error>>()).detach_reporting();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(texts(&reports), [""; 0]);
}

#[test]
fn with_on_panic_shutdown_the_panic_ends_block_on_and_everything() {
    let _watchdog = watchdog();
    let living = Living::default();
    let (runtime, _) = reporting(Builder::new().on_panic(OnPanic::Shutdown));
    let token = living.token();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _token = token;
            let token = living.token();
            spawn(async move {
                let _token = token;
                pending::<()>().await;
            })
            .detach();
            spawn(async { panic_any(7_u8) }).detach();
            sleep(Duration::MAX).await;
        });
    }));
    assert_eq!(*panicked.unwrap_err().downcast::<u8>().unwrap(), 7);
    drop(runtime);
    assert_eq!(living.count(), 0);
}

#[test]
fn with_on_panic_shutdown_a_panic_that_its_handle_returns_ends_nothing() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().on_panic(OnPanic::Shutdown));
    runtime.block_on(async {
        assert!(spawn(async { panic!("seen") }).await.is_err());
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(texts(&reports), [""; 0]);
}

#[test]
fn a_panic_of_main_comes_out_after_everything_has_ended() {
    let _watchdog = watchdog();
    let living = Living::default();
    let token = living.token();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        handcar::run(async {
            let task = spawn(async move {
                let _token = token;
                pending::<()>().await;
            });
            yield_now().await;
            task.detach();
            panic!("main");
        });
    }));
    assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "main");
    assert_eq!(living.count(), 0);
}

#[test]
fn a_hook_may_spawn_cancel_and_panic() {
    let _watchdog = watchdog();
    let heard = Rc::new(Cell::new(0));
    let count = Rc::clone(&heard);
    let hook = move |_: Report| {
        count.set(count.get() + 1);
        spawn(async {}).detach();
        drop(spawn(pending::<()>()));
        assert!(count.get() != 2, "the hook's own panic");
    };
    let runtime = Builder::new().on_report(hook).build().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            spawn(async { panic!("lost") }).detach();
            yield_now().await;
        }
        yield_now().await;
    });
    assert_eq!(heard.get(), 3);
}

#[test]
fn a_panic_on_a_blocking_thread_resumes_in_the_task_that_waits() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        let task = spawn(async { to_thread(|| panic!("on the thread")).await });
        let JoinError::Panicked(payload) = task.await.unwrap_err() else { panic!("no panic") };
        assert_eq!(payload.to_string(), "on the thread");
        assert_eq!(to_thread(|| 7).await, 7, "the thread lives on");
    });
    assert_eq!(texts(&reports), [""; 0]);
}

#[test]
fn a_panic_of_a_job_that_was_left_alone_is_reported() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    let (go, went) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = async_channel::bounded(1);
    runtime.block_on(async {
        let job = to_thread(move || {
            began.send_blocking(()).unwrap();
            let _ = went.recv();
            panic!("alone");
        });
        has_begun.recv().await.unwrap();
        drop(job.abandon_on_cancel());
    });
    drop(go);
    drop(runtime);
    let told = texts(&reports);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the abandoned blocking job made at tests/nothing_goes_wrong_unheard.rs:"), "{told:?}");
    assert!(told[0].ends_with(" panicked: alone"), "{told:?}");
}

#[test]
fn jobs_that_outlive_the_grace_period_are_reported_and_left() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().grace(Some(Duration::from_millis(1))));
    let (go, went) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = async_channel::bounded(1);
    let mut kept = None;
    runtime.block_on(async {
        kept = Some(to_thread(move || {
            began.send_blocking(()).unwrap();
            let _ = went.recv();
            7
        }));
        has_begun.recv().await.unwrap();
    });
    drop(runtime);
    assert!(matches!(&reports.take()[..], [Report::JobsLeft { jobs }] if jobs.len() == 1));
    drop(go);
    assert_eq!(futures::executor::block_on(kept.unwrap()), 7, "its result can still be had");
}

/// A waker whose wake panics.
fn bomb() -> Waker {
    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |_| RawWaker::new(std::ptr::null(), &VTABLE),
        |_| panic!("waker"),
        |_| panic!("waker"),
        |_| {},
    );
    // SAFETY: the functions use no data, and any thread may call them; to panic is not to break the contract.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) }
}

#[test]
fn a_foreign_waker_that_panics_is_reported_and_harms_no_other() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        let mut first = sleep(Duration::from_micros(100));
        assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&bomb())).is_pending());
        let mut task = spawn(async { 7 });
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&bomb())).is_pending());
        sleep(Duration::from_micros(200)).await;
        assert!(matches!(Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7))));
    });
    assert_eq!(reports.borrow().len(), 2, "{:?}", texts(&reports));
}

#[test]
fn errors_cross_threads_and_fit_into_boxes() {
    fn check<E: std::error::Error + Send + Sync + 'static>() {}
    check::<JoinError>();
    check::<handcar::RunError>();
    check::<handcar::Elapsed>();
    let _watchdog = watchdog();
    handcar::run(async {
        let (tx, rx) = oneshot::channel::<()>();
        drop(tx);
        let task = spawn(async move {
            rx.await?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
        assert!(task.await.unwrap().is_err());
        let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(spawn(async { panic!("x") }).await.unwrap_err());
        assert!(std::thread::spawn(move || error.to_string()).join().unwrap().ends_with("panicked: x"));
    });
}

#[test]
fn with_on_panic_shutdown_a_panic_beside_the_end_of_main_is_not_lost() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().on_panic(OnPanic::Shutdown));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            spawn(async { panic!("beside the end") }).detach();
            yield_now().await;
        });
    }));
    drop(runtime);
    assert!(ended.is_err() || reports.borrow().len() == 1, "nobody heard of the panic");
}

#[test]
fn with_on_panic_shutdown_a_panic_during_shutdown_is_not_lost() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().on_panic(OnPanic::Shutdown));
    runtime.block_on(async {
        spawn(async {
            let _bomb = OnDrop(|| panic!("in drop"));
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
        yield_now().await;
    });
    let ended = catch_unwind(AssertUnwindSafe(|| drop(runtime)));
    assert!(ended.is_err() || reports.borrow().len() == 1, "nobody heard of the panic");
}

#[test]
fn a_foreign_waker_at_a_socket_that_panics_is_reported_and_harms_no_other() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
        let (ours, mut theirs) = common::pair().await.unwrap();
        let mut reading = &ours;
        let polled = Pin::new(&mut reading).poll_read(&mut Context::from_waker(&bomb()), &mut [0]);
        assert!(polled.is_pending());
        let mut byte = [0];
        let mut other = &ours;
        let (read, sent) = futures::join!(other.read_exact(&mut byte), theirs.write_all(b"x"));
        read.and(sent).unwrap();
        assert_eq!(&byte, b"x");
    });
    assert_eq!(reports.borrow().len(), 1, "{:?}", texts(&reports));
}
