//! The budget: on Handcar, no loop over an operation that is always ready starves the other tasks.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::Boxed;
use futures::{SinkExt, StreamExt};
use handcar_executor::{run, spawn, yield_now};
use handcar_sync::{Barrier, Event, Mutex, Notify, OnceCell, PriorityQueue, Queue, RateLimiter, RwLock, Semaphore};
use handcar_sync::{broadcast, mpsc, oneshot, remote, watch};

/// Loops that never suspend by themselves.
#[allow(clippy::too_many_lines)] // it is a list
fn loops() -> Vec<(&'static str, Boxed<()>)> {
    fn forever<F: Future + 'static>(mut operation: impl FnMut() -> F + 'static) -> Boxed<()> {
        Box::pin(async move {
            loop {
                operation().await;
            }
        })
    }
    let shared = Rc::new((Semaphore::new(1), Mutex::new(()), RwLock::new(()), Event::new(), Notify::new()));
    shared.3.set();
    let mut loops = vec![];
    let with = shared.clone();
    loops.push((
        "semaphore",
        forever(move || {
            let with = with.clone();
            async move { drop(with.0.acquire().await) }
        }),
    ));
    let with = shared.clone();
    loops.push((
        "mutex",
        forever(move || {
            let with = with.clone();
            async move { drop(with.1.lock().await) }
        }),
    ));
    let with = shared.clone();
    loops.push((
        "read",
        forever(move || {
            let with = with.clone();
            async move { drop(with.2.read().await) }
        }),
    ));
    let with = shared.clone();
    loops.push((
        "write",
        forever(move || {
            let with = with.clone();
            async move { drop(with.2.write().await) }
        }),
    ));
    let with = shared.clone();
    loops.push((
        "event",
        forever(move || {
            let with = with.clone();
            async move { with.3.wait().await }
        }),
    ));
    let with = shared;
    loops.push((
        "notify",
        forever(move || {
            let with = with.clone();
            async move {
                with.4.notify_one();
                with.4.notified().await;
            }
        }),
    ));
    loops.push(("barrier", forever(|| async { _ = Barrier::new(1).wait().await })));
    loops.push((
        "once cell",
        forever(|| async {
            OnceCell::new().get_or_init(async || ()).await;
        }),
    ));
    let made = Rc::new(OnceCell::from(()));
    loops.push((
        "once cell, made already",
        forever(move || {
            let made = made.clone();
            async move {
                made.get_or_init(async || unreachable!()).await;
                made.wait().await;
            }
        }),
    ));
    loops.push((
        "rate limiter",
        Box::pin(async {
            let limiter = RateLimiter::new(u32::MAX, Duration::from_nanos(1), u32::MAX);
            loop {
                limiter.acquire().await;
            }
        }),
    ));
    loops.push((
        "oneshot, closed",
        forever(|| async {
            let (mut sender, receiver) = oneshot::channel::<()>();
            drop(receiver);
            sender.closed().await;
            let (sender, receiver) = oneshot::channel::<()>();
            drop(sender);
            receiver.await.unwrap_err();
        }),
    ));
    loops.push((
        "reserve",
        Box::pin(async {
            let (sender, _receiver) = mpsc::channel::<()>(2);
            loop {
                drop(sender.reserve_many(2).await.unwrap());
                drop(sender.clone().reserve_owned().await.unwrap());
                assert!(sender.reserve_many(3).await.is_err());
            }
        }),
    ));
    loops.push((
        "reserve more than there is room for",
        Box::pin(async {
            let (sender, _receiver) = mpsc::channel::<()>(2);
            loop {
                assert!(sender.reserve_many(3).await.is_err());
            }
        }),
    ));
    loops.push((
        "recv_many",
        Box::pin(async {
            let (sender, mut receiver) = mpsc::channel(1);
            let mut buffer = vec![];
            loop {
                sender.try_send(()).unwrap();
                assert_eq!(receiver.recv_many(&mut buffer, 9).await, 1);
                assert_eq!(receiver.recv_many(&mut buffer, 0).await, 0);
                buffer.clear();
            }
        }),
    ));
    loops.push((
        "closed channel",
        Box::pin(async {
            let (sender, mut receiver) = mpsc::channel::<()>(1);
            receiver.close();
            loop {
                sender.closed().await;
                assert!(sender.send(()).await.is_err());
                assert!(receiver.recv().await.is_none());
            }
        }),
    ));
    loops.push((
        "stream of a queue",
        Box::pin(async {
            let queue = PriorityQueue::new(1);
            let mut items = queue.stream();
            loop {
                queue.try_put(()).unwrap();
                items.next().await.unwrap();
            }
        }),
    ));
    loops.push((
        "oneshot",
        forever(|| async {
            let (sender, receiver) = oneshot::channel();
            sender.send(()).unwrap();
            receiver.await.unwrap();
        }),
    ));
    loops.push((
        "mpsc",
        Box::pin(async {
            let (sender, mut receiver) = mpsc::channel(1);
            loop {
                sender.send(()).await.unwrap();
                receiver.recv().await.unwrap();
            }
        }),
    ));
    loops.push((
        "unbounded",
        Box::pin(async {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            loop {
                sender.send(()).unwrap();
                receiver.next().await.unwrap();
            }
        }),
    ));
    loops.push((
        "queue",
        Box::pin(async {
            let queue = Queue::new(1);
            loop {
                queue.put(()).await.unwrap();
                drop(queue.get_tracked().await);
                queue.join().await;
            }
        }),
    ));
    loops.push((
        "closed queue",
        Box::pin(async {
            let queue = Queue::<()>::new(1);
            queue.close();
            loop {
                assert!(queue.get().await.is_none());
            }
        }),
    ));
    loops.push((
        "broadcast",
        Box::pin(async {
            let (sender, mut receiver) = broadcast::channel(1);
            loop {
                sender.send(()).unwrap();
                receiver.recv().await.unwrap();
            }
        }),
    ));
    loops.push((
        "watch",
        Box::pin(async {
            let (sender, mut receiver) = watch::channel(());
            loop {
                sender.send(()).unwrap();
                receiver.changed().await.unwrap();
            }
        }),
    ));
    loops.push((
        "watch, what is there already",
        Box::pin(async {
            let (_sender, mut receiver) = watch::channel(());
            loop {
                receiver.wait_for(|()| true).await.unwrap();
            }
        }),
    ));
    loops.push((
        "sink",
        Box::pin(async {
            let (mut sender, mut receiver) = mpsc::unbounded_channel();
            loop {
                SinkExt::send(&mut sender, ()).await.unwrap();
                receiver.try_recv().unwrap();
            }
        }),
    ));
    loops.push((
        "remote",
        Box::pin(async {
            let (sender, mut receiver) = remote::channel(1);
            loop {
                sender.try_send(()).unwrap();
                receiver.recv().await.unwrap();
            }
        }),
    ));
    loops
}

