//! `HyperIo`: bytes come through whole, whatever the sizes, and nothing of one stream reaches another.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::io::{AsyncRead, Cursor};
use handcar_hyper::HyperIo;
use hyper::rt::{Read, ReadBuf};

/// One read into `capacity` bytes of memory that nobody initialised.
fn read<T: AsyncRead>(io: Pin<&mut HyperIo<T>>, capacity: usize) -> Poll<io::Result<Vec<u8>>> {
    let mut memory = vec![MaybeUninit::uninit(); capacity];
    let mut buffer = ReadBuf::uninit(&mut memory);
    io.poll_read(&mut Context::from_waker(Waker::noop()), buffer.unfilled()).map_ok(|()| buffer.filled().to_vec())
}

#[test]
fn every_byte_arrives_in_order_for_every_size_of_buffer() {
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for capacity in [1000, 8192, 65_536, 65_537, 400_000] {
        let mut io = HyperIo::new(Cursor::new(&sent));
        let mut received = Vec::new();
        loop {
            let Poll::Ready(Ok(bytes)) = read(Pin::new(&mut io), capacity) else {
                panic!("a cursor is always ready");
            };
            if bytes.is_empty() {
                break;
            }
            received.extend(bytes);
        }
        assert!(received == sent, "{} bytes in reads of {capacity}", received.len());
    }
}

/// Says what it is told to, and reads another stream in the middle of it.
struct Script {
    says: Poll<io::Result<&'static [u8]>>,
    inside: Option<HyperIo<Cursor<Vec<u8>>>>,
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &self.says {
            into[..bytes.len()].copy_from_slice(bytes);
        }
        if let Some(inside) = &mut self.inside {
            assert!(matches!(read(Pin::new(inside), 4), Poll::Ready(Ok(bytes)) if bytes == b"deep"));
        }
        std::mem::replace(&mut self.says, Poll::Pending).map_ok(<[u8]>::len)
    }
}

#[test]
fn a_stream_may_read_another_one_inside() {
    let inside = Some(HyperIo::new(Cursor::new(b"deep".to_vec())));
    let mut io = HyperIo::new(Script { says: Poll::Ready(Ok(b"above")), inside });
    assert!(matches!(read(Pin::new(&mut io), 8192), Poll::Ready(Ok(bytes)) if bytes == b"above"));
}

#[test]
fn pending_and_errors_come_through_and_fill_nothing() {
    let mut io = HyperIo::new(Script { says: Poll::Pending, inside: None });
    assert!(read(Pin::new(&mut io), 10).is_pending());

    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    let mut io = HyperIo::new(Script { says: Poll::Ready(Err(reset)), inside: None });
    let Poll::Ready(Err(error)) = read(Pin::new(&mut io), 10) else {
        panic!("the error is lost");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(read(Pin::new(&mut io), 10).is_pending());
}
