//! Unix sockets as a program uses them.

mod common;

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{env, fs, panic, process};

use common::{Counts, pattern, polled_again, run, watchdog};
use futures::future::{join, join_all};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{StreamExt, poll};
use handcar_executor::{Builder, Clock, Instant, sleep, spawn, timeout};
use handcar_io_reactor::{UnixDatagram, UnixListener, UnixStream};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A path where nothing is; what is put there goes with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("handcar-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Place(env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// Runs under a clock that stands still while something happens, and jumps when nothing does.
fn run_simulated<T>(future: impl Future<Output = T>) -> T {
    let _watchdog = watchdog();
    Builder::new().clock(Clock::simulated()).build().unwrap().block_on(future)
}

#[test]
fn a_connection_is_made_at_a_path_that_stays_until_it_is_removed() {
    run(async {
        let place = Place::new();
        assert_eq!(UnixStream::connect(&place).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&place).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(place.as_ref()));
        let mut client = UnixStream::connect(&place).await.unwrap();
        let (mut server, from) = listener.accept().await.unwrap();
        assert!(from.is_unnamed());
        client.write_all(b"through a file system").await.unwrap();
        let mut got = [0; 21];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"through a file system");

        drop(listener);
        assert_eq!(UnixStream::connect(&place).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(UnixListener::bind(&place).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        fs::remove_file(&place).unwrap();
        UnixListener::bind(&place).unwrap();
    });
}

#[test]
fn what_cannot_be_the_path_of_a_socket_is_refused_in_words() {
    run(async {
        let long = "x".repeat(200);
        let socket = UnixDatagram::unbound().unwrap();
        for (path, reason) in [("", "is empty"), ("in\0between", "zero byte"), (&long, "too long")] {
            let errors = [
                UnixStream::connect(path).await.unwrap_err(),
                UnixListener::bind(path).unwrap_err(),
                UnixDatagram::bind(path).unwrap_err(),
                socket.connect(path).unwrap_err(),
                socket.send_to(b"x", path).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                let text = error.to_string();
                assert!(text.contains(reason) && text.contains("cannot be the path of a Unix socket"), "{text}");
            }
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_in_the_abstract_namespace_needs_no_file() {
    run(async {
        let name = format!("\0handcar-{}\0with another zero", process::id());
        let listener = UnixListener::bind(&name).unwrap();
        let (client, accepted) = join(UnixStream::connect(&name), listener.accept()).await;
        let (server, _) = accepted.unwrap();
        assert!(client.unwrap().peer_addr().unwrap().as_pathname().is_none());
        drop((listener, server));
        UnixListener::bind(&name).unwrap();
    });
}

/// A listener at which as many wait as may, and how many that are.
fn full(place: &Place) -> (UnixListener, Vec<net::UnixStream>) {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let addr = socket2::SockAddr::unix(place).unwrap();
    socket.bind(&addr).unwrap();
    socket.listen(2).unwrap();
    let waiting = std::iter::from_fn(|| {
        let client = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        client.connect(&addr).ok().map(|()| client.into())
    });
    let waiting = waiting.collect();
    (UnixListener::from_std(socket.into()).unwrap(), waiting)
}

#[cfg(target_os = "linux")] // elsewhere it is refused
#[test]
fn who_connects_where_as_many_wait_as_may_waits_too() {
    run_simulated(async {
        let place = Place::new();
        let (listener, waiting) = full(&place);
        let start = Instant::now();
        let make_room = async {
            sleep(Duration::from_secs(1)).await;
            listener.accept().await.unwrap();
        };
        let (connected, ()) = join(UnixStream::connect(&place), make_room).await;
        let took = Instant::now() - start;
        assert!((1000..=1050).contains(&took.as_millis()), "{took:?}");
        let mut connected = connected.unwrap();
        connected.write_all(b"here").await.unwrap();
        for _ in 1..waiting.len() {
            listener.accept().await.unwrap();
        }
        let mut last = listener.accept().await.unwrap().0;
        let mut got = [0; 4];
        last.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"here");
    });
}

#[test]
fn two_hundred_may_wait_to_be_accepted() {
    run_simulated(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let start = Instant::now();
        let clients = join_all((0..200).map(|_| UnixStream::connect(&place))).await;
        assert!(clients.iter().all(Result::is_ok));
        assert_eq!(Instant::now(), start);
        drop(listener);
    });
}

/// Polls a future `polls` times, each time when it was woken, and drops it: before it is woken again, or after. No waker stays behind.
async fn poll_and_drop<F: Future>(future: F, polls: usize, woken: bool) {
    let counts: Arc<Counts> = Arc::default();
    let mut future = Box::pin(future);
    for n in 0..polls {
        let waker = Waker::from(Arc::clone(&counts));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        while (woken || n + 1 < polls) && counts.get() <= n {
            sleep(Duration::from_millis(1)).await;
        }
    }
    drop(future);
    assert_eq!(Arc::strong_count(&counts), 1, "a waker was left behind");
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_that_is_given_up_leaves_nothing_behind() {
    run_simulated(async {
        for (polls, woken) in (0..5).flat_map(|polls| [(polls, false), (polls, true)]) {
            let place = Place::new();
            let (listener, waiting) = full(&place);
            poll_and_drop(UnixStream::connect(&place), polls, woken).await;
            sleep(Duration::from_secs(1)).await;
            for _ in &waiting {
                listener.accept().await.unwrap();
            }
            assert!(timeout(Duration::from_secs(1), listener.accept()).await.is_err(), "one more has connected");
        }
    });
}

#[test]
fn half_a_connection_may_be_closed_while_the_other_half_goes_on() {
    run(async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.write_all(b"last words").await.unwrap();
        one.close().await.unwrap();
        let mut got = String::new();
        other.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "last words");
        other.write_all(b"heard").await.unwrap();
        other.shutdown(Shutdown::Both).unwrap();
        got.clear();
        one.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "heard");
    });
}

#[test]
fn who_waits_hears_of_a_shutdown_of_ones_own() {
    run(async {
        for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
            let (one, _other) = UnixStream::pair().unwrap();
            let read = async { (&one).read(&mut [0; 8]).await };
            let write = async { (&one).write_all(&vec![0; 3_000_000]).await };
            let shut_down = async {
                handcar_executor::yield_now().await;
                one.shutdown(how).unwrap();
            };
            match how {
                Shutdown::Read => assert_eq!(join(read, shut_down).await.0.unwrap(), 0),
                Shutdown::Write => {
                    let error = join(write, shut_down).await.0.unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
                }
                Shutdown::Both => {
                    let (read, write, ()) = futures::join!(read, write, shut_down);
                    assert_eq!(read.unwrap(), 0);
                    assert_eq!(write.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                }
            }
        }
    });
}

#[test]
fn more_empty_buffers_than_one_call_takes_hide_nothing_behind_them() {
    run(async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut bufs = vec![IoSlice::new(b""); 1024];
        assert_eq!(one.write_vectored(&bufs).await.unwrap(), 0);
        bufs.push(IoSlice::new(b"tail"));
        assert_eq!(one.write_vectored(&bufs).await.unwrap(), 4);
        let mut got = [0; 8];
        let mut bufs: Vec<_> = (0..1024).map(|_| IoSliceMut::new(&mut [])).collect();
        bufs.push(IoSliceMut::new(&mut got));
        assert_eq!(other.read_vectored(&mut bufs).await.unwrap(), 4);
        assert_eq!(&got[..4], b"tail");
    });
}

