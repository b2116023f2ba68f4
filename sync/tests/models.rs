//! Every primitive against a small reference model: all sequences of operations up to a depth. There is one thread and so no
//! memory order; up to that depth this is a proof.

mod common;

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use common::{Boxed, Model, Waiter, explore, poll_once};
use handcar_sync::mpsc::error::{SendError, TryRecvError};
use handcar_sync::{Barrier, Condition, Event, Mutex, Notify, OnceCell, Queue, RwLock, Semaphore};
use handcar_sync::{broadcast, mpsc, oneshot, watch};

/// Unoptimised builds do one operation less, to keep the suite short.
const DEPTH: usize = if cfg!(debug_assertions) { 7 } else { 8 };

/// Compares who was woken in this step.
fn compare_wakes<R>(waiters: &mut [Waiter<R>], due: &mut [bool]) {
    for (who, (waiter, due)) in waiters.iter_mut().zip(due).enumerate() {
        assert_eq!(waiter.was_woken(), std::mem::take(due), "whether {who} was woken");
    }
}

// --- Everything that hands out permits: semaphore, mutex, read-write lock ---------------------------------------------------

/// How a waiter of the reference stands.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Stand {
    #[default]
    Absent,
    Waiting,
    Granted,
    Refused,
    Holding,
}

/// The reference: permits, and a line of numbers.
#[derive(Default)]
struct Line {
    permits: usize,
    closed: bool,
    order: VecDeque<usize>,
    needs: [usize; 3],
    stands: [Stand; 3],
    woken: [bool; 3],
}

impl Line {
    fn grant(&mut self) {
        while let Some(&who) = self.order.front()
            && self.needs[who] <= self.permits
        {
            self.permits -= self.needs[who];
            self.order.pop_front();
            self.stands[who] = Stand::Granted;
            self.woken[who] = true;
        }
    }

    /// Some(Ok) when it has its permits, Some(Err) when it is refused.
    fn poll(&mut self, who: usize) -> Option<Result<(), ()>> {
        match self.stands[who] {
            Stand::Absent if self.closed => Some(Err(())),
            Stand::Absent if self.order.is_empty() && self.needs[who] <= self.permits => {
                self.permits -= self.needs[who];
                Some(Ok(()))
            }
            Stand::Absent => {
                self.order.push_back(who);
                self.stands[who] = Stand::Waiting;
                None
            }
            Stand::Waiting => None,
            Stand::Granted => Some(Ok(())),
            Stand::Refused => Some(Err(())),
            Stand::Holding => unreachable!(),
        }
    }

    fn drop(&mut self, who: usize) {
        let stand = std::mem::take(&mut self.stands[who]);
        self.order.retain(|&other| other != who);
        if matches!(stand, Stand::Granted | Stand::Holding) {
            self.permits += self.needs[who];
        }
        self.grant();
    }

    fn close(&mut self) {
        self.closed = true;
        for who in self.order.drain(..) {
            self.stands[who] = Stand::Refused;
            self.woken[who] = true;
        }
    }
}

type Held = Result<Box<dyn Any>, ()>;

struct Permits {
    line: Line,
    make: Rc<dyn Fn(usize) -> Boxed<Held>>,
    semaphore: Option<Rc<Semaphore>>,
    waiters: [Waiter<Held>; 3],
    held: [Option<Box<dyn Any>>; 3],
}

impl Model for Permits {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                if self.held[who].is_some() {
                    return false;
                }
                let expected = self.line.poll(who);
                let got = self.waiters[who].poll(|| (self.make)(who));
                assert_eq!(got.as_ref().map(Result::is_ok), expected.map(|expected| expected.is_ok()));
                if let Some(expected) = expected {
                    self.line.stands[who] = if expected.is_ok() { Stand::Holding } else { Stand::Absent };
                }
                self.held[who] = got.and_then(Result::ok);
            }
            3..6 => {
                if self.line.stands[who] == Stand::Absent {
                    return false;
                }
                self.line.drop(who);
                self.waiters[who].future = None;
                self.held[who] = None;
            }
            6 => {
                let Some(semaphore) = &self.semaphore else { return false };
                semaphore.add_permits(1);
                self.line.permits += 1;
                self.line.grant();
            }
            _ => {
                let Some(semaphore) = self.semaphore.as_ref().filter(|_| !self.line.closed) else { return false };
                semaphore.close();
                self.line.close();
            }
        }
        compare_wakes(&mut self.waiters, &mut self.line.woken);
        if let Some(semaphore) = &self.semaphore {
            assert_eq!(semaphore.available_permits(), self.line.permits);
        }
        true
    }
}

