//! Generators: what they yield, when their cleanups run, what they refuse.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use handcar_structured::{
    BracketError, Yielder, bracket, cancellable, defer, gather, generate, move_on_after, scope, scope_of, shield,
    sleep, spawn, task_group, timeout, try_generate, yield_now,
};

mod common;
use common::{
    Log, OnDrop, Reports, for_ever, in_a_child, notes_drop, panic_of, s, seconds, secs, simulated, test_run, text,
    watchdog,
};

fn poll_once<S: Stream>(stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Counts to three; notes each step, and has a cleanup for each number and one for the whole.
fn three(log: &Log) -> impl Stream<Item = u32> + use<> {
    let log = log.clone();
    generate(async move |y| {
        let whole = log.clone();
        let _whole = defer(async move {
            secs(1).await;
            whole.at("cleanup of the whole");
        });
        for n in 1..=3 {
            let each = log.clone();
            let _each = defer(async move { each.at(format_args!("cleanup of {n}")) });
            y.yield_(n).await;
        }
    })
}

#[test]
fn items_come_in_order_and_the_end_stays_the_end() {
    test_run(async {
        let mut numbers = pin!(generate(async |y| {
            for n in 0..3 {
                secs(1).await;
                y.yield_(n).await;
                yield_now().await;
            }
        }));
        for n in 0..3 {
            assert!(!numbers.is_terminated());
            assert_eq!(numbers.next().await, Some(n));
        }
        assert_eq!(numbers.next().await, None);
        assert!(numbers.is_terminated());
        assert_eq!(numbers.next().await, None);
        assert_eq!(numbers.size_hint(), (0, Some(0)));
    });
}

#[test]
fn the_body_does_nothing_before_it_is_polled_and_runs_only_up_to_its_yield() {
    test_run(async {
        let log = Log::new();
        let mut lazy = pin!(generate(async |y| {
            log.note("begun");
            y.yield_(()).await;
            log.note("went on");
        }));
        assert_eq!(lazy.size_hint(), (0, None));
        assert_eq!(log.take(), [""; 0]);
        lazy.next().await.unwrap();
        assert_eq!(log.take(), ["begun"]);
        assert!(lazy.next().await.is_none());
        assert_eq!(log.take(), ["went on"]);
    });
}

#[test]
fn a_generator_may_borrow_also_mutably_and_needs_no_runtime() {
    let mut steps = 0;
    let text = String::from("a b c");
    let words = generate(async |y| {
        for word in text.split(' ') {
            steps += 1;
            y.yield_(word).await;
        }
    });
    let words: Vec<&str> = futures::executor::block_on(words.collect());
    assert_eq!(words, ["a", "b", "c"]);
    assert_eq!(steps, 3);
}

#[test]
fn a_question_mark_ends_a_generator_with_its_error() {
    test_run(async {
        let numbers = || {
            try_generate(async |y| {
                for text in ["1", "2", "three", "4"] {
                    y.yield_(text.parse::<u32>()?).await;
                }
                Ok::<_, std::num::ParseIntError>(())
            })
        };
        let items: Vec<_> = numbers().map(Result::ok).collect().await;
        assert_eq!(items, [Some(1), Some(2), None]);
        let mut fine = pin!(numbers().take(2));
        assert_eq!(fine.try_next().await.unwrap(), Some(1));
        let all = numbers().try_collect::<Vec<_>>().await;
        assert!(all.unwrap_err().to_string().contains("invalid digit"));
        let mut whole = pin!(try_generate(async |y| {
            y.yield_(1).await;
            Ok::<_, ()>(())
        }));
        assert_eq!(whole.next().await, Some(Ok(1)));
        assert!(!whole.is_terminated());
        assert_eq!(whole.next().await, None);
        assert!(whole.is_terminated());
    });
}

#[test]
fn cleanups_are_awaited_before_the_next_item_and_before_the_end() {
    test_run(async {
        let log = Log::new();
        let mut numbers = pin!(three(&log));
        while let Some(n) = numbers.next().await {
            log.at(n);
        }
        log.at("end");
        let cleanups = [
            "0 1",
            "0 cleanup of 1",
            "0 2",
            "0 cleanup of 2",
            "0 3",
            "0 cleanup of 3",
            "1 cleanup of the whole",
            "1 end",
        ];
        assert_eq!(log.take(), cleanups);
    });
}

#[test]
fn dropped_at_any_yield_the_consumer_awaits_its_cleanups() {
    for taken in 0..=3 {
        test_run(async move {
            let log = Log::new();
            let (inside, body) = (log.clone(), log.clone());
            scope_of(async move {
                let mut numbers = Box::pin(three(&inside));
                for _ in 0..taken {
                    numbers.next().await.unwrap();
                }
                inside.take();
                drop(numbers);
                inside.at("dropped");
                secs(5).await;
                inside.at("body over");
            })
            .await
            .unwrap();
            body.at("scope over");
            let expected = match taken {
                0 => vec!["0 dropped".into(), "5 body over".into(), "5 scope over".into()],
                n => vec![
                    "0 dropped".to_owned(),
                    format!("0 cleanup of {n}"),
                    "1 cleanup of the whole".into(),
                    "5 body over".into(),
                    "5 scope over".into(),
                ],
            };
            assert_eq!(log.take(), expected);
        });
    }
}

#[test]
fn a_cancel_of_the_consumer_drops_the_generator_and_awaits_its_cleanups() {
    test_run(async {
        let log = Log::new();
        let stuck = move_on_after(s(3), async {
            let mut numbers = pin!(three(&log));
            numbers.next().await.unwrap();
            for_ever().await;
        });
        assert!(stuck.await.is_none());
        log.at("moved on");
        assert_eq!(log.take(), ["3 cleanup of 1", "4 cleanup of the whole", "4 moved on"]);
    });
}

#[test]
fn a_next_that_was_cut_off_loses_nothing() {
    test_run(async {
        let mut slow = pin!(generate(async |y| {
            for n in 0..3 {
                secs(2).await;
                y.yield_(n).await;
            }
        }));
        let mut seen = Vec::new();
        let mut cut = 0;
        loop {
            match timeout(s(1), slow.next()).await {
                Ok(Some(n)) => seen.push(n),
                Ok(None) => break,
                Err(_) => cut += 1,
            }
        }
        assert_eq!((seen, cut), (vec![0, 1, 2], 3));
    });
}

#[test]
fn a_next_that_was_cut_off_beside_a_shield_loses_nothing() {
    test_run(async {
        let mut slow = pin!(generate(async |y| {
            let _guard = defer(async {});
            secs(2).await;
            y.yield_(7).await;
        }));
        let both = timeout(s(1), futures::future::join(slow.next(), shield(secs(4))));
        assert_eq!(both.await, Ok((Some(7), ())));
        assert_eq!(slow.next().await, None);
    });
}

#[test]
fn a_next_that_was_cut_off_with_a_shield_whose_grace_was_over_loses_nothing() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let mut slow = pin!(generate(async |y| {
            let _guard = defer(async {});
            secs(9).await;
            y.yield_(7).await;
        }));
        let cut = timeout(s(1), futures::future::join(slow.next(), shield(for_ever())));
        assert!(cut.await.is_err());
        assert_eq!(seconds(), 6);
        assert_eq!(slow.next().await, Some(7));
    });
    assert_eq!(reports.take(), ["cut short: a shielded future"]);
}

