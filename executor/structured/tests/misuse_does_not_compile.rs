//! What would dangle, or mean nothing, is refused by the compiler.

use std::io::{self, Write};
use std::process::Command;

/// The compiler whose words stand in `tests/refused/*.stderr`. Another one says the same with other words.
const COMPILER: &str = "rustc 1.95.0 ";

#[test]
fn what_would_dangle_is_refused() {
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
