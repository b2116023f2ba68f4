//! The mailbox: how the world outside the thread reaches a runtime.
//!
//! The only structure of the kernel that two threads touch, besides the blocking pool. A waker that is woken where its
//! runtime is not current sends its number here:
//!
//! ```text
//!    another thread                                    the runtime's thread
//!    --------------                                    --------------------
//!    1. registry: executor number -> mailbox           a. asleep = true
//!    2. lock, note the id, has_mail = true             b. has_mail? then do not park
//!    3. asleep? then asleep = false, notify  ------>   c. park returns; asleep = false
//!                                                      d. has_mail? lock, has_mail = false, take everything, unlock
//!                                                      e. wake each id, as if it had been woken here
//! ```
//!
//! Nobody is missed: 2 comes before 3, and a before b, in one order for all threads; so either 3 finds the loop asleep, or b
//! finds the mail. A notification that comes between b and the park is kept by the parker. While the loop runs, a letter
//! costs no system call: the loop finds it at its next look, or before, when nothing else is runnable. And `has_mail` is
//! cleared before the letters are looked at, under the lock that they are added under.
//!
//! Seen from a host loop, a runtime is asleep whenever nobody runs it.
//!
//! Each id is held once, however often it is sent: a million wakes of one task from other threads take one place.
//!
//! The registry hands out executor numbers and takes them back at the end of a runtime. The one that has been free longest
//! goes first, so that a late waker of a dead runtime hits an unused number for as long as possible.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kept::{Detect, Detector};
use crate::machine::park::Notify;
use crate::machine::waker::{COUNTS, MAX_EXECUTORS, TaskId};
use crate::report::{Report, Reporter};

/// One runtime's letter box; every other thread sees the runtime through it alone.
pub(crate) struct Mailbox {
    /// Whether there is anything to take: read by the loop at each look, where a lock would cost too much.
    has_mail: AtomicBool,
    /// Whether the loop may have to be notified to come and look.
    asleep: AtomicBool,
    letters: Mutex<Letters>,
    pub(crate) detector: Option<Box<dyn Detect>>,
}

#[derive(Default)]
struct Letters {
    wakes: Vec<TaskId>,
    /// The same as a set, once there are more than [`FEW`].
    known: BTreeSet<TaskId>,
    reports: Vec<Report>,
    closed: bool,
    notifier: Option<Arc<dyn Notify>>,
}

/// Up to so many ids are searched one by one: hashing would cost more.
const FEW: usize = 16;

impl Letters {
    fn note(&mut self, id: TaskId) {
        if self.wakes.len() >= FEW && self.known.is_empty() {
            self.known.extend(&self.wakes);
        }
        let is_new = if self.known.is_empty() { !self.wakes.contains(&id) } else { self.known.insert(id) };
        if is_new {
            self.wakes.push(id);
        }
    }
}

impl Mailbox {
    pub(crate) fn new(detector: Option<Detector>) -> Mailbox {
        let (letters, detector) = (Mutex::default(), detector.map(|make| make()));
        Mailbox { has_mail: AtomicBool::new(false), asleep: AtomicBool::new(true), letters, detector }
    }

    pub(crate) fn wake(&self, id: TaskId) {
        self.add(|letters| letters.note(id));
    }

    /// Has the runtime report it; when that has ended, the default does.
    pub(crate) fn report(&self, report: Report) {
        let mut report = Some(report);
        self.add(|letters| {
            if !letters.closed {
                letters.reports.extend(report.take());
            }
        });
        if let Some(report) = report {
            Reporter::default().report(report);
        }
    }

    /// The runtime ends: nobody will take what comes from now on.
    pub(crate) fn close(&self) {
        let mut letters = self.lock();
        letters.closed = true;
        let notifier = letters.notifier.take(); // it may keep a descriptor open
        drop(letters);
        drop(notifier);
    }

    /// Ends the runtime's park, or its next one, for no other reason.
    pub(crate) fn notify(&self) {
        self.add(|_| {});
    }