fn permits(permits: usize, needs: [usize; 3], make: Rc<dyn Fn(usize) -> Boxed<Held>>) -> Permits {
    let line = Line { permits, needs, ..Line::default() };
    Permits { line, make, semaphore: None, waiters: Default::default(), held: Default::default() }
}

#[test]
fn the_semaphore_agrees_with_its_model() {
    for (start, needs) in [(0, [1, 2, 1]), (1, [2, 1, 1]), (2, [2, 3, 1])] {
        explore(DEPTH, || {
            let semaphore = Rc::new(Semaphore::new(start));
            let make = {
                let semaphore = semaphore.clone();
                move |who: usize| -> Boxed<Held> {
                    let acquire = semaphore.clone().acquire_many_owned(u32::try_from(needs[who]).unwrap());
                    Box::pin(async { acquire.await.map(|permit| Box::new(permit) as Box<dyn Any>).map_err(|_| ()) })
                }
            };
            Permits { semaphore: Some(semaphore), ..permits(start, needs, Rc::new(make)) }
        });
    }
}

#[test]
fn the_mutex_agrees_with_its_model() {
    explore(DEPTH, || {
        let mutex = Rc::new(Mutex::new(0));
        let make = move |_| -> Boxed<Held> {
            let lock = mutex.clone().lock_owned();
            Box::pin(async {
                let mut guard = lock.await;
                *guard += 1;
                Ok(Box::new(guard) as Box<dyn Any>)
            })
        };
        permits(1, [1; 3], Rc::new(make))
    });
}

#[test]
fn the_read_write_lock_agrees_with_its_model() {
    let all = 1 << 20;
    for needs in [[1, all, 1], [all, 1, 1], [all, 1, all]] {
        explore(DEPTH, || {
            let lock = Rc::new(RwLock::new(0));
            let make = move |who: usize| -> Boxed<Held> {
                let lock = lock.clone();
                Box::pin(async move {
                    if needs[who] == 1 {
                        return Ok(Box::new(lock.read_owned().await) as Box<dyn Any>);
                    }
                    let mut guard = lock.write_owned().await;
                    *guard += 1;
                    Ok(Box::new(guard) as Box<dyn Any>)
                })
            };
            permits(all, needs, Rc::new(make))
        });
    }
}

// --- Everything that sends its waiters away together: event, notify, barrier ------------------------------------------------

struct EventModel {
    event: Rc<Event>,
    waiters: [Waiter<()>; 3],
    is_set: bool,
    stands: [Stand; 3],
    woken: [bool; 3],
}

impl Model for EventModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let ready = self.stands[who] == Stand::Granted || self.stands[who] == Stand::Absent && self.is_set;
                let event = self.event.clone();
                let got = self.waiters[who].poll(|| Box::pin(async move { event.wait().await }));
                assert_eq!(got.is_some(), ready);
                self.stands[who] = if ready { Stand::Absent } else { Stand::Waiting };
            }
            3..6 => {
                if self.stands[who] == Stand::Absent {
                    return false;
                }
                self.waiters[who].future = None;
                self.stands[who] = Stand::Absent;
            }
            6 => {
                self.event.set();
                self.is_set = true;
                for (stand, woken) in self.stands.iter_mut().zip(&mut self.woken) {
                    if *stand == Stand::Waiting {
                        (*stand, *woken) = (Stand::Granted, true);
                    }
                }
            }
            _ => {
                self.event.clear();
                self.is_set = false;
            }
        }
        assert_eq!(self.event.is_set(), self.is_set);
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_event_agrees_with_its_model() {
    explore(DEPTH, || EventModel {
        event: Rc::default(),
        waiters: Default::default(),
        is_set: false,
        stands: Default::default(),
        woken: Default::default(),
    });
}