#[test]
fn it_may_be_consumed_in_another_task_than_it_was_made_in_and_goes_from_one_to_the_next() {
    test_run(async {
        let log = Log::new();
        let mut numbers = Box::pin(three(&log));
        assert_eq!(numbers.next().await, Some(1));
        let in_task = log.clone();
        let first = spawn(async move {
            assert_eq!(numbers.next().await, Some(2));
            in_task.at("given back");
            numbers
        });
        let numbers = first.await.unwrap();
        let in_task = log.clone();
        let second = spawn(async move {
            let mut numbers = numbers;
            assert_eq!(numbers.next().await, Some(3));
            drop(numbers);
            in_task.at("dropped");
        });
        second.await.unwrap();
        log.at("joined");
        assert_eq!(
            log.take(),
            [
                "0 cleanup of 1",
                "0 given back",
                "0 cleanup of 2",
                "0 dropped",
                "0 cleanup of 3",
                "1 cleanup of the whole",
                "1 joined"
            ]
        );
    });
}

#[test]
fn a_generator_that_outlives_its_consumer_has_its_cleanups_awaited_at_the_end_of_the_runtime() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_main = log.clone();
    runtime.block_on(async move {
        let task = spawn(async move {
            let mut numbers = Box::pin(three(&in_main));
            numbers.next().await.unwrap();
            numbers
        });
        let numbers = task.await.unwrap();
        spawn(async move { drop(numbers) }).detach();
    });
    drop(runtime);
    let mut noted = log.take();
    noted.sort(); // two tasks at the root: both at once
    assert_eq!(noted, ["0 cleanup of 1", "1 cleanup of the whole"]);
}

