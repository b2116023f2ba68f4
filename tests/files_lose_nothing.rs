//! `fs::File` and its like when futures, files, scopes and runtimes are dropped in the middle of things.

mod common;

use std::fs::OpenOptions;
use std::future::{pending, poll_fn};
use std::io::{ErrorKind, Read, SeekFrom, Write};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use common::{Directory, in_a_child_with, is_child, run, watchdog};
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, FutureExt};
use handcar::fs::{self, File};
use handcar::{
    Builder, CancelScope, Reports, Runtime, ToThread, scope_of, sleep, spawn, timeout, to_thread, yield_now,
};

/// With one thread for blocking calls.
fn one_thread(reports: &Reports) -> Builder {
    Builder::new().blocking_threads(1).on_report(reports.hook())
}

/// Keeps a thread until the sender is used or dropped.
fn busy() -> (ToThread<()>, Sender<()>) {
    let (go, wait) = channel();
    let (begun, has_begun) = channel();
    let job = to_thread(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    has_begun.recv().unwrap();
    (job, go)
}

fn told(reports: &Reports) -> Vec<String> {
    reports.take().iter().map(ToString::to_string).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A file of a program that has begun to write "text", and has not waited for that.
async fn writing(path: &Path) -> File {
    let mut file = File::create(path).await.unwrap();
    file.write_all(b"text").await.unwrap();
    file
}

#[test]
fn what_a_dropped_read_has_read_is_there_for_the_next_one() {
    let dir = Directory::new();
    let (path, mut writer) = dir.pipe();
    run(async {
        let mut pipe = File::open(path).await.unwrap();
        for _ in 0..3 {
            assert!(pipe.read(&mut [0; 8]).now_or_never().is_none());
            writer.write_all(b"to and fro").unwrap();
            let mut buf = [0; 3];
            for part in [b"to ", b"and", b" fr"] {
                pipe.read_exact(&mut buf).await.unwrap();
                assert_eq!(&buf, part);
            }
            assert_eq!(pipe.read(&mut buf).await.unwrap(), 1);
        }
        assert!(timeout(Duration::from_millis(1), pipe.read(&mut [0])).await.is_err());
        writer.write_all(b"x").unwrap();
        drop(writer);
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "x");
    });
}

#[test]
fn the_end_that_a_read_has_come_to_is_told_and_not_read_for_again() {
    let dir = Directory::new();
    let (path, writer) = dir.pipe();
    let _watchdog = watchdog();
    one_thread(&Reports::new()).build().unwrap().block_on(async {
        let mut pipe = File::open(&path).await.unwrap();
        let mut buf = [0];
        let mut read = pipe.read(&mut buf);
        assert!(futures::poll!(&mut read).is_pending());
        drop(writer);
        to_thread(|| ()).await; // behind it
        let _writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        assert_eq!(read.await.unwrap(), 0, "another read would wait");
    });
}

#[test]
fn what_was_read_ahead_of_a_write_is_neither_skipped_nor_lost() {
    let dir = Directory::new();
    run(async {
        let path = dir.file("0123456789");
        let mut file = File::open_with(&path, OpenOptions::new().read(true).write(true)).await.unwrap();
        let mut buf = [0; 2];
        file.read_exact(&mut buf).await.unwrap();
        file.fill_buf().await.unwrap();
        file.write_all(b"ab").await.unwrap();
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"45");
        assert_eq!(text(&path), "01ab456789");
        // A pipe's cannot be put back, and is kept beside what is written.
        let (path, _other) = dir.pipe();
        let mut pipe = File::open_with(path, OpenOptions::new().read(true).write(true)).await.unwrap();
        pipe.write_all(b"before").await.unwrap();
        pipe.fill_buf().await.unwrap();
        pipe.write_all(b" and after").await.unwrap();
        let mut buf = [0; 16];
        pipe.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"before and after");
    });
}

#[test]
fn a_run_ends_when_what_was_written_is_written() {
    let dir = Directory::new();
    let path = dir.path("file");
    run(async { drop(writing(&path).await) });
    assert_eq!(text(&path), "text");
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let file = runtime.block_on(writing(&path));
    drop(runtime); // a thread has begun, or will never; the file is still here
    drop(file);
    assert_eq!(text(&path), "text");
}

#[test]
fn a_scope_that_a_file_is_dropped_in_waits_for_its_write_cancelled_or_not() {
    let dir = Directory::new();
    let path = dir.path("file");
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = one_thread(&reports).grace(None).build().unwrap();
    runtime.block_on(async {
        for is_cancelled in [false, true] {
            let mut file = File::create(&path).await.unwrap();
            let (job, go) = busy();
            let mut scope = pin!(async {
                if is_cancelled {
                    let body = async {
                        file.write_all(b"text").await.unwrap();
                        let _file = file;
                        pending::<()>().await;
                    };
                    assert!(timeout(Duration::from_millis(1), body).await.is_err());
                } else {
                    let body = async move { file.write_all(b"text").await };
                    scope_of(body).await.unwrap().unwrap();
                }
            });
            for _ in 0..3 {
                sleep(Duration::from_millis(2)).await;
                assert!(futures::poll!(scope.as_mut()).is_pending());
            }
            assert_eq!(text(&path), "");
            drop(go);
            scope.await;
            assert_eq!(text(&path), "text");
            job.await;
        }
    });
    drop(runtime);
    assert!(told(&reports).is_empty());
}

