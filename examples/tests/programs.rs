//! The programs as they are run: their output, their exit codes, their threads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use std::{env, thread};

use serde_json::Value;

/// Cargo builds the examples before it runs this test, beside the directory that this test is in.
fn program(name: &str) -> Command {
    let tests = env::current_exe().unwrap();
    let path: PathBuf = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built; run `cargo test -p handcar-examples`", path.display());
    Command::new(path)
}

fn run(name: &str, arguments: &[&str]) -> Output {
    program(name).args(arguments).output().unwrap()
}

/// The one line of JSON on stdout.
fn summary(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).unwrap()
}

fn number(summary: &Value, key: &str) -> u64 {
    summary[key].as_u64().unwrap_or_else(|| panic!("no number under {key}: {summary}"))
}

#[test]
fn fetch_all_accounts_for_every_page_of_its_own_server() {
    let output = run("fetch_all", &["--json", "--requests", "200", "--timeout", "400"]);
    assert!(output.status.success(), "{output:?}");
    let summary = summary(&output);
    let outcomes = ["ok", "failed", "timed_out"].map(|key| number(&summary, key));
    assert_eq!(outcomes, [190, 8, 2], "{summary}");
    assert_eq!(number(&summary, "requests"), 200);
    assert_eq!(number(&summary, "max_in_flight"), 10);
    if cfg!(target_os = "linux") {
        assert_eq!(number(&summary, "threads"), 1);
    }
    assert!(output.stderr.is_empty(), "no bar where there is no terminal: {output:?}");
}

#[test]
fn fetch_all_never_has_more_in_flight_than_it_may() {
    for (limit, most) in [("1", 1), ("7", 7), ("64", 20)] {
        let output = run("fetch_all", &["--json", "--requests", "20", "--limit", limit]);
        assert_eq!(number(&summary(&output), "max_in_flight"), most);
    }
}

#[test]
fn fetch_all_names_what_is_wrong_with_each_url_and_fetches_the_others() {
    let fine = server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let short = server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine");
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let stalled_at = format!("http://{}/", stalled.local_addr().unwrap());
    let closed = format!("http://{}/", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());

    let urls = [&*short, &*stalled_at, &*closed, &*fine];
    let output = run("fetch_all", &[&["--json", "--timeout", "500"][..], &urls].concat());
    assert!(output.status.success(), "{output:?}");
    let summary = summary(&output);
    assert_eq!(["ok", "failed", "timed_out"].map(|key| number(&summary, key)), [1, 2, 1], "{summary}");

    let told = String::from_utf8(output.stderr).unwrap();
    for (url, why) in [(&short, "in mid-answer"), (&stalled_at, "no answer within 500ms"), (&closed, "cannot connect")]
    {
        assert!(told.lines().any(|line| line.starts_with(&**url) && line.contains(why)), "{url}: {told}");
    }
    assert!(!run("fetch_all", &[&closed]).status.success(), "nothing was fetched at all");
}

/// Says `answer` to each connection, from a thread of its own that ends with the test's process.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn bad_arguments_are_refused_with_a_reason_and_code_2() {
    let refused = [
        ("fetch_all", &["--limit", "0"][..], "--limit must be at least 1"),
        ("fetch_all", &["--requests", "many"], "`many` is no value for --requests"),
        ("fetch_all", &["--requests", "18446744073709551615"], "--requests must be at most 10000000"),
        ("fetch_all", &["--timeout"], "missing argument for option '--timeout'"),
        ("fetch_all", &["--colour"], "invalid option '--colour'"),
        ("fetch_all", &["https://localhost/"], "does not begin with `http://`"),
        ("fetch_all", &["--serve", "here"], "`here` is no value for --serve"),
        ("echo", &[], "usage: echo"),
        ("echo", &["--udp", "127.0.0.1:0"], "unknown option `--udp`"),
    ];
    for (name, arguments, reason) in refused {
        let output = run(name, arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {told}");
        assert!(told.contains(reason), "{name} {arguments:?}: {told}");
        assert!(output.stdout.is_empty());
    }
}

/// A program that serves until it is dropped, and the address it told.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    fn start(name: &str, arguments: &[&str]) -> Serving {
        let mut process = program(name).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap();
        let address = address.trim_start_matches("http://").trim_end_matches("/page/0").to_owned();
        Serving { process, address }
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn echo_gives_back_every_byte_and_closes_after_the_last() {
    let echo = Serving::start("echo", &["--tcp", "127.0.0.1:0"]);
    for size in [0, 1, 16_383, 16_384, 16_385, 3_000_000] {
        let sent: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let stream = TcpStream::connect(&echo.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut writer, mut reader) = (stream.try_clone().unwrap(), stream);
        let bytes = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == sent, "{} of {size} bytes", received.len());
    }
}

#[test]
fn a_server_that_is_interrupted_says_that_all_is_well() {
    let mut serving = Serving::start("fetch_all", &["--serve", "127.0.0.1:0"]);
    let mut idle = TcpStream::connect(&serving.address).unwrap();
    idle.write_all(b"GET /page/0 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 15]).unwrap();
    serving.interrupt();
    assert!(serving.process.wait().unwrap().success());
}

#[test]
fn an_interrupted_crawl_tells_what_it_has_so_far() {
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", stalled.local_addr().unwrap());
    let fine = server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let arguments =
        ["--json", "--limit", "4", "--timeout", "60000", &*fine, &*fine, &*fine, &*url, &*url, &*url, &*url];
    let process = program("fetch_all").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let waiting: Vec<_> = (0..4).map(|_| stalled.accept().unwrap()).collect(); // the three others are done by now
    let crawl = Serving { address: String::new(), process };
    crawl.interrupt();
    let mut crawl = std::mem::ManuallyDrop::new(crawl);
    let mut told = String::new();
    crawl.process.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    let summary: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(["requests", "ok", "failed", "timed_out"].map(|key| number(&summary, key)), [3, 3, 0, 0], "{summary}");
    assert_eq!(crawl.process.wait().unwrap().code(), Some(130));
    drop(waiting);
}
