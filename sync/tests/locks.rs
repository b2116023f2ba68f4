//! Mutex, read-write lock, condition and once cell, through their public API.

mod common;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

use common::{Hand, Once, YieldOnce, now, panic_message, poll_once, poll_with};
use handcar_executor::{run, spawn, yield_now};
use handcar_sync::{Condition, Mutex, OnceCell, RwLock, SetError};

#[test]
fn a_critical_section_may_await() {
    run(async {
        let total = Rc::new(Mutex::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let total = total.clone();
                spawn(async move {
                    let mut total = total.lock().await;
                    let before = *total;
                    yield_now().await;
                    *total = before + 1;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*total.try_lock().unwrap(), 50);
    });
}

#[test]
fn a_lock_that_is_waited_for_cannot_be_snatched() {
    let mutex = Rc::new(Mutex::new(()));
    let guard = mutex.clone().try_lock_owned().unwrap();
    assert!(mutex.try_lock().is_err());
    let mut waiter = Hand::new(mutex.lock());
    assert!(waiter.is_pending());
    drop(guard);
    assert!(mutex.try_lock().is_err());
    drop(waiter.ready());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_panic_leaves_the_mutex_usable_and_its_value_as_it_is() {
    let mutex = Mutex::new(1);
    panic_message(|| {
        let mut guard = mutex.try_lock().unwrap();
        *guard = 2;
        panic!("in the critical section");
    });
    assert_eq!(*mutex.try_lock().unwrap(), 2);
}

#[test]
fn a_mutex_gives_its_value_out_without_locking_to_its_only_owner() {
    let mut mutex = Mutex::<Vec<u8>>::default();
    mutex.get_mut().push(1);
    assert_eq!(format!("{mutex:?}"), "Mutex([1])");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{mutex:?} {guard:?}"), "Mutex(<locked>) [1]");
    drop(guard);
    assert_eq!(mutex.into_inner(), [1]);

    let leaked = Mutex::new(1);
    std::mem::forget(leaked.try_lock().unwrap());
    let message = panic_message(|| leaked.into_inner());
    assert!(message.contains("drop guards"), "{message}");
}

#[test]
fn readers_share_and_a_writer_that_waits_holds_up_later_readers() {
    let lock = Rc::new(RwLock::new(String::from("a")));
    let one = lock.try_read().unwrap();
    let other = lock.clone().try_read_owned().unwrap();
    assert_eq!(*one, *other);
    assert!(lock.try_write().is_err());
    let mut writer = Hand::new(lock.write());
    let mut reader = Hand::new(lock.read());
    assert!(writer.is_pending() && reader.is_pending());
    assert!(lock.try_read().is_err());
    drop(one);
    assert_eq!(writer.woken(), 0);
    drop(other);
    assert_eq!((writer.woken(), reader.woken()), (1, 0));
    writer.ready().push('b');
    assert_eq!(*reader.ready(), "ab");
}

#[test]
fn a_writer_that_gives_up_lets_in_the_readers_behind_it() {
    let lock = RwLock::new(());
    let reading = lock.try_read().unwrap();
    let mut writer = Hand::new(lock.write());
    let mut reader = Hand::new(lock.read());
    assert!(writer.is_pending() && reader.is_pending());
    drop(writer);
    assert_eq!(reader.woken(), 1);
    drop((reader.ready(), reading));
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_downgraded_writer_lets_in_readers_and_keeps_out_writers() {
    let lock = Rc::new(RwLock::new(1));
    let mut writer = lock.clone().try_write_owned().unwrap();
    *writer = 2;
    let mut reader = Hand::new(lock.read());
    let mut other_writer = Hand::new(lock.write());
    assert!(reader.is_pending() && other_writer.is_pending());
    let mine = writer.downgrade();
    assert_eq!((reader.woken(), other_writer.woken()), (1, 0));
    assert_eq!(*reader.ready() + *mine, 4);
    assert!(other_writer.is_pending());
    drop(mine);
    *other_writer.ready() = 5;
    drop((reader, other_writer));
    assert_eq!(Rc::into_inner(lock).unwrap().into_inner(), 5);
}

#[test]
fn a_condition_wait_gives_the_mutex_up_and_takes_it_back() {
    run(async {
        let shared = Rc::new((Mutex::new(Vec::new()), Condition::new()));
        let consumer = {
            let shared = shared.clone();
            spawn(async move {
                let (items, filled) = &*shared;
                let mut items = filled.wait_while(items.lock().await, |items| items.len() < 3).await;
                std::mem::take(&mut *items)
            })
        };
        for n in 0..3 {
            yield_now().await;
            let (items, filled) = &*shared;
            let mut items = items.lock().await;
            items.push(n);
            filled.notify_one(&items);
        }
        assert_eq!(consumer.await.unwrap(), [0, 1, 2]);
    });
}

#[test]
fn a_notified_waiter_that_is_dropped_passes_it_on_also_while_it_locks() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let mut first = Hand::new(condition.wait(mutex.try_lock().unwrap()));
    assert!(first.is_pending());
    let mut second = Hand::new(condition.wait(mutex.try_lock().unwrap()));
    assert!(second.is_pending());
    let guard = mutex.try_lock().unwrap();
    condition.notify_one(&guard);
    // It has its notification, and waits for the mutex.
    assert!(first.is_pending());
    assert_eq!(second.woken(), 0);
    drop(first);
    assert_eq!(second.woken(), 1);
    drop(guard);
    drop(second.ready());
}

#[test]
fn a_condition_wait_that_never_began_just_unlocks() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    drop(condition.wait(mutex.try_lock().unwrap()));
    condition.notify_all(&mutex.try_lock().unwrap());
    assert!(Hand::new(condition.wait(mutex.try_lock().unwrap())).is_pending());
}

#[test]
fn a_condition_refuses_the_guard_of_another_mutex() {
    let (mutex, other, condition) = (Mutex::new(()), Mutex::new(()), Condition::new());
    let mut waiter = Hand::new(condition.wait(mutex.try_lock().unwrap()));
    assert!(waiter.is_pending());
    let guard = other.try_lock().unwrap();
    let message = panic_message(|| condition.notify_one(&guard));
    assert!(message.contains("one condition for each mutex"), "{message}");
    let message = panic_message(|| drop(condition.wait(guard)));
    assert!(message.contains("one condition for each mutex"), "{message}");
}

#[test]
fn a_condition_refuses_a_wait_that_was_made_before_others_waited_with_another_mutex() {
    let (one, other, condition) = (Mutex::new(()), Mutex::new(()), Condition::new());
    let mut late = condition.wait(now(other.lock()));
    let mut first = condition.wait(now(one.lock()));
    assert!(poll_once(&mut first).is_pending());
    assert!(panic_message(|| poll_once(&mut late)).contains("one condition for each mutex"));
    condition.notify_one(&now(one.lock()));
    assert!(poll_once(&mut first).is_ready());
}

#[test]
fn a_condition_refuses_a_wait_whose_waker_waits_first_with_another_mutex() {
    let [one, other] = [(); 2].map(|()| Rc::new(Mutex::new(())));
    let condition: &'static Condition = Box::leak(Box::default());
    let waits = Rc::new(RefCell::new(None));
    let waker = Once::at("clone", {
        let (one, waits) = (one.clone(), waits.clone());
        move || {
            let mut first = condition.wait(one.try_lock_owned().unwrap());
            assert!(poll_once(&mut first).is_pending());
            waits.replace(Some(first));
        }
    });
    let mut late = condition.wait(other.try_lock_owned().unwrap());
    assert!(panic_message(|| poll_with(&mut late, &waker)).contains("one condition for each mutex"));
    condition.notify_one(&now(one.lock()));
    assert!(poll_once(waits.borrow_mut().as_mut().unwrap()).is_ready());
}

#[test]
fn a_value_is_made_once_whoever_asks() {
    run(async {
        let (cell, made) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let (cell, made) = (cell.clone(), made.clone());
                spawn(async move {
                    *cell
                        .get_or_init(|| async {
                            yield_now().await;
                            made.set(made.get() + 1);
                            n
                        })
                        .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 0);
        }
        assert_eq!(made.get(), 1);
    });
}

#[test]
fn whoever_gives_up_or_fails_leaves_the_making_to_the_next() {
    let cell = OnceCell::new();
    let mut gives_up = Hand::new(cell.get_or_init(|| async {
        YieldOnce(false).await;
        1
    }));
    let mut fails = Hand::new(cell.get_or_try_init(async || Err::<i32, _>("no")));
    let mut makes = Hand::new(cell.get_or_try_init(async || Ok::<_, Infallible>(3)));
    assert!(gives_up.is_pending() && fails.is_pending() && makes.is_pending());
    assert_eq!(cell.set(9), Err(SetError::InitializingError(9)));
    drop(gives_up);
    assert_eq!(fails.ready(), Err("no"));
    assert_eq!(makes.ready(), Ok(&3));
    drop((fails, makes));
    assert_eq!(cell.set(9), Err(SetError::AlreadyInitializedError(9)));
    let mut cell = cell;
    assert_eq!((cell.take(), cell.initialized()), (Some(3), false));
    cell.set(4).unwrap();
    *cell.get_mut().unwrap() += 1;
    assert_eq!(cell.into_inner(), Some(5));
}

#[test]
fn locking_futures_polled_after_ready_panic_by_name() {
    let mutex = Mutex::new(());
    let mut lock = mutex.lock();
    assert!(poll_once(&mut lock).is_ready());
    assert!(panic_message(|| poll_once(&mut lock)).contains("`Lock`"));
    let lock = RwLock::new(());
    let (mut read, mut write) = (lock.read(), lock.write());
    assert!(poll_once(&mut read).is_ready() && poll_once(&mut write).is_ready());
    assert!(panic_message(|| poll_once(&mut read)).contains("`Lock`"));
    assert!(panic_message(|| poll_once(&mut write)).contains("`Lock`"));
}

#[test]
fn a_value_may_use_its_lock_as_it_is_dropped() {
    type Shared = Rc<Mutex<Option<Curious>>>;
    struct Curious(Rc<RefCell<Option<Shared>>>);
    impl Drop for Curious {
        fn drop(&mut self) {
            // Replaced under the lock: so it is held.
            assert!(self.0.borrow().as_ref().is_none_or(|mutex| mutex.try_lock().is_err()));
        }
    }
    let shared = Rc::new(RefCell::new(None));
    let mutex = Rc::new(Mutex::new(Some(Curious(shared.clone()))));
    *shared.borrow_mut() = Some(mutex.clone());
    *now(mutex.lock()) = None;
    shared.borrow_mut().take();
}

#[test]
fn a_lock_for_two_readers_lets_in_two() {
    let lock = RwLock::with_max_readers(String::new(), 2);
    let (one, other) = (now(lock.read()), now(lock.read()));
    assert!(lock.try_read().is_err());
    drop(one);
    drop((lock.try_read().unwrap(), other));
    let mut writer = now(lock.write());
    writer.push('a');
    let mine = writer.downgrade();
    assert_eq!(*lock.try_read().unwrap(), *mine);
    drop(mine);
    assert!(lock.try_write().is_ok());
    assert_eq!(RwLock::from(1).into_inner() + Mutex::from(1).into_inner(), 2);
}

#[test]
fn who_waits_for_a_value_gets_it_however_it_was_made() {
    let cell = OnceCell::new();
    let (mut one, mut given_up) = (Hand::new(cell.wait()), Hand::new(cell.wait()));
    assert!(one.is_pending() && given_up.is_pending());
    drop(given_up);
    assert_eq!(*now(cell.get_or_init(async || 1)), 1);
    assert_eq!((one.woken(), *one.ready()), (1, 1));
    drop(one);
    let mut cell = cell.clone();
    assert_eq!(cell.take(), Some(1));
    assert!(cell == OnceCell::new_with(None));
    let mut again = Hand::new(cell.wait());
    assert!(again.is_pending());
    cell.set(2).unwrap();
    assert_eq!(*again.ready(), 2);
    assert!(cell.set(3).unwrap_err().is_already_init_err());
}