#[test]
fn generators_nest() {
    test_run(async {
        let pairs = generate(async |y| {
            let mut outer = pin!(generate(async |y| {
                for n in 1..=2 {
                    secs(1).await;
                    y.yield_(n).await;
                }
            }));
            while let Some(n) = outer.next().await {
                let mut inner = pin!(generate(async |y| {
                    y.yield_(n * 10).await;
                    y.yield_(n * 100).await;
                }));
                while let Some(m) = inner.next().await {
                    y.yield_((n, m)).await;
                }
            }
        });
        assert_eq!(pairs.collect::<Vec<_>>().await, [(1, 10), (1, 100), (2, 20), (2, 200)]);
    });
}

#[test]
fn nested_generators_hand_their_cleanups_on_innermost_first() {
    test_run(async {
        let log = Log::new();
        let in_scope = log.clone();
        scope_of(async move {
            let whole = in_scope.clone();
            let mut outer = Box::pin(generate(async |y| {
                let _guard = defer(async move { whole.at("outer cleanup") });
                let mut inner = pin!(three(&in_scope));
                while let Some(n) = inner.next().await {
                    y.yield_(n).await;
                }
            }));
            assert_eq!(outer.next().await, Some(1));
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["0 cleanup of 1", "1 cleanup of the whole", "1 outer cleanup"]);
    });
}

/// A tree, walked by recursion.
struct Tree(u32, Vec<Tree>);

fn walk<'a>(tree: &'a Tree, y: &'a mut Yielder<u32>) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        y.yield_(tree.0).await;
        for branch in &tree.1 {
            walk(branch, y).await;
        }
    })
}

#[test]
fn functions_that_the_body_calls_may_yield() {
    let tree = Tree(1, vec![Tree(2, vec![Tree(3, vec![])]), Tree(4, vec![])]);
    let nodes = futures::executor::block_on(generate(async |y| walk(&tree, y).await).collect::<Vec<_>>());
    assert_eq!(nodes, [1, 2, 3, 4]);
}

#[test]
fn a_panic_of_the_body_goes_to_the_consumer_after_the_cleanups_and_ends_the_stream() {
    test_run(async {
        let log = Log::new();
        let mut bad = pin!(generate(async |y| {
            let in_cleanup = log.clone();
            let _guard = defer(async move {
                secs(1).await;
                in_cleanup.at("cleanup");
            });
            y.yield_(1).await;
            panic!("no two");
        }));
        assert_eq!(bad.next().await, Some(1));
        let payload = AssertUnwindSafe(bad.next()).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "no two");
        assert_eq!(log.take(), ["1 cleanup"]);
        assert!(bad.is_terminated());
        assert_eq!(bad.next().await, None);
    });
}

#[test]
fn a_panic_of_a_cleanup_ends_the_stream_and_does_not_take_the_item_along() {
    test_run(async {
        let log = Log::new();
        let mut bad = pin!(generate(async |y| {
            let _dropped = notes_drop(&log, "body dropped");
            drop(defer(async { panic!("cleanup") }));
            y.yield_(1).await;
            y.yield_(2).await;
        }));
        assert_eq!(bad.next().await, Some(1));
        assert_eq!(log.take(), ["body dropped"]);
        let payload = AssertUnwindSafe(bad.next()).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*payload), "cleanup");
        assert_eq!(bad.next().await, None);
    });
}

#[test]
fn a_panic_that_no_consumer_came_back_for_is_reported() {
    let _dog = watchdog();
    let reports = Reports::default();
    reports.builder().build().unwrap().block_on(async {
        let mut bad = Box::pin(generate(async |y| {
            drop(defer(async { panic!("cleanup") }));
            y.yield_(1).await;
        }));
        assert_eq!(bad.next().await, Some(1));
    });
    assert_eq!(reports.take(), ["cleanup panicked: cleanup"]);
}

