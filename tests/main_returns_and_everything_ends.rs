//! When main returns, whatever is still alive ends: tasks, timers, sockets, blocking jobs. Nothing is left behind, neither
//! in the process nor in the system.
//!
//! The tests count descriptors and threads of the whole process, through Linux's `/proc`, so they take turns.
#![cfg(target_os = "linux")]

mod common;

use std::cell::Cell;
use std::future::{Future, pending};
use std::io::Read;
use std::net;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{Living, Log, OnDrop, descriptors, in_a_child, is_child, pair, stream_and_peer, threads_named, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{
    Builder, CancelKind, Clock, Event, Instant, JoinError, JoinHandle, Report, Reports, Runtime, Turn, interval, sleep,
    spawn, timeout, to_thread, yield_now,
};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime has waited for them; the system may still be at clearing them away.
fn assert_no_blocking_threads() {
    while threads_named("handcar-blocking") > 0 {
        std::thread::yield_now();
    }
}

/// One of everything that can be waiting when main returns.
async fn everything(living: &Living) {
    let (tx, mut rx) = mpsc::channel::<()>(1);
    let semaphore = Rc::new(Semaphore::new(0));
    let (mut reader, peer_of_reader) = pair().await.unwrap();
    let (mut writer, peer_of_writer) = pair().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let waits: Vec<Pin<Box<dyn Future<Output = ()>>>> = vec![
        Box::pin(pending()),
        Box::pin(sleep(Duration::from_secs(3600))),
        Box::pin(sleep(Duration::MAX)),
        Box::pin(async {
            let mut ticks = interval(Duration::from_secs(3600));
            loop {
                ticks.tick().await;
            }
        }),
        Box::pin(async move {
            let _tx = tx;
            rx.recv().await;
        }),
        Box::pin(async move { drop(semaphore.acquire().await) }),
        Box::pin(async {
            let (_tx, rx) = oneshot::channel::<()>();
            let _ = rx.await;
        }),
        Box::pin(async move {
            let _peer = peer_of_reader;
            drop(reader.read(&mut [0]).await);
        }),
        Box::pin(async move {
            let _peer = peer_of_writer;
            drop(writer.write_all(&vec![0; 50_000_000]).await);
        }),
        Box::pin(async move { drop(listener.accept().await) }),
        Box::pin(async { timeout(Duration::from_secs(3600), pending::<()>()).await.unwrap() }),
        Box::pin(async { drop(spawn(pending::<()>()).await) }),
        Box::pin(async { drop(futures::join!(sleep(Duration::from_secs(1)), spawn(yield_now()), pending::<()>())) }),
        Box::pin(async {
            loop {
                yield_now().await;
            }
        }),
        #[cfg(feature = "signal")]
        Box::pin(async { handcar::signal::ctrl_c().await.unwrap() }),
    ];
    for wait in waits {
        let token = living.token();
        spawn(async move {
            let _token = token;
            wait.await;
        })
        .detach();
    }
    let token = living.token();
    to_thread(|| ()).await;
    spawn(async move {
        let _token = token;
        to_thread(std::thread::yield_now).await;
        pending::<()>().await;
    })
    .detach();
    for _ in 0..20 {
        yield_now().await;
    }
}

#[test]
fn everything_that_waits_when_main_returns_is_dropped() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    for _ in 0..10 {
        let living = Living::default();
        let value = handcar::run(async {
            everything(&living).await;
            assert!(living.count() >= 15, "{}", living.count());
            7
        });
        assert_eq!((value, living.count()), (7, 0));
        assert_eq!(descriptors(), before);
        assert_no_blocking_threads();
    }
}

#[test]
fn everything_is_dropped_when_main_panics_too() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let living = Living::default();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        handcar::run(async {
            everything(&living).await;
            panic!("main");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(living.count(), 0);
    assert_eq!(descriptors(), before);
    assert_no_blocking_threads();
}

#[test]
fn everything_is_dropped_with_a_runtime_that_was_only_turned() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let living = Living::default();
    let runtime = Runtime::new().unwrap();
    let inside = living.clone();
    let begun = runtime.spawn(async move { everything(&inside).await });
    while !begun.is_finished() {
        runtime.turn().unwrap();
    }
    drop(runtime);
    assert_eq!(living.count(), 0);
    assert_eq!(descriptors(), before);
    assert_no_blocking_threads();
}

#[test]
fn a_deadlock_leaves_nothing_behind() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let living = Living::default();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let result = runtime.try_block_on(async {
        let _token = living.token();
        let (_ours, _theirs) = pair().await.unwrap();
        let token = living.token();
        spawn(async move {
            let _token = token;
            pending::<()>().await;
        })
        .detach();
        pending::<()>().await;
    });
    assert!(result.is_err());
    drop(runtime);
    assert_eq!((living.count(), descriptors()), (0, before));
}