#[test]
fn no_loop_starves_other_tasks() {
    for (name, greedy) in loops() {
        let turns = Rc::new(Cell::new(0));
        run(async {
            let greedy = spawn(greedy);
            let others = turns.clone();
            spawn(async move {
                for _ in 0..10 {
                    others.set(others.get() + 1);
                    yield_now().await;
                }
            })
            .await
            .unwrap();
            assert!(!greedy.is_finished(), "{name} has ended");
            drop(greedy);
        });
        assert_eq!(turns.get(), 10, "{name}");
    }
}

#[test]
fn a_program_of_all_kinds_ends_on_a_foreign_executor_too() {
    futures::executor::block_on(async {
        let queue = Queue::new(2);
        let (sender, mut receiver) = mpsc::channel(1);
        let barrier = Barrier::new(2);
        let produce = async {
            for n in 0..100 {
                queue.put(n).await.unwrap();
            }
            queue.close();
            barrier.wait().await;
        };
        let pass_on = async {
            while let Some(item) = queue.get_tracked().await {
                sender.send(*item).await.unwrap();
            }
            barrier.wait().await;
            drop(sender);
        };
        let consume = async {
            let mut sum = 0;
            while let Some(n) = receiver.recv().await {
                sum += n;
            }
            sum
        };
        let ((), (), sum) = futures::join!(produce, pass_on, consume);
        queue.join().await;
        assert_eq!(sum, 4950);
    });
}
