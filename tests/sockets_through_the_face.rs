//! TCP as a program sees it: connections come and go, tasks are dropped in the middle of operations, and nothing hangs.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use common::{Dice, Living, pair, run, stream_and_peer, watchdog};
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use handcar::net::{TcpListener, TcpStream, lookup_host};
use handcar::{JoinHandle, Runtime, sleep, spawn, timeout, yield_now};

/// Serves connections for ever, each by a task of its own; the tasks end when the server does.
fn echo_server(listener: TcpListener, living: Living) -> JoinHandle<()> {
    spawn(async move {
        let mut connections = Vec::new();
        let mut incoming = listener.incoming();
        while let Some(stream) = incoming.next().await {
            let stream = stream.unwrap();
            let token = living.token();
            connections.push(spawn(async move {
                let _token = token;
                let (mut reader, mut writer) = stream.into_split();
                futures::io::copy(&mut reader, &mut writer).await?;
                writer.close().await
            }));
        }
    })
}

#[test]
fn an_echo_answers_everything_and_closes_when_the_client_has_closed_its_half() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let _server = echo_server(listener, Living::default());
        for size in [0, 1, 2, 7, 4095, 4096, 4097, 8192, 65_536, 1_000_000] {
            let sent: Vec<u8> = (0..=250).cycle().take(size).collect();
            let (mut reader, mut writer) = TcpStream::connect(addr).await.unwrap().into_split();
            let mut received = Vec::new();
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.close().await.unwrap();
            };
            futures::join!(write, async { reader.read_to_end(&mut received).await.unwrap() });
            assert!(received == sent, "{size} bytes came back as {}", received.len());
        }
    });
}

#[test]
fn data_and_end_that_arrive_together_are_read_whole_for_every_size_near_the_buffers() {
    run(async {
        for size in (0..40).chain(8180..8200) {
            let (mut stream, mut peer) = stream_and_peer().await.unwrap();
            // The reader stands waiting first, so that one edge tells of both.
            let reader = spawn(async move {
                let mut all = Vec::new();
                let mut buf = [0; 4096];
                loop {
                    match stream.read(&mut buf).await.unwrap() {
                        0 => return all,
                        n => all.extend_from_slice(&buf[..n]),
                    }
                }
            });
            yield_now().await;
            yield_now().await;
            peer.write_all(&vec![7; size]).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reader.await.unwrap(), vec![7; size]);
        }
    });
}

#[test]
fn after_a_half_close_the_other_half_still_works() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert!(client.write_all(b"more").await.is_err(), "our half is closed");
    });
}

#[test]
fn lines_come_through_a_buffered_reader() {
    run(async {
        let (client, server) = pair().await.unwrap();
        let sender = spawn(async move {
            let mut client = &client;
            for n in 0..100 {
                client.write_all(format!("line {n}\n").as_bytes()).await.unwrap();
            }
        });
        let lines: Vec<_> = BufReader::new(&server).lines().map(Result::unwrap).collect().await;
        assert_eq!((lines.len(), lines[99].as_str()), (100, "line 99"));
        sender.await.unwrap();
    });
}

#[test]
fn hundreds_of_connections_at_once_all_get_their_answer() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let living = Living::default();
        let server = echo_server(listener, living.clone());
        let clients = (0..300_u32).map(|n| async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            for round in 0..10 {
                let sent = (n * 10 + round).to_be_bytes();
                stream.write_all(&sent).await.unwrap();
                let mut received = [0; 4];
                stream.read_exact(&mut received).await.unwrap();
                assert_eq!(received, sent);
            }
            n
        });
        let answered: Vec<_> = futures::future::join_all(clients).await;
        assert_eq!(answered, (0..300).collect::<Vec<_>>());
        while living.count() > 0 {
            sleep(Duration::from_micros(100)).await; // the server sees the ends
        }
        assert!(server.cancel_and_wait().await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_server_and_its_connections_dropped_in_mid_operation_leave_nothing_and_reset_or_end_the_clients() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let living = Living::default();
        let server = echo_server(listener, living.clone());
        let mut clients = Vec::new();
        for n in 0..50 {
            let mut client = TcpStream::connect(addr).await.unwrap();
            if n % 2 == 0 {
                client.write_all(b"half a").await.unwrap();
            }
            clients.push(client);
        }
        while living.count() < 50 {
            yield_now().await;
        }
        assert!(server.cancel_and_wait().await.unwrap_err().is_cancelled());
        for mut client in clients {
            let end = client.read_to_end(&mut Vec::new()).await;
            assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        }
        assert_eq!(living.count(), 0);
        let refused = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "nobody listens any more");
    });
}

#[test]
fn a_reader_that_is_cancelled_again_and_again_loses_no_byte() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        let writer = std::thread::spawn(move || {
            for n in 0..=255_u8 {
                peer.write_all(&[n]).unwrap();
            }
        });
        let mut received = Vec::new();
        while received.len() < 256 {
            let mut byte = [0];
            // The read is polled first and then dropped, most often without having read.
            let read = futures_lite::future::or(async { Some(stream.read(&mut byte).await.unwrap()) }, async {
                yield_now().await;
                None
            });
            if read.await == Some(1) {
                received.push(byte[0]);
            }
        }
        assert_eq!(received, (0..=255).collect::<Vec<_>>());
        writer.join().unwrap();
    });
}

