//! A source: any descriptor that a task can wait for.
//!
//! Sockets, pipes, terminals, and what the system has beside them (`eventfd`, `timerfd`, `pidfd`, `inotify`, a device): if
//! epoll or kqueue can watch it, a [`Source`] can. The sockets of this crate are built on it, with nothing but its public
//! operations and the note that a short read leaves nothing behind.
//!
//! It owns the descriptor, and so the order at the end is right by construction: deregister, then close.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::{Context, Poll};

use handcar_executor::unpolled::Unpolled;

use crate::operation::{Operation, Readiness};
use crate::reactor::{Key, Reactor};
use crate::ready::{Direction, Ready};
use crate::site::Site;

/// A descriptor of any kind that tasks can wait for.
///
/// Every operation takes `&self`, and any number of tasks may wait at the same time, for either direction. All of them are
/// woken when it becomes ready.
///
/// A source belongs to the runtime in which it was made. In another it still works as long as it need not wait; then it
/// fails instead of hanging.
///
/// Do not read from or write to [`get_ref`](Source::get_ref) behind the source's back and then wait: if that call said
/// "would block", the source has not heard it, and takes the descriptor to be ready still. Use
/// [`try_read_with`](Source::try_read_with).
///
/// ```
/// use std::io::{self, Read, Write};
/// use handcar_io_reactor::Source;
///
/// handcar_executor::run(async {
///     let (reader, writer) = io::pipe()?;
///     let (reader, writer) = (Source::new(reader)?, Source::new(writer)?);
///     writer.write_with(|mut pipe| pipe.write(b"through a pipe")).await?;
///     let mut buf = [0; 64];
///     let n = reader.read_with(|mut pipe| pipe.read(&mut buf)).await?;
///     assert_eq!(&buf[..n], b"through a pipe");
///     io::Result::Ok(())
/// })
/// .unwrap();
/// ```
pub struct Source<T: AsFd> {
    /// Gone only while the source is being taken apart.
    io: Option<T>,
    key: Key,
    reactor: Rc<Reactor>,
}

