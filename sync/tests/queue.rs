//! The queues, through their public API.

mod common;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;

use common::{Hand, OnDrop, Once, now, panic_message, poll_once, poll_with};
use futures::StreamExt;
use handcar_executor::{run, spawn};
use handcar_sync::mpsc::error::{SendError, TryRecvError, TrySendError};
use handcar_sync::{LifoQueue, PriorityQueue, Queue};

#[test]
fn each_kind_has_its_order() {
    let (fifo, lifo, priority) = (Queue::new(5), LifoQueue::new(5), PriorityQueue::new(5));
    for item in [(2, 'a'), (1, 'b'), (3, 'c'), (1, 'd')] {
        fifo.try_put(item).unwrap();
        lifo.try_put(item).unwrap();
        // Ordered by the number alone, so that only the queue tells 'b' from 'd'.
        priority.try_put(ByNumber(item)).unwrap();
    }
    let names =
        |next: &dyn Fn() -> Option<(i32, char)>| std::iter::from_fn(next).map(|item| item.1).collect::<String>();
    assert_eq!(names(&|| fifo.try_get().ok()), "abcd");
    assert_eq!(names(&|| lifo.try_get().ok()), "dcba");
    assert_eq!(names(&|| priority.try_get().ok().map(|item| item.0)), "bdac");
}

struct ByNumber((i32, char));

impl Ord for ByNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.0.cmp(&other.0.0)
    }
}

impl PartialOrd for ByNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByNumber {}

#[test]
fn a_full_queue_holds_putters_up_in_order() {
    let queue = Queue::new(1);
    now(queue.put(1)).unwrap();
    assert_eq!(queue.try_put(9), Err(TrySendError::Full(9)));
    let mut first = Hand::new(queue.put(2));
    let mut second = Hand::new(queue.put(3));
    assert!(first.is_pending() && second.is_pending());
    assert_eq!(now(queue.get()), Some(1));
    assert_eq!((first.woken(), second.woken()), (1, 0));
    first.ready().unwrap();
    assert_eq!(queue.try_get(), Ok(2));
    second.ready().unwrap();
    assert_eq!((queue.len(), queue.is_empty(), queue.capacity()), (1, false, 1));
}

#[test]
fn an_item_stays_until_a_poll_takes_it() {
    let queue = Queue::new(1);
    let mut first = Hand::new(queue.get());
    let mut second = Hand::new(queue.get());
    assert!(first.is_pending() && second.is_pending());
    queue.try_put("kept").unwrap();
    assert_eq!((first.woken(), queue.len()), (1, 1));
    // It is granted to the first: nobody may snatch it.
    assert_eq!(queue.try_get(), Err(TryRecvError::Empty));
    drop(first);
    assert_eq!(second.woken(), 1);
    assert_eq!(second.ready(), Some("kept"));
}

#[test]
fn close_gives_items_back_to_putters_and_drains_to_getters() {
    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let mut putter = Hand::new(queue.put(2));
    assert!(putter.is_pending());
    queue.close();
    assert_eq!(putter.ready(), Err(SendError(2)));
    assert_eq!(now(queue.put(3)), Err(SendError(3)));
    assert_eq!(queue.try_put(4), Err(TrySendError::Closed(4)));
    assert_eq!(now(queue.get()), Some(1));
    assert_eq!(now(queue.get()), None);
    assert_eq!(queue.try_get(), Err(TryRecvError::Disconnected));
    assert!(queue.is_closed());

    let empty = Queue::<u8>::new(1);
    let mut getter = Hand::new(empty.get());
    assert!(getter.is_pending());
    empty.close();
    assert_eq!(getter.woken(), 1);
    assert_eq!(getter.ready(), None);
}

#[test]
fn a_putter_whose_slot_was_granted_gets_its_item_back_from_a_closed_queue() {
    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let mut putter = Hand::new(queue.put(2));
    assert!(putter.is_pending());
    assert_eq!(queue.try_get(), Ok(1));
    queue.close();
    assert_eq!(putter.ready(), Err(SendError(2)));
    assert_eq!(now(queue.get()), None);
}

#[test]
fn an_item_whose_getter_is_dropped_after_close_goes_to_the_next_getter() {
    let queue = Queue::unbounded();
    let (mut first, mut second) = (Hand::new(queue.get()), Hand::new(queue.get()));
    assert!(first.is_pending());
    assert!(second.is_pending());
    queue.try_put("item").unwrap();
    queue.close();
    // The item is the first one's to take, and it may yet go.
    assert!(second.is_pending());
    assert_eq!(queue.try_get(), Err(TryRecvError::Empty));
    let mut third = Hand::new(queue.get());
    assert!(third.is_pending());
    drop(first);
    assert_eq!(second.ready(), Some("item"));
    assert_eq!((third.woken(), third.ready()), (1, None));
    assert_eq!(queue.try_get(), Err(TryRecvError::Disconnected));
}

#[test]
fn join_waits_for_all_that_was_put() {
    let queue = Queue::new(5);
    now(queue.join());
    for n in 0..3 {
        queue.try_put(n).unwrap();
    }
    let mut join = Hand::new(queue.join());
    assert!(join.is_pending());
    assert_eq!(queue.try_get(), Ok(0));
    queue.task_done();
    let mut tracked = now(queue.get_tracked()).unwrap();
    *tracked += 10;
    assert_eq!((*tracked, queue.unfinished()), (11, 2));
    drop(tracked);
    assert!(join.is_pending());
    assert_eq!(queue.close_now(), [2]);
    assert_eq!(join.woken(), 1);
    join.ready();
    let message = panic_message(|| queue.task_done());
    assert!(message.contains("more often"), "{message}");
}

