//! An allocator is a program's code, too: one that tells its program of memory pressure comes back to the runtime in the midst of
//! whatever grows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use handcar_executor::{Builder, Clock, Delegates, Deque, Sleep, sleep, spawn, yield_now};

mod common;
use common::watchdog;

struct Telling;

type Hook = Option<Rc<dyn Fn()>>;

thread_local!(static HOOK: Cell<Hook> = const { Cell::new(None) });

/// Calls the hook, which may allocate: then it is not called once more.
fn tell() {
    if let Ok(Some(hook)) = HOOK.try_with(Cell::take) {
        hook();
        HOOK.set(Some(hook));
    }
}

// SAFETY: every call is passed on as it is to the system's allocator, which keeps the contract; the hooks do not panic.
unsafe impl GlobalAlloc for Telling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        tell();
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `alloc` or `realloc`, and so from the system's allocator with this layout.
        unsafe { System.dealloc(block, layout) }
        tell();
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`, and the caller's promise about `size` is handed on.
        let larger = unsafe { System.realloc(block, layout, size) };
        tell();
        larger
    }
}

#[global_allocator]
static ALLOCATOR: Telling = Telling;

/// Calls `hook` at each allocation of `f`.
fn with_hook<T>(hook: impl Fn() + 'static, f: impl FnOnce() -> T) -> T {
    HOOK.set(Some(Rc::new(hook)));
    let value = f();
    drop(HOOK.take());
    value
}

fn poll_once(future: &mut (impl Future + Unpin)) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Under a clock that stands still: with detection of deadlocks no waker is plain, without it each is.
fn test_run(detect: bool, future: impl Future) {
    let runtime = Builder::new().clock(Clock::simulated()).detect_deadlocks(detect).build().unwrap();
    runtime.block_on(future);
}

#[test]
fn an_allocator_may_wake_a_task_while_tasks_combinators_and_timers_need_more_room() {
    let _dog = watchdog();
    for detect in [false, true] {
        let (polls, told) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let kept = Rc::new(RefCell::new(None));
        test_run(detect, {
            let (polls, told, kept) = (Rc::clone(&polls), Rc::clone(&told), Rc::clone(&kept));
            async move {
                spawn(poll_fn({
                    let kept = Rc::clone(&kept);
                    move |cx| {
                        polls.set(polls.get() + 1);
                        *kept.borrow_mut() = Some(cx.waker().clone());
                        Poll::<()>::Pending
                    }
                }))
                .detach();
                yield_now().await;
                let waker: Waker = kept.take().unwrap();
                let mut before = (0, 0);
                for step in 0..3 {
                    let (waker, counter) = (waker.clone(), Rc::clone(&told));
                    let hook = move || {
                        counter.set(counter.get() + 1);
                        waker.wake_by_ref();
                    };
                    let mut sleeps: Vec<Sleep> = Vec::new();
                    let mut delegates = Delegates::new();
                    with_hook(hook, || match step {
                        0 => (0..3000).for_each(|_| spawn(pending::<()>()).detach()),
                        1 => {
                            for _ in 0..3000 {
                                delegates.insert();
                                delegates.begin(&Context::from_waker(Waker::noop()));
                            }
                        }
                        _ => {
                            for seconds in 1..3000 {
                                sleeps.push(sleep(Duration::from_secs(seconds)));
                                sleeps.last_mut().map(poll_once);
                            }
                        }
                    });
                    yield_now().await;
                    assert!(told.get() > before.0, "step {step}: nothing has grown");
                    before.0 = told.get();
                    before.1 += 1;
                }
            }
        });
        assert!(polls.get() > 3, "it was woken {} times and polled {}", told.get(), polls.get());
    }
}

#[test]
fn an_allocator_may_wake_children_arm_timers_and_spawn() {
    let _dog = watchdog();
    test_run(
        false,
        poll_fn(|cx| {
            let spawned = Rc::new(Cell::new(0));
            let mut delegates = Delegates::new();
            let children: Vec<_> = (0..3).map(|_| delegates.insert()).collect();
            delegates.begin(cx);
            while delegates.next().is_some() {}
            let wakers: Vec<_> = children.iter().map(|&child| delegates.waker(child).clone()).collect();
            let hook = {
                let spawned = Rc::clone(&spawned);
                move || {
                    wakers.iter().for_each(Waker::wake_by_ref);
                    poll_once(&mut pin!(sleep(Duration::from_secs(1))));
                    if spawned.get() < 100 {
                        spawned.set(spawned.get() + 1);
                        spawn(yield_now()).detach();
                    }
                }
            };
            let mut asleep: Vec<_> = (0..500).map(|_| sleep(Duration::from_secs(9))).collect();
            with_hook(hook, || {
                (0..500).for_each(|_| _ = delegates.insert());
                (0..500).for_each(|_| spawn(yield_now()).detach());
                asleep.iter_mut().for_each(poll_once);
                delegates.begin(cx);
            });
            let woken: Vec<_> = std::iter::from_fn(|| delegates.next()).collect();
            assert_eq!(woken.len(), 503, "each child was woken, or is new");
            assert!(woken.iter().all(|&child| child < 503));
            assert_eq!(spawned.get(), 100);
            Poll::Ready(())
        }),
    );
}

#[test]
fn what_an_allocator_sends_while_the_queue_grows_is_not_lost() {
    let deque = Rc::new(Deque::new());
    let sent = Rc::new(Cell::new(0));
    let hook = {
        let (deque, sent) = (Rc::clone(&deque), Rc::clone(&sent));
        move || {
            if deque.push_within_capacity(-1).is_ok() {
                sent.set(sent.get() + 1);
            } else if sent.get() < 50 {
                deque.grow();
            }
        }
    };
    with_hook(hook, || {
        for number in 0..1000 {
            while deque.push_within_capacity(number).is_err() {
                deque.grow();
            }
        }
    });
    let items: Vec<i32> = std::iter::from_fn(|| deque.pop()).collect();
    assert_eq!(items.iter().filter(|&&item| item == -1).count(), sent.get());
    assert!(sent.get() > 0, "nothing was sent in between");
    assert!(items.iter().copied().filter(|&item| item >= 0).eq(0..1000), "in order");
}
