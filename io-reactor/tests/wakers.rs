//! Wakers of all kinds: foreign ones that re-enter or panic, several on one source, and those of futures that are dropped.

#[path = "../../executor/tests/common/calling.rs"]
mod calling;
mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{Counts, pair, run, watchdog};
use futures::future::{join, join_all, select};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::poll;
use handcar_executor::{Builder, Report, Runtime, spawn, yield_now};
use handcar_io_reactor::{Source, TcpListener, TcpStream};

thread_local! {
    /// What a `Calls` waker does: wakers are `Send`, what the tests do is not.
    static ACTION: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// Runs the action once, at its wake.
struct Calls;

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        if let Some(mut action) = ACTION.take() {
            action();
        }
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

fn pipe() -> (Source<PipeReader>, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    (Source::new(reader).unwrap(), writer)
}

/// Polls a read of one byte with `waker`.
fn poll_byte(source: &Source<PipeReader>, waker: &Waker) -> Poll<io::Result<u8>> {
    source.poll_read_with(&mut Context::from_waker(waker), |mut pipe| {
        let mut byte = [0];
        pipe.read_exact(&mut byte).map(|()| byte[0])
    })
}

/// Reads one byte as a task does.
async fn byte(source: &Source<PipeReader>) -> u8 {
    poll_fn(|cx| poll_byte(source, cx.waker())).await.unwrap()
}

/// Lets the reactor collect what has happened: something has, on this pipe of its own.
async fn look() {
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").unwrap();
    reader.try_read_with(|_| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())).unwrap_err();
    byte(&reader).await;
}

#[test]
fn all_who_wait_by_poll_are_woken_and_one_waker_only_once() {
    run(async {
        let (reader, mut writer) = pipe();
        let counts: Vec<Arc<Counts>> = (0..10).map(|_| Arc::default()).collect();
        for counts in &counts {
            for _ in 0..3 {
                assert!(poll_byte(&reader, &Waker::from(Arc::clone(counts))).is_pending());
            }
        }
        writer.write_all(b"1").unwrap();
        look().await;
        assert!(counts.iter().all(|counts| counts.get() == 1));
    });
}

#[test]
fn two_tasks_that_read_one_stream_get_all_bytes_between_them() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let client = Rc::new(client);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let client = Rc::clone(&client);
                spawn(async move {
                    let mut got = 0;
                    loop {
                        match (&*client).read(&mut [0; 3]).await.unwrap() {
                            0 => return got,
                            n => got += n,
                        }
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            server.write_all(b"12345").await.unwrap();
            yield_now().await;
        }
        drop(server);
        let got = join_all(readers).await.into_iter().map(Result::unwrap).sum::<usize>();
        assert_eq!(got, 500);
    });
}

#[test]
fn wakers_of_polls_that_were_given_up_do_not_pile_up() {
    run(async {
        let (reader, mut writer) = pipe();
        let first: Arc<Counts> = Arc::default();
        let gone: Arc<Counts> = Arc::default();
        assert!(poll_byte(&reader, &Waker::from(Arc::clone(&first))).is_pending());
        for _ in 0..10_000 {
            // Each a waker of its own, for a new `Arc` wakes nobody else.
            struct Forward(Arc<Counts>);
            impl Wake for Forward {
                fn wake(self: Arc<Self>) {
                    self.0.clone().wake();
                }
            }
            let waker = Waker::from(Arc::new(Forward(Arc::clone(&gone))));
            assert!(poll_byte(&reader, &waker).is_pending());
        }
        assert!(Arc::strong_count(&gone) < 1100, "{} are kept", Arc::strong_count(&gone));
        writer.write_all(b"1").unwrap();
        look().await;
        assert_eq!((first.get(), gone.get()), (1, 10_000));
    });
}

#[test]
fn more_tasks_than_the_queue_holds_are_all_served() {
    run(async {
        let (reader, mut writer) = pipe();
        let reader = Rc::new(reader);
        let tasks: Vec<_> = (0..2000)
            .map(|_| {
                let reader = Rc::clone(&reader);
                spawn(async move { byte(&reader).await })
            })
            .collect();
        yield_now().await;
        for _ in 0..2000 {
            writer.write_all(b"x").unwrap();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), b'x');
        }
    });
}

