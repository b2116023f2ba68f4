//! What would go wrong at run time is refused by the compiler, in words that help.
#![cfg(all(feature = "macros", feature = "signal"))]

use std::io::{self, Write};
use std::process::Command;

/// The compiler whose words stand in `tests/refused/*.stderr`. Another one says the same with other words.
const COMPILER: &str = "rustc 1.95.0 ";

#[test]
fn misuse_is_refused_in_words_that_help() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout);
    if !version.starts_with(COMPILER) {
        // Not `eprintln`, which the test harness would keep to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: tests/refused is for {COMPILER}, this is {}", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}

/// Has one implementation for what is not `Send`, two for what is: then the compiler cannot choose.
trait NotSend<Which> {
    fn check() {}
}

impl<T: ?Sized> NotSend<()> for T {}
impl<T: ?Sized + Send> NotSend<u8> for T {}

#[test]
fn what_belongs_to_a_runtime_stays_on_its_thread() {
    macro_rules! stays {
        ($($type:ty),* $(,)?) => { $(let () = <$type as NotSend<_>>::check();)* };
    }
    stays![
        handcar::Runtime,
        handcar::Spawner,
        handcar::JoinHandle<()>,
        handcar::AbortHandle,
        handcar::Sleep,
        handcar::Interval,
        handcar::Timeout<std::future::Ready<()>>,
        handcar::Clock,
        handcar::net::TcpStream,
        handcar::net::TcpListener,
        handcar::net::Source<std::net::TcpStream>,
        handcar::sync::mpsc::Sender<()>,
        handcar::sync::oneshot::Receiver<()>,
        handcar::ToThread<()>,
    ];
}

#[test]
fn what_other_threads_need_is_send_and_sync() {
    fn crosses<T: Send + Sync>() {}
    crosses::<handcar::WakeHandle>();
    crosses::<handcar::ClockHold>();
    crosses::<handcar::JoinError>();
    crosses::<handcar::RunError>();
    crosses::<handcar::PanicPayload>();
    crosses::<handcar::Instant>();
    crosses::<handcar::task::TaskId>();
    crosses::<handcar::task::TaskInfo>();
    crosses::<handcar::JobInfo>();
}
