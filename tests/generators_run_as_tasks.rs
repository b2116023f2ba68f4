//! `stream_task`: a generator in a task of its own, behind a rendezvous.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use handcar::stream::{StreamExt, generate, stream_task, try_generate};
use handcar::{Builder, Clock, Instant, defer, sleep, task_group, timeout};

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    /// Notes it with the virtual second.
    fn at(&self, what: &str) {
        self.0.borrow_mut().push(format!("{} {what}", Instant::now().since_start().as_secs()));
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

async fn secs(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

fn simulated<F: Future>(future: F) -> F::Output {
    Builder::new().clock(Clock::simulated()).build().unwrap().block_on(future)
}

#[test]
fn the_body_works_on_the_next_item_while_the_consumer_has_the_last_one_and_no_further() {
    simulated(async {
        let log = Log::default();
        let in_task = log.clone();
        let group = task_group(async |g| {
            let mut items = stream_task(&g, async move |y| {
                for n in 1..=3 {
                    secs(2).await;
                    in_task.at(&format!("made {n}"));
                    y.yield_(n).await;
                }
                Ok::<_, String>(())
            });
            while let Some(n) = items.next().await {
                log.at(&format!("took {n}"));
                secs(3).await;
            }
            assert_eq!(items.next().await, None);
            Ok(())
        });
        group.await.unwrap();
        assert_eq!(log.take(), ["2 made 1", "2 took 1", "4 made 2", "5 took 2", "7 made 3", "8 took 3"]);
    });
}

#[test]
fn it_may_yield_inside_a_timeout() {
    simulated(async {
        let group = task_group(async |g| {
            let items = stream_task(&g, async move |y| {
                timeout(Duration::from_secs(1), y.yield_(1)).await.unwrap();
                let late = timeout(Duration::from_secs(1), y.yield_(2)).await;
                assert!(late.is_err());
                y.yield_(3).await;
                Ok::<_, String>(())
            });
            let mut items = items;
            let first = items.next().await;
            secs(5).await;
            Ok((first, items.next().await, items.next().await))
        });
        assert_eq!(group.await.unwrap(), (Some(1), Some(3), None));
    });
}

#[test]
fn its_error_is_the_groups_and_what_was_yielded_before_comes_first() {
    simulated(async {
        let seen = RefCell::new(Vec::new());
        let group = task_group(async |g| {
            let mut items = stream_task(&g, async move |y| {
                y.yield_(1).await;
                Err("broken".to_owned())
            });
            while let Some(n) = items.next().await {
                seen.borrow_mut().push(n);
            }
            Ok(())
        });
        assert!(group.await.unwrap_err().to_string().contains("broken"));
        assert_eq!(*seen.borrow(), [1]);
    });
}

#[test]
fn dropped_early_it_cancels_its_task_and_the_group_awaits_the_cleanup() {
    simulated(async {
        let log = Log::default();
        let in_task = log.clone();
        let group = task_group(async |g| {
            let mut items = stream_task(&g, async move |y| {
                let in_cleanup = in_task.clone();
                let _guard = defer(async move {
                    secs(2).await;
                    in_cleanup.at("cleanup");
                });
                loop {
                    y.yield_(()).await;
                }
                #[expect(unreachable_code, reason = "it says what the error would be")]
                Ok::<_, String>(())
            });
            items.next().await;
            drop(items);
            log.at("dropped");
            Ok(())
        });
        group.await.unwrap();
        log.at("group over");
        assert_eq!(log.take(), ["0 dropped", "2 cleanup", "2 group over"]);
    });
}

#[test]
fn one_extension_trait_serves_generators_channels_and_tasks() {
    simulated(async {
        let evens = generate(async |y| {
            for n in 0..6 {
                y.yield_(n).await;
            }
        });
        assert_eq!(evens.filter(|n| n % 2 == 0).map(|n| n * n).collect::<Vec<_>>().await, [0, 4, 16]);
        let mut fails = std::pin::pin!(try_generate(async |y| {
            y.yield_(1).await;
            Err("no two")
        }));
        assert_eq!(fails.try_next().await, Ok(Some(1)));
        assert_eq!(fails.try_next().await, Err("no two"));
        assert_eq!(fails.try_next().await, Ok(None));
        let (tx, rx) = handcar::sync::mpsc::unbounded_channel();
        (0..3).for_each(|n| tx.send(n).unwrap());
        drop(tx);
        assert_eq!(rx.collect::<Vec<_>>().await, [0, 1, 2]);
    });
}
