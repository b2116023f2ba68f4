//! The lines of a file.

use std::fmt;
use std::future::Future;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_io::AsyncBufRead;

use super::{File, OpenFile, name_of, named};

/// The lines of a file, without their `\n` or `\r\n`. The last one may lack it.
///
/// The file is opened when the stream is first polled, and read in blocks of 128 KiB.
///
/// ```
/// use handcar::fs;
/// use handcar::stream::StreamExt;
///
/// handcar::run(async {
///     let mut lines = fs::lines("Cargo.toml");
///     while let Some(line) = lines.try_next().await? {
///         if line == "[package]" {
///             return std::io::Result::Ok(());
///         }
///     }
///     panic!("a manifest without a package");
/// })
/// .unwrap();
/// ```
///
/// # Errors
///
/// Each is the last item: when the file cannot be opened or read, and `InvalidData`, with the number of the line, where it is no
/// UTF-8. For what has other bytes in it, split what [`read`](super::read()) returns.
///
/// # Cancel safety
///
/// A dropped `next()` loses nothing. A cancel does not wait for the thread that reads.
pub fn lines(path: impl AsRef<Path>) -> Lines {
    let path = path.as_ref();
    Lines { name: name_of(path), source: Source::New(path.to_owned()), line: Vec::new(), count: 0 }
}

/// The lines of a file. Made by [`lines`].
#[must_use = "streams do nothing unless they are polled"]
pub struct Lines {
    name: Arc<str>,
    source: Source,
    /// The beginning of the next one.
    line: Vec<u8>,
    /// How many came before it.
    count: u64,
}

enum Source {
    New(PathBuf),
    Opening(OpenFile),
    Open(File),
    Ended,
}

impl Lines {
    /// Reads on until `line` is one; none is left if it is empty.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.source {
                Source::New(path) => self.source = Source::Opening(File::open(path)),
                Source::Opening(opening) => self.source = Source::Open(ready!(Pin::new(opening).poll(cx))?),
                Source::Open(file) => {
                    let mut block = ready!(Pin::new(&mut *file).poll_fill_buf(cx))?;
                    let count = block.read_until(b'\n', &mut self.line)?;
                    Pin::new(file).consume(count);
                    if count == 0 {
                        self.source = Source::Ended;
                    }
                    if self.line.ends_with(b"\n") {
                        return Poll::Ready(Ok(()));
                    }
                }
                Source::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Takes the line out.
    fn take(&mut self) -> io::Result<String> {
        let mut line = std::mem::take(&mut self.line);
        self.count += 1;
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        String::from_utf8(line).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
            named(format_args!("read line {} of", self.count), &self.name, error)
        })
    }
}

impl Stream for Lines {
    type Item = io::Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<String>>> {
        if self.is_terminated() {
            return Poll::Ready(None);
        }
        let item = match ready!(self.poll_line(cx)) {
            Ok(()) if self.line.is_empty() => None,
            Ok(()) => Some(self.take()),
            Err(error) => Some(Err(error)),
        };
        if let Some(Err(_)) = item {
            self.source = Source::Ended;
        }
        Poll::Ready(item)
    }
}

impl FusedStream for Lines {
    fn is_terminated(&self) -> bool {
        matches!(self.source, Source::Ended)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({}, {} so far)", self.name, self.count)
    }
}
