//! `fs::File` and blocking calls when the runtime that began something ends, or the file goes while a thread is at it.

mod common;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Directory, run, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use handcar::fs::{self, File};
use handcar::net::lookup_host;
use handcar::{Builder, CancelScope, Reports, Runtime, spawn, to_thread, yield_now};

/// With one thread for blocking calls, and no time at its end.
fn hasty(reports: &Reports) -> Runtime {
    Builder::new().blocking_threads(1).grace(Some(Duration::ZERO)).on_report(reports.hook()).build().unwrap()
}

/// Keeps that thread until the sender is dropped.
fn keep_busy(runtime: &Runtime) -> Sender<()> {
    let (go, wait) = channel::<()>();
    let (begun, has_begun) = channel();
    runtime.enter(|| {
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        spawn(job).detach();
    });
    runtime.block_on(yield_now());
    has_begun.recv().unwrap();
    go
}

/// A runtime, and a file whose write it will not get to; and what keeps it from that.
fn unwritten(path: &Path) -> (Runtime, File, Sender<()>) {
    let runtime = hasty(&Reports::new());
    let mut file = runtime.block_on(async { File::create(path).await }).unwrap();
    let go = keep_busy(&runtime);
    runtime.block_on(file.write_all(b"text of the first")).unwrap();
    (runtime, file, go)
}

fn told(reports: &Reports) -> Vec<String> {
    reports.take().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_that_is_dropped_while_a_thread_begins_with_its_write_is_written() {
    let _watchdog = watchdog();
    let dir = Directory::new();
    for turn in 0..400 {
        let (path, reports) = (dir.file("text"), Reports::new());
        let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
        let file = runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            file.write_all(b"text of this turn").await.unwrap();
            file
        });
        for _ in 0..turn * 37 % 4000 {
            std::hint::spin_loop();
        }
        drop(file);
        drop(runtime);
        assert_eq!(std::fs::read(&path).unwrap(), b"text of this turn", "turn {turn}");
        assert_eq!(told(&reports), [""; 0], "turn {turn}");
    }
}

#[test]
fn a_file_whose_cleanup_is_cut_off_while_a_thread_begins_with_its_write_is_written() {
    let _watchdog = watchdog();
    let dir = Directory::new();
    for turn in 0..400 {
        let path = dir.file("text");
        let runtime = Builder::new().on_report(Reports::new().hook()).build().unwrap();
        runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            let scope = CancelScope::new().grace(Some(Duration::ZERO));
            scope.cancel();
            let ended = scope.run(async {
                file.write_all(b"text of this turn").await.unwrap();
                let _file = file;
                std::future::pending::<()>().await;
            });
            assert!(ended.await.is_err());
        });
        drop(runtime);
        assert_eq!(std::fs::read(&path).unwrap(), b"text of this turn", "turn {turn}");
    }
}

/// A file that writes into a full pipe, and the other end.
fn stuck(runtime: &Runtime) -> (File, io::PipeReader) {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut file = File::from(std::fs::File::from(OwnedFd::from(writer)));
    let wrote = runtime.block_on(async { file.write(&vec![1; 128 * 1024]).await });
    assert_eq!(wrote.unwrap(), 128 * 1024);
    reader.read_exact(&mut [0]).unwrap(); // so a thread is at it
    (file, reader)
}

#[test]
fn the_error_of_a_write_that_is_running_when_its_file_goes_is_reported_by_its_thread() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
    let (file, reader) = stuck(&runtime);
    drop(file);
    drop(reader);
    drop(runtime);
    let told = told(&reports);
    assert!(told.len() == 1 && told[0].contains("Broken pipe"), "{told:?}");
}

#[test]
fn so_is_that_of_one_whose_cleanup_was_cut_off() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
    let (file, reader) = stuck(&runtime);
    runtime.block_on(async {
        let scope = CancelScope::new().grace(Some(Duration::ZERO));
        scope.cancel();
        let ended = scope.run(async {
            let _file = file;
            std::future::pending::<()>().await;
        });
        assert!(ended.await.is_err());
    });
    drop(reader);
    drop(runtime);
    let told = told(&reports);
    assert!(told.iter().any(|report| report.contains("Broken pipe")), "{told:?}");
}