#[derive(Default)]
struct NotifyModel {
    notify: Rc<Notify>,
    waiters: [Waiter<()>; 3],
    kept: bool,
    line: VecDeque<usize>,
    /// What a waiter was given: nothing yet, by `notify_one`, by `notify_waiters`.
    given: [Option<&'static str>; 3],
    woken: [bool; 3],
}

impl NotifyModel {
    fn notify_one(&mut self) {
        let Some(who) = self.line.pop_front() else {
            self.kept = true;
            return;
        };
        self.given[who] = Some("one");
        self.woken[who] = true;
    }
}

impl Model for NotifyModel {
    const OPERATIONS: usize = 11;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            // Creates.
            0..3 => {
                if self.waiters[who].future.is_some() {
                    return false;
                }
                self.waiters[who].future = Some(Box::pin(self.notify.clone().notified_owned()));
                self.given[who] = None;
            }
            // Polls.
            3..6 => {
                if self.waiters[who].future.is_none() {
                    return false;
                }
                if self.given[who].is_none() && !self.line.contains(&who) {
                    if std::mem::take(&mut self.kept) {
                        self.given[who] = Some("one");
                    } else {
                        self.line.push_back(who);
                    }
                }
                let got = self.waiters[who].poll(|| unreachable!());
                assert_eq!(got.is_some(), self.given[who].is_some());
            }
            // Drops.
            6..9 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.given[who].take() == Some("one") {
                    self.notify_one();
                }
            }
            9 => {
                self.notify.notify_one();
                self.notify_one();
            }
            _ => {
                self.notify.notify_waiters();
                for who in self.line.drain(..) {
                    self.woken[who] = true;
                    self.given[who] = Some("all");
                }
                for (waiter, given) in self.waiters.iter().zip(&mut self.given) {
                    if waiter.future.is_some() {
                        given.get_or_insert("all");
                    }
                }
            }
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn notify_agrees_with_its_model() {
    explore(DEPTH, NotifyModel::default);
}

struct BarrierModel {
    barrier: Rc<Barrier>,
    waiters: [Waiter<bool>; 3],
    waiting: Vec<usize>,
    released: [bool; 3],
    woken: [bool; 3],
}

impl Model for BarrierModel {
    const OPERATIONS: usize = 6;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        if operation < 3 {
            let expected = if std::mem::take(&mut self.released[who]) {
                Some(false)
            } else if self.waiting.contains(&who) {
                None
            } else if self.waiting.len() == 1 {
                let other = self.waiting.remove(0);
                (self.released[other], self.woken[other]) = (true, true);
                Some(true)
            } else {
                self.waiting.push(who);
                None
            };
            let barrier = self.barrier.clone();
            let got = self.waiters[who].poll(|| Box::pin(async move { barrier.wait().await.is_leader() }));
            assert_eq!(got, expected);
        } else {
            if self.waiters[who].future.take().is_none() {
                return false;
            }
            self.waiting.retain(|&other| other != who);
            self.released[who] = false;
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_barrier_agrees_with_its_model() {
    explore(DEPTH, || BarrierModel {
        barrier: Rc::new(Barrier::new(2)),
        waiters: Default::default(),
        waiting: vec![],
        released: Default::default(),
        woken: Default::default(),
    });
}

// --- The condition ----------------------------------------------------------------------------------------------------------

/// Whoever waits on the condition has gone through the mutex first; the reference needs both lines.
struct ConditionModel {
    shared: Rc<(Rc<Mutex<()>>, Condition)>,
    waiters: [Waiter<()>; 3],
    /// Those who wait for a notification, in order.
    line: VecDeque<usize>,
    /// What the others were given, until they return.
    given: [Option<&'static str>; 3],
    woken: [bool; 3],
}

impl ConditionModel {
    fn notify_one(&mut self) {
        if let Some(who) = self.line.pop_front() {
            (self.given[who], self.woken[who]) = (Some("one"), true);
        }
    }
}

impl Model for ConditionModel {
    const OPERATIONS: usize = 8;

    // Between two steps nobody holds the mutex: so a wait that was notified returns at its next poll.
    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        let shared = self.shared.clone();
        match operation {
            0..3 => {
                if self.waiters[who].future.is_none() {
                    self.line.push_back(who);
                }
                let expected = self.given[who].take().is_some();
                let got = self.waiters[who].poll(|| {
                    Box::pin(async move {
                        let guard = shared.0.lock().await;
                        drop(shared.1.wait(guard).await);
                    })
                });
                assert_eq!(got.is_some(), expected);
            }
            3..6 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.given[who].take() == Some("one") {
                    self.notify_one();
                }
            }
            6 => {
                shared.1.notify_one(&shared.0.try_lock().unwrap());
                self.notify_one();
            }
            _ => {
                shared.1.notify_all(&shared.0.try_lock().unwrap());
                for who in self.line.drain(..) {
                    (self.given[who], self.woken[who]) = (Some("all"), true);
                }
            }
        }
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_condition_agrees_with_its_model() {
    explore(DEPTH, || ConditionModel {
        shared: Rc::new((Rc::new(Mutex::new(())), Condition::new())),
        waiters: Default::default(),
        line: VecDeque::new(),
        given: Default::default(),
        woken: Default::default(),
    });
}

// --- The once cell ----------------------------------------------------------------------------------------------------------

struct OnceModel {
    cell: Rc<OnceCell<usize>>,
    waiters: [Waiter<usize>; 3],
    value: Option<usize>,
    making: Option<usize>,
    line: VecDeque<usize>,
    woken: [bool; 3],
}

impl OnceModel {
    /// Gives the turn to the next in line.
    fn pass_on(&mut self) {
        self.making = self.line.pop_front();
        if let Some(who) = self.making {
            self.woken[who] = true;
        }
    }
}

impl Model for OnceModel {
    const OPERATIONS: usize = 7;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let is_new = self.waiters[who].future.is_none();
                let cell = self.cell.clone();
                let mut pending = true;
                let got = self.waiters[who].poll(|| {
                    Box::pin(async move {
                        // Making a value takes two polls.
                        *cell
                            .get_or_init(|| async {
                                common::YieldOnce(false).await;
                                who
                            })
                            .await
                    })
                });
                if is_new && let Some(value) = self.value {
                    assert_eq!(got, Some(value));
                    pending = false;
                } else if is_new && self.making.is_none() {
                    self.making = Some(who);
                    self.woken[who] = true;
                } else if is_new {
                    self.line.push_back(who);
                } else if self.making == Some(who) {
                    if let Some(value) = self.value {
                        assert_eq!(got, Some(value));
                        self.pass_on();
                        pending = false;
                    } else if self.waiters[who].was_woken() {
                        // It had the turn from another and begins only now.
                    } else {
                        assert_eq!(got, Some(who));
                        self.value = got;
                        self.pass_on();
                        pending = false;
                    }
                }
                assert_eq!(got.is_none(), pending);
            }
            3..6 => {
                if self.waiters[who].future.take().is_none() {
                    return false;
                }
                self.line.retain(|&other| other != who);
                if self.making == Some(who) {
                    self.pass_on();
                }
            }
            _ => {
                let expected = self.value.is_none() && self.making.is_none();
                assert_eq!(self.cell.set(9).is_ok(), expected);
                if expected {
                    self.value = Some(9);
                }
            }
        }
        assert_eq!(self.cell.get().copied(), self.value);
        compare_wakes(&mut self.waiters, &mut self.woken);
        true
    }
}

#[test]
fn the_once_cell_agrees_with_its_model() {
    explore(DEPTH, || OnceModel {
        cell: Rc::default(),
        waiters: Default::default(),
        value: None,
        making: None,
        line: VecDeque::new(),
        woken: Default::default(),
    });
}

// --- The channel with one message -------------------------------------------------------------------------------------------

#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
struct OneshotModel {
    sender: Rc<RefCell<Option<oneshot::Sender<u8>>>>,
    receiver: Waiter<Result<u8, ()>>,
    real: Rc<RefCell<oneshot::Receiver<u8>>>,
    message: Option<u8>,
    closed: bool,
    done: bool,
    waiting: bool,
    woken: bool,
}

impl Model for OneshotModel {
    const OPERATIONS: usize = 6;

