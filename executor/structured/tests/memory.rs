//! A group that stays open for ever must not grow. One test in a process of its own: it reads the memory of the whole process.
#![cfg(target_os = "linux")]

use std::cell::Cell;

use handcar_structured::{scope, task_group, yield_now};

mod common;
use common::test_run;

#[test]
fn a_million_children_of_a_long_open_group_leave_the_memory_flat() {
    fn pages() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse().unwrap()
    }
    test_run(async {
        let grown = Cell::new(0);
        let children = async |spawn: &dyn Fn(), len: &dyn Fn() -> usize| {
            let mut before = 0;
            for n in 0..500_000 {
                if n == 50_000 {
                    before = pages();
                }
                spawn();
                if len() >= 100 {
                    yield_now().await;
                }
            }
            grown.set(pages().saturating_sub(before));
        };
        task_group(async |g| {
            children(&|| drop(g.spawn(async { Ok::<_, String>([0_u8; 64]) })), &|| g.len()).await;
            Ok(())
        })
        .await
        .unwrap();
        assert!(grown.get() < 256, "task_group: {} pages", grown.get());
        let local = [0_u8; 64];
        scope(async |s| {
            children(&|| drop(s.spawn(async { Ok::<_, String>(local.len()) })), &|| s.len()).await;
            Ok(())
        })
        .await
        .unwrap();
        assert!(grown.get() < 256, "scope: {} pages", grown.get());
    });
}