/// Has a task of another runtime wait for a write that the first one did not get to when it ended.
fn outlives(wait: impl AsyncFnOnce(File) + 'static) {
    let dir = Directory::new();
    let path = dir.file("text");
    let (first, file, go) = unwritten(&path);
    run(async {
        let task = spawn(async move { wait(file).await });
        yield_now().await;
        yield_now().await; // it waits for the first one's thread
        drop(first);
        task.await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"text of the first");
    });
    drop(go);
}

#[test]
fn a_write_that_its_runtime_did_not_get_to_is_flushed_by_whoever_awaits_that_in_another() {
    let _watchdog = watchdog();
    outlives(async |mut file| file.flush().await.unwrap());
}

#[test]
fn a_cleanup_that_waits_for_such_a_write_comes_to_its_end() {
    let _watchdog = watchdog();
    outlives(async |file| drop(file));
}

#[test]
fn who_awaits_a_blocking_call_of_a_runtime_that_has_ended_is_told() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let first = hasty(&reports);
    let go = keep_busy(&first);
    let read = first.enter(|| fs::read("Cargo.toml"));
    run(async {
        let read = spawn(read);
        let asked = spawn(async move {
            let mut asked = pin!(lookup_host("localhost:80"));
            first.enter(|| assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()));
            yield_now().await;
            drop(first);
            asked.await.map(drop)
        });
        let error = read.await.unwrap_err();
        assert!(error.to_string().contains("ended before a thread began with it"), "{error}");
        let error = asked.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    });
    drop(go);
}

#[test]
fn a_report_hook_may_write_to_a_file_at_the_very_end() {
    let _watchdog = watchdog();
    let dir = Directory::new();
    let path = dir.file("log");
    let log = Rc::<RefCell<Option<File>>>::default();
    let in_hook = Rc::clone(&log);
    let hook = move |report: handcar::Report| {
        let mut log = in_hook.borrow_mut();
        let Some(file) = log.as_mut() else { return };
        let text = report.to_string();
        let wrote = pin!(async {
            file.write_all(text.as_bytes()).await?;
            file.write_all(b"\n").await?;
            file.flush().await
        });
        let polled = wrote.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
    };
    let runtime = Builder::new().blocking_threads(1).grace(Some(Duration::ZERO)).on_report(hook).build().unwrap();
    let file = runtime.block_on(async { File::create(&path).await }).unwrap();
    let (go, wait) = channel::<()>();
    let (begun, has_begun) = channel();
    runtime.block_on(async {
        let job = to_thread(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        spawn(job.abandon_on_cancel()).detach_ignoring();
        yield_now().await;
        has_begun.recv().unwrap();
    });
    *log.borrow_mut() = Some(file);
    drop(runtime);
    drop(go);
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("blocking"), "{log}");
}

#[test]
fn an_operation_outside_a_runtime_panics_and_keeps_what_was_written_before() {
    let _watchdog = watchdog();
    let dir = Directory::new();
    let path = dir.file("text");
    let (runtime, mut file, go) = unwritten(&path);
    drop(runtime);
    let flush = catch_unwind(AssertUnwindSafe(|| file.flush().now_or_never()));
    assert!(flush.unwrap_err().downcast_ref::<String>().unwrap().contains("needs a runtime"));
    drop(file);
    assert_eq!(std::fs::read(&path).unwrap(), b"text of the first");
    drop(go);
}

#[test]
fn what_cannot_become_a_file_of_std_is_given_back() {
    let _watchdog = watchdog();
    let dir = Directory::new();
    let (path, mut writer) = dir.pipe();
    run(async {
        let mut file = File::open(path).await.unwrap();
        writer.write_all(b"abc\ndef\n").unwrap();
        let mut line = String::new();
        futures::AsyncBufReadExt::read_line(&mut file, &mut line).await.unwrap();
        assert_eq!(line, "abc\n");
        let refused = file.into_std().await.unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::NotSeekable);
        let mut file = refused.file;
        let mut rest = [0; 4];
        file.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"def\n");
        file.into_std().await.unwrap();
    });
}
