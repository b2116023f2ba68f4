//! `fs::File` beside `std::fs::File`: the same calls on two files, and the same answers.

mod common;

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use common::{Dice, Directory, run};
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, FutureExt};
use handcar::fs::{self, File};

/// A number below `sides`, most often a small one.
fn size(dice: &mut Dice, sides: u64) -> usize {
    let sides = if dice.roll(4) == 0 { sides } else { sides.min(50) };
    usize::try_from(dice.roll(sides)).unwrap()
}

fn kind<T>(result: io::Result<T>) -> Result<T, ErrorKind> {
    result.map_err(|error| error.kind())
}

/// Reads until `count` bytes have come, or the end.
async fn read(file: &mut File, count: usize) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    kind(file.take(count as u64).read_to_end(&mut bytes).await)?;
    Ok(bytes)
}

fn std_read(file: &mut std::fs::File, count: usize) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    kind(file.take(count as u64).read_to_end(&mut bytes))?;
    Ok(bytes)
}

fn somewhere(dice: &mut Dice) -> SeekFrom {
    let signed =
        |dice: &mut Dice| i64::try_from(size(dice, 100_000)).unwrap() - i64::try_from(size(dice, 80_000)).unwrap();
    match dice.roll(4) {
        0 => SeekFrom::Start(dice.roll(150_000)),
        1 => SeekFrom::End(signed(dice)),
        2 => SeekFrom::Current(i64::MIN),
        _ => SeekFrom::Current(signed(dice)),
    }
}

/// Begins an operation and drops its future: whatever a thread has begun by then, nothing may be seen of it. What returns at once
/// has happened.
fn drop_one(dice: &mut Dice, file: &mut File, std: &mut std::fs::File) {
    let mut buf = [0; 300];
    match dice.roll(3) {
        0 => {
            if let Some(Ok(count)) = file.read(&mut buf).now_or_never() {
                assert!(buf[..count] == std_read(std, count).unwrap());
            }
        }
        1 => drop(file.fill_buf().now_or_never()),
        _ => drop(file.flush().now_or_never()),
    }
}

async fn compare(dice: &mut Dice, path: &Path, std_path: &Path, options: &OpenOptions) {
    let mut file = File::open_with(path, options).await.unwrap();
    let mut std = options.open(std_path).unwrap();
    for _ in 0..60 {
        let count = size(dice, 150_000);
        match dice.roll(9) {
            0 | 1 => assert!(read(&mut file, count).await == std_read(&mut std, count)),
            2 => {
                let bytes: Vec<u8> =
                    std::iter::repeat_with(|| u8::try_from(dice.roll(256)).unwrap()).take(count).collect();
                // What is wrong with a write may be told by the next operation.
                let written = match file.write_all(&bytes).await {
                    Ok(()) => file.flush().await,
                    error => error,
                };
                assert_eq!(kind(written), kind(std.write_all(&bytes)));
            }
            3 => {
                let to = somewhere(dice);
                assert_eq!(kind(file.seek(to).await), kind(std.seek(to)), "{to:?}");
            }
            4 => assert_eq!(kind(file.set_len(count as u64).await), kind(std.set_len(count as u64))),
            5 => {
                let len = file.metadata().await.map(|metadata| metadata.len());
                assert_eq!(kind(len), kind(std.metadata().map(|metadata| metadata.len())));
            }
            6 => {
                // As a buffered reader: some of what is there, without more.
                let taken = match kind(file.fill_buf().await) {
                    Ok(block) => Ok(block[..count.min(block.len())].to_vec()),
                    Err(error) => Err(error),
                };
                let len = taken.as_ref().map_or(1, Vec::len);
                assert!(taken == std_read(&mut std, len));
                file.consume_unpin(taken.map_or(0, |taken| taken.len()));
            }
            _ => drop_one(dice, &mut file, &mut std),
        }
    }
    let position = std.stream_position().unwrap();
    if dice.roll(2) == 0 {
        assert_eq!(file.into_std().await.unwrap().stream_position().unwrap(), position);
    }
    assert!(std::fs::read(path).unwrap() == std::fs::read(std_path).unwrap());
}

#[test]
fn reading_writing_and_seeking_in_any_order_give_the_same() {
    let dir = Directory::new();
    run(async {
        let mut dice = Dice::new(7);
        for round in 0..100 {
            let (path, std_path) = (dir.path("ours"), dir.path("theirs"));
            for path in [&path, &std_path] {
                std::fs::write(path, (0..=250_u8).cycle().take(round * 2000).collect::<Vec<_>>()).unwrap();
            }
            let mut options = OpenOptions::new();
            match round % 10 {
                0 => options.read(true).append(true),
                1 => options.read(true),
                2 => options.write(true),
                _ => options.read(true).write(true),
            };
            compare(&mut dice, &path, &std_path, &options).await;
        }
    });
}