    fn step(&mut self, operation: usize) -> bool {
        match operation {
            // Polls the receiver, by reference.
            0 => {
                if self.done {
                    return false;
                }
                let real = self.real.clone();
                let got = self.receiver.poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| {
                        std::pin::Pin::new(&mut *real.borrow_mut()).poll(cx).map_err(|_| ())
                    }))
                });
                let sender_lives = self.sender.borrow().is_some();
                let expected = match self.message.take() {
                    Some(message) => Some(Ok(message)),
                    None if self.closed || !sender_lives => Some(Err(())),
                    None => None,
                };
                assert_eq!(got, expected);
                self.done = got.is_some();
                self.waiting = !self.done;
            }
            1 => {
                let Some(sender) = self.sender.take() else { return false };
                assert_eq!(sender.is_closed(), self.closed);
                assert_eq!(sender.send(7), if self.closed { Err(7) } else { Ok(()) });
                self.message = (!self.closed).then_some(7);
                self.woken = std::mem::take(&mut self.waiting) && !self.closed;
            }
            2 => {
                if self.sender.take().is_none() {
                    return false;
                }
                self.woken = std::mem::take(&mut self.waiting) && !self.closed;
            }
            3 => {
                self.real.borrow_mut().close();
                self.closed |= self.message.is_none();
            }
            4 => {
                let sender_lives = self.sender.borrow().is_some();
                let expected = match self.message.take() {
                    Some(message) => Ok(message),
                    None if self.closed || !sender_lives => Err(oneshot::error::TryRecvError::Closed),
                    None => Err(oneshot::error::TryRecvError::Empty),
                };
                assert_eq!(self.real.borrow_mut().try_recv(), expected);
                self.closed |= expected.is_ok();
            }
            _ => {
                // The sender's wait for the receiver, begun anew each time.
                let mut sender = self.sender.borrow_mut();
                let Some(sender) = sender.as_mut() else { return false };
                assert_eq!(poll_once(&mut sender.closed()).is_ready(), self.closed);
            }
        }
        assert_eq!(self.receiver.was_woken(), std::mem::take(&mut self.woken));
        true
    }
}

