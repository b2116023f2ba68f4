//! Bytes and the end of the stream that arrive together: one edge for both, whatever the size of the buffer.

mod common;

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::Poll;

use common::{pair, pattern, run, stream_and_peer};
use futures::future::join;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use handcar_executor::yield_now;
use handcar_io_reactor::TcpStream;

const BUFFER: usize = 16;

/// Reads to the end, at most `BUFFER` bytes at a time.
async fn read_all(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), [0; BUFFER]);
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(all),
            n => all.extend(&buf[..n]),
        }
    }
}

/// Polls a read of `stream` until it waits, so that what comes next comes as an edge.
async fn drain(mut stream: &TcpStream) {
    let mut buf = [0; BUFFER];
    poll_fn(|cx| {
        let read = Pin::new(&mut stream).poll_read(cx, &mut buf);
        assert!(read.is_pending(), "nothing was sent yet: {read:?}");
        Poll::Ready(())
    })
    .await;
}

#[test]
fn bytes_and_the_end_that_were_there_before_the_stream_are_read_whole() {
    run(async {
        for size in 0..=4 * BUFFER + 1 {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(&pattern(size)).unwrap();
            drop(peer);
            let stream = TcpStream::from_std(stream).unwrap();
            assert_eq!(read_all(&stream).await.unwrap(), pattern(size));
        }
    });
}

#[test]
fn bytes_and_the_end_that_arrive_as_one_edge_are_read_whole() {
    run(async {
        for size in 0..=4 * BUFFER + 1 {
            let (stream, mut peer) = stream_and_peer().await.unwrap();
            drain(&stream).await;
            let send = async {
                peer.write_all(&pattern(size)).unwrap();
                drop(peer);
            };
            let (read, ()) = join(read_all(&stream), send).await;
            assert_eq!(read.unwrap(), pattern(size));
        }
    });
}

#[test]
fn an_end_that_follows_in_an_edge_of_its_own_is_seen() {
    run(async {
        for size in 1..=4 * BUFFER + 1 {
            let (stream, mut peer) = stream_and_peer().await.unwrap();
            drain(&stream).await;
            peer.write_all(&pattern(size)).unwrap();
            let mut buf = vec![0; size];
            (&stream).read_exact(&mut buf).await.unwrap();
            drain(&stream).await;
            let (rest, ()) = join(read_all(&stream), async { drop(peer) }).await;
            assert_eq!((buf, rest.unwrap()), (pattern(size), Vec::new()));
        }
    });
}

#[test]
fn an_end_that_comes_between_the_edge_and_the_read_is_seen() {
    run(async {
        for size in 1..=2 * BUFFER + 1 {
            let (stream, mut peer) = stream_and_peer().await.unwrap();
            drain(&stream).await;
            peer.write_all(&pattern(size)).unwrap();
            stream.readable().await.unwrap(); // the edge is collected, nothing is read
            drop(peer);
            assert_eq!(read_all(&stream).await.unwrap(), pattern(size));
        }
    });
}

#[test]
fn an_answer_to_bytes_and_an_end_is_whole_and_closed() {
    run(async {
        for size in 0..=4 * BUFFER + 1 {
            let (client, server) = pair().await.unwrap();
            drain(&client).await;
            drain(&server).await;
            let ask = async {
                (&client).write_all(&pattern(size)).await.unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                read_all(&client).await.unwrap()
            };
            let answer = async move {
                let (mut server, mut buf) = (server, [0; BUFFER]);
                loop {
                    match server.read(&mut buf).await.unwrap() {
                        0 => break,
                        n => server.write_all(&buf[..n]).await.unwrap(),
                    }
                }
            };
            let (echoed, ()) = join(ask, answer).await;
            assert_eq!(echoed, pattern(size));
        }
    });
}

#[test]
fn a_reset_that_follows_bytes_does_not_hang_the_reader() {
    run(async {
        for size in 0..=2 * BUFFER + 1 {
            let (stream, mut peer) = stream_and_peer().await.unwrap();
            drain(&stream).await;
            let reset = async {
                peer.write_all(&pattern(size)).unwrap();
                socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
                drop(peer);
            };
            let (read, ()) = join(read_all(&stream), reset).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        }
    });
}

#[cfg(target_os = "linux")] // which byte is the urgent one differs elsewhere
#[test]
fn bytes_behind_urgent_data_are_read_without_another_edge() {
    run(async {
        for early in [true, false] {
            let (stream, mut peer) = stream_and_peer().await.unwrap();
            if !early {
                drain(&stream).await;
            }
            let send = async {
                peer.write_all(b"before ").unwrap();
                socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
                peer.write_all(b"behind").unwrap();
                yield_now().await;
            };
            let read = async {
                let mut read: Vec<u8> = Vec::new();
                while read.len() < 13 {
                    let mut buf = [0; 64];
                    let n = (&stream).read(&mut buf).await.unwrap();
                    read.extend(&buf[..n]);
                }
                read
            };
            let ((), read) = join(send, read).await;
            assert_eq!(read, b"before behind");
        }
    });
}