#[test]
fn whole_files_are_read_and_written() {
    let dir = Directory::new();
    run(async {
        let path = dir.path("file");
        fs::write(&path, [0xFF, 0]).await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), [0xFF, 0]);
        fs::write(&path, String::from("text")).await.unwrap();
        assert_eq!(fs::read_to_string(&path).await.unwrap(), "text");
    });
}

#[test]
fn errors_name_the_file_and_keep_the_kind_and_the_systems_number() {
    let dir = Directory::new();
    run(async {
        let missing = dir.path("missing/file");
        let errors = [
            ("read", fs::read(&missing).await.unwrap_err()),
            ("read", fs::read_to_string(&missing).await.unwrap_err()),
            ("write", fs::write(&missing, "").await.unwrap_err()),
            ("open", File::open(&missing).await.unwrap_err()),
            ("open", File::create(&missing).await.unwrap_err()),
        ];
        for (verb, error) in errors {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let cause =
                std::error::Error::source(error.get_ref().unwrap()).unwrap().downcast_ref::<io::Error>().unwrap();
            assert_eq!(cause.raw_os_error(), Some(2));
            assert_eq!(error.to_string(), format!("cannot {verb} `{}`: {cause}", missing.display()));
        }
        let bytes = dir.file([0xFF]);
        assert_eq!(fs::read_to_string(&bytes).await.unwrap_err().kind(), ErrorKind::InvalidData);
        let directory = dir.path("");
        let mut opened = File::open(&directory).await.unwrap(); // which Linux allows
        let error = opened.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        assert!(error.to_string().starts_with(&format!("cannot read `{}`", directory.display())));
        // As does one that came from elsewhere, as well as it can.
        let (reader, _writer) = io::pipe().unwrap();
        let mut pipe = File::from(std::fs::File::from(std::os::fd::OwnedFd::from(reader)));
        let error = pipe.seek(SeekFrom::Start(0)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSeekable);
        assert!(error.to_string().starts_with("cannot seek in `descriptor "), "{error}");
    });
}

#[test]
fn a_file_is_a_buffer_for_lines_too() {
    let dir = Directory::new();
    run(async {
        let path = dir.file("one\ntwo\nthree");
        let mut file = File::open(&path).await.unwrap();
        let mut line = String::new();
        file.read_line(&mut line).await.unwrap();
        assert_eq!(line, "one\n");
        let mut rest = String::new();
        file.into_std().await.unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "two\nthree", "what was read ahead is not gone");
    });
}

/// futures-lite asks twice in one poll, and panics if the second answer is not the first.
#[test]
fn what_fill_buf_shows_it_shows_twice_and_an_end_that_moves_is_seen() {
    let dir = Directory::new();
    let path = dir.file("growing");
    run(async {
        let mut file = File::create(&path).await.unwrap();
        file.close().await.unwrap();
        let mut file = File::open(&path).await.unwrap();
        for block in [vec![7; 100_000], b"more".to_vec()] {
            for _ in 0..300 {
                assert!(futures_lite::AsyncBufReadExt::fill_buf(&mut file).await.unwrap().is_empty());
            }
            std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&block).unwrap();
            for byte in block {
                assert_eq!(futures_lite::AsyncBufReadExt::fill_buf(&mut file).await.unwrap()[0], byte);
                file.consume_unpin(1);
            }
        }
        assert!(futures::AsyncBufReadExt::fill_buf(&mut file).await.unwrap().is_empty());
        std::fs::write(&path, vec![1; 200_000]).unwrap();
        handcar::yield_now().await;
        assert!(!futures::AsyncBufReadExt::fill_buf(&mut file).await.unwrap().is_empty());
    });
}

#[test]
fn operations_that_are_always_ready_yield() {
    let dir = Directory::new();
    run(async {
        let mut file = File::create(dir.file("text")).await.unwrap();
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = std::rc::Rc::clone(&turns);
        let neighbour = handcar::spawn(async move {
            for _ in 0..9 {
                handcar::yield_now().await;
                counted.set(counted.get() + 1);
            }
        });
        while turns.get() < 3 {
            file.flush().await.unwrap();
        }
        while turns.get() < 6 {
            assert_eq!(file.write(&[]).await.unwrap(), 0);
        }
        while turns.get() < 9 {
            assert_eq!(file.read(&mut []).await.unwrap(), 0);
        }
        neighbour.await.unwrap();
    });
}