#[test]
fn a_program_without_blocking_work_has_one_thread_and_without_sockets_no_descriptor() {
    let _watchdog = watchdog();
    if is_child() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = (threads(), descriptors());
        handcar::run(async {
            sleep(Duration::from_micros(10)).await;
            spawn(yield_now()).await.unwrap();
            assert_eq!((threads(), descriptors()), before);
            let (mut ours, mut theirs) = pair().await.unwrap();
            ours.write_all(b"x").await.unwrap();
            theirs.read_exact(&mut [0]).await.unwrap();
            assert_eq!(threads(), before.0);
        });
        assert_eq!((threads(), descriptors()), before);
        println!("all counted");
    } else {
        let _alone = alone();
        let output = in_a_child();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("all counted"));
    }
}

#[test]
fn a_running_job_is_waited_for_and_one_that_has_not_started_never_runs() {
    let _alone = alone();
    let _watchdog = watchdog();
    let (first, second) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (began, has_begun) = async_channel::bounded(1);
    let runtime = Builder::new().blocking_threads(1).build().unwrap();
    let (go, went) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let flag = Arc::clone(&first);
        let running = to_thread(move || {
            began.send_blocking(()).unwrap();
            let _ = went.recv();
            flag.store(true, Ordering::Relaxed);
        });
        let flag = Arc::clone(&second);
        let waiting = to_thread(move || flag.store(true, Ordering::Relaxed));
        has_begun.recv().await.unwrap();
        spawn(running).detach();
        spawn(async move {
            // Dropped at the shutdown, after the job that waits: so the other one ends while the runtime waits for it.
            let _go = go;
            waiting.await;
        })
        .detach();
        yield_now().await;
    });
    drop(runtime);
    assert!(first.load(Ordering::Relaxed), "the end waits for what has begun");
    assert!(!second.load(Ordering::Relaxed), "what has not begun never does");
    assert_no_blocking_threads();
}

