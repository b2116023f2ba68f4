//! Other threads: they clone, wake and drop wakers whenever they like, and nothing but the wake happens.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use handcar_executor::{Builder, Clock, Event, Runtime, run, spawn, yield_now};

mod common;
use common::{Drops, for_ever, watchdog};

/// Counts what each thread allocates and does not free.
struct Counting;

thread_local!(static LIVE: Cell<isize> = const { Cell::new(0) });

/// What this thread has allocated and not freed.
fn live() -> isize {
    LIVE.get()
}

fn count(bytes: isize) {
    LIVE.set(LIVE.get() + bytes); // no destructor and no allocation: it may be used in the allocator at any time
}

// SAFETY: every call is handed to `System`, which keeps the contract; counting beside it touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A pending future that hands its waker out at each poll.
fn hands_out(wakers: Sender<Waker>, polls: Rc<Cell<u64>>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        polls.set(polls.get() + 1);
        let _ = wakers.send(cx.waker().clone());
        Poll::Pending
    })
}

#[test]
fn a_million_wakes_of_one_task_take_no_memory_and_no_more_polls_than_looks() {
    let _dog = watchdog();
    let (wakers, received) = channel();
    let polls = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(hands_out(wakers, Rc::clone(&polls)));
    runtime.block_on(yield_now());
    let waker = received.recv().unwrap();
    assert_eq!(polls.get(), 1);
    let grown = thread::spawn(move || {
        waker.wake_by_ref(); // the first one may allocate
        let before = live();
        for _ in 0..1_000_000 {
            waker.wake_by_ref();
        }
        live() - before
    })
    .join()
    .unwrap();
    assert!(grown < 4096, "{grown} bytes for a million wakes");
    let _ = runtime.turn().unwrap();
    let _ = runtime.turn().unwrap();
    assert_eq!(polls.get(), 2, "all of them were one");
    drop(task);
}

#[test]
fn a_long_run_of_foreign_wakes_does_not_grow_memory() {
    let _dog = watchdog();
    let (wakers, received) = channel();
    let polls = Rc::new(Cell::new(0));
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(hands_out(wakers, Rc::clone(&polls)));
    runtime.block_on(yield_now());
    let waker = received.recv().unwrap();
    let round = |count: u32| {
        for _ in 0..count {
            waker.wake_by_ref(); // outside the runtime: through the mailbox
            let _ = runtime.turn().unwrap();
            let _ = runtime.turn().unwrap();
        }
        while received.try_recv().is_ok() {}
    };
    round(100);
    let (before, polled) = (live(), polls.get());
    round(10_000);
    assert_eq!(polls.get() - polled, 10_000, "none was lost");
    let grown = live() - before;
    assert!(grown < 16_384, "{grown} bytes");
    drop(task);
}

#[test]
fn short_runtimes_leave_no_memory_behind() {
    let _dog = watchdog();
    let short = || {
        run(async {
            let pending = spawn(for_ever());
            let task = spawn(async {
                handcar_executor::sleep(std::time::Duration::from_nanos(1)).await;
                7
            });
            assert_eq!(task.await.unwrap(), 7);
            drop(pending);
        });
    };
    (0..3000).for_each(|_| short()); // the registry grows to its size
    let before = live();
    (0..5000).for_each(|_| short());
    let grown = live() - before;
    assert!(grown < 65_536, "{grown} bytes");
}

/// Wakers that four threads fight over.
#[derive(Default)]
struct Arena {
    wakers: Mutex<Vec<Waker>>,
    over: AtomicBool,
    wakes: AtomicU64,
}

