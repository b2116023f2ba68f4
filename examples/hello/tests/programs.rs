//! The program as it is run.

use std::env;
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

/// Cargo builds the examples of a package before it runs its tests, beside the directory that this test is in.
fn hello() -> Command {
    let path = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/hello");
    assert!(path.exists(), "{} is not built; run `cargo test -p handcar-hello`", path.display());
    Command::new(path)
}

#[test]
fn it_says_four_words() {
    let output = hello().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\nfrom\none\nthread\n");
}

#[test]
fn it_ends_quietly_when_nobody_reads_its_trace_to_the_end() {
    let mut program = hello().arg("--trace").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn it_says_so_when_its_trace_cannot_be_written() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("SKIPPED: this system has no /dev/full");
        return;
    };
    let output = hello().arg("--trace").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the trace cannot be written"), "{output:?}");
}
