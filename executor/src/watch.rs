//! Watchers: polls that take too long, told after them or while they last.
//!
//! ```text
//!     the loop's thread                                   the watchdog's thread, ten times per threshold
//!     -----------------                                   ----------------------------------------------
//!     Polled   count += 1, task := it          ------>    the same count as at the first look that saw it,
//!     Paused, Ended, the next Polled:                     a threshold ago? Report::Stuck, and again after
//!              count += 1, task := nobody                 each further threshold
//!              took too long? Report::SlowPoll, at the loop's next look
//! ```
//!
//! A watcher is an [observer](crate::Event). So the machine knows nothing of watchers, and without one nothing is different.
//!
//! The two are for two cases. [`slow_poll`](crate::Builder::slow_poll) reads the clock around each poll, is exact, and says
//! nothing of a poll that never ends. The [`watchdog`](crate::Builder::watchdog) costs the loop two stores for each poll, and
//! speaks while the loop is still stuck; so what it says cannot go through the loop.

use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::machine::mailbox::Mailbox;
use crate::machine::waker::TaskId;
use crate::observe::{Event, Observer};
use crate::report::Report;
use crate::reporter::Reporter;
use crate::task_info::TaskInfo;

/// How many looks the watchdog takes in one threshold: it sees a poll late by one of them at the most.
const LOOKS: u32 = 10;

/// The shortest time between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// What a [`Builder`](crate::Builder) was asked to watch.
#[derive(Default)]
pub(crate) struct Settings {
    slow_poll: Option<Duration>,
    watchdog: Option<Duration>,
    pub(crate) on_stuck: Option<OnStuck>,
    /// [`observer`], once there is something to watch: so that other programs do not contain it.
    observer: Option<MakeObserver>,
}

type MakeObserver = fn(Settings, &Arc<Mailbox>, Option<Observer>) -> io::Result<Option<Observer>>;

impl Settings {
    pub(crate) fn slow_poll(&mut self, limit: Duration) {
        self.slow_poll = Some(limit);
        self.observer = Some(observer);
    }

    pub(crate) fn watchdog(&mut self, threshold: Duration) {
        self.watchdog = Some(threshold);
        self.observer = Some(observer);
    }

    /// Who is told each step: the program's own observer, and the watchers that were asked for.
    pub(crate) fn with_own(self, mailbox: &Arc<Mailbox>, own: Option<Observer>) -> io::Result<Option<Observer>> {
        match self.observer {
            Some(observer) => observer(self, mailbox, own),
            None => Ok(own),
        }
    }
}

/// Who hears of a loop that is stuck; called on the watchdog's thread.
pub(crate) type OnStuck = Box<dyn Fn(Report) + Send>;

/// The watchers that were asked for, and the program's own observer, as one.
fn observer(settings: Settings, mailbox: &Arc<Mailbox>, own: Option<Observer>) -> io::Result<Option<Observer>> {
    let watch = Watch::new(settings, mailbox)?;
    Ok(Some(match own {
        None => Box::new(move |event| watch.see(event)),
        Some(own) => Box::new(move |event| {
            watch.see(event);
            own(event);
        }),
    }))
}

struct Watch {
    slow_poll: Option<Duration>,
    mailbox: Arc<Mailbox>,
    known: Arc<Known>,
    /// The poll that is under way, and when it began, if that is wanted.
    poll: Cell<Option<(TaskId, Option<Instant>)>>,
    dog: Option<Dog>,
}

impl Watch {
    fn new(settings: Settings, mailbox: &Arc<Mailbox>) -> io::Result<Watch> {
        let Settings { slow_poll, watchdog, on_stuck, .. } = settings;
        let known = Arc::new(Known::default());
        let dog = watchdog.map(|threshold| Dog::start(threshold, &known, on_stuck)).transpose()?;
        Ok(Watch { slow_poll, mailbox: Arc::clone(mailbox), known, poll: Cell::new(None), dog })
    }

    fn see(&self, event: &Event<'_>) {
        match *event {
            Event::Entered { at } => self.known.lock().entered_at = Some(at),
            Event::Spawned { task, name, at } => {
                self.known.add(TaskInfo { id: task, name: name.map(Arc::from), spawned_at: at });
            }
            Event::Polled { task } => {
                let now = self.slow_poll.map(|_| now());
                self.end_poll(now);
                self.poll.set(Some((task, now)));
                if let Some(dog) = &self.dog {
                    dog.shared.begin(task);
                }
            }
            Event::Ended { task } => {
                self.end();
                self.known.remove(task);
            }
            Event::Paused => self.end(),
            _ => {}
        }
    }

    /// No poll is under way any more.
    fn end(&self) {
        if self.poll.get().is_none() {
            return;
        }
        self.end_poll(self.slow_poll.map(|_| now()));
        if let Some(dog) = &self.dog {
            dog.shared.begin(TaskId::NONE);
        }
    }