fn fight(arena: &Arena) {
    let mut mine: Vec<Waker> = Vec::new();
    let mut random = 88_172_645_463_325_252_u64;
    while !arena.over.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        match random % 5 {
            0 => mine.extend(arena.wakers.lock().unwrap().last().cloned()),
            1 => mine.extend(mine.last().cloned()),
            2 => drop(mine.pop()),
            3 => {
                if let Some(waker) = mine.pop() {
                    waker.wake();
                    arena.wakes.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => mine.iter().for_each(Waker::wake_by_ref),
        }
        mine.truncate(64);
    }
}

#[test]
fn four_threads_clone_wake_and_drop_during_polls_during_and_after_the_runtimes_end() {
    let _dog = watchdog();
    let arena = Arc::new(Arena::default());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let arena = Arc::clone(&arena);
            thread::spawn(move || fight(&arena))
        })
        .collect();
    let drops = Drops::new();
    let rounds = if cfg!(debug_assertions) { 1000 } else { 5000 };
    for _ in 0..rounds {
        let runtime = Runtime::new().unwrap();
        let polls = Rc::new(Cell::new(0_u64));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (arena, polls, token) = (Arc::clone(&arena), Rc::clone(&polls), drops.token());
                runtime.spawn(async move {
                    let _token = token;
                    poll_fn(|cx| {
                        polls.set(polls.get() + 1);
                        let mut wakers = arena.wakers.lock().unwrap();
                        wakers.push(cx.waker().clone());
                        if wakers.len() > 100 {
                            wakers.drain(..50);
                        }
                        Poll::<()>::Pending
                    })
                    .await;
                })
            })
            .collect();
        runtime.block_on(async {
            for _ in 0..20 {
                yield_now().await;
            }
        });
        assert!(polls.get() >= 4);
        assert_eq!(runtime.metrics().tasks, 4, "a wake is nothing but a wake");
        drop(runtime);
        drop(tasks);
    }
    arena.over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(drops.count(), rounds * 4);
    assert!(arena.wakes.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_parked_runtime_is_woken_and_no_wake_is_lost() {
    let _dog = watchdog();
    // Ping-pong: each side waits for the other, so one lost wake is a hang.
    let (ping, pinged) = channel::<Waker>();
    let answered = Arc::new(AtomicU64::new(0));
    let answers = Arc::clone(&answered);
    let other = thread::spawn(move || {
        while let Ok(waker) = pinged.recv() {
            answers.fetch_add(1, Ordering::Release);
            waker.wake();
        }
    });
    run(async {
        for round in 1..=5000 {
            let mut sent = false;
            poll_fn(|cx| {
                if answered.load(Ordering::Acquire) == round {
                    return Poll::Ready(());
                }
                if !sent {
                    sent = true;
                    ping.send(cx.waker().clone()).unwrap();
                }
                Poll::Pending
            })
            .await;
        }
    });
    drop(ping);
    other.join().unwrap();
}

#[test]
fn several_threads_wake_several_tasks_and_each_hears() {
    let _dog = watchdog();
    let (ping, pinged) = channel::<(Waker, Arc<AtomicBool>)>();
    let pinged = Arc::new(Mutex::new(pinged));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let pinged = Arc::clone(&pinged);
            thread::spawn(move || {
                loop {
                    let next = pinged.lock().unwrap().recv();
                    let Ok((waker, flag)) = next else { return };
                    flag.store(true, Ordering::Release);
                    waker.wake();
                }
            })
        })
        .collect();
    run(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let ping = ping.clone();
                spawn(async move {
                    for _ in 0..200 {
                        let flag = Arc::new(AtomicBool::new(false));
                        let mut sent = false;
                        poll_fn(|cx| {
                            if flag.load(Ordering::Acquire) {
                                return Poll::Ready(());
                            }
                            if !sent {
                                sent = true;
                                ping.send((cx.waker().clone(), Arc::clone(&flag))).unwrap();
                            }
                            Poll::Pending
                        })
                        .await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    drop(ping);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_runtime_may_live_on_each_of_many_threads() {
    let _dog = watchdog();
    let threads: Vec<_> = (0..8_u64)
        .map(|number| {
            thread::spawn(move || {
                (0..200).for_each(|_| {
                    assert_eq!(run(async move { spawn(async move { number }).await.unwrap() }), number);
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn wake_handles_end_a_park_from_anywhere_and_are_inert_afterwards() {
    let _dog = watchdog();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.wake_handle();
    let flag = Arc::new(AtomicBool::new(false));
    let (seen, wakes) = (Arc::clone(&flag), handle.clone());
    let parked = Arc::new(AtomicBool::new(false));
    let is_parked = Arc::clone(&parked);
    let other = thread::spawn(move || {
        common::wait_until(|| is_parked.load(Ordering::Acquire));
        seen.store(true, Ordering::Release);
        wakes.wake();
        wakes.wake();
    });
    // Nothing but the handle ends this park: the task is woken by nobody but itself, at each turn of the loop.
    let waits = runtime.spawn(for_ever());
    parked.store(true, Ordering::Release);
    while !flag.load(Ordering::Acquire) {
        let _ = runtime.turn().unwrap();
        thread::yield_now();
    }
    other.join().unwrap();
    drop(waits);
    drop(runtime);
    handle.wake();
    thread::spawn(move || handle.wake()).join().unwrap();
}

#[test]
fn a_wake_that_comes_during_the_poll_does_not_wait_for_a_look() {
    const ROUNDS: u64 = 1000;
    let _watchdog = watchdog();
    let polls = Rc::new(Cell::new(0));
    let (looks, counter) = (Rc::new(Cell::new(0)), Rc::clone(&polls));
    let looked = Rc::clone(&looks);
    let count = move |event: &Event<'_>| {
        if let Event::Looked { .. } = event {
            looked.set(looked.get() + 1);
        }
    };
    // Time that stands still: so the loop takes the polls for cheap ones, between which it seldom has to look.
    let runtime = Builder::new().clock(Clock::simulated()).observe(count).build().unwrap();
    let (ask, asked) = channel::<Waker>();
    let (answer, answered) = channel();
    let other = thread::spawn(move || {
        for waker in asked {
            waker.wake();
            answer.send(()).unwrap();
        }
    });
    runtime.block_on(spawn_in(&runtime, async move {
        poll_fn(|cx| {
            counter.set(counter.get() + 1);
            ask.send(cx.waker().clone()).unwrap();
            answered.recv().unwrap();
            if counter.get() < ROUNDS { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }));
    other.join().unwrap();
    assert_eq!(polls.get(), ROUNDS);
    assert!(looks.get() < ROUNDS / 10, "{} looks", looks.get());
}

async fn spawn_in(runtime: &Runtime, task: impl Future<Output = ()> + 'static) {
    runtime.spawn(task).await.unwrap();
}
