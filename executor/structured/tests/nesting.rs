//! What runs inside what: each asks about the scopes around it, and finds its own.

mod common;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::{Log, OnDrop, panic_of, s, secs, simulated, test_run, watchdog};
use futures::future::{Either, FutureExt, select};
use futures::stream::StreamExt;
use handcar_structured::{
    AbortHandle, CancelScope, Instant, cancelled, defer, effective_deadline, gather, generate, is_cancelled, scope,
    shield, spawn, task_group, timeout, yield_now,
};

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// What may be around a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Around {
    Timeout,
    Scope,
    Shield,
    Branch,
    GroupChild,
    ScopeChild,
    Task,
    Generator,
}

const ALL: [Around; 8] = {
    use Around::*;
    [Timeout, Scope, Shield, Branch, GroupChild, ScopeChild, Task, Generator]
};

impl Around {
    fn put(self, body: Boxed) -> Boxed {
        match self {
            Around::Timeout => Box::pin(async { timeout(s(20), body).await.unwrap_or(()) }),
            Around::Scope => Box::pin(async { drop(CancelScope::new().run(body).await) }),
            Around::Shield => Box::pin(shield(body)),
            Around::Branch => Box::pin(async { drop(gather([body]).await) }),
            Around::GroupChild => Box::pin(async {
                let ended = task_group(async |g| {
                    g.spawn(async {
                        body.await;
                        Ok::<_, String>(())
                    });
                    Ok(())
                });
                ended.await.unwrap_or(());
            }),
            Around::ScopeChild => Box::pin(async {
                let body = RefCell::new(Some(body));
                let ended = scope(async |s| {
                    s.spawn(async {
                        body.take().unwrap().await;
                        Ok::<_, String>(())
                    });
                    Ok(())
                });
                ended.await.unwrap_or(());
            }),
            Around::Task => Box::pin(async { drop(spawn(body).await) }),
            Around::Generator => Box::pin(async {
                let mut stream = pin!(generate(async |y| {
                    body.await;
                    y.yield_(()).await;
                }));
                while stream.next().await.is_some() {}
            }),
        }
    }
}

/// Panics, and leaves a cleanup behind: by itself, or from a destructor that runs while it unwinds.
fn panic_with_a_cleanup(log: Log, in_destructor: bool) {
    let cleanup = async move {
        secs(1).await;
        log.at("cleaned up");
    };
    let (in_time, late) = if in_destructor { (None, Some(cleanup)) } else { (Some(cleanup), None) };
    let _while_unwinding = OnDrop::new(move || drop(late.map(defer)));
    let _guard = in_time.map(defer);
    resume_unwind(Box::new("the body's"));
}

/// Every way to put up to three of them around each other, from the outside in.
fn nestings() -> Vec<Vec<Around>> {
    let mut all = vec![vec![]];
    for begin in [0, 1, 9] {
        for at in begin..all.len() {
            all.extend(ALL.map(|inner| [all[at].as_slice(), &[inner]].concat()));
        }
    }
    all
}

#[test]
fn at_every_nesting_the_deadline_that_holds_and_the_cancel_that_is_heard_are_those_of_the_scopes_around() {
    let _watchdog = watchdog();
    let all = nestings();
    assert_eq!(all.len(), 1 + 8 + 64 + 512);
    for around in all {
        for attaches in [false, true] {
            let seen = Log::new();
            let log = seen.clone();
            let runtime = simulated();
            let body = async move {
                let _guard = attaches.then(|| defer(async {}));
                log.note(effective_deadline().since_start().as_secs().min(99));
                yield_now().await;
                log.note(effective_deadline().since_start().as_secs().min(99));
                assert!(!is_cancelled());
                let heard = match select(pin!(cancelled()), pin!(secs(3))).await {
                    Either::Left(_) => "cancelled",
                    Either::Right(_) => "slept",
                };
                log.at(heard);
                assert_eq!(is_cancelled(), heard == "cancelled");
                assert_eq!(effective_deadline() == Instant::START, is_cancelled());
            };
            let whole = around.iter().rev().fold(Box::pin(body) as Boxed, |body, around| around.put(body));
            runtime.block_on(async {
                let _ = timeout(s(1), timeout(s(10), whole)).await;
                secs(5).await; // so that nobody is cancelled by the runtime's end
            });
            // A shield lets no deadline in, nor a cancel; a task stands below no scope.
            let apart = around.iter().rposition(|around| matches!(around, Around::Shield | Around::Task));
            let inside = &around[apart.map_or(0, |at| at + 1)..];
            let deadline = match apart {
                None => "1",
                Some(_) if inside.contains(&Around::Timeout) => "20",
                Some(_) => "99",
            };
            let heard = if around.contains(&Around::Shield) { "3 slept" } else { "1 cancelled" };
            assert_eq!(seen.take(), [deadline, deadline, heard], "within {around:?}, attaching: {attaches}");
        }
    }
}

#[test]
fn at_every_nesting_a_cleanup_that_is_made_in_the_poll_that_panics_is_awaited() {
    let _watchdog = watchdog();
    for around in nestings() {
        for in_destructor in [false, true] {
            let seen = Log::new();
            let runtime = simulated();
            let log = seen.clone();
            let body = async move { panic_with_a_cleanup(log, in_destructor) };
            let whole = around.iter().rev().fold(Box::pin(body) as Boxed, |body, around| around.put(body));
            runtime.block_on(async {
                let ended = AssertUnwindSafe(CancelScope::new().run(whole)).catch_unwind().await;
                assert_eq!(ended.is_err(), !around.contains(&Around::Task), "a task's panic goes to its handle");
                seen.at("left");
                assert!(!is_cancelled());
            });
            assert_eq!(seen.take(), ["1 cleaned up", "1 left"], "within {around:?}, in a destructor: {in_destructor}");
        }
    }
}

