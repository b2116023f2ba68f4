//! Opening a file.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use handcar_structured::ToThread;

use super::{File, call, name_of};

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::open`], with the file's name.
    ///
    /// # Panics
    ///
    /// As [`to_thread`](crate::to_thread).
    ///
    /// # Cancel safety
    ///
    /// A cancel does not wait for it.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> OpenFile {
        let mut opening = File::open_with(path, std::fs::OpenOptions::new().read(true));
        opening.job = opening.job.abandon_on_cancel();
        opening
    }

    /// Makes a file, or empties the one that is there, and opens it for writing.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create`], with the file's name.
    ///
    /// # Panics
    ///
    /// As [`to_thread`](crate::to_thread).
    ///
    /// # Cancel safety
    ///
    /// If it is cancelled before a thread has begun, nothing is made; after that, it is awaited.
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> OpenFile {
        File::open_with(path, std::fs::OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Opens a file as the options say.
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    /// use handcar::fs::File;
    /// use std::fs::OpenOptions;
    ///
    /// # let path = std::env::temp_dir().join(format!("handcar-doc-append-{}", std::process::id()));
    /// # handcar::run(async {
    /// let mut log = File::open_with(&path, OpenOptions::new().append(true).create(true)).await?;
    /// log.write_all(b"one more line\n").await?;
    /// log.flush().await?;
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`std::fs::OpenOptions::open`], with the file's name.
    ///
    /// # Panics
    ///
    /// As [`to_thread`](crate::to_thread).
    ///
    /// # Cancel safety
    ///
    /// As [`create`](File::create).
    #[track_caller]
    pub fn open_with(path: impl AsRef<Path>, options: &std::fs::OpenOptions) -> OpenFile {
        let (path, options) = (path.as_ref(), options.clone());
        let job = call("open", path, move |path| options.open(path));
        OpenFile { job, name: name_of(path), at: Location::caller() }
    }
}

/// Waits for a file. Made by [`File::open`] and its like.
#[must_use = "futures do nothing unless they are awaited"]
pub struct OpenFile {
    job: ToThread<io::Result<std::fs::File>>,
    name: Arc<str>,
    at: &'static Location<'static>,
}

impl Future for OpenFile {
    type Output = io::Result<File>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<File>> {
        let this = &mut *self;
        Pin::new(&mut this.job).poll(cx).map_ok(|file| File::new(file, Arc::clone(&this.name), this.at))
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFile({})", self.name)
    }
}
