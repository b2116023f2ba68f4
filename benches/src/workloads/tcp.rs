//! A message there and back over loopback TCP, both ends in one thread: all that a runtime adds to the kernel's work, since
//! nobody else runs meanwhile.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::NetWorkload;
use crate::bencher::Bencher;
use crate::runtime::{Buffer, Net};

/// Messages of so many bytes.
#[derive(Debug)]
pub(crate) struct RoundTrip<const BYTES: usize>;

impl<const BYTES: usize> NetWorkload for RoundTrip<BYTES> {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let listener = R::listen().await?;
        let mut client = R::connect(R::address(&listener)?).await?;
        let mut accepted = R::accept(&listener).await?;
        R::set_nodelay(&client)?;
        R::set_nodelay(&accepted)?;
        let server = R::spawn(async move {
            let mut buffer = Buffer::from(vec![0; 2 * BYTES]);
            loop {
                let received;
                (received, buffer) = receive::<R, BYTES>(&mut accepted, buffer).await;
                if received.is_err() {
                    return;
                }
                let written;
                (written, buffer) = R::write_all(&mut accepted, buffer, BYTES).await;
                written.expect("the client reads");
            }
        });
        let mut message = Buffer::from(vec![7; BYTES]);
        let mut answer = Buffer::from(vec![0; 2 * BYTES]);
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    let (written, received);
                    (written, message) = R::write_all(&mut client, std::mem::take(&mut message), BYTES).await;
                    written.expect("the server reads");
                    (received, answer) = receive::<R, BYTES>(&mut client, std::mem::take(&mut answer)).await;
                    received.expect("the server answers");
                }
            })
            .await;
        assert_eq!(answer[..BYTES], *message);
        drop(client);
        server.await.expect("it neither panics nor is cancelled");
        Ok(())
    }
}

/// One message. The buffer has room for more, as a program's has that does not know what will come; so a read that leaves
/// room tells a runtime that nothing is left.
async fn receive<R: Net, const BYTES: usize>(stream: &mut R::Stream, mut buffer: Buffer) -> (io::Result<()>, Buffer) {
    let mut received = 0;
    while received < BYTES {
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

/// The kernel's share: the same reads and writes, in an order in which none has to wait.
pub(crate) fn blocking<const BYTES: usize>(bencher: &mut Bencher) {
    let pair = || -> io::Result<_> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (served, _) = listener.accept()?;
        client.set_nodelay(true)?;
        served.set_nodelay(true)?;
        Ok((client, served))
    };
    let (mut client, mut served) = pair().expect("the loopback works");
    let message = vec![7; BYTES];
    let mut buffer = vec![0; BYTES];
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
