//! `fs::lines`: what the lines are, how it ends, and what becomes of it when it is dropped.

mod common;

use std::cell::Cell;
use std::io::{self, BufRead, ErrorKind, Write};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use common::{Dice, Directory, descriptors, in_a_child, is_child, run, simulated, watchdog};
use futures::FutureExt;
use futures::stream::FusedStream;
use handcar::fs::{Lines, lines};
use handcar::stream::StreamExt;
use handcar::{Builder, CancelScope, Report, Reports, sleep, spawn, timeout, to_thread, yield_now};

/// What `lines` reads at once.
const BLOCK: usize = 128 * 1024;

/// Up to the first error, which is the last item.
async fn collect(mut lines: Lines) -> (Vec<String>, Option<io::Error>) {
    let mut all = Vec::new();
    loop {
        match lines.next().await {
            Some(Ok(line)) => all.push(line),
            end => {
                assert!(lines.is_terminated());
                assert!(lines.next().await.is_none(), "after its end it stays ended");
                return (all, end.map(Result::unwrap_err));
            }
        }
    }
}

fn of_std(contents: &[u8]) -> (Vec<String>, Option<ErrorKind>) {
    let mut all = Vec::new();
    for line in contents.lines() {
        match line {
            Ok(line) => all.push(line),
            Err(error) => return (all, Some(error.kind())),
        }
    }
    (all, None)
}

async fn compare(path: &Path) {
    let (all, error) = collect(lines(path)).await;
    assert!((all, error.map(|error| error.kind())) == of_std(&std::fs::read(path).unwrap()), "{}", path.display());
}

#[test]
fn they_are_those_of_std_whatever_is_in_the_file() {
    let dir = Directory::new();
    run(async {
        for contents in
            ["", "\n", "\r\n", "\r", "a", "a\n", "a\r\n", "a\r", "\n\n", "a\n\nb", "\r\r\n", "\r\n\r", "é\n\u{1F6E4}"]
        {
            compare(&dir.file(contents)).await;
        }
        let mut dice = Dice::new(1);
        for _ in 0..300 {
            let mut contents = Vec::new();
            // Half of them begin so that what is special lies on the border of two blocks.
            if dice.roll(2) == 0 {
                contents.resize(BLOCK - usize::try_from(dice.roll(6)).unwrap(), b'x');
            }
            for _ in 0..dice.roll(12) {
                match dice.roll(16) {
                    0..=3 => contents.push(b'\n'),
                    4..=5 => contents.extend(b"\r\n"),
                    6 => contents.push(b'\r'),
                    7..=8 => contents.extend("é\u{1F6E4}".as_bytes()),
                    9 => contents.resize(contents.len() + 140_000, b'y'),
                    10 if dice.roll(4) == 0 => contents.push(0xFF),
                    _ => contents.push(b'z'),
                }
            }
            compare(&dir.file(contents)).await;
        }
    });
}