#[test]
fn a_destructor_of_the_body_may_leave_a_cleanup() {
    test_run(async {
        let log = Log::new();
        let in_drop = log.clone();
        scope_of(async move {
            let mut late = Box::pin(generate(async |y| {
                let _late = OnDrop::new(|| {
                    let log = in_drop.clone();
                    drop(defer(async move { log.note("late cleanup") }));
                });
                y.yield_(()).await;
            }));
            late.next().await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["late cleanup"]);
    });
}

#[test]
fn a_destructor_that_panics_reaches_whoever_drops_the_generator() {
    test_run(async {
        let mut bad = Box::pin(generate(async |y| {
            let _guard = OnDrop::new(|| panic!("in the destructor"));
            y.yield_(()).await;
        }));
        bad.next().await.unwrap();
        assert_eq!(panic_of(|| drop(bad)), "in the destructor");
    });
}

#[test]
fn a_destructor_that_panics_beside_another_panic_is_reported_and_takes_nobody_along() {
    let _dog = watchdog();
    if in_a_child().is_some() {
        return;
    }
    let reports = Reports::default();
    let runtime = reports.builder().build().unwrap();
    for has_cleanup in [false, true] {
        let consumer = runtime.spawn(async move {
            let mut bad = Box::pin(generate(async |y| {
                let _bad = OnDrop::new(|| panic!("in the destructor"));
                let _guard = has_cleanup.then(|| defer(async {}));
                y.yield_(()).await;
            }));
            bad.next().await.unwrap();
            panic!("in the consumer");
        });
        assert!(runtime.block_on(consumer).unwrap_err().to_string().contains("in the consumer"));
        assert_eq!(reports.take(), ["cleanup panicked: in the destructor"]);
    }
}

#[test]
fn a_yield_inside_a_scope_is_refused_with_both_lines() {
    test_run(async {
        let refused = async |stream: Pin<Box<dyn Stream<Item = u32>>>, lines: [u32; 2]| {
            let mut stream = stream;
            let payload = AssertUnwindSafe(stream.next()).catch_unwind().await.unwrap_err();
            let message = text(&*payload);
            let place = |line| format!("generators.rs:{line}:");
            assert!(message.contains(&place(lines[0])), "no line {} in: {message}", lines[0]);
            assert!(message.contains(&place(lines[1])), "no line {} in: {message}", lines[1]);
            assert!(message.contains("close the scope before you yield"), "{message}");
            assert_eq!(stream.next().await, None);
        };
        let at = line!();
        let limited = generate(async |y| {
            let _ = timeout(s(1), async {
                y.yield_(1).await;
            })
            .await;
        });
        refused(Box::pin(limited), [at + 2, at + 3]).await;
        let at = line!();
        let shielded = generate(async |y| {
            shield(async {
                y.yield_(1).await;
            })
            .await;
        });
        refused(Box::pin(shielded), [at + 2, at + 3]).await;
        let at = line!();
        let catching = generate(async |y| {
            let _ = cancellable(async {
                y.yield_(1).await;
            })
            .await;
        });
        refused(Box::pin(catching), [at + 2, at + 3]).await;
        let at = line!();
        let grouped = generate(async |y| {
            let _ = task_group(async |_g| {
                y.yield_(1).await;
                Ok::<_, String>(())
            })
            .await;
        });
        refused(Box::pin(grouped), [at + 2, at + 3]).await;
        let at = line!();
        let branched = generate(async |y| {
            gather([async {
                y.yield_(1).await;
            }])
            .await;
        });
        refused(Box::pin(branched), [at + 2, at + 3]).await;
        let at = line!();
        let in_child = generate(async |y| {
            let _ = scope(async |s| {
                s.spawn(async {
                    y.yield_(1).await;
                    Ok::<_, String>(())
                });
                Ok(())
            })
            .await;
        });
        refused(Box::pin(in_child), [at + 2, at + 4]).await;
    });
}

#[test]
fn a_scope_that_was_closed_before_the_yield_and_scopes_around_the_consumer_are_fine() {
    test_run(async {
        let mut fine = pin!(generate(async |y| {
            let got = timeout(s(1), async { 7 }).await.unwrap();
            y.yield_(got).await;
            let _guard = defer(async {});
            shield(secs(1)).await;
            y.yield_(8).await;
        }));
        let in_group = task_group(async |_g| {
            let first = timeout(s(5), shield(fine.next())).await.unwrap();
            Ok::<_, String>((first, fine.next().await))
        });
        assert_eq!(in_group.await.unwrap(), (Some(7), Some(8)));
        assert_eq!(fine.next().await, None);
    });
}

#[test]
fn a_bracket_stays_open_over_a_yield_and_is_released_when_the_consumer_stops() {
    test_run(async {
        let log = Log::new();
        let in_body = log.clone();
        let lines = move || {
            let log = in_body.clone();
            try_generate(async move |y| {
                let released = log.clone();
                bracket(
                    async { Ok::<_, String>(vec!["a", "b", "c"]) },
                    async |file| {
                        for line in file.iter() {
                            y.yield_(*line).await;
                        }
                        Ok(())
                    },
                    async move |_file| {
                        secs(1).await;
                        released.at("closed");
                        Ok(())
                    },
                )
                .await
                .map_err(BracketError::into_first)
            })
        };
        assert_eq!(lines().try_collect::<Vec<_>>().await.unwrap(), ["a", "b", "c"]);
        assert_eq!(log.take(), ["1 closed"]);
        scope_of(async move {
            let mut lines = pin!(lines());
            assert_eq!(lines.next().await, Some(Ok("a")));
        })
        .await
        .unwrap();
        assert_eq!(log.take(), ["2 closed"]);
    });
}

#[test]
fn an_item_whose_yield_lost_a_race_is_handed_out_once() {
    test_run(async {
        let raced = generate(async |y| {
            for n in 0..3 {
                futures::future::select(pin!(y.yield_(n)), std::future::ready(())).await;
            }
        });
        assert_eq!(raced.collect::<Vec<_>>().await, [0, 1, 2]);
    });
}

#[test]
fn a_yield_in_a_combinator_with_wakers_of_its_own_goes_on_when_the_consumer_is_back() {
    test_run(async {
        let log = Log::new();
        let mixed = generate(async |y| {
            let mut parts = futures::stream::FuturesUnordered::<Pin<Box<dyn Future<Output = ()> + '_>>>::new();
            parts.push(Box::pin(async {
                y.yield_(1).await;
                y.yield_(2).await;
            }));
            parts.push(Box::pin(async {
                secs(5).await;
                log.at("slept");
            }));
            while parts.next().await.is_some() {}
        });
        assert_eq!(mixed.collect::<Vec<_>>().await, [1, 2]);
        assert_eq!(log.take(), ["5 slept"]);
    });
}

#[test]
fn polls_that_nobody_asked_for_change_nothing() {
    test_run(async {
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        let mut slow = pin!(generate(async |y| {
            secs(1).await;
            counted.set(counted.get() + 1);
            y.yield_('a').await;
        }));
        for _ in 0..5 {
            assert!(poll_once(slow.as_mut()).is_pending());
        }
        assert_eq!(slow.next().await, Some('a'));
        assert_eq!(polls.get(), 1);
        assert_eq!(poll_once(slow.as_mut()), Poll::Ready(None));
    });
}

#[test]
fn every_item_is_dropped_once_wherever_the_stream_is_dropped() {
    struct Counted(Rc<Cell<i32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    for polls in 0..8 {
        test_run(async move {
            let living = Rc::new(Cell::new(0));
            let made = Rc::clone(&living);
            let mut stream = Box::pin(generate(async move |y| {
                for _ in 0..3 {
                    made.set(made.get() + 1);
                    let item = Counted(Rc::clone(&made));
                    yield_now().await;
                    y.yield_(item).await;
                }
            }));
            let kept = RefCell::new(Vec::new());
            for _ in 0..polls {
                let polled = poll_fn(|cx| Poll::Ready(stream.as_mut().poll_next(cx))).await;
                if let Poll::Ready(Some(item)) = polled {
                    kept.borrow_mut().push(item);
                }
                sleep(s(0)).await;
            }
            drop(stream);
            assert_eq!(usize::try_from(living.get()), Ok(kept.borrow().len()));
            drop(kept);
            assert_eq!(living.get(), 0);
        });
    }
}

#[test]
fn a_generator_is_dropped_with_its_runtime() {
    let _dog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let in_task = log.clone();
    runtime
        .spawn(async move {
            let mut numbers = pin!(three(&in_task));
            numbers.next().await.unwrap();
            for_ever().await;
        })
        .detach();
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(log.take(), ["0 cleanup of 1", "1 cleanup of the whole"]);
}
