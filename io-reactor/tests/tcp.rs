//! TCP as a program uses it.

mod common;

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Ipv4Addr, Shutdown, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::{pair, pattern, polled_again, run, stream_and_peer};
use futures::future::{join, join_all};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{StreamExt, poll};
use handcar_executor::{spawn, yield_now};
use handcar_io_reactor::{TcpListener, TcpStream, lookup_host};

/// An address where nobody listens: it was free a moment ago.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[test]
fn a_refused_connection_says_so() {
    run(async {
        let error = TcpStream::connect(nobody().await).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_tries_one_address_after_the_other() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = listener.local_addr().unwrap();
        let addrs = [nobody().await, answers, nobody().await];
        let stream = TcpStream::connect(&addrs[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answers);
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(stream.local_addr().unwrap(), peer);
        assert_eq!(accepted.peer_addr().unwrap(), peer);
    });
}

#[test]
fn connect_reports_why_the_last_address_failed_and_that_there_was_none() {
    run(async {
        let addrs = [nobody().await, nobody().await];
        let refused = TcpStream::connect(&addrs[..]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let none = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_name_is_looked_up_and_text_without_a_port_is_refused() {
    run(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("localhost", port)).await.unwrap();
        TcpStream::connect(format!("localhost:{port}")).await.unwrap();
        for wrong in ["localhost", "localhost:http", "127.0.0.1", "", ":", "1.2.3.4:65536"] {
            let error = lookup_host(wrong).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong}");
        }
    });
}

#[test]
fn a_numeric_address_is_known_without_a_thread() {
    run(async {
        let mut lookup = pin!(lookup_host((Ipv4Addr::LOCALHOST, 80)));
        let Poll::Ready(Ok(found)) = poll!(lookup.as_mut()) else { panic!("it had to wait") };
        assert_eq!(found.collect::<Vec<_>>(), [SocketAddr::from((Ipv4Addr::LOCALHOST, 80))]);
        for text in ["127.0.0.1:80", "[::1]:80"] {
            assert!(poll!(pin!(lookup_host(text))).is_ready());
        }
    });
}

#[test]
fn listening_where_somebody_listens_fails_and_listening_again_after_them_does_not() {
    run(async {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = first.local_addr().unwrap();
        let taken = TcpListener::bind(addr).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let client = TcpStream::connect(addr).await.unwrap();
        drop(first.accept().await.unwrap()); // the side that closes first keeps the address in TIME_WAIT
        assert_eq!((&client).read(&mut [0]).await.unwrap(), 0);
        drop((client, first));
        TcpListener::bind(addr).await.unwrap();
    });
}

#[test]
fn half_a_connection_may_be_closed_while_the_other_half_goes_on() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        client.close().await.unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"ping");
        server.write_all(b"pong").await.unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"pong");
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        client.close().await.unwrap(); // once more does no harm
    });
}

#[test]
fn the_reading_side_may_be_shut_down_as_well() {
    run(async {
        let (client, _server) = pair().await.unwrap();
        let read = async { (&client).read(&mut [0; 8]).await.unwrap() };
        let shut = async { client.shutdown(Shutdown::Read).unwrap() };
        assert_eq!(join(read, shut).await, (0, ()));
    });
}

#[test]
fn peek_takes_nothing_and_waits_for_something_to_see() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let mut buf = [0; 8];
        let (seen, sent) = join(server.peek(&mut buf), client.write_all(b"abc")).await;
        sent.unwrap();
        assert_eq!(&buf[..seen.unwrap()], b"abc");
        for _ in 0..2 {
            let mut two = [0; 2];
            assert_eq!(server.peek(&mut two).await.unwrap(), 2);
            assert_eq!(&two, b"ab");
        }
        assert_eq!(server.read(&mut buf).await.unwrap(), 3);
        client.close().await.unwrap();
        assert_eq!(server.peek(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn several_buffers_move_in_one_call() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let sent = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(client.write_vectored(&sent).await.unwrap(), 7);
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.read_vectored(&mut bufs).await.unwrap(), 7);
        assert_eq!((&first, &second[..4]), (b"one", &b" two"[..]));
    });
}