    fn end_poll(&self, now: Option<Instant>) {
        if let Some((task, Some(since))) = self.poll.take()
            && let (Some(now), Some(limit)) = (now, self.slow_poll)
        {
            let took = now - since;
            if took >= limit {
                self.tell_slow(task, took, limit);
            }
        }
    }

    #[cold]
    fn tell_slow(&self, task: TaskId, took: Duration, limit: Duration) {
        let task = self.known.lock().who(task); // not in the `if`, which would hold the lock
        if let Some(task) = task {
            self.mailbox.report(Report::SlowPoll { task, took, limit }); // the hook is called by the next look, in no task's name
        }
    }
}

/// Who the living tasks are, for a report about one that cannot be asked any more, or not from the other thread.
#[derive(Default)]
struct Known(Mutex<Tasks>);

#[derive(Default)]
struct Tasks {
    by_slot: Vec<Option<TaskInfo>>,
    main: Option<TaskId>,
    /// The line that runs the loop: main's own, which changes with each `block_on`.
    entered_at: Option<&'static Location<'static>>,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, task: TaskInfo) {
        let mut known = self.lock();
        if task.name.as_deref() == Some("main") && known.entered_at == Some(task.spawned_at) {
            known.main = Some(task.id); // any task may have the name, but main's line is that which runs the loop
        }
        let slot = task.id.slot() as usize;
        if known.by_slot.len() <= slot {
            known.by_slot.resize(slot + 1, None);
        }
        known.by_slot[slot] = Some(task);
    }

    fn remove(&self, task: TaskId) {
        let mut known = self.lock();
        if let Some(place) = known.by_slot.get_mut(task.slot() as usize) {
            *place = None;
        }
    }
}

impl Tasks {
    fn who(&self, id: TaskId) -> Option<TaskInfo> {
        let mut task = self.by_slot.get(id.slot() as usize)?.clone().filter(|task| task.id == id)?;
        if let Some(at) = self.entered_at.filter(|_| self.main == Some(id)) {
            task.spawned_at = at;
        }
        Some(task)
    }
}

/// The watchdog, as the loop's thread holds it. Dropping it ends its thread.
struct Dog {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    /// How many polls have begun or ended.
    count: AtomicU64,
    /// The task that is being polled, as its number.
    task: AtomicUsize,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Shared {
    /// The count first: whoever reads the new task and then the count reads the new count too.
    fn begin(&self, task: TaskId) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        self.task.store(task.0, Ordering::Release);
    }

    /// The task that is being polled, and the count that goes with it.
    fn look(&self) -> (u64, TaskId) {
        let task = TaskId(self.task.load(Ordering::Acquire));
        (self.count.load(Ordering::Acquire), task)
    }
}

impl Dog {
    fn start(threshold: Duration, known: &Arc<Known>, on_stuck: Option<OnStuck>) -> io::Result<Dog> {
        let shared = Arc::new(Shared {
            count: AtomicU64::new(0),
            task: AtomicUsize::new(TaskId::NONE.0),
            over: Mutex::new(false),
            ended: Condvar::new(),
        });
        let (seen, known) = (Arc::clone(&shared), Arc::clone(known));
        let thread = thread::Builder::new()
            .name("handcar-watchdog".to_owned())
            .spawn(move || watch(&seen, &known, threshold, on_stuck.as_ref()))?;
        Ok(Dog { shared, thread: Some(thread) })
    }
}

impl Drop for Dog {
    fn drop(&mut self) {
        *self.shared.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // the reporter catches the panics of a hook
        }
    }
}

