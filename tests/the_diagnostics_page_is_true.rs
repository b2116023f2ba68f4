//! `docs/diagnostics.md`: each program in it is run here, and says what the page says, word for word.
//!
//! A program stands between two marks. The page must show it as it is, and below it what it reports. Lines and columns are those
//! within the program; times that are measured are not compared.

mod common;

use std::fmt::Write;
use std::fs::OpenOptions;
use std::future::pending;
use std::sync::Arc;
use std::task::Wake;
use std::thread;
use std::time::Duration;

use common::{in_a_child, is_child, watchdog};
use futures::AsyncWriteExt;
use futures::future::select;
use handcar::fs::File;
use handcar::{
    Builder, CancelScope, Clock, Reports, bracket, defer, shield, sleep, spawn, spawn_named, task_group, timeout,
    to_thread, yield_now,
};

const PAGE: &str = include_str!("../docs/diagnostics.md");
const SOURCE: &str = include_str!("the_diagnostics_page_is_true.rs");
const THIS: &str = "tests/the_diagnostics_page_is_true.rs:";

/// Runs `program` to its end and that of its runtime, and returns what was reported.
fn told(builder: Builder, program: impl Future<Output = ()>) -> Vec<String> {
    let reports = Reports::new();
    let runtime = builder.on_report(reports.hook()).on_stuck(reports.hook()).build().unwrap();
    let result = runtime.try_block_on(program);
    drop(runtime);
    let reports = reports.take().into_iter().map(|report| format!("{report:#}"));
    reports.chain(result.err().map(|error| error.to_string())).collect()
}

fn simulated() -> Builder {
    Builder::new().clock(Clock::simulated())
}

/// Compares a section of the page with its program and with what that told.
fn check(section: &str, told: &[String]) {
    let (_, page) = PAGE.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section `{section}`"));
    let page = page.split("\n## ").next().unwrap();
    let block = |kind: &str| {
        let (_, block) =
            page.split_once(&format!("\n```{kind}\n")).unwrap_or_else(|| panic!("no {kind} in `{section}`"));
        block.split("\n```").next().unwrap()
    };
    let marked = format!("// program: {section}\n");
    let start = SOURCE.find(&marked).unwrap_or_else(|| panic!("no program `{section}`")) + marked.len();
    let first = SOURCE[..start].lines().count();
    let lines: Vec<_> = SOURCE[start..].lines().take_while(|line| !line.trim_start().starts_with("// end")).collect();
    let indent = lines[0].len() - lines[0].trim_start().len();
    let program: Vec<_> = lines.iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
    assert_eq!(block("rust"), program.join("\n"), "the program of `{section}`");
    let told: Vec<_> = told.iter().map(|text| untimed(&relative(text, first, indent))).collect();
    assert_eq!(untimed(block("text")), told.join("\n"), "the words of `{section}`");
}

/// With places as those in a program that begins at line `first` of this file, after `indent` blanks.
fn relative(text: &str, first: usize, indent: usize) -> String {
    let mut parts = text.split(THIS);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = |c: char| c.is_ascii_digit();
        let line_end = part.find(|c| !digits(c)).unwrap_or(part.len());
        let end = part[line_end + 1..].find(|c| !digits(c)).map_or(part.len(), |column| line_end + 1 + column);
        let mut numbers = part[..end].split(':').map(|number| number.parse::<usize>().ok());
        let (Some(Some(line)), Some(Some(column))) = (numbers.next(), numbers.next()) else { panic!("{part}") };
        let rest = &part[end..];
        // What stands before the program is the page's "main.rs" as a whole: the line that runs it.
        result += "main.rs";
        if line > first {
            let _ = write!(result, ":{}:{}", line - first, column - indent);
        }
        result += rest;
    }
    result
}

/// Without the times that are measured.
fn untimed(text: &str) -> String {
    match (text.split_once("held its thread for "), text.find(" in one poll")) {
        (Some((before, _)), Some(after)) => format!("{before}held its thread for ..{}", &text[after..]),
        _ => text.to_owned(),
    }
}

