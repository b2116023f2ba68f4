//! A program that runs for ever must not grow. Every allocation of this process is counted; after a warm-up, rounds of
//! spawning, cancelling, timing out, talking and connecting leave exactly as many bytes as they found.
//!
//! One test in a process of its own: another test's allocations would be counted too.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use common::{Dice, pair, watchdog};
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{Builder, Clock, Runtime, interval, sleep, spawn, spawn_named, timeout, to_thread, yield_now};

/// Counts what was allocated and not given back, by each thread and by all.
struct Counting;

static BYTES_OF_ALL: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    BYTES_OF_ALL.fetch_add(bytes, Ordering::Relaxed);
    // Where the thread's locals are gone already, nobody looks any more.
    let _ = BYTES.try_with(|sum| sum.set(sum.get() + bytes));
}

// SAFETY: every call is passed on as it is to the system's allocator, which keeps the contract; the counter is a cell of
// the thread that is never borrowed and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: `block` came from `alloc` above, and so from the system's allocator with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `round` again and again on one runtime. Once every buffer has its size, the bytes must not change at all.
#[track_caller]
fn assert_flat(runtime: &Runtime, what: &str, mut round: impl AsyncFnMut()) {
    let bytes = runtime.block_on(async {
        let mut bytes = Vec::with_capacity(20);
        for _ in 0..20 {
            for _ in 0..20 {
                round().await;
            }
            yield_now().await;
            yield_now().await;
            bytes.push(BYTES.get());
        }
        bytes
    });
    assert_eq!(bytes[9], bytes[19], "{what} grows: {bytes:?}");
}

#[test]
fn every_kind_of_work_leaves_as_many_bytes_as_it_found() {
    let _watchdog = watchdog();
    let runtime = Builder::new().on_report(drop).blocking_threads(1).build().unwrap();
    tasks(&runtime);
    timers_and_channels(&runtime);
    connections(&runtime);
    everything_at_random(&runtime);
    other_runtimes(&runtime);
    jobs(&runtime);
}