#[test]
fn a_write_that_never_gets_a_thread_in_its_runtime_is_written_all_the_same() {
    let dir = Directory::new();
    let _watchdog = watchdog();
    let reports = Reports::new();
    let begin = |name: &str| {
        let runtime = one_thread(&reports).grace(Some(Duration::from_millis(1))).build().unwrap();
        let path = dir.path(name);
        let (file, go) = runtime.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            let (job, go) = busy();
            file.write_all(b"text").await.unwrap();
            spawn(job.abandon_on_cancel()).detach();
            yield_now().await;
            (file, go)
        });
        (runtime, path, file, go)
    };
    // When the file is dropped outside a runtime.
    let (runtime, path, file, go) = begin("outside");
    drop(file);
    assert_eq!(text(&path), "text");
    drop((go, runtime));
    // When it is dropped after its runtime.
    let (runtime, path, file, go) = begin("after");
    drop(runtime);
    drop((file, go));
    assert_eq!(text(&path), "text");
    // When another runtime goes on with it.
    let (runtime, path, mut file, go) = begin("elsewhere");
    drop(runtime);
    run(async {
        file.write_all(b" and more").await.unwrap();
        file.close().await.unwrap();
    });
    drop(go);
    assert_eq!(text(&path), "text and more");
    // When the grace period ends in which the scope has waited for it.
    let (runtime, path, file, go) = begin("cut");
    runtime.block_on(async {
        let scope = CancelScope::new().grace(Some(Duration::from_millis(1)));
        scope.cancel();
        let body = async {
            let _file = file;
            pending::<()>().await;
        };
        assert!(scope.run(body).await.is_err());
        assert_eq!(text(&path), "text");
    });
    drop((go, runtime));
    let told = told(&reports);
    assert!(told.iter().any(|told| told.contains("the grace period was over: a cleanup")), "{told:?}");
    assert!(!told.iter().any(|told| told.contains("failed")), "{told:?}");
}

#[test]
fn what_goes_wrong_in_a_write_is_told_once_by_the_next_operation() {
    run(async {
        let full = OpenOptions::new().read(true).write(true).clone();
        for next in 0..7 {
            let mut file = File::open_with("/dev/full", &full).await.unwrap();
            file.write_all(b"text").await.unwrap();
            let told = match next {
                0 => file.flush().await.map(drop),
                1 => file.close().await.map(drop),
                2 => file.write(b"more").await.map(drop),
                3 => file.read(&mut [0]).await.map(drop),
                4 => file.seek(SeekFrom::Start(0)).await.map(drop),
                5 => file.metadata().await.map(drop),
                _ => file.sync_all().await.map(drop),
            };
            let error = told.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert!(error.to_string().starts_with("cannot write `/dev/full`: "), "{error}");
            file.flush().await.unwrap();
            assert_eq!(file.read(&mut [1]).await.unwrap(), 1, "it can still be used");
        }
        // Also if the future that was to tell it had gone.
        let mut file = File::open_with("/dev/full", &full).await.unwrap();
        file.write_all(b"text").await.unwrap();
        assert!(file.set_len(0).now_or_never().is_none_or(|told| told.is_err()));
        let _told_or_not = file.flush().await;
    });
}

#[test]
fn what_goes_wrong_when_nobody_is_left_is_reported_once() {
    let _watchdog = watchdog();
    let reports = Reports::new();
    let begin = async || {
        let mut file = File::open_with("/dev/full", OpenOptions::new().write(true)).await.unwrap();
        file.write_all(b"text").await.unwrap();
        file
    };
    let runtime = one_thread(&reports).build().unwrap();
    runtime.block_on(async { drop(begin().await) });
    let between_two_runs = runtime.block_on(async {
        let file = begin().await;
        to_thread(|| ()).await; // behind the write
        file
    });
    drop(between_two_runs);
    runtime.block_on(async {
        let (job, go) = busy();
        let file = File::open("/dev/full"); // not to be begun
        let mut other = File::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
        other.write_all(b"text").await.unwrap();
        drop((file, other));
        drop(go);
        job.await;
    });
    drop(runtime);
    let told = told(&reports);
    assert_eq!(told.len(), 3, "{told:?}");
    for told in told {
        assert!(told.starts_with("the cleanup made at tests/files_lose_nothing.rs:"), "{told}");
        assert!(told.contains(" failed: cannot write `"), "{told}");
    }
}

/// Polls a future so often and drops it.
async fn polled(times: u32, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    for n in 0..times {
        if n % 2 == 1 {
            sleep(Duration::from_micros(200)).await; // so that its thread is most often done, and has woken this task
        }
        if futures::poll!(future.as_mut()).is_ready() {
            return;
        }
    }
}

