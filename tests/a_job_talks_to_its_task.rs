//! `to_thread` beside `sync::remote`: a job that reports to its task, is answered, and ends with it.

mod common;

use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use common::watchdog;
use handcar::sync::remote;
use handcar::{Builder, CancelScope, Clock, Reports, cancellable, gather, spawn, task_group, timeout, to_thread};

/// A runtime, and what it reports.
fn reporting(builder: Builder) -> (handcar::Runtime, Reports) {
    let reports = Reports::new();
    (builder.on_report(reports.hook()).build().unwrap(), reports)
}

#[test]
fn ten_thousand_questions_of_a_job_are_answered_in_order() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    runtime.block_on(async {
        let (ask, mut asked) = remote::channel(4);
        let (answer, answers) = mpsc::channel();
        let job = to_thread(move || {
            (0..10_000u64).fold(0, |sum, n| {
                ask.blocking_send(n).expect("the task listens until the job has ended");
                sum + answers.recv().expect("each question is answered")
            })
        });
        let answering = async {
            let mut expected = 0;
            while let Some(n) = asked.recv().await {
                assert_eq!(n, expected);
                expected += 1;
                answer.send(2 * n).unwrap();
            }
            expected
        };
        let (sum, answered) = gather!(job, answering).await;
        assert_eq!((sum, answered), (9_999 * 10_000, 10_000));
    });
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn what_a_job_sends_arrives_in_order_however_far_it_runs_ahead() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().blocking_threads(4));
    runtime.block_on(async {
        let (to_task, mut messages) = remote::channel(100_000);
        let jobs: Vec<_> = (0..4u32)
            .map(|job| {
                let to_task = to_task.clone();
                to_thread(move || (0..25_000).for_each(|n| to_task.blocking_send((job, n)).unwrap()))
            })
            .collect();
        drop(to_task);
        let mut next = [0; 4];
        let listening = async {
            while let Some((job, n)) = messages.recv().await {
                assert_eq!(std::mem::replace(&mut next[job as usize], n + 1), n);
            }
        };
        gather!(gather(jobs), listening).await;
        assert_eq!(next, [25_000; 4]);
    });
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn a_cancel_ends_a_job_by_taking_away_what_it_sends_into() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().grace(None));
    runtime.block_on(async {
        let scope = CancelScope::new();
        let mut seen = 0;
        let ended = scope.run(async {
            let (to_task, mut messages) = remote::channel(4);
            let job = to_thread(move || {
                let mut sent = 0;
                while to_task.blocking_send(sent).is_ok() {
                    sent += 1;
                }
                sent
            });
            let listening = async {
                let _ = cancellable(async {
                    while messages.recv().await.is_some() {
                        seen += 1;
                        if seen == 1000 {
                            scope.cancel();
                        }
                    }
                })
                .await;
                drop(messages); // so the job ends, which the scope waits for
            };
            gather!(job, listening).await.0
        });
        let sent = ended.await.expect("the job ended within the scope, and its value counts");
        // It may have filled the channel once more, and once more since the receiver took what was in it.
        assert!(seen >= 1000 && (seen..=seen + 8).contains(&sent), "{sent} sent, {seen} seen");
    });
    drop(runtime);
    assert!(reports.take().is_empty());
}

#[test]
fn a_job_whose_task_is_cancelled_hears_of_it_by_its_channel_and_is_joined() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new());
    let (told, hears) = mpsc::channel();
    runtime.block_on(async {
        let (to_task, mut messages) = remote::channel(1);
        let task = spawn(async move {
            // Abandoned at once, or the task would wait for a job that waits for the task.
            let job = to_thread(move || {
                while to_task.blocking_send(()).is_ok() {}
                told.send("ended").unwrap();
            });
            let mut job = pin!(job.abandon_on_cancel());
            while messages.recv().await.is_some() {
                let _ = timeout(Duration::ZERO, job.as_mut()).await;
            }
        });
        handcar::sleep(Duration::from_millis(1)).await;
        task.cancel();
        assert!(task.await.is_err());
    });
    drop(runtime); // joins it
    assert_eq!(hears.try_recv(), Ok("ended"));
    assert!(reports.take().is_empty());
}

#[test]
fn a_job_that_talks_holds_the_simulated_clock() {
    let _watchdog = watchdog();
    let (runtime, reports) = reporting(Builder::new().clock(Clock::simulated()));
    runtime.block_on(async {
        let (to_task, mut messages) = remote::channel(1);
        let group = task_group(async |g| {
            g.spawn(async move {
                to_thread(move || (0..1000).for_each(|n| to_task.blocking_send(n).unwrap())).await;
                Ok::<_, std::io::Error>(())
            });
            let mut count = 0;
            while messages.recv().await.is_some() {
                count += 1;
            }
            Ok(count)
        });
        let limited = timeout(Duration::from_secs(1), group).await;
        assert_eq!(limited.expect("no time passes meanwhile").unwrap(), 1000);
    });
    drop(runtime);
    assert!(reports.take().is_empty());
}