#[test]
fn the_oneshot_channel_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, receiver) = oneshot::channel();
        OneshotModel {
            sender: Rc::new(RefCell::new(Some(sender))),
            receiver: Waiter::default(),
            real: Rc::new(RefCell::new(receiver)),
            message: None,
            closed: false,
            done: false,
            waiting: false,
            woken: false,
        }
    });
}

// --- The channels of many messages ------------------------------------------------------------------------------------------

type Sent = Result<(), SendError<usize>>;

struct MpscModel {
    sender: Rc<mpsc::Sender<usize>>,
    real: Rc<RefCell<Option<mpsc::Receiver<usize>>>>,
    senders: [Waiter<Sent>; 3],
    receiver: [Waiter<Option<usize>>; 1],
    rendezvous: bool,
    /// The reference: slots and their line, messages with whose rendezvous they are, and the receiver's registration.
    line: Line,
    capacity: usize,
    messages: VecDeque<usize>,
    offered: [bool; 3],
    registered: bool,
    recv_woken: [bool; 1],
}

impl MpscModel {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        let slots = capacity.max(1);
        Self {
            sender: Rc::new(sender),
            real: Rc::new(RefCell::new(Some(receiver))),
            senders: Default::default(),
            receiver: Default::default(),
            rendezvous: capacity == 0,
            line: Line { permits: slots, needs: [1; 3], ..Line::default() },
            capacity: slots,
            messages: VecDeque::new(),
            offered: [false; 3],
            registered: false,
            recv_woken: [false],
        }
    }

    fn wake_receiver(&mut self) {
        self.recv_woken[0] |= std::mem::take(&mut self.registered);
    }

    fn free_slot(&mut self) {
        self.line.permits += 1;
        self.line.grant();
    }

    fn pop(&mut self) -> Option<usize> {
        let message = self.messages.pop_front()?;
        if std::mem::take(&mut self.offered[message]) {
            self.line.woken[message] = true;
        }
        self.free_slot();
        Some(message)
    }

    fn is_finished(&self) -> bool {
        self.line.closed && self.line.permits == self.capacity
    }

    fn poll_send(&mut self, who: usize) -> Option<Sent> {
        if self.senders[who].future.is_some() && self.line.stands[who] == Stand::Holding {
            // Its message was offered. Is it still there?
            let offered = std::mem::take(&mut self.offered[who]);
            if offered && self.real.borrow().is_some() {
                self.offered[who] = true;
                return None;
            }
            self.line.stands[who] = Stand::Absent;
            if offered {
                self.messages.pop_front();
                self.free_slot();
                return Some(Err(SendError(who)));
            }
            return Some(Ok(()));
        }
        let slot = self.line.poll(who)?;
        self.line.stands[who] = Stand::Absent;
        if slot.is_err() {
            return Some(Err(SendError(who)));
        }
        if self.real.borrow().is_none() {
            self.free_slot();
            return Some(Err(SendError(who)));
        }
        self.messages.push_back(who);
        if self.messages.len() == 1 {
            self.wake_receiver();
        }
        if self.rendezvous {
            self.offered[who] = true;
            self.line.stands[who] = Stand::Holding;
            return None;
        }
        Some(Ok(()))
    }
}

