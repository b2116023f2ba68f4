//! Combinators, channels and locks of other crates, which know nothing of Handcar but its wakers.

mod common;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{Dice, Log, pair, run, simulated};
use futures::stream::{self, FuturesOrdered, FuturesUnordered};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, SinkExt, StreamExt, TryStreamExt, pin_mut};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{Spawner, sleep, spawn, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn join_runs_its_branches_together() {
    simulated(async {
        let start = handcar::Instant::now();
        let (a, b, c) = futures::join!(sleep(SECOND), sleep(SECOND * 2), async {
            yield_now().await;
            7
        });
        assert_eq!((a, b, c), ((), (), 7));
        assert_eq!(start.elapsed(), SECOND * 2);
        let failed: Result<((), u32), &str> = futures::try_join!(
            async {
                sleep(SECOND).await;
                Err("first")
            },
            async {
                sleep(SECOND * 9).await;
                Ok(1)
            }
        );
        assert_eq!(failed, Err("first"));
        assert_eq!(start.elapsed(), SECOND * 3);
    });
}

#[test]
fn select_takes_the_first_and_drops_the_rest() {
    simulated(async {
        let (tx, mut rx) = mpsc::channel::<u32>(1);
        let sender = spawn(async move {
            sleep(SECOND * 3).await;
            tx.send(7).await.unwrap();
        });
        let mut timeouts = 0;
        let got = loop {
            futures::select! {
                n = rx.recv().fuse() => break n,
                () = sleep(SECOND).fuse() => timeouts += 1,
            }
        };
        assert_eq!(got, Some(7));
        assert!(timeouts == 2 || timeouts == 3, "at second 3 both are ready");
        sender.await.unwrap();
    });
}

#[test]
fn an_unordered_crowd_of_futures_ends_in_the_order_of_time() {
    simulated(async {
        let mut crowd: FuturesUnordered<_> = [5, 1, 4, 2, 3]
            .into_iter()
            .map(|n| async move {
                sleep(SECOND * n).await;
                n
            })
            .collect();
        let mut order = Vec::new();
        while let Some(n) = crowd.next().await {
            order.push(n);
        }
        assert_eq!(order, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_buffered_stream_keeps_so_many_in_flight_and_no_more() {
    simulated(async {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let work = |n: u32| {
            let (now, most) = (&now, &most);
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                sleep(Duration::from_millis(u64::from(n % 7 + 1))).await;
                now.set(now.get() - 1);
                n
            }
        };
        let mut unordered: Vec<_> = stream::iter(0..500).map(work).buffer_unordered(10).collect().await;
        assert_eq!(most.get(), 10);
        unordered.sort_unstable();
        assert_eq!(unordered, (0..500).collect::<Vec<_>>());
        most.set(0);
        let ordered: Vec<_> = stream::iter(0..500).map(work).buffered(10).collect().await;
        assert_eq!((most.get(), ordered), (10, (0..500).collect()));
    });
}

#[test]
fn a_crowd_larger_than_any_budget_makes_progress_with_every_leaf() {
    run(async {
        // 10,000 futures in one task, far above what one poll may spend.
        let semaphore = Semaphore::new(3);
        let crowd = (0..10_000).map(|_| async {
            let _permit = semaphore.acquire().await.unwrap();
            yield_now().await;
        });
        futures::future::join_all(crowd).await;
        let (tx, mut rx) = mpsc::channel(1);
        let senders = (0..1000).map(|n| {
            let tx = tx.clone();
            async move { tx.send(n).await.unwrap() }
        });
        let received = async {
            let mut sum = 0;
            for _ in 0..1000 {
                sum += rx.recv().await.unwrap();
            }
            sum
        };
        let (_, sum) = futures::join!(futures::future::join_all(senders), received);
        assert_eq!(sum, 499_500);
    });
}

#[test]
fn ordered_crowds_and_streams_of_results_stop_at_the_first_error() {
    simulated(async {
        let mut ordered: FuturesOrdered<_> = (0..10_u32)
            .rev()
            .map(|n| async move {
                sleep(SECOND * n).await;
                n
            })
            .collect();
        assert_eq!(ordered.next().await, Some(9));
        let result: Result<Vec<u32>, u32> = stream::iter(0..10)
            .map(|n| async move {
                sleep(SECOND * n).await;
                if n == 3 { Err(n) } else { Ok(n) }
            })
            .buffer_unordered(4)
            .try_collect()
            .await;
        assert_eq!(result, Err(3));
    });
}

#[test]
fn race_and_or_of_futures_lite() {
    simulated(async {
        let slow = async {
            sleep(SECOND * 2).await;
            "slow"
        };
        let fast = async {
            sleep(SECOND).await;
            "fast"
        };
        assert_eq!(futures_lite::future::or(slow, fast).await, "fast");
        let (a, b) = futures_lite::future::zip(sleep(SECOND), async { 7 }).await;
        assert_eq!((a, b), ((), 7));
        let mut count = 0;
        futures_lite::future::poll_fn(|cx| {
            count += 1;
            cx.waker().wake_by_ref();
            if count == 100 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

#[test]
fn a_shared_future_wakes_all_its_tasks() {
    simulated(async {
        let polls = Rc::new(Cell::new(0));
        let counter = Rc::clone(&polls);
        let shared = async move {
            sleep(SECOND).await;
            counter.set(counter.get() + 1);
            7
        }
        .shared();
        let tasks: Vec<_> = (0..50).map(|_| spawn(shared.clone())).collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 7);
        }
        assert_eq!(polls.get(), 1);
    });
}

#[test]
fn sinks_and_streams_of_channels_forward_to_each_other() {
    run(async {
        let (tx, rx) = mpsc::channel(2);
        let (mut out, results) = futures::channel::mpsc::channel(2);
        let feed = spawn(async move {
            let mut sink = tx.into_sink();
            sink.send_all(&mut stream::iter((0..100).map(Ok))).await.unwrap();
        });
        let forward = spawn(async move {
            let mut doubled = rx.map(|n: i32| Ok(n * 2));
            out.send_all(&mut doubled).await.unwrap();
        });
        let all: Vec<_> = results.collect().await;
        assert_eq!(all, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        feed.await.unwrap();
        forward.await.unwrap();
    });
}

#[test]
fn an_async_channel_carries_messages_from_and_to_other_threads() {
    run(async {
        let (to_us, from_them) = async_channel::bounded(3);
        let (to_them, from_us) = async_channel::bounded::<u32>(3);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (to_us, from_us) = (to_us.clone(), from_us.clone());
                thread::spawn(move || {
                    while let Ok(n) = from_us.recv_blocking() {
                        to_us.send_blocking(n * 2).unwrap();
                    }
                })
            })
            .collect();
        drop((to_us, from_us));
        let sender = spawn(async move {
            for n in 0..2000 {
                to_them.send(n).await.unwrap();
            }
        });
        let mut sum = 0;
        while let Ok(n) = from_them.recv().await {
            sum += n;
        }
        assert_eq!(sum, (0..2000).map(|n| n * 2).sum::<u32>());
        sender.await.unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn many_tasks_are_woken_by_many_threads_and_none_is_forgotten() {
    run(async {
        let (done, mut all_done) = mpsc::unbounded_channel();
        let mut senders = Vec::new();
        for task in 0..200_u32 {
            let (tx, rx) = async_channel::bounded(1);
            let done = done.clone();
            senders.push(tx);
            spawn(async move {
                let mut count = 0;
                while rx.recv().await.is_ok() {
                    count += 1;
                }
                done.send((task, count)).unwrap();
            })
            .detach();
        }
        drop(done);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let senders = senders.clone();
                thread::spawn(move || {
                    let mut dice = Dice::new(thread + 7);
                    for _ in 0..25 {
                        for sender in &senders {
                            sender.send_blocking(()).unwrap();
                            if dice.roll(50) == 0 {
                                thread::yield_now();
                            }
                        }
                    }
                })
            })
            .collect();
        drop(senders);
        let mut ended = 0;
        while let Some((_, count)) = all_done.recv().await {
            assert_eq!(count, 100);
            ended += 1;
        }
        assert_eq!(ended, 200);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn primitives_of_tokio_work_among_tasks_of_handcar() {
    run(async {
        let mutex = Arc::new(tokio::sync::Mutex::new(0_u32));
        let adders: Vec<_> = (0..50)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                spawn(async move {
                    for _ in 0..20 {
                        let mut count = mutex.lock().await;
                        let seen = *count;
                        yield_now().await;
                        *count = seen + 1;
                    }
                })
            })
            .collect();
        for adder in adders {
            adder.await.unwrap();
        }
        assert_eq!(*mutex.lock().await, 1000);

        let (tx, mut rx) = tokio::sync::mpsc::channel(2);
        let (watch_tx, mut watch_rx) = tokio::sync::watch::channel(0);
        let (cast, mut heard) = tokio::sync::broadcast::channel(16);
        let (question, answer) = tokio::sync::oneshot::channel();
        let worker = thread::spawn(move || {
            for n in 0..1000 {
                tx.blocking_send(n).unwrap();
            }
            watch_tx.send(1).unwrap();
            cast.send("all").unwrap();
            question.send(7).unwrap();
        });
        for n in 0..1000 {
            assert_eq!(rx.recv().await, Some(n));
        }
        watch_rx.changed().await.unwrap();
        assert_eq!(*watch_rx.borrow(), 1);
        assert_eq!(heard.recv().await, Ok("all"));
        assert_eq!(answer.await, Ok(7));
        worker.join().unwrap();

        let notify = Rc::new(tokio::sync::Notify::new());
        let waiter = {
            let notify = Rc::clone(&notify);
            spawn(async move { notify.notified().await })
        };
        yield_now().await;
        notify.notify_one();
        waiter.await.unwrap();
        let semaphore = tokio::sync::Semaphore::new(0);
        assert!(timeout(Duration::from_micros(50), semaphore.acquire()).await.is_err());
        let barrier = Rc::new(tokio::sync::Barrier::new(10));
        let arrivals: Vec<_> = (0..10)
            .map(|_| {
                let barrier = Rc::clone(&barrier);
                spawn(async move { barrier.wait().await.is_leader() })
            })
            .collect();
        let mut leaders = 0;
        for arrival in arrivals {
            leaders += usize::from(arrival.await.unwrap());
        }
        assert_eq!(leaders, 1);
    });
}

#[test]
fn crates_of_the_futures_family_spawn_through_the_spawner() {
    use futures::task::{LocalSpawn, LocalSpawnExt};
    run(async {
        let spawner = Spawner::current();
        let task = spawner
            .spawn_local_with_handle(async {
                yield_now().await;
                7
            })
            .unwrap();
        assert_eq!(task.await, 7);
        let (tx, rx) = oneshot::channel();
        spawner.spawn_local(async move { tx.send(8).unwrap() }).unwrap();
        assert_eq!(rx.await, Ok(8));
        assert!(spawner.status_local().is_ok());
    });
}

#[test]
fn handcars_futures_are_driven_by_another_executor_as_far_as_they_need_no_runtime() {
    let (tx, mut rx) = mpsc::channel(1);
    let semaphore = Semaphore::new(1);
    let sum = futures::executor::block_on(async {
        let send = async {
            for n in 0..1000 {
                let _permit = semaphore.acquire().await.unwrap();
                tx.send(n).await.unwrap();
            }
            drop(tx);
        };
        let receive = async {
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                sum += n;
            }
            sum
        };
        futures::join!(send, receive).1
    });
    assert_eq!(sum, 499_500);
}

#[test]
fn an_executor_inside_a_task_drives_tasks_of_its_own() {
    // Its tasks have wakers of their own; the leaves that they poll are ours.
    run(async {
        let mut pool = futures::executor::LocalPool::new();
        let log = Log::default();
        {
            use futures::task::LocalSpawnExt;
            let log = log.clone();
            let inner = async move {
                for n in 0..3 {
                    yield_now().await;
                    log.add(n);
                }
            };
            pool.spawner().spawn_local(inner).unwrap();
        }
        pool.run_until_stalled();
        assert_eq!(log.take(), ["0", "1", "2"]);
    });
}

/// Forwards to a waker, and is equal to no other.
struct Forward(Waker);

impl Wake for Forward {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Polls its future with a new waker each time, as some combinators do.
struct NewWakerEachPoll<F>(F);

impl<F: Future + Unpin> Future for NewWakerEachPoll<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(Forward(cx.waker().clone())));
        Pin::new(&mut self.0).poll(&mut Context::from_waker(&waker))
    }
}

#[test]
fn a_combinator_that_changes_its_waker_with_each_poll_misses_no_wake() {
    run(async {
        let (tx, mut rx) = mpsc::channel(1);
        let sender = spawn(async move {
            for n in 0..100 {
                tx.send(n).await.unwrap();
                yield_now().await;
            }
        });
        let receive = async {
            let mut all = Vec::new();
            while let Some(n) = rx.recv().await {
                all.push(n);
            }
            all
        };
        pin_mut!(receive);
        assert_eq!(NewWakerEachPoll(receive).await.len(), 100);
        sender.await.unwrap();
        NewWakerEachPoll(sleep(Duration::from_micros(100))).await;
        let task = spawn(async {
            yield_now().await;
            7
        });
        assert_eq!(NewWakerEachPoll(task).await.unwrap(), 7);
        let (mut client, mut server) = pair().await.unwrap();
        let mut byte = [0];
        let read = server.read(&mut byte);
        let write = async {
            yield_now().await;
            client.write_all(b"x").await.unwrap();
        };
        let (n, ()) = futures::join!(NewWakerEachPoll(read), write);
        assert_eq!(n.unwrap(), 1);
        assert_eq!(NewWakerEachPoll(handcar::to_thread(|| 7)).await, 7);
    });
}

#[test]
fn spurious_polls_disturb_nothing() {
    run(async {
        let (tx, mut rx) = mpsc::channel(1);
        let leaves = async {
            sleep(Duration::from_micros(200)).await;
            let task = spawn(sleep(Duration::from_micros(200)));
            task.await.unwrap();
            handcar::to_thread(thread::yield_now).await;
            let (mut client, mut server) = pair().await.unwrap();
            let mut byte = [0];
            let (sent, received) = futures::join!(client.write_all(b"x"), server.read_exact(&mut byte));
            sent.and(received).unwrap();
            tx.send(7).await.unwrap();
            tx.send(8).await.unwrap();
        };
        pin_mut!(leaves);
        let mut polls = 0;
        let restless = poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            leaves.as_mut().poll(cx)
        });
        let ((), got) = futures::join!(restless, async { (rx.recv().await, rx.recv().await) });
        assert_eq!(got, (Some(7), Some(8)));
        assert!(polls > 3);
    });
}
