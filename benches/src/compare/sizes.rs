//! How large an echo server is: its stripped program, and the packages that are built for it.
//!
//! Each of the programs in `benches/sizes` becomes a package of its own, outside the workspace, since cargo unifies the features
//! of everything inside. Versions are those of the workspace's lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::rows::SIZE;

const MANIFEST: &str = "\
[package]
name = \"echo-size\"
version = \"0.0.0\"
edition = \"2024\"
[profile.release]
opt-level = 3
lto = \"fat\"
codegen-units = 1
strip = true
[workspace]
[dependencies]
";

struct Program {
    entrant: &'static str,
    role: &'static str,
    source: &'static str,
    /// `..` stands for the root of this repository.
    dependencies: &'static str,
}

/// Each with the fewest features that an echo server needs which could time out.
const PROGRAMS: [Program; 6] = [
    Program {
        entrant: "handcar",
        role: "ours",
        source: include_str!("../../sizes/handcar.rs"),
        dependencies: "handcar = { path = \"..\", default-features = false }\n\
                       futures-lite = { version = \"2\", default-features = false, features = [\"std\"] }",
    },
    Program {
        entrant: "tokio LocalRuntime",
        role: "rival",
        source: include_str!("../../sizes/tokio.rs"),
        dependencies: "tokio = { version = \"1\", features = [\"rt\", \"net\", \"io-util\", \"time\"] }",
    },
    Program {
        entrant: "smol",
        role: "peer",
        source: include_str!("../../sizes/smol.rs"),
        dependencies: "async-executor = \"1\"\nasync-io = \"2\"\nfutures-lite = { version = \"2\", default-features = false, features = [\"std\"] }",
    },
    Program {
        entrant: "monoio epoll",
        role: "peer",
        source: include_str!("../../sizes/monoio.rs"),
        dependencies: "monoio = { version = \"0.2\", default-features = false, features = [\"legacy\"] }",
    },
    Program {
        entrant: "compio io_uring",
        role: "peer",
        source: include_str!("../../sizes/compio.rs"),
        dependencies: "compio = { version = \"0.19\", default-features = false, features = [\"io\", \"net\", \"runtime\", \"time\", \"io-uring\"] }",
    },
    Program {
        entrant: "glommio",
        role: "peer",
        source: include_str!("../../sizes/glommio.rs"),
        dependencies: "glommio = \"0.9\"\nfutures-lite = { version = \"2\", default-features = false, features = [\"std\"] }",
    },
];

/// Builds those that are wanted and returns two rows, as a comparison writes them.
pub(super) fn measure(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Value>, String> {
    let (mut bytes, mut packages) = (Vec::new(), Vec::new());
    println!("{:24} {:>10} {:>10}", "stripped echo server", "bytes", "packages");
    for program in PROGRAMS.iter().filter(|program| is_wanted(program.entrant)) {
        let directory = lay_out(program).map_err(|error| format!("{} cannot be laid out: {error}", program.entrant))?;
        run(&directory, &["build", "--release", "--quiet"])?;
        let size = fs::metadata(directory.join("target/release/echo-size")).map_err(|error| error.to_string())?.len();
        let count = count(&run(&directory, &["tree", "-e", "normal", "--prefix", "none", "--format", "{p}"])?);
        println!("{:24} {size:>10} {count:>10}", program.entrant);
        let series = |figure: u64| json!({ "entrant": program.entrant, "role": program.role, "samples": [figure] });
        bytes.push(series(size.div_ceil(1000)));
        packages.push(series(count));
    }
    Ok(vec![
        json!({ "name": "size", "table": SIZE, "title": "a stripped echo server, timers in", "unit": "KB", "target": 0.86, "series": bytes }),
        json!({ "name": "packages", "table": SIZE, "title": "packages built for an echo server", "unit": "packages", "series": packages }),
    ])
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn lay_out(program: &Program) -> std::io::Result<PathBuf> {
    let directory = root().join("target/sizes").join(program.entrant.replace(' ', "-"));
    fs::create_dir_all(directory.join("src"))?;
    let dependencies = program.dependencies.replace("\"..\"", &format!("\"{}\"", root().canonicalize()?.display()));
    fs::write(directory.join("Cargo.toml"), format!("{MANIFEST}{dependencies}\n"))?;
    fs::write(directory.join("src/main.rs"), program.source)?;
    fs::copy(root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
    Ok(directory)
}

fn run(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(directory).env_remove("CARGO_TARGET_DIR").output();
    let output = output.map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", directory.display(), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Packages in a tree, the program itself left out, each once.
fn count(tree: &str) -> u64 {
    let mut packages: Vec<_> = tree.lines().skip(1).map(|line| line.trim_end_matches(" (*)")).collect();
    packages.sort_unstable();
    packages.dedup();
    packages.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_and_the_program_not_at_all() {
        assert_eq!(count("echo-size v0.0.0\na v1.0.0\nb v1.0.0\na v1.0.0 (*)\n"), 2);
    }
}
