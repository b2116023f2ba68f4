//! Two halves that own one stream together.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::TcpStream;
use crate::delegate::{delegate_read, delegate_write};

/// A stream of bytes in both directions: [`TcpStream`] or [`UnixStream`](crate::UnixStream). No other type can be one.
pub trait Duplex: sealed::ShutDown {}

impl<S: sealed::ShutDown> Duplex for S {}

pub(crate) mod sealed {
    use super::{Shutdown, io};

    /// Not to be implemented outside: what the halves need may change.
    pub trait ShutDown {
        fn shut_down(&self, how: Shutdown) -> io::Result<()>;

        /// What `close` does. A connection that has gone altogether is closed already.
        fn end_sending(&self) -> io::Result<()> {
            match self.shut_down(Shutdown::Write) {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                result => result,
            }
        }
    }
}

/// The reading half of a stream, for a task of its own: see [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf<S = TcpStream>(Rc<S>);

/// The writing half of a stream, for a task of its own: see [`TcpStream::into_split`].
///
/// Dropping it ends the sending direction, as `close` does; [`forget`](OwnedWriteHalf::forget) does not.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Duplex = TcpStream> {
    stream: Rc<S>,
    ends_on_drop: bool,
}

pub(crate) fn halves<S: Duplex>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(Rc::clone(&stream)), OwnedWriteHalf { stream, ends_on_drop: true })
}

impl<S: Duplex> OwnedReadHalf<S> {
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
    pub fn reunite(self, writer: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
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
    pub fn stream(&self) -> &S {
        &self.0
    }
}

impl<S: Duplex> OwnedWriteHalf<S> {
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
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Duplex> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.ends_on_drop {
            let _ = self.stream.end_sending(); // nobody is left to be told
        }
    }
}

delegate_read!(OwnedReadHalf<S>, of any S);
delegate_write!(OwnedWriteHalf<S>, of any S);

/// Two halves that do not belong together: see [`OwnedReadHalf::reunite`].
#[derive(Debug)]
pub struct ReuniteError<S: Duplex = TcpStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: Duplex> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are halves of different streams")
    }
}

impl<S: Duplex + fmt::Debug> Error for ReuniteError<S> {}
