//! What the primitives allocate: once for a channel, nothing for a message, nothing up front, and nothing for ever.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;

use common::{Hand, now, poll_once};
use handcar_executor::{Runtime, spawn, yield_now};
use handcar_sync::{Event, Notified, Notify, Queue, Semaphore, broadcast, mpsc, oneshot, remote};

/// Counts what the calling thread allocates, for tests run side by side.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(allocations: usize, bytes: isize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: everything is passed on to the system's allocator; the counters are cells without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -layout.size().cast_signed());
        // SAFETY: the caller keeps the contract, and the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `f` makes, and by how many bytes memory has grown after it.
fn cost<R>(f: impl FnOnce() -> R) -> (usize, isize, R) {
    let before = (ALLOCATIONS.get(), BYTES.get());
    let result = f();
    (ALLOCATIONS.get() - before.0, BYTES.get() - before.1, result)
}

#[test]
fn a_channel_is_one_allocation_whatever_its_capacity() {
    assert_eq!(cost(oneshot::channel::<u64>).0, 1);
    assert_eq!(cost(|| mpsc::channel::<[u8; 1 << 20]>(usize::MAX)).0, 1);
    assert_eq!(cost(mpsc::unbounded_channel::<u64>).0, 1);
    assert_eq!(cost(|| broadcast::channel::<[u8; 1 << 20]>(usize::MAX)).0, 1);
    assert_eq!(cost(|| remote::channel::<[u8; 1 << 20]>(usize::MAX)).0, 1);
    assert_eq!(cost(|| Queue::<[u8; 1 << 20]>::new(usize::MAX)).0, 0);
    assert_eq!(cost(|| (Semaphore::new(1), Event::new())).0, 0);
}

#[test]
fn in_a_runtime_a_channel_has_the_memory_of_an_earlier_one() {
    handcar_executor::run(async {
        let both = || (mpsc::channel::<u64>(1), oneshot::channel::<u64>());
        drop(both());
        assert_eq!(cost(|| (0..100).for_each(|_| drop(both()))).0, 0);
        let (sender, receiver) = mpsc::channel::<u64>(1);
        let weak = sender.downgrade();
        drop((sender, receiver));
        let (allocations, _, (other, _receiver)) = cost(|| mpsc::channel(1));
        assert_eq!(allocations, 1, "who could look at the earlier one keeps it");
        assert!(weak.upgrade().is_none() && other.try_send(1).is_ok());
    });
}

#[test]
fn messages_permits_and_waits_allocate_nothing_once_there_is_room() {
    let (sender, mut receiver) = mpsc::channel(4);
    let semaphore = Semaphore::new(0);
    let mut round = || {
        for n in 0..4 {
            assert!(poll_once(&mut sender.send(n)).is_ready());
        }
        while receiver.try_recv().is_ok() {}
        let mut waiters = [semaphore.acquire(), semaphore.acquire()];
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
    };
    round();
    assert_eq!(cost(|| (0..1000).for_each(|_| round())).0, 0);
}

#[test]
fn the_memory_of_a_rush_is_given_back() {
    const RUSH: usize = 100_000;
    // No more than the small buffers that are kept.
    const KEPT: isize = 1 << 17;

    for happens in [false, true] {
        let event = Event::new();
        let (_, grown, ()) = cost(|| {
            let mut waiters: Vec<_> = (0..RUSH).map(|_| event.wait()).collect();
            for waiter in &mut waiters {
                assert!(poll_once(waiter).is_pending());
            }
            assert!(BYTES.get() > KEPT, "{} bytes for the waiters", BYTES.get());
            if happens {
                event.set();
            }
        });
        assert!(grown < KEPT, "event: {grown}");
    }

    // Those who wait and go, or are served, front to back and back to front.
    let (semaphore, queue) = (Semaphore::new(0), Queue::unbounded());
    let (_, grown, ()) = cost(|| {
        let mut permits: Vec<_> = (0..RUSH).map(|_| semaphore.acquire()).collect();
        let mut items: Vec<_> = (0..RUSH).map(|_| queue.get()).collect();
        for (permit, item) in permits.iter_mut().zip(&mut items) {
            assert!(poll_once(permit).is_pending() && poll_once(item).is_pending());
        }
        semaphore.add_permits(RUSH / 2);
        permits.truncate(RUSH * 3 / 4);
        while permits.pop().is_some() {}
        for n in 0..RUSH / 2 {
            queue.try_put(n).unwrap();
        }
        for item in items.iter_mut().take(RUSH / 2) {
            assert!(poll_once(item).is_ready());
        }
    });
    assert!(grown < KEPT, "semaphore and queue: {grown}");
    assert_eq!((semaphore.available_permits(), queue.len()), (RUSH / 2, 0));

    let (sender, mut receiver) = mpsc::unbounded_channel();
    let queue = Queue::unbounded();
    let (all, mut each) = broadcast::channel(RUSH);
    let (far, mut near) = remote::channel(RUSH);
    let (_, grown, ()) = cost(|| {
        for n in 0..RUSH {
            sender.send(n).unwrap();
            queue.try_put(n).unwrap();
            all.send(n).unwrap();
            far.try_send(n).unwrap();
        }
        for _ in 0..RUSH {
            now(receiver.recv()).unwrap();
            now(queue.get()).unwrap();
            now(each.recv()).unwrap();
            now(near.recv()).unwrap();
        }
        // A channel looks when it is found empty.
        assert!(Hand::new(receiver.recv()).is_pending());
        assert!(Hand::new(near.recv()).is_pending() && Hand::new(near.recv()).is_pending());
    });
    assert!(grown < KEPT, "channels: {grown}");
}

