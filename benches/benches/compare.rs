//! The runner. See `docs/benchmarks.md`, or `cargo bench -p handcar-benches --bench compare -- --help`.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    handcar_benches::compare::main()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    eprintln!("the benchmarks run on Linux with glibc only: they ask both for what they measure");
}