#[test]
fn a_full_socket_makes_the_writer_wait_and_loses_nothing() {
    run(async {
        let sent = pattern(3_000_000);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let write = async {
            for part in sent.chunks(70_001) {
                let bufs = [IoSlice::new(&part[..part.len() / 3]), IoSlice::new(&part[part.len() / 3..])];
                let n = one.write_vectored(&bufs).await.unwrap();
                one.write_all(&part[n..]).await.unwrap();
            }
            one.close().await.unwrap();
        };
        let read = async {
            let (mut got, mut a, mut b): (Vec<u8>, _, _) = (Vec::new(), [0; 1000], [0; 7777]);
            loop {
                let n = other.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).await.unwrap();
                if n == 0 {
                    return got;
                }
                got.extend(&a[..n.min(a.len())]);
                got.extend(&b[..n.saturating_sub(a.len())]);
            }
        };
        let ((), got) = join(write, read).await;
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    });
}

fn send_with_a_pipe(socket: &net::UnixStream, bytes: &[u8]) {
    let (reader, _writer) = io::pipe().unwrap();
    let descriptors = [reader.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    assert!(along.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut along, SendFlags::empty()).unwrap();
    assert_eq!(sent, bytes.len());
}

#[test]
fn bytes_behind_descriptors_are_read_without_another_edge() {
    run(async {
        for waits in [true, false] {
            let (ours, mut peer) = net::UnixStream::pair().unwrap();
            let mut ours = UnixStream::from_std(ours).unwrap();
            let mut buf = [0; 64];
            if waits {
                assert!(poll!(ours.read(&mut buf)).is_pending());
            }
            let send = async {
                peer.write_all(b"before,").unwrap();
                send_with_a_pipe(&peer, b"with,");
                peer.write_all(b"behind").unwrap();
            };
            let read = async {
                let mut got: Vec<u8> = Vec::new();
                while got.len() < 18 {
                    let n = ours.read(&mut buf).await.unwrap();
                    got.extend(&buf[..n]);
                }
                got
            };
            let (got, ()) = join(read, send).await;
            assert_eq!(got, b"before,with,behind");
        }
    });
}

#[test]
fn a_read_into_nothing_does_not_wait_and_takes_nothing_along() {
    run(async {
        let (ours, peer) = net::UnixStream::pair().unwrap();
        let mut ours = UnixStream::from_std(ours).unwrap();
        assert_eq!(ours.read(&mut []).await.unwrap(), 0);
        send_with_a_pipe(&peer, b"with");
        assert_eq!(ours.read_vectored(&mut [IoSliceMut::new(&mut [])]).await.unwrap(), 0);
        let (mut buf, mut space) = ([0; 8], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
        let receive = ours.source().read_with(|socket| {
            let mut along = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(socket, &mut [IoSliceMut::new(&mut buf)], &mut along, RecvFlags::empty())?;
            Ok((received.bytes, along.drain().count()))
        });
        assert_eq!(receive.await.unwrap(), (4, 1));
    });
}

#[test]
fn a_write_to_a_connection_that_is_gone_is_an_error_and_no_signal() {
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    run(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(one.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let several = one.write_vectored(&[IoSlice::new(b"x")]).await;
        assert_eq!(several.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
        one.close().await.unwrap();

        let (one, other) = UnixDatagram::pair().unwrap();
        other.source().get_ref().shutdown(Shutdown::Read).unwrap();
        assert_eq!(one.send(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(other);
        assert_eq!(one.send(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    });
    assert!(!raised.load(Ordering::SeqCst));
}

#[test]
fn halves_serve_two_tasks_and_are_put_together_polled_again() {
    run(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        {
            let (mut reader, mut writer) = UnixStream::split(&mut one);
            let mut got = [0; 4];
            let answer = async {
                (&other).read_exact(&mut [0; 4]).await.unwrap();
                (&other).write_all(b"pong").await.unwrap();
            };
            let (read, wrote, ()) = futures::join!(reader.read_exact(&mut got), writer.write_all(b"ping"), answer);
            read.unwrap();
            wrote.unwrap();
            assert_eq!(&got, b"pong");
        }
        let (reader, writer) = one.into_split();
        let (stranger, others_writer) = other.into_split();
        let error = stranger.reunite(writer).unwrap_err();
        assert_eq!(error.to_string(), "these are halves of different streams");
        let one = reader.reunite(error.1).unwrap();
        let (mut reader, mut writer) = one.into_split();
        let mut other = error.0;
        let sender = spawn(async move { writer.write_all(b"the end follows").await });
        let mut got = String::new();
        other.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "the end follows");
        sender.await.unwrap().unwrap();
        drop((other, others_writer));
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn every_connection_reaches_one_of_two_tasks_that_accept() {
    run(async {
        let place = Place::new();
        let listener = Rc::new(UnixListener::bind(&place).unwrap());
        let accept = || {
            let listener = Rc::clone(&listener);
            spawn(async move {
                let incoming = listener.incoming().take(25);
                incoming.map(|stream| stream.unwrap()).collect::<Vec<_>>().await
            })
        };
        let acceptors = [accept(), accept()];
        let clients = join_all((0..50).map(|_| UnixStream::connect(&place))).await;
        let accepted = join_all(acceptors).await;
        for mut stream in accepted.into_iter().flat_map(Result::unwrap) {
            stream.write_all(b"!").await.unwrap();
        }
        for client in clients {
            assert_eq!(client.unwrap().read(&mut [0; 8]).await.unwrap(), 1);
        }
    });
}

#[test]
fn sockets_are_closed_on_exec_and_do_not_block() {
    run(async {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let client = UnixStream::connect(&place).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (one, _) = UnixStream::pair().unwrap();
        let (two, _) = UnixDatagram::pair().unwrap();
        let three = UnixDatagram::unbound().unwrap();
        for fd in [listener.as_fd(), client.as_fd(), server.as_fd(), one.as_fd(), two.as_fd(), three.as_fd()] {
            assert!(rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
            assert!(socket2::SockRef::from(&fd).nonblocking().unwrap());
        }
        assert!(client.take_error().unwrap().is_none());
    });
}

#[test]
fn sockets_go_to_the_standard_library_and_back() {
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let std_one = one.into_std();
        (&std_one).write_all(b"a stream").unwrap();
        let mut got = [0; 8];
        let mut one = UnixStream::from_std(std_one).unwrap();
        let mut other = UnixStream::from_std(other.into_std()).unwrap();
        other.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"a stream");
        other.write_all(&got).await.unwrap();
        one.read_exact(&mut got).await.unwrap();

        let (one, other) = UnixDatagram::pair().unwrap();
        one.into_std().send(b"message").unwrap();
        let other = UnixDatagram::from_std(other.into_std()).unwrap();
        assert_eq!(other.recv(&mut got).await.unwrap(), 7);

        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap().into_std();
        let listener = UnixListener::from_std(listener).unwrap();
        let (client, server) = join(UnixStream::connect(&place), listener.accept()).await;
        assert!(client.is_ok() && server.is_ok());
    });
}

#[test]
fn messages_arrive_whole_and_in_order_or_cut_where_the_buffer_ends() {
    run(async {
        let place = Place::new();
        let receiver = UnixDatagram::bind(&place).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let mut buf = [0; 8];
        assert!(poll!(receiver.recv(&mut buf)).is_pending()); // given up: it has taken nothing
        for message in [b"one".as_slice(), b"", b"much longer than the buffer", b"two"] {
            assert_eq!(sender.send_to(message, &place).await.unwrap(), message.len());
        }
        let (n, from) = receiver.recv_from(&mut buf).await.unwrap();
        assert!(from.is_unnamed());
        assert_eq!(&buf[..n], b"one");
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 0);
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 8);
        assert_eq!(&buf, b"much lon");
        let n = receiver.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"two");

        assert_eq!(sender.send(b"to whom?").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(sender.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        sender.connect(&place).unwrap();
        assert_eq!(sender.peer_addr().unwrap().as_pathname(), receiver.local_addr().unwrap().as_pathname());
        drop(receiver);
        assert_eq!(sender.send(b"too late").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let error = UnixDatagram::unbound().unwrap().send_to(b"too late", &place).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[cfg(target_os = "linux")] // elsewhere a full socket is an error
#[test]
fn a_peer_without_room_makes_the_sender_wait_for_an_event_and_not_for_the_time() {
    run_simulated(async {
        let (one, other) = UnixDatagram::pair().unwrap();
        let start = Instant::now();
        let send = async {
            for n in 0..1000_u32 {
                one.send(&n.to_ne_bytes()).await.unwrap();
            }
        };
        let receive = async {
            for n in 0..1000_u32 {
                let mut buf = [0; 8];
                assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
                assert_eq!(buf[..4], n.to_ne_bytes());
            }
        };
        join(send, receive).await;
        assert_eq!(Instant::now(), start);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_without_room_that_is_no_peer_makes_the_sender_try_polled_again() {
    run_simulated(async {
        let place = Place::new();
        let receiver = UnixDatagram::bind(&place).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let send = async {
            for n in 0..1000_u32 {
                sender.send_to(&n.to_ne_bytes(), &place).await.unwrap();
            }
        };
        let receive = async {
            for n in 0..1000_u32 {
                let mut buf = [0; 8];
                assert_eq!(receiver.recv(&mut buf).await.unwrap(), 4);
                assert_eq!(buf[..4], n.to_ne_bytes());
                if n % 100 == 0 {
                    sleep(Duration::from_secs(1)).await;
                }
            }
        };
        join(send, receive).await;

        for (polls, woken) in (0..5).flat_map(|polls| [(polls, false), (polls, true)]) {
            while sender.source().try_write_with(|socket| socket.send_to(b"filler", &place)).is_ok() {}
            poll_and_drop(sender.send_to(b"given up", &place), polls, woken).await;
            sleep(Duration::from_secs(1)).await;
            let mut buf = [0; 16];
            while let Ok(n) = timeout(Duration::from_secs(1), receiver.recv(&mut buf)).await {
                let n = n.unwrap();
                assert_eq!(&buf[..n], b"filler");
            }
        }
    });
}

#[test]
fn futures_that_are_polled_again_after_they_were_ready_panic_with_their_name() {
    run(async {
        let place = Place::new();
        let _listener = UnixListener::bind(&place).unwrap();
        assert_eq!(polled_again(UnixStream::connect(&place)), "`UnixConnect` polled after it was ready");
        assert_eq!(polled_again(UnixStream::connect("")), "`UnixConnect` polled after it was ready");
        let (one, _other) = UnixDatagram::pair().unwrap();
        assert_eq!(polled_again(one.send_to(b"x", "")), "`UnixSendTo` polled after it was ready");
        assert_eq!(polled_again(one.send(b"x")), "`Operation` polled after it was ready");
    });
}

#[test]
fn a_loop_over_what_fails_at_once_starves_nobody() {
    run(async {
        let place = Place::new();
        let socket = UnixDatagram::unbound().unwrap();
        let failing = spawn(async move {
            loop {
                UnixStream::connect(&place).await.unwrap_err();
                socket.send_to(b"x", &place).await.unwrap_err();
            }
        });
        spawn(async {}).await.unwrap();
        sleep(Duration::from_micros(1)).await;
        failing.cancel();
    });
}

#[test]
fn a_socket_outside_a_runtime_is_refused_with_the_remedy() {
    let refused: [fn(); 4] = [
        || drop(UnixStream::pair()),
        || drop(UnixDatagram::unbound()),
        || drop(UnixDatagram::pair()),
        || drop(net::UnixDatagram::unbound().and_then(UnixDatagram::from_std)),
    ];
    for make in refused {
        let payload = panic::catch_unwind(make).unwrap_err();
        let text = common::panic_text(&*payload);
        assert!(text.contains("runtime"), "{text}");
    }
    let place = Place::new();
    let mut connect = pin!(UnixStream::connect(&place));
    let polled = connect.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotFound));
}
