//! UDP as a program uses it.

mod common;

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::rc::Rc;

use common::{polled_again, run};
use futures::future::join_all;
use futures::poll;
use handcar_executor::spawn;
use handcar_io_reactor::UdpSocket;

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[test]
fn messages_arrive_whole_or_cut_where_the_buffer_ends_and_an_empty_one_is_one() {
    run(async {
        let (receiver, sender) = (socket().await, socket().await);
        let addr = receiver.local_addr().unwrap();
        let mut buf = [0; 8];
        for message in [b"one".as_slice(), b"", b"much longer than the buffer", b"two"] {
            assert_eq!(sender.send_to(message, addr).await.unwrap(), message.len());
        }
        let (n, from) = receiver.recv_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..n], from), (b"one".as_slice(), sender.local_addr().unwrap()));
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 0);
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 8);
        assert_eq!(&buf, b"much lon");
        let n = receiver.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"two");
    });
}

#[test]
fn who_waits_is_woken_by_the_message_and_who_has_given_up_or_looks_takes_none() {
    run(async {
        let (receiver, sender) = (Rc::new(socket().await), socket().await);
        let addr = receiver.local_addr().unwrap();
        let mut buf = [0; 8];
        assert!(poll!(receiver.recv_from(&mut buf)).is_pending());
        drop(receiver.recv(&mut buf)); // never polled
        let waiting = spawn({
            let receiver = Rc::clone(&receiver);
            async move {
                let mut buf = [0; 8];
                receiver.readable().await.unwrap();
                let (seen, _) = receiver.peek_from(&mut buf).await.unwrap();
                (seen, receiver.recv(&mut buf).await.unwrap())
            }
        });
        handcar_executor::yield_now().await;
        sender.writable().await.unwrap();
        sender.send_to(b"hello", addr).await.unwrap();
        assert_eq!(waiting.await.unwrap(), (5, 5));
        assert!(poll!(receiver.recv(&mut buf)).is_pending());
    });
}

#[test]
fn each_message_reaches_one_of_the_tasks_that_wait() {
    run(async {
        let (receiver, sender) = (Rc::new(socket().await), socket().await);
        let addr = receiver.local_addr().unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let receiver = Rc::clone(&receiver);
                spawn(async move {
                    let mut buf = [0; 8];
                    let n = receiver.recv(&mut buf).await.unwrap();
                    buf[..n].to_vec()
                })
            })
            .collect();
        handcar_executor::yield_now().await;
        for n in 0..20 {
            sender.send_to(&[n], addr).await.unwrap();
        }
        let mut got: Vec<u8> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
        got.sort_unstable();
        assert_eq!(got, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn with_a_peer_nobody_elses_messages_are_received() {
    run(async {
        let (one, other, stranger) = (socket().await, socket().await, socket().await);
        assert_eq!(one.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        one.connect(other.local_addr().unwrap()).await.unwrap();
        assert_eq!(one.peer_addr().unwrap(), other.local_addr().unwrap());
        let to = one.local_addr().unwrap();
        stranger.send_to(b"stranger", to).await.unwrap();
        other.send_to(b"peer", to).await.unwrap();
        let mut buf = [0; 8];
        let n = one.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"peer");
        one.send(b"answer").await.unwrap();
        assert_eq!(other.recv_from(&mut buf).await.unwrap(), (6, to));
    });
}

#[test]
fn names_are_looked_up_and_addresses_tried_one_after_the_other() {
    run(async {
        let taken = socket().await.local_addr().unwrap();
        let keeper = net::UdpSocket::bind(taken).unwrap();
        let addrs: [SocketAddr; 2] = [taken, "127.0.0.1:0".parse().unwrap()];
        let socket = UdpSocket::bind(&addrs[..]).await.unwrap();
        assert_ne!(socket.local_addr().unwrap(), taken);
        assert_eq!(UdpSocket::bind(taken).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(UdpSocket::bind(&[][..]).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(socket.connect(&[][..]).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(socket.connect("no port").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);

        let of_the_other_family: [SocketAddr; 2] = ["[::1]:9".parse().unwrap(), taken];
        socket.connect(&of_the_other_family[..]).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), taken);
        socket.send(b"looked up").await.unwrap();
        assert_eq!(keeper.recv(&mut [0; 16]).unwrap(), 9);
        UdpSocket::bind(("localhost", 0)).await.unwrap();
    });
}

#[cfg(target_os = "linux")] // others tell later or never
#[test]
fn that_nobody_is_there_is_an_error_once_and_the_socket_goes_on() {
    run(async {
        let socket = socket().await;
        let nobody = self::socket().await.local_addr().unwrap(); // and closed again
        socket.connect(nobody).await.unwrap();
        socket.send(b"anybody there?").await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(socket.recv(&mut buf).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let somebody = net::UdpSocket::bind(nobody).unwrap();
        somebody.send_to(b"now", socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.recv(&mut buf).await.unwrap(), 3);
    });
}

#[test]
fn a_message_that_is_too_long_is_an_error_and_the_next_one_goes() {
    run(async {
        let (receiver, sender) = (socket().await, socket().await);
        let addr = receiver.local_addr().unwrap();
        let error = sender.send_to(&vec![0; 100_000], addr).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
        sender.send_to(b"short", addr).await.unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 5);
        let error = sender.send(b"to whom?").await.unwrap_err();
        let codes = [rustix::io::Errno::DESTADDRREQ, rustix::io::Errno::NOTCONN].map(|code| Some(code.raw_os_error()));
        assert!(codes.contains(&error.raw_os_error()), "{error}");
    });
}

#[test]
fn a_socket_goes_to_the_standard_library_and_back_and_is_closed_on_exec() {
    run(async {
        let (one, other) = (socket().await, socket().await);
        for fd in [one.as_fd(), other.as_fd()] {
            assert!(rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
            assert!(socket2::SockRef::from(&fd).nonblocking().unwrap());
        }
        let addr = other.local_addr().unwrap();
        one.into_std().send_to(b"std", addr).unwrap();
        let other = UdpSocket::from_std(other.into_std()).unwrap();
        assert_eq!(other.recv(&mut [0; 8]).await.unwrap(), 3);
        other.source().get_ref().set_broadcast(true).unwrap();
        assert!(other.source().get_ref().broadcast().unwrap());
    });
}

#[test]
fn a_loop_over_a_socket_that_is_always_ready_starves_nobody() {
    run(async {
        let socket = socket().await;
        let addr = socket.local_addr().unwrap();
        let busy = spawn(async move {
            loop {
                socket.send_to(b"to myself", addr).await.unwrap();
                socket.recv(&mut [0; 16]).await.unwrap();
            }
        });
        spawn(async {}).await.unwrap();
        handcar_executor::sleep(std::time::Duration::from_micros(1)).await;
        busy.cancel();
    });
}

#[test]
fn futures_that_are_polled_again_after_they_were_ready_panic_with_their_name() {
    run(async {
        let socket = socket().await;
        let addr = socket.local_addr().unwrap();
        assert_eq!(polled_again(socket.send_to(b"x", addr)), "`Operation` polled after it was ready");
        assert_eq!(polled_again(socket.connect(addr)), "`LookupHost` polled after it was ready");
        assert_eq!(polled_again(UdpSocket::bind(addr)), "`LookupHost` polled after it was ready");
    });
}
