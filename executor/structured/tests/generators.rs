//! Generators: what they yield, when their cleanups run, what they refuse.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use handcar_structured::{
    BracketError, Yielder, bracket, cancellable, defer, gather, generate, move_on_after, scope, scope_of, shield,
    spawn, task_group, timeout, try_generate, yield_now,
};

mod common;
use common::{Log, Reports, for_ever, s, seconds, secs, test_run, text, three, watchdog};

fn poll_once<S: Stream>(stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
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