impl<T: AsFd> Source<T> {
    /// Makes a source of `io`, and its descriptor non-blocking.
    ///
    /// That is a property of what the descriptor refers to: another process that shares it (the terminal behind standard
    /// input, say) sees it too.
    ///
    /// ```
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader = Source::new(reader)?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says when it cannot watch such a descriptor (a regular file: `PermissionDenied`), or watches this
    /// one already (`AlreadyExists`), and when the reactor could not be made.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(io: T) -> io::Result<Source<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Source::new_nonblocking(io)
    }

    /// Makes a source of `io`, whose descriptor is non-blocking already.
    ///
    /// With a descriptor that is not, an operation that should wait stops the whole thread.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_nonblocking(true)?;
    /// let socket = Source::new_nonblocking(socket)?;
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Source::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new_nonblocking(io: T) -> io::Result<Source<T>> {
        let source = Source::register(Reactor::current()?, io, Ready::HOPED)?;
        source.reactor.watch(source.as_fd(), source.key)?; // now, so that whoever made it hears if it cannot be watched
        Ok(source)
    }

    /// Makes a source of a descriptor that can be watched, as any socket can. It is not before the first wait.
    pub(crate) fn register(reactor: Rc<Reactor>, io: T, ready: Ready) -> io::Result<Source<T>> {
        let key = reactor.register(ready)?;
        Ok(Source { io: Some(io), key, reactor })
    }

    /// What the source was made of.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let socket = Source::new(UdpSocket::bind("127.0.0.1:0")?)?;
    /// assert_ne!(socket.get_ref().local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn get_ref(&self) -> &T {
        match &self.io {
            Some(io) => io,
            None => unreachable!("only `into_inner` takes it, and the source with it"),
        }
    }

    /// Gives back what the source was made of, non-blocking as it is.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let socket = Source::new(UdpSocket::bind("127.0.0.1:0")?)?;
    /// let socket: UdpSocket = socket.into_inner();
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    pub fn into_inner(mut self) -> T {
        // Taken first: should a waker panic in `deregister`, the destructor has nothing left to do.
        let Some(io) = self.io.take() else { unreachable!("it is taken only here") };
        self.reactor.deregister(io.as_fd(), self.key);
        io
    }

    /// Waits until the descriptor is ready for reading, or at its end, or has failed.
    ///
    /// The system is asked, with a call of its own: an operation that is tried first, as those of
    /// [`read_with`](Source::read_with) are, is cheaper. Another task may still be quicker and take what there was.
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let reader = Source::new(reader)?;
    /// writer.write_all(b"x")?;
    /// reader.readable().await?;
    /// let mut buf = [0; 8];
    /// assert_eq!(reader.try_read_with(|mut pipe| pipe.read(&mut buf))?, 1);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If it has to wait under another runtime than the source was made in.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: nothing is taken.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        Readiness::new(self.site(Direction::Read), Unpolled::new(&"readable"))
    }

    /// Waits until the descriptor is ready for writing, or has failed.
    ///
    /// ```
    /// # use std::io::Write;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (_reader, writer) = std::io::pipe()?;
    /// let writer = Source::new(writer)?;
    /// writer.writable().await?;
    /// assert_eq!(writer.try_write_with(|mut pipe| pipe.write(b"x"))?, 1);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`readable`](Source::readable).
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](Source::readable).
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        Readiness::new(self.site(Direction::Write), Unpolled::new(&"writable"))
    }

    /// Calls `op`, which reads, and again each time the descriptor becomes ready, until it does something else than to
    /// say that it would block.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let socket = Source::new(UdpSocket::bind("127.0.0.1:0")?)?;
    /// socket.get_ref().send_to(b"to myself", socket.get_ref().local_addr()?)?;
    /// let mut buf = [0; 64];
    /// let (n, _from) = socket.read_with(|socket| socket.recv_from(&mut buf)).await?;
    /// assert_eq!(&buf[..n], b"to myself");
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What `op` says, and as [`readable`](Source::readable).
    ///
    /// # Cancel safety
    ///
    /// The future completes in the poll in which `op` has done something, so nothing that it did is lost.
    #[track_caller]
    pub fn read_with<R, F>(&self, op: F) -> Operation<'_, T, F>
    where
        F: FnMut(&T) -> io::Result<R>,
    {
        Operation::new(self, Direction::Read, Unpolled::new(&"read_with"), op)
    }

    /// Calls `op`, which writes, as [`read_with`](Source::read_with) does.
    ///
    /// ```
    /// # use std::net::UdpSocket;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let socket = Source::new(UdpSocket::bind("127.0.0.1:0")?)?;
    /// let to = socket.get_ref().local_addr()?;
    /// assert_eq!(socket.write_with(|socket| socket.send_to(b"to myself", to)).await?, 9);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_with`](Source::read_with).
    ///
    /// # Cancel safety
    ///
    /// As [`read_with`](Source::read_with).
    #[track_caller]
    pub fn write_with<R, F>(&self, op: F) -> Operation<'_, T, F>
    where
        F: FnMut(&T) -> io::Result<R>,
    {
        Operation::new(self, Direction::Write, Unpolled::new(&"write_with"), op)
    }

    /// Calls `op`, which reads, once and without waiting.
    ///
    /// If it says that it would block, the source takes note: [`readable`](Source::readable) then waits for news.
    ///
    /// ```
    /// # use std::io::{ErrorKind, Read};
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader = Source::new(reader)?;
    /// let nothing = reader.try_read_with(|mut pipe| pipe.read(&mut [0; 8]));
    /// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What `op` says.
    pub fn try_read_with<R>(&self, op: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_with(Direction::Read, op)
    }

    /// Calls `op`, which writes, once and without waiting, as [`try_read_with`](Source::try_read_with) does.
    ///
    /// ```
    /// # use std::io::Write;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (_reader, writer) = std::io::pipe()?;
    /// let writer = Source::new(writer)?;
    /// assert_eq!(writer.try_write_with(|mut pipe| pipe.write(b"x"))?, 1);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What `op` says.
    pub fn try_write_with<R>(&self, op: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_with(Direction::Write, op)
    }

    /// [`read_with`](Source::read_with) for those who write a `poll` method: remembers the waker, not the caller.
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use std::pin::Pin;
    /// use std::task::{Context, Poll};
    /// use futures::io::{AsyncRead, AsyncReadExt};
    /// use handcar_io_reactor::Source;
    ///
    /// struct Pipe(Source<io::PipeReader>);
    ///
    /// impl AsyncRead for Pipe {
    ///     fn poll_read(
    ///         self: Pin<&mut Self>,
    ///         cx: &mut Context<'_>,
    ///         buf: &mut [u8],
    ///     ) -> Poll<io::Result<usize>> {
    ///         self.0.poll_read_with(cx, |mut pipe| pipe.read(buf))
    ///     }
    /// }
    ///
    /// # handcar_executor::run(async {
    /// let (reader, writer) = io::pipe()?;
    /// drop(writer);
    /// assert_eq!(Pipe(Source::new(reader)?).read(&mut [0; 8]).await?, 0);
    /// # io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_with`](Source::read_with).
    ///
    /// # Cancel safety
    ///
    /// As [`read_with`](Source::read_with), but the waker stays until the next event: a spurious wake at worst.
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.site(Direction::Read).poll_io(cx, None, || op(self.get_ref()))
    }

    /// [`write_with`](Source::write_with) for those who write a `poll` method, as
    /// [`poll_read_with`](Source::poll_read_with).
    ///
    /// ```
    /// # use std::future::poll_fn;
    /// # use std::io::Write;
    /// # use handcar_io_reactor::Source;
    /// # handcar_executor::run(async {
    /// let (_reader, writer) = std::io::pipe()?;
    /// let writer = Source::new(writer)?;
    /// let n = poll_fn(|cx| writer.poll_write_with(cx, |mut pipe| pipe.write(b"x"))).await?;
    /// assert_eq!(n, 1);
    /// # std::io::Result::Ok(())
    /// # })
    /// # .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_with`](Source::read_with).
    ///
    /// # Cancel safety
    ///
    /// As [`poll_read_with`](Source::poll_read_with).
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.site(Direction::Write).poll_io(cx, None, || op(self.get_ref()))
    }

    pub(crate) fn site(&self, direction: Direction) -> Site<'_> {
        Site { reactor: &self.reactor, key: self.key, fd: self.get_ref().as_fd(), direction }
    }

    /// Notes what no event will tell, and wakes who waits for it.
    pub(crate) fn report(&self, news: Ready) {
        self.reactor.report(self.key, news);
    }

    pub(crate) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    fn try_with<R>(&self, direction: Direction, op: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = op(self.get_ref());
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::WouldBlock
        {
            self.site(direction).clear();
        }
        result
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        if let Some(io) = &self.io {
            self.reactor.deregister(io.as_fd(), self.key);
        }
    }
}

impl<T: AsFd> AsFd for Source<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(self.get_ref()).finish()
    }
}
