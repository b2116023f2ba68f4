//! An open file.
//!
//! One operation at a time is with a thread of the pool, and it belongs to the file, not to the future that began it. So a future that
//! is dropped in the middle loses nothing: what it read is there for the next one, what it wrote is written, and an error that it
//! did not hear of is told to whoever comes next. A program sees what it would see of [`std::fs::File`]; where a thread has read
//! further than the program has, the next write sets the cursor back first.
//!
//! A write returns when a thread has been asked to do it. If it waited, as a read has to, whoever is cut off by a timeout would not know
//! how much was written. A file that is dropped before its write is done hands that to the scope around, as a cleanup.
//!
//! tokio's `File` works alike, but for two things: there a file that is dropped takes the error of its last write with it, and nobody
//! waits for that write.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::fs::Metadata;
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
use handcar_executor::{Report, ToThread, budget, layer, try_to_thread};
use handcar_structured::defer;

use super::operation::{Ahead, BLOCK, Kind, Op, Shared, Value};

/// An open file, which is read and written through the traits of `futures-io`.
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
/// use handcar::fs::File;
/// use std::fs::OpenOptions;
/// use std::io::SeekFrom;
///
/// # let path = std::env::temp_dir().join(format!("handcar-doc-file-{}", std::process::id()));
/// # handcar::run(async {
/// let mut file = File::open_with(&path, OpenOptions::new().read(true).write(true).create(true).truncate(true)).await?;
/// file.write_all(b"to and fro").await?;
/// file.seek(SeekFrom::Start(3)).await?;
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "and fro");
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// A read takes a hop to a thread: many small ones belong on a buffer. As [`AsyncBufRead`], the file is one itself, of 128 KiB.
///
/// # Errors
///
/// What goes wrong in a write, or in anything else whose future was dropped, is told by the next operation, whichever that is: `flush`
/// or `close` at the end make sure that there is one. If there is none, it is reported as [`Report::CleanupFailed`], with the line
/// that opened the file. What a dropped future would have told of reading or seeking is not told: to do it again says it again.
///
/// # Panics
///
/// Its operations, outside a runtime.
///
/// # Cancel safety
///
/// A cancel does not wait for the thread, and nothing is lost: what a dropped read has read is there for the next one, and what
/// `poll_write` has taken is written. A dropped `seek`, `set_len` or `sync_all` has happened or has not. A file that is dropped
/// before its write is done has the scope around wait for that.
pub struct File {
    shared: Arc<Shared>,
    ahead: Ahead,
    in_flight: Option<InFlight>,
    /// What was read ahead has been shown, and nothing has happened since.
    is_shown: bool,
    /// It is what is left of a file that was dropped, in a cleanup.
    is_left: bool,
    /// A job of the thread's own runtime is not closed between a look and a poll: see `poll_value`.
    stays: PhantomData<Rc<()>>,
}

struct InFlight {
    job: ToThread<()>,
    kind: Kind,
}

impl File {
    pub(super) fn new(file: std::fs::File, name: Arc<str>, at: &'static Location<'static>) -> File {
        File::of(Arc::new(Shared::new(file, name, at)))
    }

    fn of(shared: Arc<Shared>) -> File {
        File { shared, ahead: Ahead::default(), in_flight: None, is_shown: false, is_left: false, stays: PhantomData }
    }

    /// What the system knows of it.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::metadata`], and that of a write before.
    pub async fn metadata(&mut self) -> io::Result<Metadata> {
        let Value::Metadata(metadata) = self.call(Op::Metadata).await? else { unreachable!("it was asked for") };
        Ok(*metadata)
    }

    /// Cuts it, or fills it up with zeros. The cursor stays.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::set_len`], and that of a write before.
    pub async fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.call(Op::SetLen(len)).await.map(drop)
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::sync_all`], and that of a write before.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.call(Op::SyncAll).await.map(drop)
    }

    /// Waits until the contents are on the disk: not the time of the last change, and the like.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::sync_data`], and that of a write before.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.call(Op::SyncData).await.map(drop)
    }

    /// The standard library's file, with its cursor where it is here.
    ///
    /// # Errors
    ///
    /// That of a write before. `NotSeekable` if something was read ahead of a pipe or the like, which would be lost: read that first, of the
    /// file that the error gives back.
    pub async fn into_std(mut self) -> Result<std::fs::File, IntoStdError> {
        if let Err(error) = self.come_to_rest().await {
            return Err(IntoStdError { error, file: self });
        }
        let shared = Arc::clone(&self.shared);
        drop(self);
        let Some(shared) = Arc::into_inner(shared) else { unreachable!("no thread has it") };
        Ok(shared.file)
    }

    /// Nothing is in flight then, nor read ahead.
    async fn come_to_rest(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_idle(cx)).await?;
        if !self.ahead.rest().is_empty() {
            self.call(Op::Seek(SeekFrom::Current(0))).await?;
        }
        Ok(())
    }

    async fn call(&mut self, op: Op) -> io::Result<Value> {
        poll_fn(|cx| self.poll_idle(cx)).await?;
        self.begin(op)?;
        poll_fn(|cx| self.poll_value(cx)).await
    }

    /// Has a thread begin it.
    fn begin(&mut self, op: Op) -> io::Result<()> {
        let kind = op.kind();
        let job = self.shared.begin(op, &mut self.ahead, || job(&self.shared))?;
        self.in_flight = Some(InFlight { job, kind });
        self.is_shown = false;
        Ok(())
    }

    fn is_in_flight(&self, kind: Kind) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.kind == kind)
    }

    /// Waits for the operation in flight, and takes what it returns.
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Value>> {
        ready!(budget::poll(cx));
        let Some(in_flight) = &mut self.in_flight else { unreachable!("something is in flight") };
        if in_flight.job.is_closed() {
            in_flight.job = job(&self.shared)?; // in the runtime that there is now
        }
        if in_flight.job.is_closed() {
            self.shared.run(); // that one is at its end, too, and its threads have gone
        } else {
            ready!(Pin::new(&mut in_flight.job).poll(cx));
        }
        self.in_flight = None;
        let Some((result, ahead)) = self.shared.take_done() else {
            unreachable!("what was in flight has come to an end")
        };
        self.ahead = ahead;
        Poll::Ready(result)
    }

    /// Waits until nothing is in flight, and tells the error of a change. What finds no thread stays in flight, and is told as well.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(InFlight { kind, .. }) = self.in_flight else { return budget::poll(cx).map(Ok) };
        let result = ready!(self.poll_value(cx));
        let is_told = kind == Kind::Change || self.in_flight.is_some();
        Poll::Ready(if is_told { result.map(drop) } else { Ok(()) })
    }

    /// Reads up to `room` bytes, if there are none left from before.
    fn poll_ahead(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<&[u8]>> {
        // What is in flight may be the read of a future that was dropped: then it is this one's.
        if !self.is_in_flight(Kind::Read) {
            ready!(self.poll_idle(cx))?;
            if !self.ahead.rest().is_empty() {
                budget::spend();
                return Poll::Ready(Ok(self.ahead.rest()));
            }
            self.begin(Op::Read { room })?;
        }
        ready!(self.poll_value(cx))?;
        Poll::Ready(Ok(self.ahead.rest()))
    }
}

