//! A million short-lived tasks that compute, yield, sleep, talk over channels and sockets and block threads, awaited,
//! cancelled, dropped, timed out and detached at random, the same way each time. None may be lost and nothing may be left.

mod common;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use common::{Dice, Living, pair, watchdog};
use futures::{AsyncReadExt, AsyncWriteExt};
use handcar::sync::{Semaphore, mpsc, oneshot};
use handcar::{Builder, Clock, JoinHandle, Runtime, sleep, spawn, timeout, to_thread, yield_now};

/// What the tasks do beside the runtime's own things.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outside {
    Nothing,
    Threads,
    ThreadsAndSockets,
}

/// What the tasks share.
struct World {
    living: Living,
    semaphore: Rc<Semaphore>,
    mail: mpsc::Sender<oneshot::Sender<u64>>,
    /// Completed tasks.
    completed: Cell<u64>,
}

/// One task of a random kind. `n` is what it returns.
fn task(world: &Rc<World>, dice: &mut Dice, n: u64, outside: Outside) -> JoinHandle<u64> {
    let token = world.living.token();
    let world = Rc::clone(world);
    let (kind, amount) = (dice.roll(1000), dice.roll(20));
    spawn(async move {
        let _token = token;
        match kind {
            0..300 => {}
            300..550 => {
                for _ in 0..amount {
                    yield_now().await;
                }
            }
            550..700 => sleep(Duration::from_micros(amount)).await,
            700..750 => {
                // A timer that never fires, and one that does.
                let _ = timeout(Duration::from_micros(amount), pending::<()>()).await;
                timeout(Duration::from_secs(1000), yield_now()).await.unwrap();
            }
            750..850 => {
                let _permit = world.semaphore.acquire().await.unwrap();
                yield_now().await;
            }
            850..950 => {
                let (answer, question) = oneshot::channel();
                if world.mail.send(answer).await.is_ok() {
                    assert_eq!(question.await, Ok(7));
                }
            }
            950..997 => {
                let children: Vec<_> = (0..amount % 4).map(|_| spawn(sleep(Duration::from_micros(amount)))).collect();
                for child in children {
                    child.await.unwrap();
                }
            }
            997..998 if outside >= Outside::Threads => assert_eq!(to_thread(move || amount).await, amount),
            _ if outside == Outside::ThreadsAndSockets => {
                let (mut ours, mut theirs) = pair().await.unwrap();
                let echo = spawn(async move {
                    let mut byte = [0];
                    while theirs.read(&mut byte).await.is_ok_and(|n| n == 1) && theirs.write_all(&byte).await.is_ok() {}
                });
                let mut byte = [0];
                ours.write_all(&[7]).await.unwrap();
                ours.read_exact(&mut byte).await.unwrap();
                assert_eq!(byte, [7]);
                drop(ours);
                echo.await.unwrap();
            }
            _ => {}
        }
        world.completed.set(world.completed.get() + 1);
        n
    })
}

/// Ends a task in a random way; counts those that were awaited to their end.
async fn end(task: JoinHandle<u64>, n: u64, dice: &mut Dice) -> u64 {
    match dice.roll(10) {
        0..5 => {
            assert_eq!(task.await.unwrap(), n);
            return 1;
        }
        5 => match task.cancel_and_wait().await {
            Ok(value) => assert_eq!(value, n),
            Err(end) => assert!(end.is_cancelled()),
        },
        6 => drop(task),
        7 => task.detach_ignoring(),
        8 => {
            let mut task = task;
            if timeout(Duration::from_micros(dice.roll(5)), &mut task).await.is_err() {
                assert!(task.cancel() || task.is_finished());
                let _ = task.await;
            }
        }
        _ => {
            let abort = task.abort_handle();
            drop(spawn(async move { abort.cancel() }).await);
            let _ = task.await;
        }
    }
    0
}

/// Runs `tasks` tasks with at most a few hundred at a time, and returns how many of them completed.
fn churn(runtime: &Runtime, seed: u64, tasks: u64, outside: Outside) -> u64 {
    let living = Living::default();
    let completed = runtime.block_on(async {
        let (mail, mut letters) = mpsc::channel::<oneshot::Sender<u64>>(10);
        let postman = spawn(async move {
            while let Some(letter) = letters.recv().await {
                let _ = letter.send(7); // whoever asked may be gone
            }
        });
        let semaphore = Rc::new(Semaphore::new(3));
        let world = Rc::new(World { living: living.clone(), semaphore, mail, completed: Cell::new(0) });
        let mut dice = Dice::new(seed);
        let mut window = VecDeque::new();
        let mut awaited = 0;
        for n in 0..tasks {
            window.push_back((task(&world, &mut dice, n, outside), n));
            if window.len() > 200 {
                let at = usize::try_from(dice.roll(window.len() as u64)).unwrap();
                let (task, n) = window.swap_remove_back(at).unwrap();
                awaited += end(task, n, &mut dice).await;
            }
        }
        for (task, n) in window {
            awaited += end(task, n, &mut dice).await;
        }
        while world.living.count() > 0 {
            sleep(Duration::from_micros(1)).await; // what was detached or dropped
        }
        assert_eq!(world.semaphore.available_permits(), 3, "every permit came back");
        assert!(awaited > tasks / 3 && world.completed.get() >= awaited);
        let completed = world.completed.get();
        drop(world);
        postman.await.unwrap();
        completed
    });
    assert_eq!(living.count(), 0);
    completed
}

#[track_caller]
fn assert_empty(runtime: &Runtime) {
    let metrics = runtime.metrics();
    assert_eq!((metrics.tasks, metrics.timers), (0, 0));
}

#[test]
fn a_million_tasks_under_the_simulated_clock_lose_no_wake_and_leave_nothing() {
    let _watchdog = watchdog();
    let runtime = Builder::new().clock(Clock::simulated()).build().unwrap();
    churn(&runtime, 1, 1_000_000, Outside::Threads);
    assert_empty(&runtime);
}

#[test]
fn many_tasks_with_sockets_among_them_lose_no_wake_and_leave_nothing() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    churn(&runtime, 2, 200_000, Outside::ThreadsAndSockets);
    assert_empty(&runtime);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let _watchdog = watchdog();
    let run = || {
        let clock = Clock::simulated();
        let runtime = Builder::new().clock(clock.clone()).build().unwrap();
        let completed = churn(&runtime, 3, 20_000, Outside::Nothing);
        (completed, clock.now())
    };
    assert_eq!(run(), run());
}