impl Model for MpscModel {
    const OPERATIONS: usize = 10;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                let expected = self.poll_send(who);
                let sender = self.sender.clone();
                let got = self.senders[who].poll(|| Box::pin(async move { sender.send(who).await }));
                assert_eq!(got, expected);
            }
            3..6 => {
                if self.senders[who].future.take().is_none() {
                    return false;
                }
                let granted = matches!(self.line.stands[who], Stand::Granted | Stand::Refused);
                if std::mem::take(&mut self.offered[who]) {
                    self.messages.pop_front();
                    self.line.stands[who] = Stand::Absent;
                    self.free_slot();
                } else if self.line.stands[who] == Stand::Holding {
                    self.line.stands[who] = Stand::Absent;
                } else {
                    self.line.drop(who);
                }
                if granted && self.line.closed {
                    self.wake_receiver();
                }
            }
            6 => {
                if self.real.borrow().is_none() {
                    return false;
                }
                let expected = match self.pop() {
                    None if !self.is_finished() => None,
                    message => Some(message),
                };
                self.registered = expected.is_none();
                let real = self.real.clone();
                let got = self.receiver[0].poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| real.borrow_mut().as_mut().unwrap().poll_recv(cx)))
                });
                assert_eq!(got, expected);
            }
            7 => {
                let Some(receiver) = &mut *self.real.borrow_mut() else { return false };
                receiver.close();
                self.line.close();
            }
            8 => {
                if self.real.take().is_none() {
                    return false;
                }
                self.receiver[0].future = None;
                self.registered = false;
                self.line.close();
                if self.rendezvous {
                    for (offered, woken) in self.offered.iter().zip(&mut self.line.woken) {
                        *woken |= offered;
                    }
                } else {
                    self.messages.clear();
                }
            }
            _ => {
                let Some(receiver) = &mut *self.real.borrow_mut() else { return false };
                let got = receiver.try_recv();

                let expected = match self.messages.front() {
                    Some(_) => Ok(()),
                    None if self.is_finished() => Err(TryRecvError::Disconnected),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(got.map(drop), expected);
                assert_eq!(got.ok(), {
                    let message = self.messages.pop_front();
                    if let Some(message) = message {
                        if std::mem::take(&mut self.offered[message]) {
                            self.line.woken[message] = true;
                        }
                        self.line.permits += 1;
                        self.line.grant();
                    }
                    message
                });
            }
        }
        compare_wakes(&mut self.senders, &mut self.line.woken);
        compare_wakes(&mut self.receiver, &mut self.recv_woken);
        true
    }
}

#[test]
fn the_bounded_channel_agrees_with_its_model() {
    explore(DEPTH, || MpscModel::new(1));
    explore(DEPTH, || MpscModel::new(2));
}

#[test]
fn the_rendezvous_channel_agrees_with_its_model() {
    explore(DEPTH, || MpscModel::new(0));
}

// --- The queue --------------------------------------------------------------------------------------------------------------

/// Two putters, two getters, a queue of one.
struct QueueModel {
    queue: Rc<Queue<usize>>,
    putters: [Waiter<Sent>; 2],
    getters: [Waiter<Option<usize>>; 2],
    slots: Line,
    items: Line,
    store: VecDeque<usize>,
}