#[test]
fn a_line_may_be_as_long_as_it_likes() {
    let dir = Directory::new();
    run(async {
        let long = "long ".repeat(4_000_000);
        let (all, error) = collect(lines(dir.file(format!("{long}\nshort\n")))).await;
        assert!(error.is_none());
        assert!(all == [long.as_str(), "short"]);
    });
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_path_and_number_and_end_it() {
    let dir = Directory::new();
    run(async {
        for last in ["\nfour", ""] {
            let path = dir.file([b"one\ntwo\n\xC3\x28", last.as_bytes()].concat());
            let (all, error) = collect(lines(&path)).await;
            assert_eq!(all, ["one", "two"]);
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let cause = "invalid utf-8 sequence of 1 bytes from index 0";
            assert_eq!(error.to_string(), format!("cannot read line 3 of `{}`: {cause}", path.display()));
        }
    });
}

#[test]
fn what_cannot_be_opened_or_read_is_an_error_with_its_path() {
    let dir = Directory::new();
    run(async {
        let missing = dir.path("missing");
        let (all, error) = collect(lines(&missing)).await;
        let error = error.unwrap();
        assert!(all.is_empty());
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let message = error.to_string();
        assert!(message.starts_with(&format!("cannot open `{}`: ", missing.display())), "{message}");
        let (all, error) = collect(lines(dir.path(""))).await;
        assert!(all.is_empty());
        assert_eq!(error.unwrap().kind(), ErrorKind::IsADirectory);
    });
}

#[test]
fn nothing_is_opened_before_it_is_polled() {
    let dir = Directory::new();
    let path = dir.path("file");
    let lines = lines(&path); // outside a runtime too
    std::fs::write(&path, "late").unwrap();
    assert_eq!(run(collect(lines)).0, ["late"]);
}

#[test]
fn within_a_block_no_line_takes_a_hop_to_a_thread() {
    let dir = Directory::new();
    run(async {
        let mut lines = lines(dir.file("line\n".repeat(100)));
        lines.next().await.unwrap().unwrap();
        for _ in 1..100 {
            assert_eq!(lines.next().now_or_never().unwrap().unwrap().unwrap(), "line");
        }
    });
}

#[test]
fn a_long_block_of_short_lines_starves_nobody() {
    let dir = Directory::new();
    run(async {
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        let _other = spawn(async move {
            loop {
                yield_now().await;
                counted.set(counted.get() + 1);
            }
        });
        let mut lines = lines(dir.file("\n".repeat(BLOCK)));
        lines.next().await.unwrap().unwrap();
        let before = turns.get();
        for _ in 1..BLOCK {
            lines.next().await.unwrap().unwrap();
        }
        assert!(turns.get() - before >= BLOCK / 128 - 1, "{} turns", turns.get() - before);
    });
}

#[test]
fn a_dropped_next_loses_nothing() {
    let dir = Directory::new();
    run(async {
        let path = dir.file("some line\n".repeat(3 * BLOCK / 10));
        let mut lines = lines(path);
        let mut count = 0;
        loop {
            match lines.next().now_or_never() {
                Some(Some(line)) => assert_eq!(line.unwrap(), "some line"),
                Some(None) => break,
                None => {
                    yield_now().await;
                    continue;
                }
            }
            count += 1;
        }
        assert_eq!(count, 3 * BLOCK / 10);
    });
}

#[test]
fn dropped_at_any_point_it_leaves_no_descriptor_and_tells_nothing() {
    if !is_child() {
        let child = in_a_child(); // where no other test opens files
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        return;
    }
    let dir = Directory::new();
    let path = dir.file("x".repeat(3 * BLOCK));
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().report_unpolled(true).on_report(reports.hook()).build().unwrap();
    runtime.block_on(yield_now());
    let before = descriptors();
    for polls in 0..12 {
        runtime.block_on(async {
            let mut lines = lines(&path);
            let mut next = pin!(lines.next());
            for n in 0..polls {
                if n % 3 == 2 {
                    sleep(Duration::from_micros(300)).await; // so that its thread is most often done, and has woken this task
                }
                if futures::poll!(next.as_mut()).is_ready() {
                    break;
                }
                yield_now().await;
            }
        });
    }
    drop(runtime); // joins the threads that still had one
    assert_eq!(descriptors(), before);
    assert!(reports.take().is_empty());
}

#[test]
fn a_timeout_cuts_a_read_that_hangs_at_once_and_loses_nothing_of_it() {
    let dir = Directory::new();
    let (path, mut writer) = dir.pipe();
    run(async {
        let mut lines = lines(path);
        for round in 0..3 {
            write!(writer, "half ").unwrap();
            let cut = timeout(Duration::from_millis(3), lines.next()).await;
            assert!(cut.is_err());
            writeln!(writer, "and half {round}").unwrap();
            assert_eq!(lines.next().await.unwrap().unwrap(), format!("half and half {round}"));
        }
        // A cancelled scope does not wait for the thread either, although it may take its grace period.
        let scope = CancelScope::new().grace(None);
        let canceller = scope.clone();
        let _task = spawn(async move { canceller.cancel() });
        assert!(scope.run(lines.next()).await.is_err());
        drop(lines);
        drop(writer); // or the runtime's end would wait for the thread
    });
}

#[test]
fn a_runtime_dropped_under_it_names_the_file_that_its_thread_hangs_in() {
    let dir = Directory::new();
    let (path, mut writer) = dir.pipe();
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().grace(Some(Duration::from_millis(20))).on_report(reports.hook()).build().unwrap();
    runtime.block_on(async {
        writeln!(writer, "one").unwrap();
        let mut lines = lines(&path);
        lines.next().await.unwrap().unwrap();
        spawn(async move { lines.next().await }).detach_ignoring();
        yield_now().await;
        to_thread(|| ()).await; // jobs begin in order: so the read has
    });
    drop(runtime);
    let reports = reports.take();
    let [Report::JobsLeft { jobs }] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(jobs[0].name.as_deref(), path.to_str());
}

#[test]
fn simulated_time_stands_still_while_a_thread_reads() {
    let dir = Directory::new();
    simulated(async {
        let reading = collect(lines(dir.file("line\n".repeat(BLOCK))));
        let (all, error) = timeout(Duration::from_nanos(1), reading).await.unwrap();
        assert!(error.is_none());
        assert_eq!(all.len(), BLOCK);
    });
}
