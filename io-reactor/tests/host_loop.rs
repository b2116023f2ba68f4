//! The runtime as a guest in somebody else's loop, which waits for the reactor's descriptor.
#![allow(unexpected_cfgs)] // polling's own, for its plain `poll`, which has no descriptor
#![cfg(not(polling_test_poll_backend))]

mod common;

use std::cell::Cell;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;

use common::watchdog;
use handcar_executor::{Runtime, Turn, to_thread};
use handcar_io_reactor::{Reactor, Source};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

async fn byte(source: &Source<PipeReader>) -> io::Result<u8> {
    let mut byte = [0];
    source.read_with(|mut pipe| pipe.read_exact(&mut byte)).await.map(|()| byte[0])
}

#[test]
fn a_host_may_wait_for_the_runtime_in_a_loop_of_its_own() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let reactor = runtime.enter(Reactor::current).unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    let got = Rc::new(Cell::new(0));
    let reading = runtime.spawn({
        let got = Rc::clone(&got);
        async move {
            let reader = Source::new(reader).unwrap();
            while let Ok(byte) = byte(&reader).await {
                got.set(byte);
            }
            to_thread(|| ()).await; // another thread's wake must reach the host as well
            got.set(0);
        }
    });
    let turn = || while runtime.turn().unwrap() == Turn::More {};
    let wait = |timeout: Option<&Timespec>| {
        let reactor = reactor.as_fd();
        poll(&mut [PollFd::from_borrowed_fd(reactor, PollFlags::IN)], timeout).unwrap()
    };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    turn();
    assert_eq!(wait(Some(&now)), 0, "an idle runtime asks for turns");
    for i in 1..=100 {
        writer.write_all(&[i]).unwrap();
        wait(None);
        turn();
        assert_eq!(got.get(), i);
        assert_eq!(wait(Some(&now)), 0);
    }
    drop(writer);
    while got.get() != 0 {
        wait(None);
        turn();
    }
    assert!(reading.is_finished());
}

#[test]
fn a_host_is_not_asked_for_turns_without_end_by_what_no_task_waits_for() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let reactor = runtime.enter(Reactor::current).unwrap();
    let is_readable = || {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(reactor.as_fd(), PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    let turn = || while runtime.turn().unwrap() == Turn::More {};

    runtime.wake_handle().wake();
    assert!(is_readable(), "the host is told");
    turn();
    assert!(!is_readable(), "after a wake from outside");

    let (reader, mut writer) = io::pipe().unwrap();
    let _unread = runtime.enter(|| Source::new(reader)).unwrap();
    writer.write_all(b"nobody reads this").unwrap();
    turn();
    assert!(!is_readable(), "after an event of a source that nobody waits for");
}

#[test]
fn a_host_hears_of_a_wake_that_came_before_the_reactor_was_made() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    runtime.wake_handle().wake();
    let reactor = runtime.enter(Reactor::current).unwrap();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::from_borrowed_fd(reactor.as_fd(), PollFlags::IN)], Some(&now)).unwrap(), 1);
}