#[test]
fn a_waker_may_drop_make_and_await_sources() {
    run(async {
        let (reader, mut writer) = pipe();
        let (victim, mut victim_writer) = pipe();
        let (other, mut other_writer) = pipe();
        let made = Rc::new(RefCell::new(None));
        let counts: Arc<Counts> = Arc::default();

        assert!(poll_byte(&reader, &Waker::from(Arc::new(Calls))).is_pending());
        assert!(poll_byte(&victim, &Waker::from(Arc::clone(&counts))).is_pending());
        assert!(poll_byte(&other, &Waker::from(Arc::clone(&counts))).is_pending());
        ACTION.set(Some(Box::new({
            let made = Rc::clone(&made);
            let mut victim = Some(victim);
            move || {
                drop(victim.take());
                let (new, mut new_writer) = pipe();
                assert!(poll_byte(&new, Waker::noop()).is_pending());
                new_writer.write_all(b"n").unwrap();
                *made.borrow_mut() = Some(new);
                drop(spawn(async {}));
            }
        })));
        // One look collects all three: the waker of the first runs between the event and the wake of the others.
        writer.write_all(b"1").unwrap();
        victim_writer.write_all(b"2").unwrap();
        other_writer.write_all(b"3").unwrap();
        look().await;
        assert!(ACTION.take().is_none(), "the waker was not called");
        assert!(counts.get() >= 1);
        assert_eq!(byte(&other).await, b'3');
        let new = made.borrow_mut().take().unwrap();
        assert_eq!(byte(&new).await, b'n');
    });
}

#[test]
fn a_waker_that_drops_re_enters() {
    // The waker owns a source, which it drops when it is dropped itself.
    struct Owner;
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            if let Some(mut action) = ACTION.take() {
                action();
            }
        }
    }
    run(async {
        let (victim, _victim_writer) = pipe();
        let mut victim = Some(victim);
        ACTION.set(Some(Box::new(move || drop(victim.take()))));
        let (reader, _writer) = pipe();
        assert!(poll_byte(&reader, &Waker::from(Arc::new(Owner))).is_pending());
        drop(reader); // and with it the waker, and with that the other source
        assert!(ACTION.take().is_none());

        // The same where a place is given up, and where another waker takes it.
        for replace in [false, true] {
            let (victim, _victim_writer) = pipe();
            let mut victim = Some(victim);
            ACTION.set(Some(Box::new(move || drop(victim.take()))));
            let (reader, _writer) = pipe();
            let mut readable = Box::pin(reader.readable());
            let owner = Waker::from(Arc::new(Owner));
            assert!(readable.as_mut().poll(&mut Context::from_waker(&owner)).is_pending());
            drop(owner);
            if replace {
                assert!(poll!(readable.as_mut()).is_pending());
            }
            drop(readable);
            assert!(ACTION.take().is_none());
        }
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_others_from_being_woken() {
    let _watchdog = watchdog();
    let counts: Arc<Counts> = Arc::default();
    let reports = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&reports);
    let hook = move |report: Report| told.borrow_mut().push(report.to_string());
    Builder::new().on_report(hook).build().unwrap().block_on(async {
        let (first, mut first_writer) = pipe();
        let (second, mut second_writer) = pipe();
        let (third, mut third_writer) = pipe();
        assert!(poll_byte(&first, &Waker::from(Arc::clone(&counts))).is_pending());
        assert!(poll_byte(&second, &Waker::from(Arc::new(Panics))).is_pending());
        assert!(poll_byte(&third, &Waker::from(Arc::clone(&counts))).is_pending());
        for writer in [&mut first_writer, &mut second_writer, &mut third_writer] {
            writer.write_all(b"x").unwrap();
        }
        look().await;
    });
    assert_eq!(counts.get(), 2);
    assert_eq!(*reports.borrow(), ["a foreign waker panicked: a waker that panics"]);
}

#[test]
fn a_source_may_be_polled_by_another_executor_inside_the_runtime() {
    run(async {
        let (mut client, server) = pair().await.unwrap();
        let mut pool = futures::stream::FuturesUnordered::new();
        for _ in 0..3 {
            pool.push(async { (&server).read(&mut [0; 2]).await.unwrap() });
        }
        let read = async {
            let mut sum = 0;
            while let Some(n) = futures::StreamExt::next(&mut pool).await {
                sum += n;
            }
            sum
        };
        let (sum, sent) = join(read, client.write_all(b"123456")).await;
        sent.unwrap();
        assert_eq!(sum, 6);
    });
}

/// Polls a future `polls` times and drops it; nothing that it registered may stay behind.
async fn poll_and_drop<F: Future>(make: impl Fn() -> F, polls: usize) {
    let counts: Arc<Counts> = Arc::default();
    let mut future = Box::pin(make());
    for _ in 0..polls {
        let waker = Waker::from(Arc::clone(&counts));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(future);
    assert_eq!(Arc::strong_count(&counts), 1, "a waker was left behind");
    look().await;
    assert_eq!(counts.get(), 0);
}

#[test]
fn futures_that_are_dropped_leave_no_waker_behind() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let busy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, _server) = pair().await.unwrap();
        let (reader, _writer) = pipe();
        for polls in 0..4 {
            poll_and_drop(|| listener.accept(), polls).await;
            poll_and_drop(|| reader.readable(), polls).await;
            poll_and_drop(|| reader.read_with(|mut pipe| pipe.read(&mut [0])), polls).await;
            poll_and_drop(|| async { client.peek(&mut [0]).await }, polls).await;
            poll_and_drop(|| TcpStream::connect(busy.local_addr().unwrap()), polls).await;
        }
    });
}