#[test]
fn more_buffers_than_one_call_takes_move_one_part_after_the_other() {
    const COUNT: usize = 3000;
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let bytes = pattern(COUNT);
        let slices: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        let mut sent = 0;
        while sent < COUNT {
            sent += client.write_vectored(&slices[sent..]).await.unwrap();
        }
        let (mut got, mut done) = (vec![0; COUNT], 0);
        while done < COUNT {
            let mut bufs: Vec<_> = got[done..].chunks_mut(1).map(IoSliceMut::new).collect();
            done += server.read_vectored(&mut bufs).await.unwrap();
        }
        assert_eq!(got, bytes);
    });
}

#[test]
fn a_write_to_a_connection_that_is_gone_is_an_error_and_no_signal() {
    // Rust's own `main` ignores the signal; in a program with another it would end the process.
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&raised)).unwrap();
    run(async {
        let (mut stream, peer) = stream_and_peer().await.unwrap();
        drop(peer);
        let one = async |stream: &mut TcpStream| stream.write(b"x").await;
        let several = async |stream: &mut TcpStream| stream.write_vectored(&[IoSlice::new(b"x")]).await;
        let _reset = one(&mut stream).await;
        assert_eq!(one(&mut stream).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(several(&mut stream).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
    assert!(!raised.load(Ordering::SeqCst));
}

#[test]
fn a_reader_and_a_writer_borrow_one_stream() {
    run(async {
        let (mut client, server) = pair().await.unwrap();
        let echo = async move {
            let (mut reader, mut writer) = (&server, &server);
            futures::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.close().await.unwrap();
        };
        let bytes = pattern(3_000_000);
        let ask = async {
            let (mut reader, mut writer) = TcpStream::split(&mut client);
            let send = async {
                writer.write_all(&bytes).await.unwrap();
                writer.close().await.unwrap();
            };
            let mut echoed = Vec::new();
            let (read, ()) = join(reader.read_to_end(&mut echoed), send).await;
            read.unwrap();
            echoed
        };
        let (echoed, ()) = join(ask, echo).await;
        assert!(echoed == bytes, "the echo differs");
    });
}

#[test]
fn owned_halves_serve_two_tasks_and_dropping_the_writer_ends_the_stream() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let (mut reader, mut writer) = client.into_split();
        let writing = spawn(async move { writer.write_all(b"all of it").await.unwrap() });
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"all of it");
        writing.await.unwrap();
        let reading = spawn(async move {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            got
        });
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(reading.await.unwrap(), b"answer");
    });
}

#[test]
fn halves_of_one_stream_are_put_together_and_halves_of_two_are_given_back() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let (client_reader, client_writer) = client.into_split();
        let (other, _peer) = pair().await.unwrap();
        let (other_reader, other_writer) = other.into_split();
        let error = client_reader.reunite(other_writer).unwrap_err();
        assert_eq!(error.to_string(), "these are halves of different streams");
        let (client_reader, _other_writer) = (error.0, error.1);
        let mut client = client_reader.reunite(client_writer).unwrap();
        client.write_all(b"whole").await.unwrap();
        let mut got = [0; 5];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"whole");
        drop(other_reader);
    });
}

#[test]
fn a_full_socket_makes_the_writer_wait_and_loses_nothing() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let bytes = pattern(5_000_000);
        let mut write = pin!(stream.write_all(&bytes));
        for _ in 0..100 {
            assert!(poll!(write.as_mut()).is_pending(), "five megabytes fit no socket's buffer");
            yield_now().await;
        }
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).map(|_| got)
        });
        write.await.unwrap();
        drop(stream);
        assert!(reading.join().unwrap().unwrap() == bytes, "what was read differs");
    });
}