impl Model for QueueModel {
    const OPERATIONS: usize = 10;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 2;
        let queue = self.queue.clone();
        match operation {
            0..2 => {
                let expected = match self.slots.poll(who) {
                    Some(Ok(())) if !self.slots.closed => {
                        self.store.push_back(who);
                        self.items.permits += 1;
                        self.items.grant();
                        Some(Ok(()))
                    }
                    Some(_) => Some(Err(SendError(who))),
                    None => None,
                };
                if expected.is_some() {
                    self.slots.stands[who] = Stand::Absent;
                }
                let got = self.putters[who].poll(|| Box::pin(async move { queue.put(who).await }));
                assert_eq!(got, expected);
            }
            2..4 => {
                let expected = match self.items.poll(who) {
                    Some(Ok(())) => Some(self.take()),
                    Some(Err(())) => Some(None),
                    None => None,
                };
                if expected.is_some() {
                    self.items.stands[who] = Stand::Absent;
                }
                let got = self.getters[who].poll(|| Box::pin(async move { queue.get().await }));
                assert_eq!(got, expected);
            }
            4..6 => {
                if self.putters[who].future.take().is_none() {
                    return false;
                }
                self.slots.drop(who);
            }
            6..8 => {
                if self.getters[who].future.take().is_none() {
                    return false;
                }
                self.items.drop(who);
            }
            8 => {
                if self.slots.closed {
                    return false;
                }
                queue.close();
                self.slots.close();
                self.close_if_drained();
            }
            _ => {
                assert_eq!(Vec::from(std::mem::take(&mut self.store)), queue.close_now());
                self.slots.close();
                self.close_if_drained();
            }
        }
        assert_eq!(self.queue.len(), self.store.len());
        compare_wakes(&mut self.putters, &mut self.slots.woken);
        compare_wakes(&mut self.getters, &mut self.items.woken);
        true
    }
}

impl QueueModel {
    fn take(&mut self) -> Option<usize> {
        let item = self.store.pop_front()?;
        self.slots.permits += 1;
        self.slots.grant();
        self.close_if_drained();
        Some(item)
    }

    fn close_if_drained(&mut self) {
        if self.slots.closed && self.store.is_empty() {
            self.items.close();
        }
    }
}

#[test]
fn the_queue_agrees_with_its_model() {
    explore(DEPTH, || QueueModel {
        queue: Rc::new(Queue::new(1)),
        putters: Default::default(),
        getters: Default::default(),
        slots: Line { permits: 1, needs: [1; 3], ..Line::default() },
        items: Line { permits: 0, needs: [1; 3], ..Line::default() },
        store: VecDeque::new(),
    });
}

// --- Broadcast and watch ----------------------------------------------------------------------------------------------------

struct BroadcastModel {
    sender: Option<broadcast::Sender<u64>>,
    real: [Rc<RefCell<Option<broadcast::Receiver<u64>>>>; 2],
    receivers: [Waiter<Result<u64, broadcast::error::RecvError>>; 2],
    /// How many were sent, and what each receiver sees next.
    sent: u64,
    next: [Option<u64>; 2],
    waiting: [bool; 2],
    woken: [bool; 2],
}