#[test]
fn a_child_that_cancels_itself_in_its_first_poll_cancels_nobody_else() {
    test_run(async {
        let owner = spawn(async {
            let own = RefCell::new(None::<AbortHandle>);
            let group = scope(async |s| {
                let child = s.spawn(async {
                    assert!(own.take().unwrap().cancel());
                    assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
                    Ok::<_, String>(())
                });
                own.replace(Some(child.abort_handle()));
                Ok(())
            });
            group.await.unwrap();
            assert!(!is_cancelled());
            yield_now().await;
            "goes on"
        });
        assert_eq!(owner.await.unwrap(), "goes on");
    });
}

#[test]
fn a_timeout_that_is_carried_to_another_runtime_has_what_was_left_of_it() {
    let _watchdog = watchdog();
    for attaches in [false, true] {
        let (first, second) = (simulated(), simulated());
        second.block_on(secs(1000));
        let left = || effective_deadline() - Instant::now();
        let mut carried = Box::pin(timeout(s(10), async {
            let mut polls = 0;
            poll_fn(|_| {
                polls += 1;
                if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            assert_eq!(left(), s(6));
            if attaches {
                drop(defer(async {}));
                assert_eq!(left(), s(6));
            }
            assert!(!is_cancelled());
            pending::<()>().await;
        }));
        first.block_on(async {
            assert!(futures::poll!(carried.as_mut()).is_pending());
            secs(4).await;
            assert!(futures::poll!(carried.as_mut()).is_pending());
        });
        second.block_on(async {
            let begun = Instant::now();
            assert!(carried.await.is_err());
            assert_eq!(Instant::now() - begun, s(6));
        });
    }
}

#[test]
fn a_timeout_at_a_point_in_time_that_is_carried_to_another_runtime_has_what_was_left_of_it() {
    let _watchdog = watchdog();
    let (first, second) = (simulated(), simulated());
    second.block_on(secs(1000));
    let deadline = first.block_on(async { Instant::now() + s(10) });
    let mut carried = Box::pin(handcar_structured::timeout_at(deadline, async {
        yield_now().await;
        assert!(!is_cancelled());
        assert_eq!(effective_deadline() - Instant::now(), s(10));
        pending::<()>().await;
    }));
    first.block_on(async { assert!(futures::poll!(carried.as_mut()).is_pending()) });
    second.block_on(async {
        let begun = Instant::now();
        assert!(carried.await.is_err());
        assert_eq!(Instant::now() - begun, s(10));
    });
}

#[test]
fn a_yield_inside_two_scopes_is_refused_with_the_line_of_the_outer_one() {
    test_run(async {
        let line = line!() + 2;
        let mut stream = pin!(generate(async |y| {
            let outer = scope(async |outer| {
                let child = async {
                    let inner = scope(async |inner| {
                        inner.spawn(async {
                            y.yield_(1).await;
                            Ok::<_, String>(())
                        });
                        Ok(())
                    });
                    inner.await.map_err(|error| error.to_string())
                };
                outer.spawn(child);
                Ok::<_, String>(())
            });
            drop(outer.await);
        }));
        let panicked = poll_fn(|cx| Poll::Ready(panic_of(|| stream.as_mut().poll_next_unpin(cx)))).await;
        assert!(panicked.contains(&format!("nesting.rs:{line}:")), "{panicked}");
    });
}

#[test]
fn an_unwanted_result_that_defers_has_its_cleanup_awaited_and_the_next_task_is_none_the_worse() {
    let _watchdog = watchdog();
    let log = Log::new();
    let runtime = simulated();
    let cleanup = |what: &'static str| {
        let log = log.clone();
        async move {
            secs(1).await;
            log.at(what);
        }
    };
    runtime.block_on(async {
        let of_result = cleanup("the result's");
        spawn(async { OnDrop::new(move || drop(defer(of_result))) }).detach_ignoring();
        let of_hook = cleanup("the error's");
        spawn(async { Err::<(), _>(()) }).detach_with(|()| drop(defer(of_hook)));
        yield_now().await;
        let of_next = cleanup("the next one's");
        let next = spawn(async move {
            let _guard = defer(of_next);
            assert!(!is_cancelled());
        });
        next.await.unwrap();
        log.at("joined");
    });
    drop(runtime);
    assert_eq!(log.take(), ["1 the result's", "1 the error's", "1 the next one's", "1 joined"]);
}

#[test]
fn a_cleanup_that_is_made_where_the_task_has_entered_its_own_runtime_becomes_a_task() {
    let _watchdog = watchdog();
    let log = Log::new();
    let runtime = Rc::new(simulated());
    runtime.block_on(async {
        let (log, entered) = (log.clone(), Rc::clone(&runtime));
        let task = spawn(async move {
            entered.enter(|| drop(defer(async move { log.note("cleaned up") })));
        });
        task.await.unwrap();
    });
    drop(Rc::into_inner(runtime).unwrap());
    assert_eq!(log.take(), ["cleaned up"]);
}
