//! The floor of a round trip for runtimes on `io_uring`: one ring, both ends, and two system calls, as one writes it in C.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

use super::tcp::{bytes, pair};
use crate::bencher::Bencher;

/// Messages of as many bytes as the row says.
pub(crate) fn round_trip(bencher: &mut Bencher) {
    let bytes = bytes(bencher);
    let (client, served) = pair().expect("the loopback works");
    let mut ring = IoUring::new(8).expect("the kernel allows io_uring");
    let message = vec![7; bytes];
    let (mut there, mut back) = (vec![0; bytes], vec![0; bytes]);
    bencher.measure_outside(|operations| {
        for _ in 0..operations {
            pass(&mut ring, &client, &message, &served, &mut there).expect("the loopback works");
            pass(&mut ring, &served, &there, &client, &mut back).expect("the loopback works");
        }
    });
    assert_eq!(back, message);
}

/// Sends on one end what the other receives, at once.
fn pass(ring: &mut IoUring, from: &TcpStream, sent: &[u8], to: &TcpStream, received: &mut [u8]) -> io::Result<()> {
    let length = u32::try_from(sent.len()).expect("a message is small");
    let outgoing = opcode::Send::new(Fd(from.as_raw_fd()), sent.as_ptr(), length).build();
    let incoming =
        opcode::Recv::new(Fd(to.as_raw_fd()), received.as_mut_ptr(), length).flags(libc::MSG_WAITALL).build();
    // SAFETY: both buffers are borrowed until this function ends, as long as they say they are, and it ends when the kernel is
    // done with both: it counts the completions, and where it cannot wait for them, the program ends.
    unsafe { ring.submission().push_multiple(&[outgoing, incoming]).expect("there is room for two") };
    let (mut completed, mut whole) = (0, 0);
    while completed < 2 {
        match ring.submit_and_wait(2 - completed) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => std::process::abort(),
            _ => {}
        }
        for completion in ring.completion() {
            completed += 1;
            whole += usize::from(u32::try_from(completion.result()) == Ok(length));
        }
    }
    if whole == 2 { Ok(()) } else { Err(io::Error::other("a part of the message is missing")) }
}
