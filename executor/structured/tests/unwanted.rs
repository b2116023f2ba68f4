//! Results of children that nobody wants: each is dropped once, whatever its destructor does, and the group goes on.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use common::{Log, OnDrop, Reports, secs, watchdog};
use handcar_structured::{AbortHandle, GroupHandle, defer, effective_deadline, generate, scope, task_group, yield_now};

/// A result that does something when it is dropped.
type Unwanted = OnDrop<Box<dyn FnOnce()>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goes {
    BeforeTheFirstPoll,
    WhileItRuns,
    AfterItsEnd,
    AfterTheGroup,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    Nothing,
    Panic,
    Spawn,
    AbortItsTask,
    DropTheSiblingsHandle,
    Defer,
}

/// What is known of a child, and its sibling, when its result is dropped.
#[derive(Default)]
struct Known {
    own: RefCell<Option<AbortHandle>>,
    sibling: RefCell<Option<GroupHandle<Unwanted>>>,
}

impl Does {
    /// A result that does so; `spawn` is for the one that spawns.
    fn when_dropped(self, log: &Log, known: &Rc<Known>, spawn: impl FnOnce() + 'static) -> Unwanted {
        let (log, known) = (log.clone(), Rc::clone(known));
        OnDrop::new(Box::new(move || {
            log.note("dropped");
            match self {
                Does::Nothing => {}
                Does::Panic => panic!("in drop"),
                Does::Spawn => spawn(),
                Does::AbortItsTask => assert!(!known.own.take().unwrap().cancel()),
                Does::DropTheSiblingsHandle => drop(known.sibling.take().unwrap()),
                Does::Defer => drop(defer(async move { log.note("more") })),
            }
        }))
    }

    fn expected(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Does::Nothing | Does::AbortItsTask => (&["ran", "dropped"], &[]),
            Does::Panic => (&["ran", "dropped"], &["panicked: in drop"]),
            Does::Spawn | Does::DropTheSiblingsHandle | Does::Defer => (&["ran", "dropped", "more"], &[]),
        }
    }
}

const GOES: [Goes; 4] = [Goes::BeforeTheFirstPoll, Goes::WhileItRuns, Goes::AfterItsEnd, Goes::AfterTheGroup];
const DOES: [Does; 6] =
    [Does::Nothing, Does::Panic, Does::AbortItsTask, Does::DropTheSiblingsHandle, Does::Defer, Does::Spawn];

/// Drops the handle when it is to go; else gives it back.
async fn let_go(child: GroupHandle<Unwanted>, goes: Goes) -> Option<GroupHandle<Unwanted>> {
    match goes {
        Goes::BeforeTheFirstPoll => {}
        Goes::WhileItRuns => yield_now().await,
        Goes::AfterItsEnd => secs(1).await,
        Goes::AfterTheGroup => return Some(child),
    }
    assert_eq!(child.is_finished(), goes == Goes::AfterItsEnd);
    None
}

/// Has `run` drop the result of a child in each way, and looks at what came of it.
fn in_every_way(all: &[Does], run: &impl AsyncFn(Goes, Does, &Log, &Rc<Known>)) {
    for (goes, &does) in GOES.iter().flat_map(|&goes| all.iter().map(move |does| (goes, does))) {
        let (log, reports, known) = (Log::new(), Reports::default(), Rc::default());
        reports.builder().build().unwrap().block_on(async {
            run(goes, does, &log, &known).await;
            secs(1).await;
        });
        let (events, told) = does.expected();
        assert_eq!((log.take(), reports.take()), (strings(events), strings(told)), "{does:?}, the handle {goes:?}");
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// What a sibling returns.
fn more(log: &Log) -> Unwanted {
    let log = log.clone();
    OnDrop::new(Box::new(move || log.note("more")))
}

#[test]
fn a_groups_child_has_its_unwanted_result_dropped_once_whenever_the_handle_goes_and_whatever_that_does() {
    let _watchdog = watchdog();
    in_every_way(&DOES, &async |goes, does, log, known| {
        let group = task_group(async |g| {
            let sibling = more(log);
            known.sibling.replace(Some(g.spawn(async { Ok::<_, String>(sibling) })));
            let (group, child) = (g.clone(), log.clone());
            let unwanted = does.when_dropped(log, known, move || {
                let child = more(&child);
                // Where the group is closed, this gives the child back, and it is dropped here.
                drop(group.try_spawn(async move {
                    drop(child);
                    Ok(())
                }));
            });
            let ran = log.clone();
            let child = g.spawn(async move {
                yield_now().await;
                ran.note("ran");
                Ok(unwanted)
            });
            known.own.replace(Some(child.abort_handle()));
            let left = let_go(child, goes).await;
            secs(1).await;
            assert!(g.is_empty());
            Ok(left)
        });
        drop(group.await.unwrap());
    });
}

#[test]
fn a_scopes_child_has_its_unwanted_result_dropped_once_whenever_the_handle_goes_and_whatever_that_does() {
    let _watchdog = watchdog();
    let but_spawn = &DOES[..5]; // a result cannot hold the scope that its child borrows from
    in_every_way(but_spawn, &async |goes, does, log, known| {
        let group = scope(async |s| {
            let sibling = more(log);
            known.sibling.replace(Some(s.spawn(async { Ok::<_, String>(sibling) })));
            let unwanted = does.when_dropped(log, known, || unreachable!("it does not spawn"));
            let child = s.spawn(async {
                yield_now().await;
                log.note("ran");
                Ok(unwanted)
            });
            known.own.replace(Some(child.abort_handle()));
            let left = let_go(child, goes).await;
            secs(1).await;
            assert!(s.is_empty());
            Ok(left)
        });
        drop(group.await.unwrap());
    });
}

#[test]
fn a_child_that_could_not_be_spawned_leaves_no_seat_behind() {
    let _watchdog = watchdog();
    let log = Log::new();
    let runtime = Reports::default().builder().build().unwrap();
    let mut group = pin!(task_group(async |g| {
        g.spawn(async { Ok::<_, String>(()) });
        yield_now().await;
        // This poll is a stranger's, in no runtime.
        let dropped = log.clone();
        let late = OnDrop::new(move || dropped.note("dropped"));
        let spawn = || {
            g.spawn(async move {
                drop(late);
                Ok(())
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(spawn)).is_err());
        assert_eq!(log.take(), ["dropped"]);
        assert!(g.is_empty());
        yield_now().await;
        g.spawn(async { Ok(()) });
        assert_eq!(g.len(), 1);
        Ok(())
    }));
    runtime.block_on(async {
        assert!(futures::poll!(group.as_mut()).is_pending());
        secs(1).await;
    });
    assert!(group.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    runtime.block_on(group).unwrap();
}

#[test]
fn a_generator_is_polled_and_dropped_by_a_destructor_of_a_thread_local() {
    use futures::StreamExt;

    struct AtTheEnd;
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let mut stream = pin!(generate(async |y| {
                assert_eq!(effective_deadline(), handcar_structured::Instant::NEVER);
                y.yield_(1).await;
                y.yield_(2).await;
            }));
            let polled = stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Ready(Some(1)));
        }
    }
    thread_local! {
        static AT_THE_END: AtTheEnd = const { AtTheEnd };
    }
    let ends = std::thread::spawn(|| {
        AT_THE_END.with(|_| ());
        handcar_structured::run(async { drop(task_group(async |_| Ok::<_, String>(())).await) });
    });
    ends.join().unwrap();
}