#[test]
fn who_comes_and_goes_behind_one_who_waits_for_long_leaves_nothing() {
    let semaphore = Semaphore::new(1);
    let mut first = semaphore.acquire_many(2);
    assert!(poll_once(&mut first).is_pending());
    let mut others = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
    assert!(others.iter_mut().all(|other| poll_once(other).is_pending()));
    let (_, grown, ()) = cost(|| {
        // One of them always waits, so that no round finds the line as the first one did.
        for n in 0..100_000 {
            others[n % 3] = semaphore.acquire();
            assert!(poll_once(&mut others[n % 3]).is_pending());
        }
    });
    assert!(grown < 1 << 12, "{grown} bytes");
    semaphore.add_permits(1);
    assert!(poll_once(&mut first).is_ready());
}

#[test]
fn of_many_who_came_and_went_only_those_who_still_wait_cost_memory() {
    let semaphore = Semaphore::new(0);
    let join = |n: usize| -> Vec<_> {
        let mut crowd: Vec<_> = (0..n).map(|_| semaphore.acquire()).collect();
        assert!(crowd.iter_mut().all(|one| poll_once(one).is_pending()));
        crowd
    };
    let (_, grown, patient) = cost(|| {
        let mut patient = vec![];
        for _ in 0..40 {
            // First two of three leave, and in the end all but one in the middle.
            let mut crowd: Vec<_> = join(900).into_iter().step_by(3).collect();
            crowd.extend(join(200));
            patient.push(crowd.swap_remove(400));
        }
        patient
    });
    assert!(grown < 1 << 17, "{grown} bytes for {}", patient.len());
}

fn wait(notify: &Notify) -> Pin<Box<Notified<&Notify>>> {
    let mut notified = Box::pin(notify.notified());
    assert!(poll_once(&mut notified).is_pending());
    notified
}

#[test]
fn the_youngest_of_a_pool_may_be_served_for_ever() {
    let notify = Notify::new();
    let serve_last = || {
        let mut youngest = wait(&notify);
        notify.notify_last();
        assert!(poll_once(&mut youngest).is_ready());
    };
    let _oldest = wait(&notify);
    let mut second = wait(&notify);
    let (_, grown, ()) = cost(|| {
        for _ in 0..20_000 {
            serve_last();
            // The second leaves from between the oldest and the third, who is the second then.
            let third = wait(&notify);
            serve_last();
            second = third;
        }
    });
    assert!(grown < 1 << 12, "{grown} bytes");

    // They leave together, after a rush.
    let (_, grown, ()) = cost(|| {
        let mut rush = vec![];
        for _ in 0..20_000 {
            rush.push(wait(&notify));
            serve_last();
        }
        assert!(BYTES.get() > 1 << 17, "there was no rush");
    });
    assert!(grown < 1 << 17, "{grown} bytes");
}

#[test]
fn one_who_never_asks_keeps_no_rush_in_memory() {
    let notify = Notify::new();
    let forgotten = wait(&notify);
    notify.notify_waiters();
    let (_, grown, ()) = cost(|| {
        let mut rush: Vec<_> = (0..20_000)
            .map(|_| {
                let mut first = wait(&notify);
                notify.notify_one();
                assert!(poll_once(&mut first).is_ready());
                let second = wait(&notify);
                notify.notify_waiters();
                second
            })
            .collect();
        assert!(BYTES.get() > 1 << 17, "there was no rush");
        assert!(rush.iter_mut().all(|one| poll_once(one).is_ready()));
    });
    assert!(grown < 1 << 17, "{grown} bytes");
    drop(forgotten);
}

#[test]
fn who_was_notified_is_forgotten_when_it_knows() {
    let notify = Notify::new();
    let wait = || wait(&notify);
    let round = || {
        let mut among_all = [wait()];
        notify.notify_waiters();
        let mut others = [wait(), wait(), wait()];
        notify.notify_last();
        notify.notify_one();
        notify.notify_one();
        among_all.iter_mut().chain(&mut others).for_each(|one| assert!(poll_once(one).is_ready()));
    };
    round();
    assert!(cost(|| (0..10_000).for_each(|_| round())).1 < 1 << 12);
}

#[test]
fn a_task_that_receives_a_rush_gives_its_memory_back_before_it_waits() {
    const RUSH: u64 = 100_000;
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (seen, all) = oneshot::channel();
        let task = spawn(async move {
            let mut seen = Some(seen);
            while let Some(number) = receiver.recv().await {
                if number == RUSH {
                    seen.take().unwrap().send(number).unwrap();
                }
            }
        });
        yield_now().await;
        let before = BYTES.get();
        (0..=RUSH).for_each(|number| sender.send(number).unwrap());
        assert!(BYTES.get() - before > 1 << 19, "there was no rush");
        assert_eq!(all.await, Ok(RUSH));
        yield_now().await;
        let kept = BYTES.get() - before;
        assert!(kept < 1 << 17, "{kept} bytes");
        drop(sender);
        task.await.unwrap();
    });
}

#[test]
fn a_channel_grows_in_few_steps() {
    let (sender, _receiver) = mpsc::unbounded_channel();
    let (allocations, _, ()) = cost(|| (0..4000).for_each(|number| sender.send(number).unwrap()));
    assert!(allocations < 20, "{allocations}");
}