fn tasks(runtime: &Runtime) {
    assert_flat(runtime, "spawn and join", async || {
        for task in (0..50).map(|n| spawn(async move { n })).collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    assert_flat(runtime, "names", async || spawn_named("a name", async {}).await.unwrap());
    assert_flat(runtime, "detaching", async || {
        spawn(yield_now()).detach();
        spawn(async { Err::<(), _>("lost".to_owned()) }).detach_reporting();
        spawn(async { Err::<(), _>(7) }).detach_with(drop);
        yield_now().await;
    });
    assert_flat(runtime, "cancelling", async || {
        let tasks: Vec<_> = (0..50).map(|_| spawn(pending::<()>())).collect();
        yield_now().await;
        for (n, task) in tasks.into_iter().enumerate() {
            match n % 3 {
                0 => drop(task),
                1 => drop(task.cancel_and_wait().await),
                _ => drop(task.abort_handle().cancel()),
            }
        }
    });
    assert_flat(runtime, "panicking", async || {
        std::panic::set_hook(Box::new(|_| {}));
        drop(spawn(async { panic!("caught") }).await);
        spawn(async { panic!("reported") }).detach();
        yield_now().await;
        drop(std::panic::take_hook());
    });
}

fn timers_and_channels(runtime: &Runtime) {
    assert_flat(runtime, "timers", async || {
        let naps = (0..50).map(|n| timeout(Duration::from_micros(n % 3), sleep(Duration::from_micros(n))));
        join_all(naps).await;
        let _ = timeout(Duration::from_secs(3600), sleep(Duration::from_secs(7200))).now_or_never();
        let mut ticks = interval(Duration::from_micros(5));
        ticks.tick().await;
        ticks.tick().await;
    });
    assert_flat(runtime, "channels and semaphores", async || {
        let (tx, mut rx) = mpsc::channel(3);
        let sender = spawn(async move {
            for n in 0..50 {
                tx.send(n).await.unwrap();
            }
        });
        assert!(rx.recv().now_or_never().is_none());
        while rx.recv().await.is_some() {}
        sender.await.unwrap();
        let semaphore = Rc::new(Semaphore::new(1));
        join_all((0..20).map(|_| Rc::clone(&semaphore).acquire_owned())).now_or_never();
        let (tx, rx) = oneshot::channel();
        let receiver = spawn(rx);
        tx.send(7).unwrap();
        assert_eq!(receiver.await.unwrap(), Ok(7));
    });
    let (full, _receiver) = mpsc::channel::<()>(1);
    full.try_send(()).unwrap();
    let none_left = Semaphore::new(0);
    assert_flat(runtime, "waiters that give up", async || {
        for _ in 0..20 {
            assert!(timeout(Duration::ZERO, full.send(())).await.is_err());
            assert!(timeout(Duration::ZERO, full.reserve()).await.is_err());
            assert!(timeout(Duration::ZERO, none_left.acquire()).await.is_err());
        }
    });
}

fn connections(runtime: &Runtime) {
    let (ours, mut theirs) = runtime.block_on(pair()).unwrap();
    assert_flat(runtime, "a connection", {
        let mut ours = &ours;
        async move || {
            ours.write_all(b"x").await.unwrap();
            theirs.read_exact(&mut [0]).await.unwrap();
            // Waits that are given up, by poll and by place.
            assert!(timeout(Duration::ZERO, ours.read(&mut [0])).await.is_err());
            assert!(timeout(Duration::ZERO, ours.readable()).await.is_err());
            assert!(spawn(async {}).await.is_ok());
        }
    });
    assert_flat(runtime, "connections", async || {
        let (mut ours, mut theirs) = pair().await.unwrap();
        ours.write_all(b"x").await.unwrap();
        theirs.read_exact(&mut [0]).await.unwrap();
        assert!(theirs.read(&mut [0]).now_or_never().is_none());
    });
    #[cfg(feature = "signal")]
    assert_flat(runtime, "listening for Ctrl-C", async || {
        assert!(handcar::signal::ctrl_c().now_or_never().is_none());
    });
}

fn everything_at_random(runtime: &Runtime) {
    let mut dice = Dice::new(5);
    assert_flat(runtime, "all of it at random", async || {
        let tasks = (0..30).map(|_| {
            let (kind, amount) = (dice.roll(4), dice.roll(5));
            spawn(async move {
                match kind {
                    0 => sleep(Duration::from_micros(amount)).await,
                    1 => drop(timeout(Duration::from_micros(amount), pending::<()>()).await),
                    2 => spawn(yield_now()).await.unwrap(),
                    _ => drop(spawn(pending::<()>())),
                }
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
    });
}

fn other_runtimes(runtime: &Runtime) {
    // The registry rests a number for at least a thousand runtimes: until then it grows.
    (0..2000).for_each(|_| drop(Runtime::new().unwrap()));
    assert_flat(runtime, "other runtimes", async || {
        let other = Builder::new().clock(Clock::simulated()).build().unwrap();
        other.spawn(pending::<()>()).detach();
        other.enter(|| drop(spawn(sleep(Duration::from_secs(1)))));
    });
}

fn jobs(runtime: &Runtime) {
    // A job is made here and dropped on its thread, a moment after its result has been taken. So the bytes of all threads
    // are compared, and the moment is forgiven: what leaks in each round is more in the end, whatever the moment.
    let mut bytes = Vec::with_capacity(2000);
    runtime.block_on(async {
        for n in 0..2000 {
            assert_eq!(to_thread(move || n).await, n);
            bytes.push(BYTES_OF_ALL.load(Ordering::Relaxed));
        }
    });
    let (early, late) = (&bytes[500..1000], &bytes[1500..]);
    let (early, late) = (early.iter().max(), late.iter().min());
    assert!(late <= early, "blocking jobs grow: from {early:?} to {late:?}");
}
