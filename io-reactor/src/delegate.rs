//! Reading and writing through something else: for the owner of a stream, and for its halves.
//!
//! All state of a stream lies behind `&TcpStream` or `&UnixStream`, and its reading and writing are implemented there, once.
//! The types around it only pass the call on; this is the passing on. (A macro uses the imports of the file that calls it.)

/// Implements `AsyncRead` for a type by that of the reference that its method `stream` gives.
macro_rules! delegate_read {
    ($outer:ty $(, of any $stream:ident)?) => {
        impl$(<$stream: Duplex>)? AsyncRead for $outer
        $(where
            for<'a> &'a $stream: AsyncRead,)?
        {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [io::IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_read_vectored(cx, bufs)
            }
        }
    };
}

/// Implements `AsyncWrite` for a type by that of the reference that its method `stream` gives.
macro_rules! delegate_write {
    ($outer:ty $(, of any $stream:ident)?) => {
        impl$(<$stream: Duplex>)? AsyncWrite for $outer
        $(where
            for<'a> &'a $stream: AsyncWrite,)?
        {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_close(cx)
            }
        }
    };
}

pub(crate) use {delegate_read, delegate_write};
