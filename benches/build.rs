//! Notes what the results were built with, for the runner to print beside them.

use std::process::Command;
use std::{env, fs};

/// Whose versions the results name.
const PACKAGES: [&str; 12] = [
    "tokio",
    "async-executor",
    "async-io",
    "monoio",
    "compio",
    "glommio",
    "futures",
    "async-unsync",
    "local-sync",
    "async-channel",
    "async-lock",
    "hyper",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../Cargo.lock");
    println!("cargo::rerun-if-env-changed=CARGO_PROFILE_BENCH_LTO");
    println!("cargo::rerun-if-env-changed=CARGO_PROFILE_BENCH_CODEGEN_UNITS");

    let rustc = env::var("RUSTC").unwrap_or_else(|_| String::from("rustc"));
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout);
    note("RUSTC_VERSION", &String::from_utf8_lossy(&version.unwrap_or_default()));
    note("VERSIONS", &PACKAGES.map(|package| format!("{package} {}", locked(package))).join(", "));
    note("BUILD_FLAGS", &flags());
    note("TARGET", &env::var("TARGET").unwrap_or_default());
}

fn note(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={}", value.trim());
}

/// The version of `package` in the lock file.
fn locked(package: &str) -> String {
    let lock = fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("unknown").to_owned()
}

/// The optimisation level, the workspace's bench profile, and whatever the environment changed about it.
fn flags() -> String {
    println!("cargo::rerun-if-changed=../Cargo.toml");
    let manifest = fs::read_to_string("../Cargo.toml").unwrap_or_default();
    let profile = manifest.split_once("[profile.bench]\n").map_or("", |(_, rest)| rest);
    let profile = profile.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    let mut flags =
        format!("[profile.bench] {profile}; built at opt-level {}", env::var("OPT_LEVEL").unwrap_or_default());
    for (name, value) in env::vars() {
        if name.starts_with("CARGO_PROFILE_BENCH_") || (name == "CARGO_ENCODED_RUSTFLAGS" && !value.is_empty()) {
            flags = format!("{flags}; {name}={}", value.replace('\x1f', " "));
        }
    }
    flags
}