#[test]
fn what_tasks_and_cleanups_leave() {
    let _watchdog = watchdog();
    check(
        "A panic that nobody awaits",
        &told(simulated(), async {
            // program: A panic that nobody awaits
            spawn_named("worker", async {
                panic!("no more work");
            })
            .detach();
            yield_now().await;
            // end
        }),
    );
    check(
        "An error of a detached task",
        &told(simulated(), async {
            // program: An error of a detached task
            spawn(async {
                let _port: u16 = "eighty".parse()?;
                Ok::<_, std::num::ParseIntError>(())
            })
            .detach_reporting();
            yield_now().await;
            // end
        }),
    );
    check(
        "A cleanup that the grace period cut",
        &told(simulated(), async {
            // program: A cleanup that the grace period cut
            let limited = timeout(Duration::from_secs(1), async {
                let _guard = defer(async {
                    sleep(Duration::from_secs(60)).await; // five are allowed
                });
                sleep(Duration::from_secs(60)).await;
            });
            assert!(limited.await.is_err());
            // end
        }),
    );
    check(
        "A cleanup that panics after another panic",
        &told(simulated(), async {
            // program: A cleanup that panics after another panic
            let task = spawn(async {
                let _guard = defer(async { panic!("the second") });
                panic!("the first");
            });
            assert!(task.await.is_err());
            // end
        }),
    );
    check(
        "A value that panics as it is dropped beside an error",
        &told(simulated(), async {
            // program: A value that panics as it is dropped beside an error
            struct Connection;
            impl Drop for Connection {
                fn drop(&mut self) {
                    panic!("it is not closed");
                }
            }

            let result = task_group(async |g| {
                g.spawn(async { Err::<(), _>("no route") });
                Ok(Connection)
            });
            assert!(result.await.is_err());
            // end
        }),
    );
    check(
        "A cleanup that fails where nobody waits",
        &told(simulated(), async {
            // program: A cleanup that fails where nobody waits
            let limited = timeout(
                Duration::from_secs(1),
                bracket(
                    async { Ok("a connection") },
                    async |_connection| {
                        sleep(Duration::from_secs(60)).await;
                        Ok(())
                    },
                    async |_connection| Err("it was gone"),
                ),
            );
            assert!(limited.await.is_err());
            // end
        }),
    );
    check(
        "A write that fails when its file has gone",
        &told(Builder::new(), async {
            // program: A write that fails when its file has gone
            let mut file = File::open_with("/dev/full", OpenOptions::new().write(true)).await.unwrap();
            file.write_all(b"too much").await.unwrap();
            drop(file);
            // end
        }),
    );
    check(
        "A group that was cut off with its errors",
        &told(simulated(), async {
            // program: A group that was cut off with its errors
            let scope = CancelScope::new();
            let group = task_group(async |g| {
                g.spawn(async { Err::<(), _>("it failed") });
                shield(yield_now()).await;
                scope.cancel();
                Ok(())
            });
            assert!(scope.run(group).await.is_err());
            // end
        }),
    );
}

#[test]
fn what_shields_and_threads_leave() {
    let _watchdog = watchdog();
    check(
        "A shield that was dropped",
        &told(simulated(), async {
            // program: A shield that was dropped
            let save = Box::pin(shield(sleep(Duration::from_secs(1))));
            let tick = Box::pin(yield_now());
            select(save, tick).await; // drops `save`, since `tick` is first
            // end
        }),
    );
    check(
        "A blocking job that was abandoned",
        &told(Builder::new(), async {
            // program: A blocking job that was abandoned
            let scope = CancelScope::new().grace(Some(Duration::from_millis(5)));
            let (begun, has_begun) = std::sync::mpsc::channel();
            let job = to_thread(move || {
                begun.send(()).unwrap();
                thread::sleep(Duration::from_millis(50));
            });
            has_begun.recv().unwrap();
            scope.cancel();
            assert!(scope.run(job.named("resize")).await.is_err());
            // end
        }),
    );
    check(
        "A panic of an abandoned job",
        &told(Builder::new(), async {
            // program: A panic of an abandoned job
            let (begun, has_begun) = std::sync::mpsc::channel();
            let (go, until) = std::sync::mpsc::channel::<()>();
            let job = to_thread(move || {
                begun.send(()).unwrap();
                let _ = until.recv();
                panic!("nobody sees it");
            });
            has_begun.recv().unwrap();
            let scope = CancelScope::new();
            scope.cancel();
            assert!(scope.run(job.abandon_on_cancel()).await.is_err());
            drop(go);
            // end
        }),
    );
    let (mut kept, ended) = (None, std::sync::mpsc::channel::<()>());
    check(
        "Jobs that outlived the runtime",
        &told(Builder::new().grace(Some(Duration::from_millis(5))), async {
            let (go, until) = ended;
            kept = Some(go);
            // program: Jobs that outlived the runtime
            let (begun, has_begun) = std::sync::mpsc::channel();
            let job = to_thread(move || {
                begun.send(()).unwrap();
                let _ = until.recv(); // for longer than the grace period
            });
            has_begun.recv().unwrap();
            spawn(job.named("import").abandon_on_cancel()).detach();
            // end
        }),
    );
}