#[test]
fn what_is_dropped_after_it_was_woken_takes_nothing_with_it() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counts: Arc<Counts> = Arc::default();
        let waker = Waker::from(Arc::clone(&counts));
        let cx = &mut Context::from_waker(&waker);

        let mut buf = [0; 8];
        let mut late = [0; 8];
        let (mut first, mut second) = (&client, &client);
        let mut read = Box::pin(first.read(&mut buf));
        let mut other = Box::pin(second.read(&mut late));
        let mut accept = Box::pin(listener.accept());
        assert!(read.as_mut().poll(cx).is_pending());
        assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(accept.as_mut().poll(cx).is_pending());
        server.write_all(b"kept").await.unwrap();
        let knocking = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        look().await;
        assert_eq!(counts.get(), 2);
        drop((read, accept));

        assert_eq!(other.await.unwrap(), 4);
        assert_eq!(listener.accept().await.unwrap().1, knocking.local_addr().unwrap());
    });
}

#[test]
fn dropping_one_of_two_futures_of_a_task_leaves_the_other_waiting() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let reading = spawn(async move {
            let mut buf = [0; 4];
            let mut stream = &client;
            let mut read = Box::pin(stream.read(&mut buf));
            {
                let readable = pin!(client.readable());
                let both = select(readable, read.as_mut());
                assert!(poll!(both).is_pending());
            } // the same task's waker, from another place
            read.await.unwrap()
        });
        yield_now().await;
        server.write_all(b"1234").await.unwrap();
        assert_eq!(reading.await.unwrap(), 4);
    });
}

#[test]
fn a_task_dropped_in_the_middle_of_an_operation_leaves_the_source_to_others() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let client = Rc::new(client);
        for by_place in [false, true] {
            let waiting = spawn({
                let client = Rc::clone(&client);
                async move { if by_place { client.peek(&mut [0; 4]).await } else { (&*client).read(&mut [0; 4]).await } }
            });
            yield_now().await;
            drop(waiting);
            yield_now().await;
            assert_eq!(Rc::strong_count(&client), 1);
            server.write_all(b"1234").await.unwrap();
            let mut buf = [0; 4];
            (&*client).read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"1234");
        }
    });
}

#[test]
fn a_runtime_may_go_while_its_source_is_awaited() {
    let _watchdog = watchdog();
    let kept = Rc::new(Cell::new(None));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (client, server) = pair().await.unwrap();
        let client = Rc::new(client);
        kept.set(Some((Rc::clone(&client), server)));
        spawn(async move { (&*client).read(&mut [0]).await.unwrap() }).detach_ignoring();
        yield_now().await;
    });
    drop(runtime);
    let (client, server) = kept.take().unwrap();
    assert_eq!(Rc::strong_count(&client), 1, "the task has gone with its runtime");
    drop((client, server));
}

#[test]
fn a_source_under_another_runtime_works_until_it_would_have_to_wait() {
    let mut stream = None;
    run(async { stream = Some(pair().await.unwrap()) });
    let (client, server) = stream.unwrap();
    run(async {
        (&server).write_all(b"x").await.unwrap();
        assert_eq!((&client).read(&mut [0; 8]).await.unwrap(), 1);
        for error in [(&client).read(&mut [0; 8]).await.unwrap_err(), client.readable().await.unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert!(error.to_string().contains("runtime that made it"), "{error}");
        }
    });
    // The same where no runtime is.
    assert!(futures::executor::block_on((&client).read(&mut [0; 8])).is_err());
}

#[test]
#[should_panic(expected = "handcar")]
fn a_source_outside_a_runtime_is_refused_with_the_remedy() {
    let (reader, _writer) = io::pipe().unwrap();
    let _ = Source::new(reader);
}

