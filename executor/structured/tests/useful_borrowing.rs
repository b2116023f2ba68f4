//! Thirty useful programs whose children borrow. That they compile is half of each test.

#![allow(clippy::items_after_statements, clippy::unused_async, clippy::useless_vec)] // as people write them

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::rc::Rc;

use handcar_structured::{
    GroupHandle, Scope, TaskGroup, bracket, defer, gather, move_on_after, race, run, scope, shield, spawn, timeout,
    try_gather, yield_now,
};

mod common;
use common::{s, secs, test_run};

/// Any error. A boxed one by itself will not do in a scope, since its type has a lifetime in it: `'static`, which the compiler then
/// asks of everything that the body borrows. A type of one's own around it has none.
#[derive(Debug)]
struct AnyError(Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for AnyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for AnyError {
    fn from(error: E) -> AnyError {
        AnyError(error.into())
    }
}

/// Stands for work that takes a while.
async fn work(n: usize) -> usize {
    yield_now().await;
    n
}

#[test]
fn fill_the_elements_of_an_array_in_place() {
    test_run(async {
        let mut squares = [0; 5];
        let filled = scope(async |s| {
            for (n, square) in squares.iter_mut().enumerate() {
                s.spawn(async move {
                    *square = work(n).await * n;
                    Ok::<_, String>(())
                });
            }
            Ok(())
        });
        filled.await.unwrap();
        assert_eq!(squares, [0, 1, 4, 9, 16]);
    });
}

#[test]
fn work_on_chunks_of_a_vector() {
    test_run(async {
        let mut numbers: Vec<usize> = (0..100).collect();
        let doubled = scope(async |s| {
            for chunk in numbers.chunks_mut(33) {
                s.spawn(async move {
                    for number in chunk {
                        *number = work(*number).await * 2;
                    }
                    Ok::<_, String>(())
                });
            }
            Ok(())
        });
        doubled.await.unwrap();
        assert_eq!(numbers[99], 198);
    });
}

#[test]
fn split_a_slice_between_two_children() {
    test_run(async {
        let mut numbers = [3, 1, 4, 1, 5, 9];
        let (left, right) = numbers.split_at_mut(3);
        scope(async |s| {
            s.spawn(async {
                left.sort_unstable();
                Ok::<_, String>(())
            });
            s.spawn(async {
                right.sort_unstable();
                Ok(())
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(numbers, [1, 3, 4, 1, 5, 9]);
    });
}

#[test]
fn read_one_config_from_many_children() {
    test_run(async {
        let config: HashMap<&str, String> = HashMap::from([("host", "localhost".to_owned())]);
        let lengths = scope(async |s| {
            let handles: Vec<_> = (0..3).map(|_| s.spawn(async { Ok::<_, String>(config["host"].len()) })).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap();
            }
            Ok(sum)
        });
        assert_eq!(lengths.await.unwrap(), 27);
    });
}

#[test]
fn count_in_a_shared_cell() {
    test_run(async {
        let count = Cell::new(0);
        scope(async |s| {
            for n in 0..10 {
                let count = &count; // before `async move`, which then moves the reference
                s.spawn(async move {
                    let n = work(n).await; // not within the next line, which reads before it waits
                    count.set(count.get() + n);
                    Ok::<_, String>(())
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(count.get(), 45);
    });
}

#[test]
fn collect_into_a_shared_map() {
    test_run(async {
        let lengths = RefCell::new(BTreeMap::new());
        scope(async |s| {
            for word in ["gandy", "dancer"] {
                let lengths = &lengths;
                s.spawn(async move {
                    let length = work(word.len()).await;
                    lengths.borrow_mut().insert(word, length);
                    Ok::<_, String>(())
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(lengths.into_inner().into_values().collect::<Vec<_>>(), [6, 5]);
    });
}

#[test]
fn lend_one_thing_mutably_to_one_child_while_the_body_waits() {
    test_run(async {
        let mut log = Vec::new();
        scope(async |s| {
            let writer = s.spawn(async {
                log.push("child");
                Ok::<_, String>(())
            });
            writer.await.unwrap();
            Ok(())
        })
        .await
        .unwrap();
        log.push("afterwards");
        assert_eq!(log, ["child", "afterwards"]);
    });
}

#[test]
fn return_borrowed_values_through_handles() {
    test_run(async {
        let text = String::from("one two three");
        let longest = scope(async |s| {
            let handles: Vec<_> = text.split(' ').map(|word| s.spawn(async move { Ok::<_, String>(word) })).collect();
            let mut longest = "";
            for handle in handles {
                let word = handle.await.unwrap();
                if word.len() > longest.len() {
                    longest = word;
                }
            }
            Ok(longest)
        });
        assert_eq!(longest.await.unwrap(), "three");
    });
}

#[test]
fn keep_handles_and_read_the_results_after_the_scope() {
    test_run(async {
        let base = 10;
        let mut handles = scope(async |s| {
            Ok([1, 2].map(|n| {
                let base = &base;
                s.spawn(async move { Ok::<_, String>(base + n) })
            }))
        })
        .await
        .unwrap();
        assert_eq!(handles.each_mut().map(|handle| handle.result().unwrap().unwrap()), [11, 12]);
    });
}

#[test]
fn a_child_spawns_children_that_borrow_the_same() {
    test_run(async {
        let seen = RefCell::new(Vec::new());
        scope(async |s| {
            s.spawn(async {
                for n in 0..3 {
                    let seen = &seen;
                    s.spawn(async move {
                        seen.borrow_mut().push(n);
                        Ok(())
                    });
                }
                Ok::<_, String>(())
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(seen.into_inner(), [0, 1, 2]);
    });
}

/// A tree walked by as many children as it has nodes.
struct Tree {
    value: usize,
    children: Vec<Tree>,
}

fn walk<'scope>(s: &'scope Scope<'scope, '_, String>, tree: &'scope Tree, sum: &'scope Cell<usize>) {
    s.spawn(async move {
        let value = work(tree.value).await;
        sum.set(sum.get() + value);
        for child in &tree.children {
            walk(s, child, sum);
        }
        Ok(())
    });
}

#[test]
fn walk_a_tree_with_a_recursive_function() {
    test_run(async {
        let leaf = |value| Tree { value, children: Vec::new() };
        let tree = Tree { value: 1, children: vec![leaf(2), Tree { value: 3, children: vec![leaf(4)] }] };
        let sum = Cell::new(0);
        scope(async |s| {
            walk(s, &tree, &sum);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(sum.get(), 10);
    });
}

/// A service whose methods are the children.
struct Service {
    served: Cell<usize>,
    names: Vec<String>,
}

impl Service {
    async fn serve(&self, name: &str) -> Result<(), String> {
        work(name.len()).await;
        self.served.set(self.served.get() + 1);
        Ok(())
    }

    async fn run(&self) -> Result<usize, String> {
        let served = scope(async |s| {
            for name in &self.names {
                s.spawn(self.serve(name));
            }
            Ok(())
        });
        served.await.map_err(|errors| errors.to_string())?;
        Ok(self.served.get())
    }
}

#[test]
fn methods_of_self_as_children() {
    test_run(async {
        let service = Service { served: Cell::new(0), names: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(service.run().await, Ok(2));
    });
}

#[test]
fn a_mutable_method_lends_its_fields_apart() {
    struct Pump {
        queue: VecDeque<usize>,
        done: Vec<usize>,
    }
    impl Pump {
        async fn run(&mut self) {
            let Pump { queue, done } = self;
            let pumped = scope(async |s| {
                let total = s.spawn(async { Ok::<_, String>(queue.drain(..).sum::<usize>()) });
                done.push(total.await.unwrap());
                Ok(())
            });
            pumped.await.unwrap();
        }
    }
    test_run(async {
        let mut pump = Pump { queue: VecDeque::from([1, 2, 3]), done: Vec::new() };
        pump.run().await;
        assert_eq!((pump.queue.len(), pump.done), (0, vec![6]));
    });
}

#[test]
fn scopes_in_scopes_borrow_from_both() {
    test_run(async {
        let outer = String::from("outer");
        let total = scope(async |s| {
            let child = s.spawn(async {
                let inner = String::from("inner");
                let both = scope(async |t| {
                    let a = t.spawn(async { Ok::<_, String>(outer.len()) });
                    let b = t.spawn(async { Ok(inner.len()) });
                    Ok(a.await.unwrap() + b.await.unwrap())
                });
                both.await.map_err(|errors| errors.to_string())
            });
            Ok(child.await.unwrap())
        });
        assert_eq!(total.await.unwrap(), 10);
    });
}

#[test]
fn a_question_mark_in_children_and_body() {
    async fn parse(text: &str) -> Result<usize, AnyError> {
        Ok(text.parse()?)
    }
    test_run(async {
        let texts = [String::from("4"), String::from("x")];
        let error = scope(async |s| {
            let first = s.spawn(parse(&texts[0]));
            let four = first.await?;
            s.spawn(async {
                parse(&texts[1]).await?;
                Ok(())
            });
            Ok::<_, AnyError>(four)
        })
        .await
        .unwrap_err();
        assert!(error.first().unwrap().0.is::<std::num::ParseIntError>());
    });
}

#[test]
fn the_error_of_an_inner_scope_goes_up_with_a_question_mark() {
    test_run(async {
        let name = String::from("inner");
        let error = scope(async |s| {
            s.spawn(async {
                scope(async |t| {
                    t.spawn(async { Err::<(), _>(format!("{name} failed")) });
                    Ok(())
                })
                .await?;
                Ok::<_, AnyError>(())
            });
            Ok(())
        })
        .await
        .unwrap_err();
        let inner = error.first().unwrap().0.downcast_ref::<handcar_structured::GroupError<String>>().unwrap();
        assert_eq!(inner.first().unwrap(), "inner failed");
    });
}

#[test]
fn a_timeout_around_a_scope_and_one_in_a_child() {
    test_run(async {
        let done = Cell::new(0);
        let timed = timeout(
            s(5),
            scope(async |sc| {
                sc.spawn(async {
                    if timeout(s(1), secs(9)).await.is_err() {
                        done.set(done.get() + 1);
                    }
                    Ok::<_, String>(())
                });
                Ok(())
            }),
        );
        timed.await.unwrap().unwrap();
        assert_eq!(done.get(), 1);
    });
}

#[test]
fn a_shield_that_borrows_inside_a_child() {
    test_run(async {
        let mut written = Vec::new();
        let moved_on = move_on_after(
            s(1),
            scope(async |sc| {
                sc.spawn(async {
                    shield(async {
                        written.push("begin");
                        secs(3).await;
                        written.push("commit");
                    })
                    .await;
                    Ok::<_, String>(())
                });
                Ok(())
            }),
        );
        assert!(moved_on.await.is_some(), "the child ended with a value after all");
        assert_eq!(written, ["begin", "commit"]);
    });
}

#[test]
fn a_child_defers_what_it_owns_and_borrows_the_rest() {
    test_run(async {
        let closed = Rc::new(Cell::new(0));
        let names = [String::from("a"), String::from("b")];
        scope(async |s| {
            for name in &names {
                let closed = Rc::clone(&closed);
                s.spawn(async move {
                    let _close = defer(async move { closed.set(closed.get() + 1) });
                    work(name.len()).await;
                    Ok::<_, String>(())
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(closed.get(), 2);
    });
}

#[test]
fn a_bracket_in_a_child() {
    test_run(async {
        let path = String::from("/tmp");
        let opened = Rc::new(Cell::new(0));
        let (in_acquire, in_release) = (Rc::clone(&opened), Rc::clone(&opened));
        scope(async |s| {
            s.spawn(async {
                bracket(
                    async {
                        in_acquire.set(1);
                        Ok::<_, String>(path.clone())
                    },
                    async |file| Ok(file.len() + path.len()),
                    async move |_| {
                        in_release.set(0);
                        Ok(())
                    },
                )
                .await
                .map_err(|error| error.to_string())
            });
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(opened.get(), 0);
    });
}

#[test]
fn gather_race_and_try_gather_over_borrowed_things() {
    test_run(async {
        let words = [String::from("a"), String::from("bb")];
        let lengths = gather(words.iter().map(async |word| work(word.len()).await)).await;
        let (sum, first) = gather!(async { lengths.iter().sum::<usize>() }, async { words[0].as_str() }).await;
        let quickest = race(words.iter().map(|word| async move { work(word.len()).await })).await;
        let all = try_gather(words.iter().map(async |word| word.chars().next().ok_or("empty"))).await;
        assert_eq!((sum, first, quickest), (3, "a", Some((0, 1))));
        assert_eq!(all, Ok(vec!['a', 'b']));
    });
}

#[test]
fn a_gather_inside_a_child_and_a_scope_inside_a_gather() {
    test_run(async {
        let rows = vec![vec![1, 2], vec![3]];
        let sums = gather(rows.iter().map(async |row| {
            let sum = Cell::new(0);
            scope(async |s| {
                for &n in row {
                    let sum = &sum;
                    s.spawn(async move {
                        let (n, _) = gather!(work(n), work(n)).await;
                        sum.set(sum.get() + n);
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
            sum.get()
        }));
        assert_eq!(sums.await, [3, 3]);
    });
}

#[test]
fn a_body_that_feeds_a_worker_through_a_shared_queue() {
    test_run(async {
        let queue = RefCell::new(VecDeque::new());
        let closed = Cell::new(false);
        let mut sum = 0;
        scope(async |s| {
            s.spawn(async {
                loop {
                    let next = queue.borrow_mut().pop_front();
                    match next {
                        Some(n) => sum += work(n).await,
                        None if closed.get() => return Ok::<_, String>(()),
                        None => yield_now().await,
                    }
                }
            });
            for n in 0..10 {
                queue.borrow_mut().push_back(n);
                yield_now().await;
            }
            closed.set(true);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(sum, 45);
    });
}

#[test]
fn the_first_of_many_children_cancels_the_rest() {
    test_run(async {
        let replicas = ["far", "near"];
        let answer = Cell::new(None);
        scope(async |sc| {
            for (n, replica) in replicas.iter().enumerate() {
                let answer = &answer;
                sc.spawn(async move {
                    secs(2 - n as u64).await;
                    answer.set(Some(*replica));
                    sc.cancel();
                    Ok::<_, String>(())
                });
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(answer.get(), Some("near"));
    });
}

#[test]
fn a_helper_function_takes_the_scope() {
    fn spawn_all<'scope, 'env>(
        s: &'scope Scope<'scope, 'env, String>,
        words: &'env [String],
    ) -> Vec<GroupHandle<&'env str>> {
        words.iter().map(|word| s.spawn(async move { Ok(word.as_str()) })).collect()
    }
    test_run(async {
        let words = vec!["a".to_owned(), "b".to_owned()];
        let joined = scope(async |s| {
            let mut joined = String::new();
            for handle in spawn_all(s, &words) {
                joined += handle.await.unwrap();
            }
            Ok(joined)
        });
        assert_eq!(joined.await.unwrap(), "ab");
    });
}

#[test]
fn a_generic_map_over_anything_that_can_be_iterated() {
    async fn map<'a, T, U: 'a>(items: &'a [T], f: impl AsyncFn(&'a T) -> U) -> Vec<U> {
        let f = &f;
        let mapped = scope(async |s| {
            let handles: Vec<_> =
                items.iter().map(|item| s.spawn(async move { Ok::<_, String>(f(item).await) })).collect();
            let mut values = Vec::new();
            for handle in handles {
                values.push(handle.await.expect("it neither fails nor is cancelled"));
            }
            Ok(values)
        });
        mapped.await.unwrap()
    }
    test_run(async {
        let words = ["a", "bb"];
        assert_eq!(map(&words, async |word| work(word.len()).await).await, [1, 2]);
    });
}

#[test]
fn boxed_children_of_different_types() {
    test_run(async {
        let name = String::from("x");
        type Child<'a> = std::pin::Pin<Box<dyn Future<Output = Result<usize, String>> + 'a>>;
        let children: Vec<Child<'_>> = vec![Box::pin(async { Ok(name.len()) }), Box::pin(async { Ok(work(2).await) })];
        let sum = scope(async |s| {
            let mut sum = 0;
            for child in children {
                sum += s.spawn(child).await.unwrap();
            }
            Ok(sum)
        });
        assert_eq!(sum.await.unwrap(), 3);
    });
}

#[test]
fn a_scope_in_a_spawned_task_borrows_what_the_task_owns() {
    test_run(async {
        let task = spawn(async {
            let owned = vec![1, 2, 3];
            let sum = scope(async |s| {
                let half = s.spawn(async { Ok::<_, String>(owned.iter().sum::<i32>()) });
                Ok(half.await.unwrap())
            });
            sum.await.unwrap()
        });
        assert_eq!(task.await.unwrap(), 6);
    });
}

#[test]
fn a_limited_scope_over_a_borrowed_list() {
    test_run(async {
        let urls: Vec<String> = (0..20).map(|n| format!("page {n}")).collect();
        let fetched = RefCell::new(Vec::new());
        TaskGroup::builder()
            .limit(4)
            .name("fetch")
            .scope(async |s| {
                for url in &urls {
                    let fetched = &fetched;
                    s.spawn(async move {
                        work(url.len()).await;
                        fetched.borrow_mut().push(url.as_str());
                        Ok::<_, String>(())
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(fetched.borrow().len(), 20);
    });
}

#[test]
fn a_service_that_starts_and_borrows() {
    test_run(async {
        let hits = Cell::new(0);
        scope(async |s| {
            let port = s.start(|started| async {
                started.ready(8080);
                for _ in 0..3 {
                    yield_now().await;
                    hits.set(hits.get() + 1);
                }
                Ok(())
            });
            assert_eq!(port.await.map_err(|error| error.to_string())?, 8080);
            Ok::<_, String>(())
        })
        .await
        .unwrap();
        assert_eq!(hits.get(), 3);
    });
}

#[test]
fn main_itself_may_borrow() {
    let mut total = 0;
    let words = vec!["a", "bb"];
    run(async {
        scope(async |s| {
            s.spawn(async {
                total = words.len();
                Ok::<_, String>(())
            });
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(total, 2);
}