impl Model for BroadcastModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        const CAPACITY: u64 = 2;
        let who = operation % 2;
        match operation {
            0..2 => {
                let Some(next) = self.next[who] else { return false };
                // Messages are numbers, so what is received says which it was.
                let kept = self.sent.saturating_sub(CAPACITY);
                let expected = if next < kept {
                    self.next[who] = Some(kept);
                    Some(Err(broadcast::error::RecvError::Lagged(kept - next)))
                } else if next < self.sent {
                    self.next[who] = Some(next + 1);
                    Some(Ok(next))
                } else if self.sender.is_none() {
                    Some(Err(broadcast::error::RecvError::Closed))
                } else {
                    None
                };
                self.waiting[who] = expected.is_none();
                let real = self.real[who].clone();
                let got = self.receivers[who].poll(|| {
                    Box::pin(std::future::poll_fn(move |cx| real.borrow_mut().as_mut().unwrap().poll_recv(cx)))
                });
                assert_eq!(got, expected);
            }
            2 => {
                let Some(sender) = &self.sender else { return false };
                let receivers = self.next.iter().flatten().count();
                assert_eq!(sender.send(self.sent).ok(), (receivers > 0).then_some(receivers));
                if receivers == 0 {
                    return true;
                }
                self.sent += 1;
                self.wake_all();
            }
            3 => {
                if self.sender.take().is_none() {
                    return false;
                }
                self.wake_all();
            }
            4..6 => {
                if self.next[who].take().is_none() {
                    return false;
                }
                self.real[who].take();
                self.receivers[who].future = None;
                self.waiting[who] = false;
            }
            _ => {
                let Some(sender) = self.sender.as_ref().filter(|_| self.next[who].is_none()) else { return false };
                self.real[who].replace(Some(sender.subscribe()));
                self.next[who] = Some(self.sent);
            }
        }
        if let Some(sender) = &self.sender {
            // Nothing is kept that everybody has seen.
            let oldest = self.next.iter().flatten().min().copied().unwrap_or(self.sent);
            assert_eq!(sender.len() as u64, (self.sent - oldest).min(CAPACITY));
        }
        compare_wakes(&mut self.receivers, &mut self.woken);
        true
    }
}

impl BroadcastModel {
    fn wake_all(&mut self) {
        for (waiting, woken) in self.waiting.iter_mut().zip(&mut self.woken) {
            *woken |= std::mem::take(waiting);
        }
    }
}

#[test]
fn broadcast_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, first) = broadcast::channel(2);
        let second = sender.subscribe();
        BroadcastModel {
            sender: Some(sender),
            real: [Rc::new(RefCell::new(Some(first))), Rc::new(RefCell::new(Some(second)))],
            receivers: Default::default(),
            sent: 0,
            next: [Some(0); 2],
            waiting: [false; 2],
            woken: [false; 2],
        }
    });
}

struct WatchModel {
    sender: Option<watch::Sender<u64>>,
    real: [Rc<RefCell<watch::Receiver<u64>>>; 2],
    receivers: [Waiter<Result<(), ()>>; 2],
    version: u64,
    seen: [u64; 2],
    waiting: [bool; 2],
    woken: [bool; 2],
}

impl Model for WatchModel {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 2;
        match operation {
            0..2 => {
                let expected = if self.seen[who] != self.version {
                    Some(Ok(()))
                } else if self.sender.is_none() {
                    Some(Err(()))
                } else {
                    None
                };
                let real = self.real[who].clone();
                let got = self.receivers[who].poll(|| {
                    #[allow(clippy::await_holding_refcell_ref)] // nobody else borrows it while this lives
                    Box::pin(async move { real.borrow_mut().changed().await.map_err(|_| ()) })
                });
                assert_eq!(got, expected);
                self.waiting[who] = expected.is_none();
                if expected.is_some() {
                    self.seen[who] = self.version;
                }
            }
            2..4 => {
                if self.receivers[who].future.take().is_none() {
                    return false;
                }
                self.waiting[who] = false;
            }
            4..6 => {
                if self.receivers[who].future.is_some() {
                    return false;
                }
                assert_eq!(*self.real[who].borrow_mut().borrow_and_update(), self.version);
                self.seen[who] = self.version;
            }
            _ => {
                if operation == 6 {
                    let Some(sender) = &self.sender else { return false };
                    self.version += 1;
                    sender.send(self.version).unwrap();
                } else if self.sender.take().is_none() {
                    return false;
                }
                for (waiting, woken) in self.waiting.iter_mut().zip(&mut self.woken) {
                    *woken |= std::mem::take(waiting);
                }
            }
        }
        compare_wakes(&mut self.receivers, &mut self.woken);
        true
    }
}

#[test]
fn watch_agrees_with_its_model() {
    explore(DEPTH, || {
        let (sender, first) = watch::channel(0);
        let second = sender.subscribe();
        WatchModel {
            sender: Some(sender),
            real: [Rc::new(RefCell::new(first)), Rc::new(RefCell::new(second))],
            receivers: Default::default(),
            version: 0,
            seen: [0; 2],
            waiting: [false; 2],
            woken: [false; 2],
        }
    });
}