#[test]
fn what_the_end_of_the_runtime_finds() {
    let _watchdog = watchdog();
    check(
        "Tasks that outlived the runtime",
        &told(simulated(), async {
            // program: Tasks that outlived the runtime
            let guard = spawn(async {
                defer(async {
                    pending::<()>().await; // it belongs to the root: its task has ended
                })
            });
            drop(guard.await.unwrap());
            // end
        }),
    );
    let endless = told(Builder::new().grace(Some(Duration::ZERO)), async {
        // program: Tasks that come again and again
        struct Again;
        impl Drop for Again {
            fn drop(&mut self) {
                let again = Again;
                spawn(async move { drop(again) }).detach();
            }
        }
        let again = Again;
        spawn(async move { drop(again) }).detach();
        // end
    });
    let forgotten = endless.last().unwrap();
    let (before, after) =
        forgotten.split_once("task #").and_then(|(what, task)| Some((what, task.split_once(',')?.1))).unwrap();
    check("Tasks that come again and again", &[format!("{before}task #2.14679,{after}")]); // how many there were is chance
    check(
        "A foreign waker that panics",
        &told(simulated(), async {
            // program: A foreign waker that panics
            struct Foreign;
            impl Wake for Foreign {
                fn wake(self: Arc<Self>) {
                    panic!("not my day");
                }
            }
            let mut task = Box::pin(spawn(async {}));
            let waker = Arc::new(Foreign).into();
            assert!(task.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
            yield_now().await;
            // end
        }),
    );
}

#[test]
fn what_comes_after_the_end_of_the_runtime() {
    let _watchdog = watchdog();
    if is_child() {
        // program: A cleanup that comes too late
        let runtime = handcar::Runtime::new().unwrap();
        let guard = runtime.block_on(async {
            defer(async { /* .. */ })
        });
        drop(runtime);
        drop(guard);
        // end
        return;
    }
    let told = String::from_utf8(in_a_child().stderr).unwrap();
    let (_, told) = told.split_once("handcar: ").unwrap_or_else(|| panic!("{told}"));
    check("A cleanup that comes too late", &[told.trim_end().to_owned()]);
}

#[test]
#[allow(clippy::let_underscore_future)] // that is what two of the programs are about
fn what_the_watchers_see() {
    let _watchdog = watchdog();
    let mut slow = told(Builder::new().slow_poll(Duration::from_millis(20)), async {
        // program: A poll that took too long
        let task = spawn_named("blocks", async {
            thread::sleep(Duration::from_millis(30));
        });
        task.await.unwrap();
        // end
    });
    slow.retain(|told| told.contains("task `blocks`")); // a busy machine may hold up main as long
    check("A poll that took too long", &slow);
    let stuck = told(Builder::new().watchdog(Duration::from_millis(50)), async {
        // program: A poll that does not end
        let task = spawn_named("blocks", async {
            thread::sleep(Duration::from_millis(300));
        });
        task.await.unwrap();
        // end
    });
    assert!(stuck.len() >= 2, "it is told again and again: {stuck:?}");
    check("A poll that does not end", &stuck[..1]);
    check(
        "A future that was never awaited",
        &told(simulated().report_unpolled(true), async {
            // program: A future that was never awaited
            let _ = sleep(Duration::from_secs(1)); // `.await` is missing
            // end
        }),
    );
    check(
        "A task that never ran",
        &told(simulated().report_unpolled(true), async {
            // program: A task that never ran
            let _ = spawn_named("save", async { /* .. */ }); // dropping the handle cancels it
            // end
        }),
    );
}

#[test]
fn what_waits_for_ever() {
    let _watchdog = watchdog();
    check(
        "A deadlock",
        &told(simulated(), async {
            // program: A deadlock
            let (sender, mut receiver) = handcar::sync::mpsc::channel::<u32>(1);
            let worker = spawn_named("worker", async move { receiver.recv().await });
            worker.await.unwrap();
            drop(sender); // too late: it should have gone before the worker was awaited
            // end
        }),
    );
}

#[test]
fn no_section_is_without_a_program() {
    for heading in PAGE.lines().filter_map(|line| line.strip_prefix("## ")) {
        assert!(SOURCE.contains(&format!("// program: {heading}\n")), "no program for `{heading}`");
    }
}
