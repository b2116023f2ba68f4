//! What must balance, whenever a future of ours is dropped: children started and dropped, cleanups owed and run, errors and
//! panics made and heard of.
//!
//! Each case is a program of children that yield, defer, fail, panic, shield and spawn. Its future is dropped after every number of
//! polls, by itself or inside a task that is cancelled, and then the books are read.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Wake, Waker};

use futures::FutureExt;
use handcar_structured::{
    GroupError, OnChildPanic, OnError, TaskGroup, as_completed, bracket, defer, gather, gather_results, race, scope,
    shield, spawn, task_group, try_gather, yield_now,
};

mod common;
use common::{OnDrop, Reports, secs, simulated, test_run, watchdog};

/// What a run has made, and what has come of it.
#[derive(Clone, Default)]
struct Books(Rc<Entries>);

#[derive(Default)]
struct Entries {
    made: Cell<u32>,
    dropped: Cell<u32>,
    owed: Cell<u32>,
    cleaned: Cell<u32>,
    failed: Cell<u32>,
    heard: Cell<u32>,
}

fn one_more(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

impl Books {
    /// Something that is to be dropped once.
    fn made(&self) -> OnDrop<impl FnOnce() + use<>> {
        one_more(&self.0.made);
        let books = self.clone();
        OnDrop::new(move || one_more(&books.0.dropped))
    }

    fn heard(&self, errors: usize) {
        self.0.heard.set(self.0.heard.get() + u32::try_from(errors).unwrap());
    }

    #[track_caller]
    fn balance(&self, case: &str) {
        let all = &self.0;
        assert_eq!(all.made.get(), all.dropped.get(), "{case}: children made and dropped");
        assert_eq!(all.owed.get(), all.cleaned.get(), "{case}: cleanups owed and run");
        assert_eq!(all.failed.get(), all.heard.get(), "{case}: errors made and heard of");
    }
}

/// A child that does a little of everything, depending on `n`.
async fn child(books: Books, guard: impl Sized, n: u32) -> Result<u32, String> {
    let _guard = guard;
    one_more(&books.0.owed);
    let in_cleanup = books.clone();
    let _cleanup = defer(async move {
        yield_now().await;
        one_more(&in_cleanup.0.cleaned);
    });
    for _ in 0..n % 3 {
        yield_now().await;
    }
    if n % 4 == 1 {
        shield(secs(1)).await;
    }
    if n % 5 == 2 {
        one_more(&books.0.failed);
        return Err(format!("child {n}"));
    }
    if n % 2 == 1 {
        yield_now().await;
    }
    Ok(n)
}

type Program = Pin<Box<dyn Future<Output = ()>>>;

fn of_group(books: &Books, result: &Result<(), GroupError<String>>) {
    if let Err(errors) = result {
        books.heard(errors.iter().count());
    }
}

#[allow(clippy::too_many_lines)] // it is a list
fn programs(books: &Books) -> Vec<(&'static str, Program)> {
    let b = || books.clone();
    let many = |books: Books| (0..7).map(move |n| child(books.clone(), books.made(), n));
    vec![
        ("task_group", {
            let books = b();
            Box::pin(async move {
                let result = task_group(async |g| {
                    for n in 0..7 {
                        let (inner, books) = (g.clone(), books.clone());
                        let (guard, second) = (books.made(), books.made());
                        g.spawn(async move {
                            inner.spawn(child(books.clone(), second, n + 1));
                            child(books, guard, n).await
                        });
                        yield_now().await;
                    }
                    Ok(())
                });
                of_group(&books, &result.await);
            })
        }),
        ("task_group that goes on, with a limit", {
            let books = b();
            Box::pin(async move {
                let settings =
                    TaskGroup::builder().limit(2).on_error(OnError::Continue).on_panic(OnChildPanic::Collect);
                let result = settings.run(async |g| {
                    for n in 0..7 {
                        g.spawn(child(books.clone(), books.made(), n));
                    }
                    Ok(())
                });
                of_group(&books, &result.await);
            })
        }),
        ("scope", {
            let books = b();
            Box::pin(async move {
                let result = scope(async |s| {
                    for n in 0..7 {
                        let (guard, second) = (books.made(), books.made());
                        let books = &books;
                        s.spawn(async move {
                            s.spawn(child(books.clone(), second, n + 1));
                            child(books.clone(), guard, n).await
                        });
                        yield_now().await;
                    }
                    Ok(())
                });
                of_group(&books, &result.await);
            })
        }),
        ("start", {
            let books = b();
            Box::pin(async move {
                let result = task_group(async |g| {
                    for n in 0..4 {
                        let (books, guard) = (books.clone(), books.made());
                        let in_child = books.clone();
                        let start = g.start(|started| async move {
                            yield_now().await;
                            if n % 2 == 0 {
                                started.ready(n);
                            }
                            child(in_child, guard, n).await.map(drop)
                        });
                        if let Err(error) = start.await
                            && error.into_error().is_some()
                        {
                            books.heard(1);
                        }
                    }
                    Ok(())
                });
                of_group(&books, &result.await);
            })
        }),
        ("gather", {
            let books = b();
            Box::pin(async move {
                for result in gather(many(books.clone())).limit(3).await {
                    books.heard(usize::from(result.is_err()));
                }
            })
        }),
        ("gather_results", {
            let books = b();
            Box::pin(async move {
                for result in gather_results(many(books.clone())).await {
                    books.heard(usize::from(result.is_err()));
                }
            })
        }),
        ("as_completed", {
            let books = b();
            Box::pin(async move {
                let mut values = as_completed(many(books.clone()));
                while let Some((_, result)) = futures::StreamExt::next(&mut values).await {
                    books.heard(usize::from(result.is_err()));
                }
            })
        }),
        ("gather!", {
            let books = b();
            Box::pin(async move {
                let one = |n| child(books.clone(), books.made(), n);
                let (a, b, c) = gather!(one(1), one(2), one(3)).await;
                for result in [a, b, c] {
                    books.heard(usize::from(result.is_err()));
                }
            })
        }),
        ("bracket", {
            let books = b();
            Box::pin(async move {
                let (resource, in_release) = (books.made(), books.clone());
                let used = bracket(
                    async {
                        one_more(&books.0.owed);
                        Ok::<_, String>(resource)
                    },
                    async |_| yield_now().map(Ok).await,
                    async move |resource| {
                        yield_now().await;
                        drop(resource);
                        one_more(&in_release.0.cleaned);
                        Ok(())
                    },
                );
                used.await.unwrap();
            })
        }),
    ]
}

/// Those in which an error is meant to be discarded: the value that was too late in a race, an error after the first.
fn lossy_programs(books: &Books) -> Vec<(&'static str, Program)> {
    let many = |books: Books| (0..7).map(move |n| child(books.clone(), books.made(), n));
    let (a, b, c) = (books.clone(), books.clone(), books.clone());
    vec![
        ("try_gather", Box::pin(async move { drop(try_gather(many(a)).await) })),
        ("race", Box::pin(async move { drop(race(many(b)).await) })),
        ("race of a tuple", {
            Box::pin(async move {
                let one = |n| child(c.clone(), c.made(), n);
                race((one(1), one(3), one(5))).await;
            })
        }),
    ]
}

#[test]
fn nothing_is_lost_when_a_future_is_dropped_after_any_number_of_polls() {
    let _dog = watchdog();
    for case in 0.. {
        for polls in 0..40 {
            let (books, reports) = (Books::default(), Reports::default());
            let mut all = programs(&books);
            let is_lossless = case < all.len();
            all.extend(lossy_programs(&books));
            if case >= all.len() {
                return;
            }
            let (name, mut program) = all.swap_remove(case);
            drop(all);
            let runtime = reports.builder().build().unwrap();
            let mut ended = false;
            runtime.block_on(async {
                for _ in 0..polls {
                    ended = futures::poll!(program.as_mut()).is_ready();
                    if ended {
                        break;
                    }
                    yield_now().await;
                }
                let _ = catch_unwind(AssertUnwindSafe(|| drop(program)));
                secs(10).await;
            });
            drop(runtime);
            for report in reports.take() {
                // A shield that is dropped with the program says so.
                let is_meant = report.contains("error") || !ended && report == "shield dropped";
                assert!(is_meant, "{name} after {polls} polls: {report}");
                books.heard(report.matches(": child ").count());
            }
            if !is_lossless || !ended && !name.contains("group") && !name.contains("start") {
                // An error on its way to a future that is dropped goes with it, as any value does.
                books.0.heard.set(books.0.failed.get());
            }
            books.balance(&format!("{name} after {polls} polls"));
            if ended {
                break;
            }
        }
    }
}

#[test]
fn nothing_is_lost_when_a_task_is_cancelled_after_any_number_of_polls() {
    let _dog = watchdog();
    for case in 0.. {
        for polls in 0..30 {
            let (books, reports) = (Books::default(), Reports::default());
            let mut all = programs(&books);
            if case >= all.len() {
                return;
            }
            let (name, program) = all.swap_remove(case);
            drop(all);
            let runtime = reports.builder().build().unwrap();
            runtime.block_on(async {
                let task = spawn(program);
                for _ in 0..polls {
                    yield_now().await;
                }
                let _ = task.cancel_and_wait().await;
                assert_eq!(
                    books.0.owed.get(),
                    books.0.cleaned.get(),
                    "{name}: the task has ended, and its cleanups before it"
                );
            });
            drop(runtime);
            for report in reports.take() {
                books.heard(report.matches(": child ").count());
            }
            if !name.contains("group") && !name.contains("start") && name != "scope" {
                books.0.heard.set(books.0.failed.get()); // as above
            }
            books.balance(&format!("{name} cancelled after {polls} turns"));
        }
    }
}

#[test]
fn nothing_is_lost_when_the_runtime_ends_in_the_middle() {
    let _dog = watchdog();
    for case in 0.. {
        for polls in 0..20 {
            let (books, reports) = (Books::default(), Reports::default());
            let mut all = programs(&books);
            if case >= all.len() {
                return;
            }
            let (name, program) = all.swap_remove(case);
            drop(all);
            let runtime = reports.builder().build().unwrap();
            runtime.block_on(async {
                spawn(program).detach();
                for _ in 0..polls {
                    yield_now().await;
                }
            });
            drop(runtime);
            assert_eq!(books.0.made.get(), books.0.dropped.get(), "{name} after {polls}");
            assert_eq!(books.0.owed.get(), books.0.cleaned.get(), "{name} after {polls}");
        }
    }
}

#[test]
fn destructors_that_panic_stop_neither_the_siblings_nor_their_cleanups() {
    struct Bomb(Books);
    impl Drop for Bomb {
        fn drop(&mut self) {
            one_more(&self.0.0.dropped);
            assert!(std::thread::panicking(), "in drop");
        }
    }
    let _dog = watchdog();
    for polls in 0..8 {
        for is_scope in [false, true] {
            let (books, reports) = (Books::default(), Reports::default());
            reports.builder().build().unwrap().block_on(async {
                let in_group = books.clone();
                let spawned = |n: u32| {
                    let books = in_group.clone();
                    one_more(&books.0.made);
                    let bomb = Bomb(books.clone());
                    async move {
                        one_more(&books.0.owed);
                        let in_cleanup = books.clone();
                        let _cleanup = defer(async move { one_more(&in_cleanup.0.cleaned) });
                        for _ in 0..n {
                            yield_now().await;
                        }
                        drop(bomb);
                        Ok::<_, String>(())
                    }
                };
                let mut group: Pin<Box<dyn Future<Output = ()>>> = if is_scope {
                    Box::pin(async {
                        let body = scope(async |s| {
                            (0..5).for_each(|n| drop(s.spawn(spawned(n))));
                            Ok(())
                        });
                        let _ = AssertUnwindSafe(body).catch_unwind().await;
                    })
                } else {
                    Box::pin(async {
                        let body = task_group(async |g| {
                            (0..5).for_each(|n| drop(g.spawn(spawned(n))));
                            Ok(())
                        });
                        let _ = AssertUnwindSafe(body).catch_unwind().await;
                    })
                };
                for _ in 0..polls {
                    if futures::poll!(group.as_mut()).is_ready() {
                        break;
                    }
                    yield_now().await;
                }
                let _ = catch_unwind(AssertUnwindSafe(|| drop(group)));
                secs(1).await;
            });
            books.balance(&format!("scope: {is_scope}, polls: {polls}"));
        }
    }
}

/// A waker that polls, drops or spawns when it is woken, in the middle of whatever wakes it.
struct Reenters(Box<dyn Fn() + Send + Sync>);

impl Wake for Reenters {
    fn wake(self: std::sync::Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn wakers_that_reenter_find_everything_in_order() {
    thread_local! {
        static GROUP: Cell<Option<TaskGroup<String>>> = const { Cell::new(None) };
        static SPAWNED: Cell<u32> = const { Cell::new(0) };
    }
    test_run(async {
        let waker: Waker = std::sync::Arc::new(Reenters(Box::new(|| {
            if let Some(group) = GROUP.take() {
                let _ = group.len();
                let _ = group.try_spawn(async {
                    SPAWNED.set(SPAWNED.get() + 1);
                    Ok(())
                });
                GROUP.set(Some(group));
            }
        })))
        .into();
        let mut group = Box::pin(task_group(async |g| {
            GROUP.set(Some(g.clone()));
            for n in 0..3 {
                g.spawn(async move {
                    for _ in 0..n {
                        yield_now().await;
                    }
                    Ok(())
                });
            }
            Ok(())
        }));
        let mut cx = Context::from_waker(&waker);
        let mut polls = 0;
        while group.as_mut().poll(&mut cx).is_pending() {
            yield_now().await;
            polls += 1;
            if polls == 5 {
                drop(GROUP.take());
            }
            assert!(polls < 100);
        }
        assert!(SPAWNED.get() > 0);
    });
}

#[test]
fn twenty_thousand_nested_groups_end_on_a_small_stack() {
    fn nest(levels: u32) -> Pin<Box<dyn Future<Output = Result<(), String>>>> {
        Box::pin(async move {
            let result = task_group(async |g| {
                if levels > 0 {
                    g.spawn(nest(levels - 1));
                    yield_now().await;
                } else {
                    common::for_ever().await;
                }
                Ok::<(), String>(())
            });
            result.await.map_err(|error| error.iter().count().to_string())
        })
    }
    let _dog = watchdog();
    let small = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        for (how, levels) in [(0, 20_000), (1, 5_000), (2, 5_000)] {
            let runtime = simulated();
            runtime.block_on(async {
                let task = spawn(nest(levels));
                secs(1).await;
                match how {
                    0 => assert!(task.cancel_and_wait().await.is_err()),
                    1 => drop(task),
                    _ => task.detach_ignoring(),
                }
            });
            drop(runtime);
        }
    });
    small.unwrap().join().unwrap();
}