#[test]
fn dropped_after_any_poll_it_has_written_what_it_has_taken() {
    let dir = Directory::new();
    let path = dir.path("file");
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().report_unpolled(true).on_report(reports.hook()).build().unwrap();
    for (times, is_file_dropped) in (0..24).flat_map(|times| [(times, false), (times, true)]) {
        let taken = std::cell::RefCell::new(String::new());
        runtime.block_on(async {
            let mut file = Some(File::create(&path).await.unwrap());
            let write = async {
                let mut inside = is_file_dropped.then(|| file.take().unwrap());
                let file = inside.as_mut().unwrap_or_else(|| file.as_mut().unwrap());
                for n in 0..5 {
                    let part = format!("part {n}, ");
                    let count = poll_fn(|cx| Pin::new(&mut *file).poll_write(cx, part.as_bytes())).await.unwrap();
                    taken.borrow_mut().push_str(&part[..count]);
                    assert_eq!(file.metadata().await.unwrap().len(), taken.borrow().len() as u64);
                    file.sync_data().await.unwrap();
                    file.seek(SeekFrom::End(0)).await.unwrap();
                }
            };
            polled(times, write).await;
            if let Some(mut file) = file {
                file.close().await.unwrap();
                assert_eq!(text(&path), *taken.borrow());
            }
        });
        assert_eq!(text(&path), taken.into_inner());
    }
    drop(runtime);
    assert!(told(&reports).is_empty());
}

#[test]
fn a_cancel_lets_go_of_opening_and_whole_reads_and_awaits_whole_writes() {
    let (dir, another) = (Directory::new(), Directory::new());
    let (path, mut other) = dir.pipe();
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().blocking_threads(2).grace(None).on_report(reports.hook()).build().unwrap();
    runtime.block_on(async {
        let read = fs::read(&path);
        to_thread(|| ()).await; // jobs are taken in order: so the read was, and mostly has begun
        assert!(timeout(Duration::ZERO, read).await.is_err());
        other.write_all(b"the thread may end").unwrap();
        drop(other);
        let opening = File::open(&path); // which waits for a writer
        to_thread(|| ()).await;
        assert!(timeout(Duration::ZERO, opening).await.is_err());
    });
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // A writer comes and goes, for a thread that waits for one or that will.
            while !ended.load(Ordering::Relaxed) {
                drop(OpenOptions::new().read(true).write(true).open(&path).unwrap());
            }
        });
        runtime.block_on(async {
            let (path, mut other) = another.pipe();
            let mut written = pin!(timeout(Duration::ZERO, fs::write(path, vec![7; 1_000_000]))); // more than a pipe holds
            other.read_exact(&mut [0]).unwrap(); // it has begun
            for _ in 0..3 {
                assert!(futures::poll!(written.as_mut()).is_pending());
                yield_now().await;
            }
            other.read_exact(&mut vec![0; 999_999]).unwrap();
            assert!(matches!(written.await, Ok(Ok(()))));
        });
        drop(runtime);
        ended.store(true, Ordering::Relaxed);
    });
    assert!(told(&reports).is_empty());
}

#[test]
fn a_whole_write_that_is_cancelled_before_it_has_begun_writes_nothing() {
    let dir = Directory::new();
    let path = dir.path("file");
    let _watchdog = watchdog();
    one_thread(&Reports::new()).build().unwrap().block_on(async {
        let (job, go) = busy();
        assert!(timeout(Duration::ZERO, fs::write(&path, "text")).await.is_err());
        assert!(timeout(Duration::ZERO, File::create(&path)).await.is_err());
        drop(go);
        job.await;
        to_thread(|| ()).await;
        assert!(!path.exists());
    });
}

#[test]
fn outside_a_runtime_an_operation_panics_and_says_what_it_needs() {
    let dir = Directory::new();
    let mut file = run(async { File::open(dir.file("text")).await }).unwrap();
    let mut buf = [0; 9];
    let read = std::panic::AssertUnwindSafe(file.read(&mut buf)).catch_unwind();
    let poll = pin!(read).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let Poll::Ready(Err(payload)) = poll else { panic!("it panics at once") };
    assert!(payload.downcast_ref::<String>().unwrap().contains("needs a runtime"));
    assert_eq!(run(async { file.read(&mut buf).await.unwrap() }), 4);
}

#[test]
fn where_there_is_no_thread_an_operation_is_an_error_and_has_not_happened() {
    if !is_child() {
        let child = in_a_child_with("RUST_MIN_STACK", &(1_u64 << 60).to_string()); // more than a thread can have
        assert!(child.status.success(), "{child:?}");
        return;
    }
    let dir = Directory::new();
    let path = dir.file("text");
    handcar::run(async {
        let mut file = File::from(OpenOptions::new().read(true).write(true).open(&path).unwrap());
        assert!(file.write(b"no").await.is_err());
        assert!(file.read(&mut [0; 4]).await.is_err());
        assert!(file.set_len(0).await.is_err());
        assert!(file.flush().await.is_ok(), "nothing is left to be told");
        assert_eq!(file.into_std().await.unwrap().read(&mut [0; 9]).unwrap(), 4);
    });
    assert_eq!(text(&path), "text");
}
