//! Delegates: a combinator polls only what was woken, wherever it is polled, and forgotten ones do no harm.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use handcar_executor::{Builder, Delegates, Instant, Runtime, sleep, spawn, yield_now};

mod common;
use common::{Call, Drops, Log, Reports, calling, panic_of, simulated, test_run, watchdog};

type Child = Pin<Box<dyn Future<Output = ()>>>;

/// Waits for all its children, and polls only those that were woken.
#[derive(Default)]
struct All {
    children: Vec<Option<Child>>,
    delegates: Delegates,
    polls: Rc<RefCell<Vec<usize>>>,
}

impl All {
    fn new() -> All {
        All::default()
    }

    fn push(&mut self, child: impl Future<Output = ()> + 'static) -> usize {
        let index = self.delegates.insert();
        self.children.resize_with(self.children.len().max(index + 1), || None);
        self.children[index] = Some(Box::pin(child));
        index
    }

    fn remove(&mut self, index: usize) {
        self.delegates.remove(index);
        self.children[index] = None;
    }
}

impl Future for All {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.delegates.begin(cx);
        while let Some(index) = this.delegates.next() {
            this.polls.borrow_mut().push(index);
            let waker = this.delegates.waker(index);
            let child = this.children[index].as_mut().expect("a removed child is never returned");
            if child.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                this.delegates.remove(index);
                this.children[index] = None;
            }
        }
        if this.delegates.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A future that is pending until its switch is thrown, and whoever throws it.
#[derive(Clone, Default)]
struct Switch(Rc<RefCell<(bool, Option<Waker>)>>);

impl Switch {
    fn throw(&self) {
        self.0.borrow_mut().0 = true;
        self.wake();
    }