#[test]
fn options_are_set_and_told() {
    run(async {
        let (client, _server) = pair().await.unwrap();
        client.set_nodelay(true).unwrap();
        client.set_ttl(33).unwrap();
        client.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert!(client.nodelay().unwrap());
        assert_eq!(client.ttl().unwrap(), 33);
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(3)));
        client.set_linger(Some(Duration::from_millis(500))).unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(1)), "zero would cut off what is unsent");
        client.set_linger(Some(Duration::MAX)).unwrap();
        assert!(client.linger().unwrap().unwrap() > Duration::from_secs(3600));
        client.set_linger(None).unwrap();
        assert_eq!(client.linger().unwrap(), None);
        assert!(client.take_error().unwrap().is_none());
        assert!(socket2::SockRef::from(&client).nonblocking().unwrap());
    });
}

#[test]
fn sockets_are_closed_on_exec() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(rustix::io::fcntl_getfd(&listener).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(rustix::io::fcntl_getfd(&client).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(rustix::io::fcntl_getfd(&server).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    });
}

#[test]
fn a_stream_goes_to_the_standard_library_and_back() {
    run(async {
        let (client, mut server) = pair().await.unwrap();
        let std_client: net::TcpStream = client.into_std();
        std_client.set_nonblocking(false).unwrap();
        (&std_client).write_all(b"blocking").unwrap();
        let mut got = [0; 8];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"blocking");
        let mut client = TcpStream::from_std(std_client).unwrap();
        client.write_all(b"and not!").await.unwrap();
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"and not!");
    });
}

#[test]
fn every_connection_reaches_one_of_two_tasks_that_accept() {
    run(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let addr = listener.local_addr().unwrap();
        let acceptors: Vec<_> = (0..2)
            .map(|_| {
                let listener = Rc::clone(&listener);
                spawn(async move {
                    for _ in 0..50 {
                        let (mut stream, _) = listener.accept().await.unwrap();
                        stream.write_all(b"!").await.unwrap();
                    }
                })
            })
            .collect();
        let clients = (0..100).map(|_| async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
        });
        join_all(clients).await;
        for acceptor in acceptors {
            acceptor.await.unwrap();
        }
    });
}

#[test]
fn incoming_connections_are_a_stream_that_never_ends() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let (client, server) = join(TcpStream::connect(addr), incoming.next()).await;
            let server = server.unwrap().unwrap();
            assert_eq!(server.peer_addr().unwrap(), client.unwrap().local_addr().unwrap());
        }
        assert!(poll!(incoming.next()).is_pending());
    });
}

#[test]
fn a_connection_that_was_given_up_before_it_was_accepted_does_no_harm() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let gone = TcpStream::connect(addr).await.unwrap();
        gone.set_linger(Some(Duration::ZERO)).unwrap();
        let gone_from = gone.local_addr().unwrap();
        drop(gone);
        let client = TcpStream::connect(addr).await.unwrap();
        let (mut stream, mut peer) = listener.accept().await.unwrap();
        if peer == gone_from {
            // Linux hands it out all the same, and the first read tells.
            let reset = stream.read(&mut [0]).await.unwrap_err();
            assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
            (_, peer) = listener.accept().await.unwrap();
        }
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn an_always_ready_stream_does_not_starve_another_task() {
    run(async {
        let (stream, mut peer) = stream_and_peer().await.unwrap();
        peer.write_all(&pattern(10_000)).unwrap();
        let counter = Rc::new(std::cell::Cell::new(0));
        let counting = spawn({
            let counter = Rc::clone(&counter);
            async move {
                loop {
                    counter.set(counter.get() + 1);
                    yield_now().await;
                }
            }
        });
        for _ in 0..10_000 {
            (&stream).read_exact(&mut [0]).await.unwrap();
        }
        assert!(counter.get() >= 10_000 / 200, "the budget let it run {} times", counter.get());
        drop(counting);
    });
}

#[test]
fn futures_that_are_polled_again_after_they_were_ready_panic_with_their_name() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!(polled_again(listener.accept()), "`Accept` polled after it was ready");
    });
}