#[test]
fn two_tasks_may_read_from_one_stream_and_both_are_woken() {
    run(async {
        let (stream, mut peer) = stream_and_peer().await.unwrap();
        let stream = Rc::new(stream);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let stream = Rc::clone(&stream);
                spawn(async move {
                    let mut byte = [0];
                    (&*stream).read_exact(&mut byte).await.unwrap();
                    byte[0]
                })
            })
            .collect();
        yield_now().await;
        yield_now().await;
        peer.write_all(b"ab").unwrap();
        let mut got = Vec::new();
        for reader in readers {
            got.push(reader.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, b"ab");
    });
}

#[test]
fn a_writer_waits_for_room_and_the_reader_gets_everything() {
    run(async {
        let (mut client, mut server) = pair().await.unwrap();
        let data: Vec<u8> = (0..=250).cycle().take(8_000_000).collect();
        let expected = data.clone();
        let writer = spawn(async move {
            client.write_all(&data).await.unwrap();
            client.close().await.unwrap();
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        writer.await.unwrap();
    });
}

#[test]
fn a_timeout_on_a_silent_peer_leaves_the_stream_usable() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer().await.unwrap();
        for _ in 0..5 {
            assert!(timeout(Duration::from_micros(100), stream.read(&mut [0])).await.is_err());
        }
        peer.write_all(b"x").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn a_connection_is_refused_where_nobody_listens() {
    run(async {
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpStream::connect(&[][..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(TcpStream::connect("no port").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(TcpStream::connect("127.0.0.1:99999").await.is_err());
    });
}

#[test]
fn the_second_address_is_tried_when_the_first_refuses() {
    run(async {
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addrs = [refusing, listener.local_addr().unwrap()];
        let stream = TcpStream::connect(&addrs[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addrs[1]);
    });
}

#[test]
fn a_name_is_looked_up_on_a_blocking_thread_while_others_run() {
    run(async {
        let other = spawn(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        let found: Vec<_> = lookup_host("localhost:80").await.unwrap().collect();
        assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80));
        assert!(!found.is_empty());
        other.await.unwrap();
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("localhost", port)).await.unwrap();
    });
}

#[test]
fn a_reset_by_the_peer_is_an_error_and_not_a_hang() {
    run(async {
        let (mut stream, peer) = pair().await.unwrap();
        let reader = spawn(async move { stream.read(&mut [0]).await });
        yield_now().await;
        yield_now().await;
        peer.set_linger(Some(Duration::ZERO)).unwrap(); // to close is to reset
        drop(peer);
        assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_runtime_dropped_with_sockets_waiting_drops_them_all() {
    let _watchdog = watchdog();
    let living = Living::default();
    let runtime = Runtime::new().unwrap();
    let (addr, peers, _full) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (mut peers, mut full) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let (mut stream, peer) = stream_and_peer().await.unwrap();
            peers.push(peer);
            let token = living.token();
            spawn(async move {
                let _token = token;
                let _ = stream.read(&mut [0]).await;
            })
            .detach();
        }
        let token = living.token();
        spawn(async move {
            let _token = token;
            let _ = listener.accept().await;
        })
        .detach();
        let (mut stream, peer) = stream_and_peer().await.unwrap();
        let token = living.token();
        spawn(async move {
            let _token = token;
            let _ = stream.write_all(&vec![0; 50_000_000]).await; // more than any buffer takes
        })
        .detach();
        full.push(peer);
        for _ in 0..5 {
            yield_now().await;
        }
        (addr, peers, full)
    });
    assert_eq!(living.count(), 22);
    drop(runtime);
    assert_eq!(living.count(), 0);
    for mut peer in peers {
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the other side was closed");
    }
    assert!(std::net::TcpStream::connect(addr).is_err());
}

#[test]
fn a_stream_outlives_its_runtime_without_harm() {
    let _watchdog = watchdog();
    let (mut stream, mut peer) = handcar::run(async { stream_and_peer().await.unwrap() });
    run(async {
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other, "{error}");
        // What need not wait still works.
        stream.write_all(b"late").await.unwrap();
    });
    let mut buf = [0; 4];
    peer.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"late");
    let std = stream.into_std();
    drop(std);
    assert_eq!(peer.read(&mut buf).unwrap(), 0);
}

#[test]
fn random_pieces_to_and_fro_arrive_in_order() {
    run(async {
        let (client, server) = pair().await.unwrap();
        let echo = spawn(async move {
            let (mut reader, mut writer) = server.into_split();
            futures::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.close().await.unwrap();
        });
        let (mut reader, mut writer) = client.into_split();
        let sender = spawn(async move {
            let mut dice = Dice::new(1);
            let mut next = 0_u8;
            for _ in 0..500 {
                let piece: Vec<u8> = (0..dice.roll(5000))
                    .map(|_| {
                        next = next.wrapping_add(1);
                        next
                    })
                    .collect();
                writer.write_all(&piece).await.unwrap();
                if dice.roll(10) == 0 {
                    yield_now().await;
                }
            }
            writer.close().await.unwrap();
        });
        let mut dice = Dice::new(2);
        let mut expected = 0_u8;
        let mut buf = vec![0; 4000];
        loop {
            let room = usize::try_from(dice.roll(4000)).unwrap() + 1;
            let n = reader.read(&mut buf[..room]).await.unwrap();
            if n == 0 {
                break;
            }
            for byte in &buf[..n] {
                expected = expected.wrapping_add(1);
                assert_eq!(*byte, expected);
            }
        }
        sender.await.unwrap();
        echo.await.unwrap();
    });
}