    fn wake(&self) {
        let waker = self.0.borrow().1.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn waker(&self) -> Waker {
        self.0.borrow().1.clone().expect("it has been polled")
    }

    fn wait(&self) -> impl Future<Output = ()> + 'static {
        let switch = Rc::clone(&self.0);
        poll_fn(move |cx| {
            let old = switch.borrow_mut().1.replace(cx.waker().clone());
            drop(old);
            if switch.borrow().0 { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// A combinator of `count` switches.
fn switches(count: usize) -> (All, Vec<Switch>, Rc<RefCell<Vec<usize>>>) {
    let mut all = All::new();
    let switches: Vec<_> = (0..count).map(|_| Switch::default()).collect();
    for switch in &switches {
        all.push(switch.wait());
    }
    let polls = Rc::clone(&all.polls);
    (all, switches, polls)
}

#[test]
fn only_what_was_woken_is_polled_in_the_order_of_the_wakes() {
    let _dog = watchdog();
    test_run(async {
        let (all, switches, polls) = switches(100);
        let task = spawn(all);
        yield_now().await;
        assert_eq!(polls.take(), (0..100).collect::<Vec<_>>(), "each once at first");
        for index in [70, 3, 50] {
            switches[index].throw();
        }
        switches[3].wake(); // twice
        yield_now().await;
        assert_eq!(polls.take(), [70, 3, 50]);
        for switch in &switches {
            switch.throw();
        }
        task.await.unwrap();
        let rest: Vec<_> = (0..100).filter(|index| ![70, 3, 50].contains(index)).collect();
        assert_eq!(polls.take(), rest);
    });
}

#[test]
fn a_spuriously_woken_parent_polls_no_child() {
    let _dog = watchdog();
    test_run(async {
        let (all, switches, polls) = switches(3);
        let parent = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&parent);
        let mut all = Box::pin(all);
        let task = spawn(poll_fn(move |cx| {
            *slot.borrow_mut() = Some(cx.waker().clone());
            all.as_mut().poll(cx)
        }));
        yield_now().await;
        polls.take();
        parent.borrow().as_ref().unwrap().wake_by_ref();
        yield_now().await;
        assert_eq!(polls.take(), [0; 0]);
        switches.iter().for_each(Switch::throw);
        task.await.unwrap();
    });
}

#[test]
fn a_child_that_wakes_itself_for_ever_does_not_keep_its_parent_busy_for_ever() {
    let _dog = watchdog();
    test_run(async {
        let mut all = All::new();
        all.push(async {
            loop {
                yield_now().await;
            }
        });
        let polls = Rc::clone(&all.polls);
        let task = spawn(all);
        for _ in 0..10 {
            yield_now().await;
        }
        assert!((9..=11).contains(&polls.borrow().len()), "once per turn of the parent: {}", polls.borrow().len());
        drop(task);
    });
}

#[test]
fn a_strangers_parent_waker_is_woken_once_until_the_next_poll() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let log = Log::new();
    let heard = log.clone();
    let parent = calling(move |call| heard.note(format!("{call:?}")));
    runtime.enter(|| {
        let (mut all, switches, polls) = switches(3);
        assert!(parent.poll(&mut all).is_pending());
        assert_eq!(log.take(), ["Clone"]);
        polls.take();
        switches[1].wake();
        switches[2].wake();
        assert_eq!(log.take(), ["Wake"]);
        assert!(parent.poll(&mut all).is_pending());
        assert_eq!(polls.take(), [1, 2]);
        assert_eq!(log.take(), ["Clone"]);
        assert!(parent.poll(&mut all).is_pending());
        assert_eq!(log.take(), [""; 0], "the same waker is kept");
        switches.iter().for_each(Switch::throw);
        assert!(parent.poll(&mut all).is_ready());
        log.take();
        drop(all);
    });
    drop(runtime);
}

#[test]
fn a_child_removed_while_it_is_woken_is_not_returned() {
    let _dog = watchdog();
    test_run(async {
        let (mut all, switches, polls) = switches(4);
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        polls.take();
        let stale = switches[1].waker();
        switches[1].wake();
        switches[2].wake();
        all.remove(1);
        stale.wake_by_ref();
        // Its place is taken by another child.
        let newcomer = Switch::default();
        assert_eq!(all.push(newcomer.wait()), 1);
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut polled = polls.take();
        polled.sort_unstable();
        polled.dedup();
        assert_eq!(polled, [1, 2]);
        stale.wake_by_ref(); // means the old one, and costs the new one a poll at the most
        stale.wake();
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(polls.take(), [1]);
    });
}

#[test]
fn children_come_and_go_without_leaving_slots_behind() {
    let _dog = watchdog();
    test_run(async {
        let mut all = All::new();
        poll_fn(|cx| Pin::new(&mut all).poll(cx)).await;
        for _ in 0..1000 {
            let index = all.push(async {});
            all.remove(index);
        }
        assert!(all.delegates.is_empty());
        assert!(!all.delegates.has_woken(), "nothing is left in the list");
        let id = spawn(async {}).id();
        assert!(format!("{id}").starts_with("#1.") || format!("{id}").starts_with("#0."), "a low slot: {id}");
    });
}

#[test]
fn children_that_were_removed_before_the_poll_are_not_handed_out() {
    let _dog = watchdog();
    test_run(async {
        let (mut all, _switches, polls) = switches(1);
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        polls.take();
        for _ in 0..1000 {
            let index = all.push(async {});
            all.remove(index);
        }
        let mut handed_out = 0;
        poll_fn(|cx| {
            all.delegates.begin(cx);
            while all.delegates.next().is_some() {
                handed_out += 1;
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(handed_out, 0);
    });
}

#[test]
fn a_combinator_moved_to_another_runtime_goes_on_there() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, b_clock) = simulated();
    let mut all = All::new();
    for second in 1..=3 {
        all.push(sleep(Duration::from_secs(second)));
    }
    let polls = Rc::clone(&all.polls);
    a.block_on(async {
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        yield_now().await;
    });
    assert_eq!(polls.take(), [0, 1, 2]);
    b.block_on(&mut all);
    assert_eq!(polls.take(), [0, 1, 2, 0, 1, 2], "each once at first, then as its time comes");
    assert_eq!(b_clock.now().since_start(), Duration::from_secs(3));
    assert_eq!((a.metrics().timers, b.metrics().timers), (0, 0));
}

#[test]
fn the_wakers_of_the_runtime_left_behind_are_inert() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (b, _) = simulated();
    let (mut all, switches, polls) = switches(2);
    let waker = calling(|_| {});
    a.enter(|| assert!(waker.poll(&mut all).is_pending()));
    let old = switches[0].waker();
    b.enter(|| assert!(waker.poll(&mut all).is_pending()));
    polls.take();
    a.enter(|| old.wake_by_ref());
    old.wake();
    let _ = a.turn().unwrap();
    b.enter(|| assert!(waker.poll(&mut all).is_pending()));
    assert_eq!(polls.take(), [0; 0]);
    // Back again, and the numbers of its first stay are still nobody's.
    a.enter(|| assert!(waker.poll(&mut all).is_pending()));
    assert_eq!(polls.take(), [0, 1]);
}

#[test]
fn a_combinator_outlives_its_runtime() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (mut all, switches, polls) = switches(3);
    let waker = calling(|_| {});
    a.enter(|| assert!(waker.poll(&mut all).is_pending()));
    let stale = switches[0].waker();
    drop(a);
    polls.take();
    stale.wake();
    all.remove(1);
    let late = Switch::default();
    all.push(late.wait());
    test_run(async {
        poll_fn(|cx| {
            assert!(Pin::new(&mut all).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(polls.take(), [1, 0, 2], "all are, and first who was woken there");
        switches[0].throw();
        switches[2].throw();
        late.throw();
        (&mut all).await;
    });
    drop(all);
}

#[test]
fn a_combinator_dropped_after_its_runtime_does_no_harm() {
    let _dog = watchdog();
    let (a, _) = simulated();
    let (mut all, switches, _) = switches(3);
    let waker = calling(|_| {});
    a.enter(|| assert!(waker.poll(&mut all).is_pending()));
    switches[1].wake();
    drop(a);
    drop(all);
    switches[2].wake();
}

#[test]
fn a_task_suspended_in_a_combinator_is_dropped_at_the_end_and_the_core_too() {
    let _dog = watchdog();
    let drops = Drops::new();
    let (core, child) = (drops.token(), drops.token());
    let runtime: Runtime = Builder::new()
        .observe(move |_| {
            let _ = &core;
        })
        .build()
        .unwrap();
    let mut all = All::new();
    all.push(async move {
        let _child = child;
        sleep(Duration::MAX).await;
    });
    runtime.spawn(all).detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_forgotten_combinator_keeps_no_core_alive() {
    let _dog = watchdog();
    let drops = Drops::new();
    let core = drops.token();
    let runtime = Builder::new()
        .observe(move |_| {
            let _ = &core;
        })
        .build()
        .unwrap();
    let (mut all, switches, _) = switches(3);
    let parent = calling(|_| {});
    runtime.enter(|| assert!(parent.poll(&mut all).is_pending()));
    switches[0].wake();
    // As good as forgotten: its drop comes only when the test has seen enough, so that nothing leaks.
    let forgotten = ManuallyDrop::new(all);
    drop(runtime);
    assert_eq!(drops.count(), 1);
    switches[1].wake();
    drop(ManuallyDrop::into_inner(forgotten));
}

#[test]
fn a_waker_before_the_first_poll_wakes_nobody() {
    let _dog = watchdog();
    test_run(async {
        let mut delegates = Delegates::new();
        let child = delegates.insert();
        delegates.waker(child).wake_by_ref();
        assert_eq!(delegates.len(), 1);
        assert!(delegates.has_woken());
        poll_fn(|cx| {
            delegates.begin(cx);
            Poll::Ready(())
        })
        .await;
        assert_eq!(delegates.next(), Some(child));
        assert_eq!(delegates.next(), None);
    });
}

#[test]
fn beginning_outside_a_runtime_panics_with_the_remedy() {
    let _dog = watchdog();
    let mut delegates = Delegates::new();
    let text = panic_of(|| delegates.begin(&Context::from_waker(Waker::noop())));
    assert!(text.contains("a combinator needs a runtime"), "{text}");
}

#[test]
fn a_child_may_be_inserted_from_outside_and_wakes_the_parent() {
    let _dog = watchdog();
    test_run(async {
        let (all, switches, polls) = switches(1);
        let shared = Rc::new(RefCell::new(all));
        let polled = Rc::clone(&shared);
        let task = spawn(poll_fn(move |cx| Pin::new(&mut *polled.borrow_mut()).poll(cx)));
        yield_now().await;
        polls.take();
        shared.borrow_mut().push(async {});
        yield_now().await;
        assert_eq!(polls.take(), [1]);
        switches[0].throw();
        task.await.unwrap();
    });
}

#[test]
fn children_are_woken_from_other_threads() {
    let _dog = watchdog();
    handcar_executor::run(async {
        let (all, switches, polls) = switches(3);
        let task = spawn(all);
        yield_now().await;
        polls.take();
        let wakers: Vec<_> = switches.iter().map(Switch::waker).collect();
        switches[2].0.borrow_mut().0 = true;
        std::thread::spawn(move || {
            for waker in wakers.into_iter().rev().take(1) {
                waker.wake();
            }
        })
        .join()
        .unwrap();
        while polls.borrow().is_empty() {
            yield_now().await;
        }
        assert_eq!(polls.take(), [2]);
        drop(task);
    });
}

#[test]
fn parents_may_be_nested_deep() {
    let _dog = watchdog();
    test_run(async {
        let switch = Switch::default();
        let mut inner: Child = Box::pin(switch.wait());
        for _ in 0..50 {
            let mut all = All::new();
            all.push(inner);
            inner = Box::pin(all);
        }
        let task = spawn(inner);
        yield_now().await;
        switch.throw();
        task.await.unwrap();
    });
}

#[test]
fn a_panic_in_a_child_leaves_the_runtime_and_the_other_slots_in_order() {
    let _dog = watchdog();
    test_run(async {
        let (mut all, _switches, _) = switches(3);
        all.push(async {
            yield_now().await;
            panic!("in a child");
        });
        let error = spawn(all).await.unwrap_err();
        assert_eq!(error.to_string(), "task panicked: in a child");
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    });
}

#[test]
fn a_parent_waker_that_panics_when_a_child_is_inserted_is_reported_and_costs_no_child() {
    let _dog = watchdog();
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    runtime.block_on(async {
        let (mut all, _switches, polls) = switches(1);
        let waker = calling(|call| assert_ne!(call, Call::Wake, "spite"));
        assert!(waker.poll(&mut all).is_pending());
        assert_eq!(all.push(async {}), 1);
        assert_eq!(all.push(async {}), 2);
        polls.take();
        assert!(waker.poll(&mut all).is_pending());
        assert_eq!(polls.take(), [1, 2]);
    });
    assert_eq!(reports.take().len(), 1);
}

#[test]
fn a_parent_waker_that_panics_when_woken_from_the_mailbox_is_reported_and_costs_no_other_wake() {
    let _dog = watchdog();
    let reports = Reports::new();
    let runtime = Builder::new().on_report(reports.hook()).build().unwrap();
    let bad = calling(|call| assert_ne!(call, Call::Wake, "in the parent's waker"));
    runtime.block_on(async {
        let (mut all, switches, _) = switches(1);
        assert!(bad.poll(&mut all).is_pending());
        let other = Switch::default();
        let task = spawn(other.wait());
        yield_now().await;
        other.0.borrow_mut().0 = true;
        let (child, waiting) = (switches[0].waker(), other.waker());
        // The bad one comes first in the mailbox.
        std::thread::spawn(move || {
            child.wake();
            waiting.wake();
        })
        .join()
        .unwrap();
        task.await.unwrap();
    });
    assert_eq!(reports.take().len(), 1);
}

#[test]
fn parent_wakers_may_call_back() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    let (tell, told) = channel();
    let log = Log::new();
    let slot = Rc::new(RefCell::new(None::<Vec<Switch>>));
    let (in_hook, heard) = (Rc::clone(&slot), log.clone());
    let nosy = calling(move |call| {
        heard.note(format!("{call:?}"));
        let switches = in_hook.borrow().clone();
        for switch in switches.iter().flatten().filter(|switch| switch.0.borrow().1.is_some()) {
            switch.wake();
        }
        drop(spawn(async {}));
        let _ = tell.send(());
    });
    runtime.enter(|| {
        let (mut all, switches, polls) = switches(2);
        *slot.borrow_mut() = Some(switches.clone());
        assert!(nosy.poll(&mut all).is_pending());
        polls.take();
        let other = calling(|_| {});
        switches[0].wake();
        for _ in 0..3 {
            assert!(nosy.poll(&mut all).is_pending());
            assert!(other.poll(&mut all).is_pending());
        }
        assert!(!polls.take().is_empty());
        drop(all);
    });
    assert!(told.try_recv().is_ok());
    drop(runtime);
    assert!(!log.take().is_empty());
}

#[test]
fn a_wake_inside_the_clone_of_the_parents_waker_is_not_lost() {
    let _dog = watchdog();
    let (runtime, _) = simulated();
    runtime.enter(|| {
        let (mut all, switches, polls) = switches(2);
        let first = calling(|_| {});
        assert!(first.poll(&mut all).is_pending());
        polls.take();
        let switch = switches[1].clone();
        let woken = Rc::new(Cell::new(false));
        let heard = Rc::clone(&woken);
        let second = calling(move |call| match call {
            Call::Clone => switch.wake(),
            Call::Wake | Call::WakeByRef => heard.set(true),
            Call::Drop => {}
        });
        assert!(second.poll(&mut all).is_pending());
        assert!(polls.take() == [1] || woken.get());
        assert_eq!(Instant::now(), Instant::START);
    });
}

thread_local!(static WOKEN_BY_HOOK: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) });

/// A panic's hook is a program's code, too: nothing of ours is borrowed while it runs.
#[test]
fn a_panic_hook_may_use_the_runtime_and_the_combinator_that_was_misused() {
    let _dog = watchdog();
    let before = take_hook();
    set_hook(Box::new(move |info| {
        let wakers = WOKEN_BY_HOOK.take();
        if wakers.is_empty() {
            return before(info);
        }
        wakers.iter().for_each(Waker::wake_by_ref);
        spawn(yield_now()).detach();
        assert!(pin!(sleep(Duration::from_secs(1))).poll(&mut Context::from_waker(&wakers[0])).is_pending());
    }));
    let (runtime, _clock) = simulated();
    for what in ["waker", "remove"] {
        let mut delegates = Delegates::new();
        runtime.block_on(poll_fn(|cx| {
            if delegates.is_empty() {
                delegates.insert();
            }
            delegates.begin(cx);
            while let Some(child) = delegates.next() {
                let waker = delegates.waker(child).clone();
                WOKEN_BY_HOOK.set(vec![waker.clone(), cx.waker().clone()]);
                let panic = catch_unwind(AssertUnwindSafe(|| match what {
                    "waker" => assert!(delegates.waker(1).will_wake(&waker)),
                    _ => delegates.remove(1),
                }));
                assert!(panic.is_err(), "{what}");
                assert!(delegates.has_woken(), "{what}: the hook has woken it");
                delegates.remove(child);
            }
            Poll::Ready(())
        }));
    }
}

#[test]
fn a_childs_waker_does_nothing_to_the_next_combinator_that_has_its_block() {
    let _dog = watchdog();
    let (runtime, _clock) = simulated();
    runtime.block_on(poll_fn(|cx| {
        let mut late = None;
        for _ in 0..2 {
            let mut delegates = Delegates::new();
            let child = delegates.insert();
            delegates.begin(cx);
            assert_eq!(delegates.next(), Some(child));
            if let Some(late) = late.replace(delegates.waker(child).clone()) {
                late.wake();
                assert!(!delegates.has_woken(), "it was another's");
            }
        }
        Poll::Ready(())
    }));
}

#[test]
fn who_comes_in_a_poll_that_has_removed_all_others_waits_for_the_next_one() {
    let _dog = watchdog();
    let (runtime, _clock) = simulated();
    runtime.block_on(poll_fn(|cx| {
        let mut delegates = Delegates::new();
        let children = [delegates.insert(), delegates.insert()];
        delegates.begin(cx);
        assert_eq!(delegates.next(), Some(0));
        for child in children {
            delegates.remove(child);
        }
        let new = delegates.insert();
        assert_eq!(delegates.next(), None);
        delegates.begin(cx);
        assert_eq!(delegates.next(), Some(new));
        Poll::Ready(())
    }));
}

#[test]
fn the_waker_of_a_child_that_was_removed_or_is_in_the_list_does_not_wake_the_parent() {
    let _dog = watchdog();
    let (runtime, _clock) = simulated();
    let woken = Rc::new(Cell::new(0));
    let counted = Rc::clone(&woken);
    let parent = calling(move |call| {
        if matches!(call, Call::Wake | Call::WakeByRef) {
            counted.set(counted.get() + 1);
        }
    });
    runtime.enter(|| {
        let mut delegates = Delegates::new();
        let children = [delegates.insert(), delegates.insert()];
        delegates.begin(&Context::from_waker(&parent.waker));
        assert_eq!(delegates.next(), Some(0));
        delegates.waker(children[1]).wake_by_ref(); // is in the list
        let removed = delegates.waker(0).clone();
        delegates.remove(0);
        removed.wake();
        assert_eq!(woken.get(), 0);
    });
}

#[test]
fn a_combinator_that_is_asked_asks_its_children() {
    let _dog = watchdog();
    let (runtime, _clock) = simulated();
    let mut all = All::new();
    all.push(poll_fn(|cx| {
        let _ = handcar_executor::question::poll_telling(cx, || String::from("a bell"));
        Poll::Pending
    }));
    let error = runtime.try_block_on(all).unwrap_err().to_string();
    assert!(error.contains("a bell"), "{error}");
}