#[test]
fn main_itself_goes_first_then_the_tasks_and_all_of_them_still_have_their_runtime() {
    let _watchdog = watchdog();
    let log = Log::default();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    let at_drop = |what: &'static str| {
        let log = log.clone();
        OnDrop(move || {
            // In a destructor the clock, sockets and spawning work.
            let now = Instant::now().since_start();
            let spawned = spawn(async { unreachable!("nothing starts after the end") });
            drop(spawned);
            log.add(format!("{what} at {now:?}, in task {:?}", handcar::task::name().as_deref()));
        })
    };
    let (main, task) = (at_drop("main"), at_drop("task"));
    runtime.block_on(async {
        let _main = main;
        handcar::spawn_named("worker", async move {
            let _task = task;
            pending::<()>().await;
        })
        .detach();
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(log.take(), [r#"main at 1s, in task Some("main")"#]);
    drop(runtime);
    assert_eq!(log.take(), [r#"task at 1s, in task Some("worker")"#]);
}

#[test]
fn a_task_that_is_waited_for_at_the_end_says_that_the_runtime_was_shut_down() {
    let _watchdog = watchdog();
    let task = handcar::run(async { Some(spawn(pending::<()>())) }).unwrap();
    assert!(task.is_finished());
    match futures::executor::block_on(task) {
        Err(JoinError::Cancelled(reason)) => assert_eq!(*reason.kind(), CancelKind::Shutdown),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_does_not_sleep_where_every_task_ends_at_once() {
    let _watchdog = watchdog();
    let parks = Rc::new(Cell::new(0));
    let counter = Rc::clone(&parks);
    let count = move |event: &Event<'_>| {
        if let Event::Parked { .. } = event {
            counter.set(counter.get() + 1);
        }
    };
    let runtime = Builder::new().observe(count).build().unwrap();
    runtime.block_on(async {
        spawn(pending::<()>()).detach();
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(parks.get(), 0);
}

#[test]
fn a_task_gets_one_more_poll_and_is_dropped_where_it_stands() {
    let _watchdog = watchdog();
    let polls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&polls);
    handcar::run(async {
        spawn(futures::future::poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        }))
        .detach();
        yield_now().await;
        yield_now().await;
    });
    assert!((2..=3).contains(&polls.get()), "{}", polls.get());
}

#[test]
fn a_task_spawned_in_the_last_moment_is_dropped_unpolled() {
    let _watchdog = watchdog();
    let living = Living::default();
    let token = living.token();
    handcar::run(async {
        spawn(async move {
            let _token = token;
            unreachable!("main has returned");
        })
        .detach();
    });
    assert_eq!(living.count(), 0);
}

#[test]
fn destructors_may_spawn_and_wake_and_use_sockets_at_the_end() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let living = Living::default();
    let inside = living.clone();
    handcar::run(async move {
        let (ours, mut peer) = stream_and_peer().await.unwrap();
        let ours = Rc::new(ours);
        let (tx, mut rx) = mpsc::unbounded_channel();
        let last_words = {
            let (ours, living) = (Rc::clone(&ours), inside.clone());
            OnDrop(move || {
                let mut cx = Context::from_waker(Waker::noop());
                let _ = Pin::new(&mut (&*ours).write_all(b"bye")).poll(&mut cx);
                tx.send(()).unwrap();
                let (token, ours) = (living.token(), Rc::clone(&ours));
                spawn(async move {
                    let _token = token;
                    drop((&*ours).read(&mut [0]).await);
                })
                .detach();
            })
        };
        spawn(async move {
            let _last_words = last_words;
            pending::<()>().await;
        })
        .detach();
        let token = inside.token();
        spawn(async move {
            let _token = token;
            while rx.recv().await.is_some() {}
        })
        .detach();
        let token = inside.token();
        let farewell = OnDrop(move || {
            let _ = &token;
            let mut heard = Vec::new();
            peer.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let _ = peer.read_to_end(&mut heard);
            assert!(heard.is_empty() || heard == b"bye");
        });
        spawn(async move {
            let _farewell = farewell;
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
        yield_now().await;
    });
    assert_eq!((living.count(), descriptors()), (0, before));
}

#[test]
fn tasks_that_own_each_others_handles_and_channels_are_all_dropped() {
    let _watchdog = watchdog();
    let living = Living::default();
    handcar::run(async {
        // A ring of tasks, each waiting for the next.
        let (first_tx, first_rx) = oneshot::channel::<JoinHandle<()>>();
        let mut rx = first_rx;
        for _ in 0..100 {
            let (tx, next) = oneshot::channel();
            let token = living.token();
            let task = spawn(async move {
                let _token = token;
                let other = rx.await.unwrap();
                drop(tx);
                other.await.unwrap();
            });
            let token = living.token();
            spawn(async move {
                let _token = token;
                drop(task.await);
            })
            .detach();
            rx = next;
        }
        let own = Rc::new(Cell::new(None));
        let (task, token) = (Rc::clone(&own), living.token());
        own.set(Some(spawn(async move {
            let (_own, _token) = (task, token);
            pending::<()>().await;
        })));
        yield_now().await;
        drop(first_tx);
        yield_now().await;
    });
    assert_eq!(living.count(), 0);
}

#[test]
fn a_long_chain_of_tasks_that_own_the_next_ones_handle_ends_on_a_small_stack() {
    let _watchdog = watchdog();
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let thread = small.spawn(|| {
        handcar::run(async {
            let mut next = spawn(pending::<()>());
            for _ in 0..100_000 {
                next = spawn(async move {
                    let _ = next.await;
                });
            }
            yield_now().await;
            next.detach();
        });
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn whatever_outlives_its_runtime_is_inert() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let runtime = Runtime::new().unwrap();
    let spawner = runtime.spawner();
    let mut kept = None;
    runtime.block_on(async {
        let mut asleep = Box::pin(sleep(Duration::from_secs(3600)));
        let mut ticks = interval(Duration::from_secs(3600));
        ticks.tick().await;
        let (stream, peer) = stream_and_peer().await.unwrap();
        let waker = futures::future::poll_fn(|cx| {
            assert!(asleep.as_mut().poll(cx).is_pending());
            assert!(ticks.poll_tick(cx).is_pending());
            std::task::Poll::Ready(cx.waker().clone())
        })
        .await;
        kept = Some((asleep, ticks, stream, peer, waker, spawn(pending::<()>()), Instant::now()));
    });
    drop(runtime);
    let (asleep, ticks, mut stream, mut peer, waker, task, _) = kept.unwrap();
    waker.wake_by_ref();
    std::thread::spawn(move || waker.wake()).join().unwrap();
    assert!(!task.cancel());
    drop((asleep, ticks, task));
    assert!(futures::executor::block_on(stream.write_all(b"x")).is_ok());
    assert!(futures::executor::block_on(stream.read(&mut [0])).is_err());
    drop(stream);
    assert_eq!(peer.read(&mut [0]).unwrap(), 1);
    drop(peer);
    assert!(catch_unwind(AssertUnwindSafe(|| spawner.spawn(async {}))).is_err());
    drop(spawner);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_job_that_ends_after_its_runtime_harms_nobody() {
    let _alone = alone();
    let _watchdog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().grace(Some(Duration::ZERO)).on_report(reports.hook()).build().unwrap();
    let (go, went) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = async_channel::bounded(1);
    runtime.block_on(async {
        spawn(to_thread(move || {
            began.send_blocking(()).unwrap();
            let _ = went.recv();
        }))
        .detach();
        has_begun.recv().await.unwrap();
    });
    drop(runtime);
    let told = reports.take();
    let [Report::JobAbandoned { .. }, Report::JobsLeft { jobs }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(jobs.len(), 1);
    assert_eq!(threads_named("handcar-blocking"), 1);
    handcar::run(async { spawn(yield_now()).await.unwrap() });
    drop(go);
    assert_no_blocking_threads();
}

#[test]
fn tens_of_thousands_of_runtimes_come_and_go() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    for n in 0..30_000 {
        let runtime = Runtime::new().unwrap();
        let task = runtime.spawn(async move { n });
        assert_eq!(runtime.block_on(task).unwrap(), n);
        if n % 100 == 0 {
            runtime.block_on(async { drop(pair().await.unwrap()) });
            while runtime.turn().unwrap() == Turn::More {}
        }
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn thousands_of_connections_leave_the_descriptors_where_they_were() {
    let _alone = alone();
    let _watchdog = watchdog();
    handcar::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let before = descriptors();
        for n in 0..2000 {
            let (client, server) = futures::join!(TcpStream::connect(addr), listener.accept());
            let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
            if n % 3 == 0 {
                client.write_all(b"x").await.unwrap();
                server.read_exact(&mut [0]).await.unwrap();
            }
            if n % 5 == 0 {
                assert!(futures::poll!(client.read(&mut [0])).is_pending());
            }
        }
        assert_eq!(descriptors(), before);
        // And clients that end in mid-connect.
        for _ in 0..200 {
            let mut connect = TcpStream::connect(addr);
            let _ = futures::poll!(&mut connect);
            drop(connect);
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_socket_that_cannot_be_made_leaves_no_descriptor() {
    let _alone = alone();
    let _watchdog = watchdog();
    handcar::run(async {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = taken.local_addr().unwrap();
        let closed = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let before = descriptors();
        for _ in 0..50 {
            assert!(TcpListener::bind(addr).await.is_err());
            assert!(TcpStream::connect(closed).await.is_err());
            assert!(TcpStream::connect("nonsense").await.is_err());
            yield_now().await;
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn destructors_that_spawn_again_and_again_do_not_hold_up_the_end_for_ever() {
    fn endless() -> impl Future<Output = ()> {
        let again = OnDrop(|| spawn(Box::pin(endless()) as Pin<Box<dyn Future<Output = ()>>>).detach());
        async move {
            let _again = again;
            pending::<()>().await;
        }
    }
    let _watchdog = watchdog();
    let reports = Reports::new();
    let grace = Some(Duration::from_millis(10));
    let runtime = Builder::new().grace(grace).on_report(reports.hook()).build().unwrap();
    runtime.block_on(async { spawn(endless()).detach() });
    drop(runtime);
    let told = reports.take();
    assert!(matches!(told[..], [Report::TasksCut { .. }, Report::TasksLeft { .. }]), "{told:?}");
}

#[test]
fn another_program_that_is_started_inherits_no_descriptor() {
    fn inherited() -> usize {
        let list = std::process::Command::new("sh").args(["-c", "echo /proc/self/fd/*"]).output().unwrap();
        String::from_utf8(list.stdout).unwrap().split_whitespace().count()
    }
    let _alone = alone();
    let _watchdog = watchdog();
    let before = inherited();
    handcar::run(async {
        let living = Living::default();
        everything(&living).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) = futures::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        assert_eq!(inherited(), before);
        drop((client, server));
    });
}

#[test]
fn handles_that_are_kept_keep_no_descriptor_open() {
    let _alone = alone();
    let _watchdog = watchdog();
    let before = descriptors();
    let clock = Clock::simulated();
    let runtime = Builder::new().clock(clock.clone()).build().unwrap();
    let handle = runtime.wake_handle();
    runtime.block_on(async { drop(pair().await.unwrap()) });
    drop(runtime);
    assert_eq!(descriptors(), before, "a wake handle and a clock wake nobody any more");
    handle.wake();
    drop((handle, clock));
}

#[test]
fn thread_locals_of_blocking_threads_are_destroyed_before_run_returns() {
    static DESTROYED: AtomicBool = AtomicBool::new(false);
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            for _ in 0..100 {
                std::thread::yield_now();
            }
            DESTROYED.store(true, Ordering::Relaxed);
        }
    }
    thread_local!(static SLOW: Slow = const { Slow });
    let _alone = alone();
    let _watchdog = watchdog();
    handcar::run(async { to_thread(|| SLOW.with(|_| ())).await });
    assert!(DESTROYED.load(Ordering::Relaxed));
}
