//! Two halves that own one stream together.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::TcpStream;
use crate::delegate::{delegate_read, delegate_write};

/// The reading half of a stream, for a task of its own: see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(Rc<TcpStream>);

/// The writing half of a stream, for a task of its own: see [`TcpStream::into_split`].
///
/// Dropping it ends the sending direction, as `close` does; [`forget`](OwnedWriteHalf::forget) does not.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Rc<TcpStream>,
    ends_on_drop: bool,
}

pub(super) fn halves(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(Rc::clone(&stream)), OwnedWriteHalf { stream, ends_on_drop: true })
}

impl OwnedReadHalf {
    /// Puts the two halves of one stream together again.
    ///
    /// ```
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (reader, writer) = stream.into_split();
    /// let stream = reader.reunite(writer).expect("two halves of one stream");
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If they are halves of different streams; the error gives them back.
    pub fn reunite(self, writer: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Rc::ptr_eq(&self.0, &writer.stream) {
            return Err(ReuniteError(self, writer));
        }
        writer.forget();
        match Rc::into_inner(self.0) {
            Some(stream) => Ok(stream),
            None => unreachable!("a stream has two halves, and the other one is gone"),
        }
    }

    /// The whole stream, for everything but reading: addresses, options, [`peek`](TcpStream::peek).
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}

impl OwnedWriteHalf {
    /// Drops the half without ending the sending direction, which then lasts as long as the reading half.
    ///
    /// ```
    /// # use futures::io::{AsyncReadExt, AsyncWriteExt};
    /// # use handcar_io_reactor::{TcpListener, TcpStream};
    /// # handcar_executor::run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// let (reader, writer) = stream.into_split();
    /// writer.forget();
    /// reader.stream().set_nodelay(true)?; // the connection is as open as before
    /// assert!(futures::poll!(std::pin::pin!(server.readable())).is_pending());
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn forget(mut self) {
        self.ends_on_drop = false;
    }

    /// The whole stream, for everything but writing: addresses, options.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.ends_on_drop {
            // It fails only if the connection has gone already.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

delegate_read!(OwnedReadHalf);
delegate_write!(OwnedWriteHalf);

/// Two halves that do not belong together: see [`OwnedReadHalf::reunite`].
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are halves of different streams")
    }
}

impl Error for ReuniteError {}