    fn add(&self, letter: impl FnOnce(&mut Letters)) {
        let mut letters = self.lock();
        letter(&mut letters);
        self.has_mail.store(true, Ordering::SeqCst);
        let notifier = if self.asleep.swap(false, Ordering::SeqCst) { letters.notifier.clone() } else { None };
        drop(letters); // a parker is a stranger's code
        if let Some(notifier) = notifier {
            notifier.notify();
        }
    }

    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// The loop wants to park: from now on a letter notifies. False if it has mail, and must look at that first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.has_mail.load(Ordering::SeqCst)
    }

    /// The loop runs and will look by itself.
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Nobody runs the loop any more: what has come meanwhile must reach the host.
    pub(crate) fn leave(&self) {
        if !self.fall_asleep() {
            self.notify();
        }
    }

    /// Takes everything that has come. `wakes` is an empty buffer that is swapped in.
    pub(crate) fn take(&self, wakes: &mut Vec<TaskId>) -> Vec<Report> {
        let mut letters = self.lock();
        self.has_mail.store(false, Ordering::Relaxed);
        letters.known.clear();
        std::mem::swap(&mut letters.wakes, wakes);
        std::mem::take(&mut letters.reports)
    }

    /// Puts the notifier of a new parker in place of the old one's.
    ///
    /// Only the loop's own thread calls it, so the loop is not parked. But a host may be about to wait for the new one, and
    /// what has come by now was notified through the old one, or through none: so it is notified again.
    pub(crate) fn set_notifier(&self, notifier: Arc<dyn Notify>) {
        let again = Arc::clone(&notifier);
        let before = self.lock().notifier.replace(notifier);
        drop(before);
        if self.has_mail() {
            again.notify();
        }
    }

    #[inline(never)]
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Registry {
    /// By executor number; number 0 stays empty.
    boxes: Vec<Place>,
    free: VecDeque<u16>,
}

/// What one executor number stands for.
#[derive(Default)]
struct Place {
    /// Of the last runtime that had the number.
    address: Address,
    mailbox: Option<Arc<Mailbox>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { boxes: Vec::new(), free: VecDeque::new() });

/// Which runtime: what a number alone cannot say once it has been used again. Reports need it, wakes do not.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) executor: u16,
    pub(crate) incarnation: u16,
}

/// New numbers are taken until so many have been used once: a number rests at least for that many runtimes.
const FRESH_NUMBERS: usize = if MAX_EXECUTORS < 1024 { MAX_EXECUTORS } else { 1024 };

/// Gives `mailbox` a number; `None` when every number belongs to a living runtime.
pub(crate) fn register(mailbox: Arc<Mailbox>) -> Option<Address> {
    let mut registry = registry();
    let registry = &mut *registry;
    if registry.boxes.is_empty() {
        registry.boxes.push(Place::default());
    }
    let fresh = registry.boxes.len();
    let number = match registry.free.front() {
        Some(_) if fresh > FRESH_NUMBERS => registry.free.pop_front()?,
        _ if fresh <= MAX_EXECUTORS => {
            registry.boxes.push(Place::default());
            u16::try_from(fresh).ok()?
        }
        _ => registry.free.pop_front()?,
    };
    let place = &mut registry.boxes[number as usize];
    let executor = if mailbox.detector.is_some() { number | COUNTS } else { number };
    place.address = Address { executor, incarnation: place.address.incarnation.wrapping_add(1) };
    place.mailbox = Some(mailbox);
    Some(place.address)
}

/// Takes a number back: from now on its wakers are inert.
pub(crate) fn unregister(number: u16) {
    let mut registry = registry();
    let ended = registry.boxes[number as usize].mailbox.take();
    registry.free.push_back(number);
    drop(registry);
    drop(ended);
}

/// Delivers a wake to the runtime it belongs to, if that still lives.
#[cold]
pub(crate) fn send(id: TaskId) {
    if let Some(mailbox) = of(id) {
        mailbox.wake(id);
    }
}

pub(crate) fn of(id: TaskId) -> Option<Arc<Mailbox>> {
    let registry = registry();
    let place = registry.boxes.get((id.executor() & !COUNTS) as usize)?;
    place.mailbox.clone().filter(|_| place.address.executor == id.executor())
}

/// The mailbox of exactly that runtime, if it still lives.
pub(crate) fn at(address: Address) -> Option<Arc<Mailbox>> {
    let registry = registry();
    let place = registry.boxes.get(address.number() as usize)?;
    if place.address == address { place.mailbox.clone() } else { None }
}

#[inline(never)]
fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
