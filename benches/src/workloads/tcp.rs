//! A message there and back over loopback TCP, both ends in one thread: all that a runtime adds to the kernel's work, since
//! nobody else runs meanwhile.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll;

use super::NetWorkload;
use crate::bencher::Bencher;
use crate::runtime::{Buffer, Net};

/// Messages of as many bytes as the row says.
#[derive(Debug)]
pub(crate) struct RoundTrip;

impl NetWorkload for RoundTrip {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let bytes = bytes(bencher);
        let listener = R::listen().await?;
        let mut client = R::connect(R::address(&listener)?).await?;
        let mut accepted = R::accept(&listener).await?;
        R::set_nodelay(&client)?;
        R::set_nodelay(&accepted)?;
        let server = R::spawn(async move {
            let mut buffer = Buffer::from(vec![0; 2 * bytes]);
            loop {
                let received;
                (received, buffer) = receive::<R>(&mut accepted, buffer, bytes).await;
                if received.is_err() {
                    return;
                }
                let written;
                (written, buffer) = R::write_all(&mut accepted, buffer, bytes).await;
                written.expect("the client reads");
            }
        });
        let mut message = Buffer::from(vec![7; bytes]);
        let mut answer = Buffer::from(vec![0; 2 * bytes]);
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    let (written, received);
                    (written, message) = R::write_all(&mut client, std::mem::take(&mut message), bytes).await;
                    written.expect("the server reads");
                    (received, answer) = receive::<R>(&mut client, std::mem::take(&mut answer), bytes).await;
                    received.expect("the server answers");
                }
            })
            .await;
        assert_eq!(answer[..bytes], *message);
        drop(client);
        server.await.expect("it neither panics nor is cancelled");
        Ok(())
    }
}

/// How long each message is.
pub(super) fn bytes(bencher: &Bencher) -> usize {
    usize::try_from(bencher.size()).expect("it fits into memory")
}

/// One message. The buffer has room for more, as a program's has that does not know what will come; so a read that leaves
/// room tells a runtime that nothing is left.
async fn receive<R: Net>(stream: &mut R::Stream, mut buffer: Buffer, bytes: usize) -> (io::Result<()>, Buffer) {
    let mut received = 0;
    while received < bytes {
        let read;
        (read, buffer) = R::read(stream, buffer, received).await;
        match read {
            Ok(0) => return (Err(io::ErrorKind::UnexpectedEof.into()), buffer),
            Ok(read) => received += read,
            Err(error) => return (Err(error), buffer),
        }
    }
    (Ok(()), buffer)
}

/// Two connected sockets.
pub(super) fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (served, _) = listener.accept()?;
    client.set_nodelay(true)?;
    served.set_nodelay(true)?;
    Ok((client, served))
}

/// The kernel's share: the same reads and writes, in an order in which none has to wait.
pub(crate) fn blocking(bencher: &mut Bencher) {
    let bytes = bytes(bencher);
    let (mut client, mut served) = pair().expect("the loopback works");
    let message = vec![7; bytes];
    let mut buffer = vec![0; bytes];
    let mut round_trip = || -> io::Result<()> {
        client.write_all(&message)?;
        served.read_exact(&mut buffer)?;
        served.write_all(&buffer)?;
        client.read_exact(&mut buffer)
    };
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            round_trip().expect("the loopback works");
        }
    });
}

/// The same in one loop around `epoll_wait`, as one writes it in C: whoever may have to wait asks first.
pub(crate) fn epoll_loop(bencher: &mut Bencher) {
    let bytes = bytes(bencher);
    let ends = Ends::new().expect("the system has epoll");
    let message = vec![7; bytes];
    let mut buffer = vec![0; 2 * bytes];
    let mut round_trip = || -> io::Result<()> {
        (&ends.client).write_all(&message)?;
        ends.receive(&ends.served, &mut buffer, bytes)?;
        (&ends.served).write_all(&buffer[..bytes])?;
        ends.receive(&ends.client, &mut buffer, bytes)
    };
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            round_trip().expect("the loopback works");
        }
    });
    assert_eq!(buffer[..bytes], message);
}

/// Both ends of a connection, and who tells which can be read.
struct Ends {
    epoll: rustix::fd::OwnedFd,
    client: TcpStream,
    served: TcpStream,
}

impl Ends {
    fn new() -> io::Result<Ends> {
        let (client, served) = pair()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for end in [&client, &served] {
            end.set_nonblocking(true)?;
            epoll::add(&epoll, end, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Ends { epoll, client, served })
    }

    fn receive(&self, mut end: &TcpStream, buffer: &mut [u8], bytes: usize) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; 2];
        let mut received = 0;
        while received < bytes {
            epoll::wait(&self.epoll, &mut events, None)?;
            received += end.read(&mut buffer[received..])?;
        }
        Ok(())
    }
}
