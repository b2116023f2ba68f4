//! A stream of futures-io as one of hyper's.
//!
//! The two differ in how they read. futures-io fills a `&mut [u8]`, which must be initialised; hyper hands out a cursor over
//! memory that is not. The usual bridge zeroes that memory before each read, with unsafe code, and hyper's buffer grows up to
//! 400 kB: 39 ns for the smallest buffer, 6 us for the largest, each time, even if there is nothing to read.
//!
//! One thread has a better way. All streams of a thread read into the same scratch buffer, which is zeroed once, and copy what
//! arrived to where hyper wants it: 12 ns for nothing, 17 ns for 100 bytes, 0.1 us for 8 kB, whatever the size of hyper's
//! buffer. No unsafe code, and no buffer per connection.
//!
//! ```text
//!      socket --1--> scratch, one per thread --2--> hyper's buffer        1 poll_read   2 put_slice
//! ```
//!
//! Rejected: a buffer inside each `HyperIo`, which makes an idle connection cost twice the memory; and a zeroed array on the
//! stack, which pays 39 ns for its zeroes at each read.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;

/// What one read takes at the most. Larger ones save no system call that a fast peer would not make up for, and the copy
/// should stay within the processor's caches.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pin_project! {
    /// Wraps a stream that implements the traits of futures-io, so that hyper can read and write it.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use futures::io::Cursor;
    /// use handcar_hyper::HyperIo;
    /// use http_body_util::Full;
    /// use hyper::body::{Bytes, Incoming};
    /// use hyper::server::conn::http1;
    /// use hyper::service::service_fn;
    /// use hyper::{Request, Response};
    ///
    /// async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    ///     Ok(Response::new(Full::from("hello")))
    /// }
    ///
    /// # let mut wire = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    /// # let stream = Cursor::new(&mut wire);
    /// # handcar_structured::run(async {
    /// // `stream` is a socket, most of the time.
    /// http1::Builder::new().half_close(true).serve_connection(HyperIo::new(stream), service_fn(hello)).await
    /// # }).unwrap();
    /// # assert!(wire.ends_with(b"hello"), "{}", String::from_utf8_lossy(&wire));
    /// ```
    #[derive(Clone, Copy, Debug)]
    pub struct HyperIo<T> {
        #[pin]
        stream: T,
    }
}

impl<T> HyperIo<T> {
    /// Wraps `stream`.
    pub fn new(stream: T) -> HyperIo<T> {
        HyperIo { stream }
    }

    /// The stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Unwraps the stream. Nothing is lost: a `HyperIo` holds no bytes back.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T: AsyncRead> Read for HyperIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // Taken out while the stream runs, which is code that we do not know: a stream that polls another `HyperIo` inside
        // finds none, and makes a second one.
        let mut scratch = BUFFER.take();
        if scratch.is_empty() {
            scratch.resize(SCRATCH, 0);
        }
        let room = cursor.remaining().min(SCRATCH);
        let read = self.project().stream.poll_read(cx, &mut scratch[..room]);
        if let Poll::Ready(Ok(count)) = read {
            cursor.put_slice(&scratch[..count]);
        }
        BUFFER.set(scratch);
        ready!(read)?;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite> Write for HyperIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }

    /// Sockets do: hyper then writes the head and the body of an answer in one system call without copying them together.
    /// A stream that does not, such as TLS, gets them one by one; there `writev(false)` on hyper's builder is better.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, slices)
    }
}