thread_local! {
    /// The file that has shown its end in this poll, if the poll is marked.
    static ENDED: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// Who calls `poll_fill_buf` may do so twice in a row, and rely on the same answer: `fill_buf` of futures-lite does.
impl File {
    fn show(&mut self) {
        self.is_shown = true;
        if self.ahead.rest().is_empty() {
            ENDED.set(Arc::as_ptr(&self.shared));
            layer::mark_poll();
        }
    }

    /// Once more, and not for ever, or a loop would never yield; the end, which may move, in this poll alone.
    fn is_still_shown(&mut self) -> bool {
        let is_end = || ENDED.get() == Arc::as_ptr(&self.shared) && layer::is_poll_marked();
        std::mem::take(&mut self.is_shown) && (!self.ahead.rest().is_empty() || is_end())
    }
}

impl AsyncRead for File {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            ready!(budget::poll(cx));
            budget::spend();
            return Poll::Ready(Ok(0));
        }
        let ahead = ready!(self.poll_ahead(cx, buf.len().min(BLOCK)))?;
        let count = ahead.len().min(buf.len());
        buf[..count].copy_from_slice(&ahead[..count]);
        self.as_mut().consume(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncBufRead for File {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if !this.is_still_shown() {
            ready!(this.poll_ahead(cx, BLOCK))?;
            this.show();
        }
        Poll::Ready(Ok(this.ahead.rest()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.ahead.consume(count);
        self.is_shown = false;
    }
}

impl AsyncWrite for File {
    /// Hands the bytes to a thread, up to 128 KiB of them.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        let count = buf.len().min(BLOCK);
        if count == 0 {
            budget::spend();
        } else {
            self.begin(Op::Write(buf[..count].to_vec()))?;
        }
        Poll::Ready(Ok(count))
    }

    /// Waits until the system has all that was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        budget::spend();
        Poll::Ready(Ok(()))
    }

    /// As `poll_flush`. The descriptor is closed when the file is dropped.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        if !self.is_in_flight(Kind::Seek(to)) {
            ready!(self.poll_idle(cx))?;
            self.begin(Op::Seek(to))?;
        }
        let Value::Position(position) = ready!(self.poll_value(cx))? else { unreachable!("it was asked for") };
        Poll::Ready(Ok(position))
    }
}

impl From<std::fs::File> for File {
    #[track_caller]
    fn from(file: std::fs::File) -> File {
        let name = format!("descriptor {}", file.as_raw_fd());
        File::new(file, name.into(), Location::caller())
    }
}

impl Drop for File {
    /// A change is done, and its error told: by a cleanup of the scope around; outside a runtime, or when the cleanup is cut off, by a
    /// thread that has begun, or here.
    fn drop(&mut self) {
        let Some(InFlight { mut job, kind: kind @ Kind::Change }) = self.in_flight.take() else { return };
        if !self.is_left && layer::grace().is_some() {
            let mut rest = File::of(Arc::clone(&self.shared));
            (rest.in_flight, rest.is_left) = (Some(InFlight { job, kind }), true);
            return drop(defer(async move {
                if let Err(error) = poll_fn(|cx| rest.poll_idle(cx)).await {
                    layer::report(Report::CleanupFailed { at: rest.shared.at, error: Arc::new(error) });
                }
            }));
        }
        if job.withdraw() {
            self.shared.run();
        }
        self.shared.leave(job);
    }
}

/// Why [`File::into_std`] gave no file of the standard library's, and the one that there still is.
#[derive(Debug)]
pub struct IntoStdError {
    /// What went wrong.
    pub error: io::Error,
    /// With what was read ahead.
    pub file: File,
}

impl fmt::Display for IntoStdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for IntoStdError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Drops the file.
impl From<IntoStdError> for io::Error {
    fn from(error: IntoStdError) -> io::Error {
        error.error
    }
}

/// Has a thread of the current runtime do what is to be done.
fn job(shared: &Arc<Shared>) -> io::Result<ToThread<()>> {
    let name = Arc::clone(&shared.name);
    let shared = Arc::clone(shared);
    Ok(try_to_thread(move || shared.run())?.named(name))
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.shared.name)
    }
}
