//! Files: whole, line by line, or through the traits of `futures-io`.
//!
//! A file is always ready, says the system, and then keeps the thread waiting for its disk. So files are read and written on the
//! runtime's blocking pool, and in large blocks: a hop to another thread takes as long as copying a hundred kilobytes.
//!
//! ```
//! use handcar::fs;
//! use handcar::stream::{Stream, StreamExt, try_generate};
//! use std::{io, pin::pin};
//!
//! // async with aiofiles.open(path) as f:
//! //     async for line in f:
//! //         yield line.strip()
//! fn read_lines(path: &str) -> impl Stream<Item = io::Result<String>> {
//!     try_generate(async move |y| {
//!         let mut lines = fs::lines(path);
//!         while let Some(line) = lines.try_next().await? {
//!             y.yield_(line.trim().to_owned()).await;
//!         }
//!         Ok(())
//!     })
//! }
//!
//! # async fn process_line(_: String) {}
//! # let data = std::env::temp_dir().join(format!("handcar-doc-lines-{}", std::process::id()));
//! # let data = data.to_str().unwrap();
//! handcar::run(async {
//!     fs::write(data, "  one \n\ntwo\r\n").await?;
//!     // [line async for line in read_lines(data) if line]
//!     let lines: Vec<_> = read_lines(data).filter(|line| !matches!(line, Ok(line) if line.is_empty())).try_collect().await?;
//!     assert_eq!(lines, ["one", "two"]);
//!     // async for line in read_lines(data):
//!     //     await process_line(line)
//!     let mut lines = pin!(read_lines(data));
//!     while let Some(line) = lines.try_next().await? {
//!         process_line(line).await;
//!     }
//! #   std::fs::remove_file(data)?;
//!     io::Result::Ok(())
//! })
//! .unwrap();
//! ```
//!
//! What is one call of the standard library is one call here, and needs no wrapper:
//!
//! ```
//! # let dir = std::env::temp_dir().join(format!("handcar-doc-dir-{}", std::process::id()));
//! # handcar::run(async {
//! # let made = dir.clone();
//! handcar::to_thread(move || std::fs::create_dir_all(made)).await?;
//! let names: Vec<_> = handcar::to_thread(move || std::fs::read_dir(dir)?.collect::<Result<_, _>>()).await?;
//! # assert!(names.is_empty());
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! # std::fs::remove_dir(std::env::temp_dir().join(format!("handcar-doc-dir-{}", std::process::id()))).unwrap();
//! ```
//!
//! # Errors
//!
//! They name the file, which those of the standard library do not, and keep the kind. The system's own error, with its number, is
//! the `source`.
//!
//! # Cancel safety
//!
//! What only reads is let go of when it is cancelled; the thread may finish it, and nobody notices. What changes something is
//! awaited, as every [`to_thread`].

mod file;
mod lines;
mod open;
mod operation;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use handcar_structured::{ToThread, to_thread};

pub use file::{File, IntoStdError};
pub use lines::{Lines, lines};
pub use open::OpenFile;

/// Reads a whole file, in one job.
///
/// ```
/// # handcar::run(async {
/// let manifest = handcar::fs::read("Cargo.toml").await?;
/// assert!(!manifest.is_empty());
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// As [`std::fs::read`], with the file's name.
///
/// # Panics
///
/// As [`to_thread`].
///
/// # Cancel safety
///
/// The job is queued at once. A cancel does not wait for it.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> ToThread<io::Result<Vec<u8>>> {
    call("read", path.as_ref(), |path| std::fs::read(path)).abandon_on_cancel()
}

/// Reads a whole file as text, in one job.
///
/// ```
/// # handcar::run(async {
/// let manifest = handcar::fs::read_to_string("Cargo.toml").await?;
/// assert!(manifest.contains("handcar"));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// As [`std::fs::read_to_string`], with the file's name: `InvalidData` if it is not UTF-8.
///
/// # Panics
///
/// As [`to_thread`].
///
/// # Cancel safety
///
/// As [`read()`].
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> ToThread<io::Result<String>> {
    call("read", path.as_ref(), |path| std::fs::read_to_string(path)).abandon_on_cancel()
}

/// Writes a whole file, in one job: makes it, or replaces what is in it.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("handcar-doc-write-{}", std::process::id()));
/// # handcar::run(async {
/// handcar::fs::write(&path, "all of it").await?;
/// assert_eq!(handcar::fs::read_to_string(&path).await?, "all of it");
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// As [`std::fs::write`], with the file's name.
///
/// # Panics
///
/// As [`to_thread`].
///
/// # Cancel safety
///
/// The job is queued at once. If it is cancelled before a thread has begun, nothing is written; after that, it is awaited.
#[track_caller]
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> ToThread<io::Result<()>> {
    let contents = contents.as_ref().to_vec();
    call("write", path.as_ref(), move |path| std::fs::write(path, contents))
}

/// A job that does something with the file at `path`.
#[track_caller]
fn call<T, F>(verb: &'static str, path: &Path, op: F) -> ToThread<io::Result<T>>
where
    T: Send + 'static,
    F: FnOnce(&Path) -> io::Result<T> + Send + 'static,
{
    let (path, name) = (path.to_owned(), name_of(path));
    let in_job = Arc::clone(&name);
    to_thread(move || op(&path).map_err(|error| named(verb, &in_job, error))).named(name)
}

/// What a file is called in errors and reports.
fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// The error of who could not do `what` with the file `name`.
fn named(what: impl fmt::Display, name: &str, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), FileError { what: format!("cannot {what} `{name}`"), source })
}

#[derive(Debug)]
struct FileError {
    what: String,
    source: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