#[test]
fn only_items_that_were_taken_can_be_done() {
    let queue = Rc::new(Queue::new(2));
    queue.try_put(1).unwrap();
    queue.try_put(2).unwrap();
    let message = panic_message(|| queue.task_done());
    assert!(message.contains("than items were taken"), "{message}");
    assert_eq!(queue.try_get(), Ok(1));
    queue.task_done();
    assert!(panic_message(|| queue.task_done()).contains("than items were taken"));
    assert_eq!(queue.unfinished(), 1);

    // Nor while `close_now` tells the others of those that it has taken.
    queue.try_put(3).unwrap();
    let refusals = Rc::new(Cell::new(0));
    let waker = || {
        let (queue, refusals) = (queue.clone(), refusals.clone());
        Once::at("wake", move || {
            assert!(panic_message(|| queue.task_done()).contains("than items were taken"));
            refusals.set(refusals.get() + 1);
        })
    };
    let (mut put, mut join) = (queue.put(4), queue.join());
    assert!(poll_with(&mut put, &waker()).is_pending() && poll_with(&mut join, &waker()).is_pending());
    assert_eq!(queue.close_now(), [2, 3]);
    assert_eq!((queue.unfinished(), refusals.get()), (0, 2));
    assert!(poll_once(&mut join).is_ready());
}

#[test]
fn misuse_panics_with_the_remedy() {
    let message = panic_message(|| drop(Queue::<u8>::new(0)));
    assert!(message.contains("unbounded()"), "{message}");
    assert_eq!(Queue::<[u8; 1 << 20]>::new(usize::MAX).len(), 0);

    let queue = Queue::new(2);
    let mut put = queue.put(1);
    assert!(poll_once(&mut put).is_ready());
    assert!(panic_message(|| poll_once(&mut put)).contains("`queue::Put`"));
    let mut get = queue.get();
    assert!(poll_once(&mut get).is_ready());
    assert!(panic_message(|| poll_once(&mut get)).contains("`queue::Get`"));

    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let tracked = now(queue.get_tracked()).unwrap();
    queue.task_done();
    let message = panic_message(|| drop(tracked));
    assert!(message.contains("by itself"), "{message}");
}

#[test]
fn items_may_use_the_queue_as_they_are_dropped() {
    let queue = Rc::new(Queue::<OnDrop<Box<dyn FnMut()>>>::new(3));
    let dropped = Rc::new(RefCell::new(0));
    for _ in 0..3 {
        let (weak, dropped) = (Rc::downgrade(&queue), dropped.clone());
        let item: Box<dyn FnMut()> = Box::new(move || {
            *dropped.borrow_mut() += 1;
            if let Some(queue) = weak.upgrade() {
                drop(queue.try_get());
                queue.close();
            }
        });
        assert!(queue.try_put(OnDrop(item)).is_ok());
    }
    // Each drop takes and drops the next.
    drop(queue.try_get());
    assert_eq!(*dropped.borrow(), 3);
}

#[test]
fn an_ord_that_uses_its_own_queue_is_told_so() {
    thread_local! {
        static QUEUE: Rc<PriorityQueue<Rude>> = Rc::new(PriorityQueue::unbounded());
    }
    #[derive(PartialEq, Eq)]
    struct Rude(u8);
    impl PartialOrd for Rude {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Rude {
        fn cmp(&self, other: &Self) -> Ordering {
            QUEUE.with(|queue| drop(queue.try_get()));
            self.0.cmp(&other.0)
        }
    }
    let queue = QUEUE.with(Rc::clone);
    queue.try_put(Rude(1)).unwrap();
    let message = panic_message(|| queue.try_put(Rude(2)).is_ok());
    assert!(message.contains("must not use"), "{message}");
    // Both calls that panicked have left the counts as they should be.
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    assert_eq!(queue.close_now().len(), 2);
    now(queue.join());
}

#[test]
fn an_ord_that_panics_upsets_no_count() {
    #[derive(PartialEq, PartialOrd)]
    struct Score(f64);
    impl Eq for Score {}
    #[allow(clippy::derive_ord_xor_partial_ord)] // that is the mistake
    impl Ord for Score {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.partial_cmp(&other.0).expect("a score is a number")
        }
    }
    let queue = PriorityQueue::new(4);
    for score in [1.0, 2.0] {
        assert!(queue.try_put(Score(score)).is_ok());
    }
    panic_message(|| queue.try_put(Score(f64::NAN)).is_ok());
    assert_eq!((queue.len(), queue.unfinished()), (3, 3));
    let mut left = 3;
    while left > 0 {
        let got = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.try_get().is_ok()));
        assert!(got.unwrap_or(true));
        left -= 1;
        assert_eq!(queue.len(), left);
    }
    assert_eq!(queue.try_get().err(), Some(TryRecvError::Empty));
    for score in [4.0, 3.0, 2.0, 1.0] {
        assert!(queue.try_put(Score(score)).is_ok());
    }
    assert!(matches!(queue.try_put(Score(0.0)), Err(TrySendError::Full(_))));
}

#[test]
fn workers_on_handcar_end_when_the_queue_is_closed() {
    run(async {
        let queue = Rc::new(Queue::new(4));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let mut items = queue.clone().into_stream();
                spawn(async move {
                    let mut sum = 0;
                    while let Some(n) = items.next().await {
                        sum += n;
                    }
                    sum
                })
            })
            .collect();
        for n in 1..=100 {
            queue.put(n).await.unwrap();
        }
        queue.close();
        let mut sum = 0;
        for worker in workers {
            sum += worker.await.unwrap();
        }
        assert_eq!(sum, 5050);
    });
}
