//! The gate for instruction counts: `cargo run --profile bench -p handcar-benches -- --gate`.
//!
//! It is the runner once more, as a program and not as a bench target: cargo builds criterion for each of those.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    handcar_benches::compare::main()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    eprintln!("the benchmarks run on Linux with glibc only: they ask both for what they measure");
}
