//! Numbers, names and the lines that spawned: `task::{id, name, current}` and the handles agree.

mod common;

use std::collections::HashSet;

use common::run;
use handcar::{Builder, Runtime, Spawner, spawn, spawn_named, task, yield_now};

#[test]
fn a_task_and_its_handle_agree_about_number_name_and_line() {
    run(async {
        let (handle, line) = (spawn_named("worker", async { task::current().unwrap() }), line!());
        let (id, name, at) = (handle.id(), handle.name().map(str::to_owned), handle.spawned_at());
        let info = handle.await.unwrap();
        assert_eq!((info.id, info.name.as_deref()), (id, name.as_deref()));
        assert_eq!((at.file(), at.line()), (file!(), line));
        assert_eq!(info.spawned_at, at);
        assert_eq!(info.to_string(), format!("task `worker` {id}, spawned at {at}"));
    });
}

#[test]
fn a_task_without_a_name_has_none() {
    run(async {
        let handle = spawn(async { (task::id(), task::name()) });
        let id = handle.id();
        assert_eq!(handle.name(), None);
        assert_eq!(handle.await.unwrap(), (Some(id), None));
    });
}

#[test]
fn the_future_of_run_is_the_task_main() {
    run(async {
        let main = task::current().unwrap();
        assert_eq!(main.name.as_deref(), Some("main"));
        yield_now().await;
        spawn(async move { assert_ne!(task::id(), Some(main.id)) }).await.unwrap();
        assert_eq!(task::id(), Some(main.id), "also after others have run");
    });
}

#[test]
fn outside_a_poll_nobody_runs() {
    assert_eq!((task::id(), task::name()), (None, None));
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.enter(task::id), None);
    runtime.block_on(async {});
    assert_eq!((task::id(), runtime.enter(task::id)), (None, None));
    run(async { assert_eq!(runtime.enter(task::id), None, "main runs on another runtime") });
}

#[test]
fn numbers_are_unique_among_the_living_and_used_with_another_generation_later() {
    run(async {
        let handles: Vec<_> = (0..1000).map(|_| spawn(yield_now())).collect();
        let living: HashSet<_> = handles.iter().map(handcar::JoinHandle::id).collect();
        assert_eq!(living.len(), 1000);
        for handle in handles {
            handle.await.unwrap();
        }
        let later: HashSet<_> = (0..1000).map(|_| spawn(async {})).map(|handle| handle.id()).collect();
        assert!(living.is_disjoint(&later));
    });
}

#[test]
fn every_way_to_spawn_notes_the_callers_line() {
    let runtime = Builder::new().build().unwrap();
    let (task, line) = (runtime.spawn(async {}), line!());
    assert_eq!((task.spawned_at().file(), task.spawned_at().line()), (file!(), line));
    let (task, line) = (runtime.spawner().spawn(async {}), line!());
    assert_eq!(task.spawned_at().line(), line);
    runtime.block_on(async {
        let (task, line) = (Spawner::current().spawn(async {}), line!());
        assert_eq!(task.spawned_at().line(), line);
        let (task, line) = (spawn(async {}), line!());
        assert_eq!(task.spawned_at().line(), line);
        let (task, line) = (spawn_named(String::from("owned name"), async {}), line!());
        assert_eq!(task.spawned_at().line(), line);
        assert_eq!(task.name(), Some("owned name"));
    });
}

#[test]
fn a_task_is_itself_also_in_a_join_and_in_its_destructor() {
    struct Asks(std::rc::Rc<std::cell::Cell<Option<handcar::task::TaskId>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.set(task::id());
        }
    }
    run(async {
        let seen = std::rc::Rc::default();
        let asks = Asks(std::rc::Rc::clone(&seen));
        let handle = spawn(async move {
            let _asks = asks;
            let (a, b) = futures::join!(async { task::id() }, async {
                yield_now().await;
                task::id()
            });
            assert_eq!(a, b);
            std::future::pending::<()>().await;
        });
        let id = handle.id();
        yield_now().await;
        yield_now().await;
        assert!(handle.cancel_and_wait().await.unwrap_err().is_cancelled());
        assert_eq!(seen.get(), Some(id));
    });
}