/// The watchdog's life.
fn watch(shared: &Shared, known: &Known, threshold: Duration, on_stuck: Option<&OnStuck>) {
    let pause = (threshold / LOOKS).max(SHORTEST_PAUSE);
    let mut vigil = Vigil { threshold, count: shared.look().0, since: Instant::now(), told: 0 };
    let mut over = shared.over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let slept = Instant::now();
        over = shared.ended.wait_timeout(over, pause).unwrap_or_else(PoisonError::into_inner).0;
        let (now, (count, task)) = (Instant::now(), shared.look());
        let late = (now - slept).saturating_sub(pause);
        if late >= threshold {
            vigil.since += late; // the process was stopped, or had no processor: that is not the poll's doing
        }
        let Some(stuck_for) = vigil.look(now, count, task) else { continue };
        let Some(task) = known.lock().who(task) else { continue };
        drop(over); // the hook may take its time, or be what ends the runtime
        Reporter::tell_from_outside(on_stuck, Report::Stuck { task, stuck_for });
        over = shared.over.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

/// What the watchdog has seen.
struct Vigil {
    threshold: Duration,
    count: u64,
    /// When it saw this count first.
    since: Instant,
    /// How many thresholds ago that was when it told of it.
    told: u32,
}

impl Vigil {
    /// For how long the poll that is under way has lasted, at the least, if that is to be told.
    fn look(&mut self, now: Instant, count: u64, task: TaskId) -> Option<Duration> {
        if count != self.count {
            (self.count, self.since, self.told) = (count, now, 0);
        }
        let stuck_for = now - self.since;
        if task == TaskId::NONE || stuck_for < self.threshold * (self.told + 1) {
            return None;
        }
        self.told = u32::try_from(stuck_for.as_nanos() / self.threshold.as_nanos()).unwrap_or(u32::MAX - 1);
        Some(stuck_for)
    }
}

/// The time, which the tests set.
#[cfg(not(test))]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
use tests::now;

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("slow_poll", &self.slow_poll)
            .field("watchdog", &self.watchdog)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: Duration = Duration::from_millis(100);

    thread_local! {
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    pub(super) fn now() -> Instant {
        NOW.get()
    }

    fn pass(millis: u64) {
        NOW.set(now() + Duration::from_millis(millis));
    }

    fn task(number: usize) -> TaskId {
        TaskId(number)
    }

    /// Looks as often as the watchdog does, for `looks` times, and says after how many milliseconds it told, and what.
    fn told(vigil: &mut Vigil, looks: u32, count: u64, task: TaskId) -> Vec<(u128, u128)> {
        let from = vigil.since;
        let looked = (1..=looks).map(|look| (look, from + THRESHOLD / LOOKS * look));
        let told = looked.filter_map(|(look, now)| Some((look, vigil.look(now, count, task)?)));
        told.map(|(look, stuck_for)| ((THRESHOLD / LOOKS * look).as_millis(), stuck_for.as_millis())).collect()
    }

    fn vigil() -> Vigil {
        Vigil { threshold: THRESHOLD, count: 0, since: Instant::now(), told: 0 }
    }

    #[test]
    fn a_poll_is_told_within_a_tenth_more_than_the_threshold_and_again_with_each_further_one() {
        let mut vigil = vigil();
        // It began just after the last look; so each is told late by one look.
        let told = told(&mut vigil, 41, 1, task(7));
        assert_eq!(told, [(110, 100), (210, 200), (310, 300), (410, 400)]);
    }

    #[test]
    fn polls_that_end_in_time_are_not_told_however_many_there_are() {
        let mut vigil = vigil();
        for count in 1..100 {
            assert_eq!(told(&mut vigil, 10, count, task(7)), [], "poll {count}");
        }
    }

    #[test]
    fn a_loop_that_polls_nobody_is_not_stuck() {
        assert_eq!(told(&mut vigil(), 1000, 1, TaskId::NONE), []);
    }

    #[test]
    fn a_watchdog_that_was_held_up_itself_tells_once_and_goes_on_with_the_next_threshold() {
        let mut vigil = vigil();
        let from = vigil.since;
        assert_eq!(vigil.look(from, 1, task(7)), None);
        assert_eq!(vigil.look(from + THRESHOLD * 7 / 2, 1, task(7)), Some(THRESHOLD * 7 / 2));
        assert_eq!(vigil.look(from + THRESHOLD * 39 / 10, 1, task(7)), None);
        assert_eq!(vigil.look(from + THRESHOLD * 4, 1, task(7)), Some(THRESHOLD * 4));
    }

    /// A watch for polls of 100 ms, and what it has told.
    fn slow_polls() -> (Watch, impl Fn() -> Vec<(TaskId, u128)>) {
        let mailbox = Arc::new(Mailbox::new(None));
        let settings = Settings { slow_poll: Some(THRESHOLD), ..Settings::default() };
        let watch = Watch::new(settings, &mailbox).unwrap();
        for number in [1, 2] {
            watch.see(&Event::Spawned { task: task(number), name: None, at: Location::caller() });
        }
        let told = move || {
            let reports = mailbox.take(&mut Vec::new());
            let told = reports.into_iter().map(|report| match report {
                Report::SlowPoll { task, took, limit: THRESHOLD } => (task.id, took.as_millis()),
                other => panic!("{other}"),
            });
            told.collect()
        };
        (watch, told)
    }

    #[test]
    fn a_slow_poll_is_told_with_what_it_took_whatever_ends_it() {
        let (watch, told) = slow_polls();
        for end in [Event::Polled { task: task(2) }, Event::Ended { task: task(2) }, Event::Paused, Event::Paused] {
            watch.see(&Event::Polled { task: task(1) });
            pass(100);
            watch.see(&end);
            assert_eq!(told(), [(task(1), 100)], "{end:?}");
        }
        watch.see(&Event::Polled { task: task(1) });
        pass(99);
        watch.see(&Event::Paused);
        assert_eq!(told(), []);
    }

    #[test]
    fn time_between_polls_is_nobodys() {
        let (watch, told) = slow_polls();
        watch.see(&Event::Polled { task: task(1) });
        watch.see(&Event::Paused);
        pass(1000);
        watch.see(&Event::Polled { task: task(1) });
        watch.see(&Event::Paused);
        pass(1000);
        assert_eq!(told(), []);
    }
}