#[test]
fn a_regular_file_and_a_second_source_of_one_descriptor_are_refused() {
    run(async {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        assert!(Source::new(&file).is_err() || cfg!(handcar_portable));
        let (reader, mut writer) = io::pipe().unwrap();
        let first = Source::new(&reader).unwrap();
        assert_eq!(Source::new(&reader).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        writer.write_all(b"x").unwrap();
        assert_eq!(first.read_with(|pipe| (&**pipe).read(&mut [0; 2])).await.unwrap(), 1);
    });
}

/// A runtime, and how much it has reported.
fn counting_reports() -> (Runtime, Rc<Cell<u32>>) {
    let reports = Rc::new(Cell::new(0));
    let told = Rc::clone(&reports);
    (Builder::new().on_report(move |_| told.set(told.get() + 1)).build().unwrap(), reports)
}

#[test]
fn a_waker_that_is_put_out_and_panics_does_not_strike_the_newcomer() {
    let _watchdog = watchdog();
    let (runtime, reports) = counting_reports();
    runtime.block_on(async {
        let (stream, _other) = pair().await.unwrap();
        let armed = Rc::new(Cell::new(false));
        let panicked = Rc::new(Cell::new(0));
        let wakers: Vec<_> = (0..1100)
            .map(|_| {
                let (armed, panicked) = (Rc::clone(&armed), Rc::clone(&panicked));
                calling::calling(move |call| {
                    if call == calling::Call::Wake && armed.get() {
                        panicked.set(panicked.get() + 1);
                        panic!("spite");
                    }
                })
            })
            .collect();
        armed.set(true);
        let mut buffer = [0];
        for waker in &wakers {
            assert!(waker.poll(&mut (&mut &stream).read(&mut buffer)).is_pending());
        }
        assert!(panicked.get() > 0);
        armed.set(false);
    });
    assert!(reports.get() > 0);
}

#[test]
fn what_comes_while_the_waker_is_cloned_is_heard() {
    let _watchdog = watchdog();
    let runtime = Rc::new(Runtime::new().unwrap());
    let (reader, writer) = io::pipe().unwrap();
    let source = runtime.enter(|| Source::new(reader).unwrap());
    for by_place in [false, true] {
        let woken = Rc::new(Cell::new(false));
        let (turns, to_note, mut to_write) = (Rc::clone(&runtime), Rc::clone(&woken), writer.try_clone().unwrap());
        let write_and_turn = RefCell::new(move || {
            to_write.write_all(b"x").unwrap();
            _ = turns.turn().unwrap();
        });
        let waker = calling::calling(move |call| match call {
            calling::Call::Clone => write_and_turn.borrow_mut()(),
            calling::Call::Wake | calling::Call::WakeByRef => to_note.set(true),
            calling::Call::Drop => {}
        });
        let read = |mut reader: &PipeReader| reader.read(&mut [0; 2]);
        let is_pending = runtime.enter(|| {
            if by_place {
                waker.poll(&mut source.read_with(read)).is_pending()
            } else {
                source.poll_read_with(&mut Context::from_waker(&waker.waker), read).is_pending()
            }
        });
        assert!(!is_pending || woken.get(), "by place: {by_place}");
    }
}

/// A waker of which, once it is armed, the next clone to be dropped panics.
fn spiteful_drop() -> (Rc<Cell<bool>>, calling::CallingWaker) {
    let armed = Rc::new(Cell::new(false));
    let to_panic = Rc::clone(&armed);
    let waker = calling::calling(move |call| assert!(!(call == calling::Call::Drop && to_panic.take()), "spite"));
    (armed, waker)
}

#[test]
fn a_descriptor_is_given_back_though_a_waker_panics_as_it_is_dropped() {
    let _watchdog = watchdog();
    let (runtime, reports) = counting_reports();
    runtime.block_on(async {
        let (reader, _writer) = io::pipe().unwrap();
        let source = Source::new(reader).unwrap();
        let (armed, waker) = spiteful_drop();
        let mut cx = Context::from_waker(&waker.waker);
        assert!(source.poll_read_with(&mut cx, |mut reader| reader.read(&mut [0])).is_pending());
        armed.set(true);
        let given_back = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| source.into_inner()));
        assert!(given_back.is_ok(), "the descriptor is lost");
    });
    assert_eq!(reports.get(), 1);
}

#[test]
fn a_waker_that_is_there_already_and_panics_as_it_is_dropped_does_not_strike_the_poll() {
    let _watchdog = watchdog();
    let (runtime, reports) = counting_reports();
    runtime.block_on(async {
        let (reader, _writer) = io::pipe().unwrap();
        let source = Source::new(reader).unwrap();
        let (armed, waker) = spiteful_drop();
        let mut cx = Context::from_waker(&waker.waker);
        for is_armed in [false, true] {
            armed.set(is_armed);
            assert!(source.poll_read_with(&mut cx, |mut reader| reader.read(&mut [0])).is_pending());
        }
        assert!(!armed.get());
    });
    assert_eq!(reports.get(), 1);
}
