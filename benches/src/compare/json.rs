//! The results as JSON: every sample, and what it was measured on and with.

use std::process::Command;

use serde_json::{Value, json};

use super::{About, RowResult, Series};
use crate::bencher::EDGES;
use crate::machine;
use crate::rows::Capacity;
use crate::{ALLOCATOR, STANDARD_BUILD};

/// What the figures depend on, as names and values.
pub(super) fn facts(about: &About) -> Vec<(&'static str, String)> {
    vec![
        ("date", date()),
        ("cpu", machine::cpu_model()),
        ("core", format!("{} of {}", about.core, cores())),
        ("kernel", machine::kernel()),
        ("huge pages", machine::huge_pages()),
        ("load", about.load.to_string()),
        ("rustc", env!("RUSTC_VERSION").to_owned()),
        ("target", env!("TARGET").to_owned()),
        ("flags", env!("BUILD_FLAGS").to_owned()),
        ("commit", commit()),
        ("versions", env!("VERSIONS").to_owned()),
        ("allocator", ALLOCATOR.to_owned()),
        ("build", build()),
        ("rounds", about.rounds.to_string()),
        ("capacity", capacities(about)),
    ]
}

/// In what this build differs from the one that everything is measured in: results of others stand beside, as context.
fn build() -> String {
    let lto = (env!("BUILD_FLAGS").contains("CARGO_PROFILE_BENCH_LTO=false")).then_some("default --release, no LTO");
    let allocator = (ALLOCATOR != "glibc").then_some(ALLOCATOR);
    let other: Vec<_> = lto.into_iter().chain(allocator).collect();
    if other.is_empty() { STANDARD_BUILD.to_owned() } else { other.join(", ") }
}

fn capacities(about: &About) -> String {
    let said = about.capacities.iter().map(|(of, rate)| match of {
        Capacity::Echo => format!("{rate} echoes a second"),
        Capacity::Hyper => format!("{rate} requests to hyper a second"),
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() { String::from("not measured") } else { said.join(", ") }
}

/// Today.
fn date() -> String {
    let date = Command::new("date").args(["-u", "+%F"]).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&date).trim().to_owned()
}

/// As many as the system has: the process itself is pinned.
fn cores() -> String {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    online.trim().to_owned()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return String::from("unknown") };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}, with changes"),
    }
}

pub(super) fn render(results: &[RowResult<'_>], about: &About) -> Value {
    document(about, &results.iter().map(row).collect::<Vec<_>>())
}

/// Rows, and what they were measured on and with.
pub(super) fn document(about: &About, rows: &[Value]) -> Value {
    let facts: serde_json::Map<_, _> =
        facts(about).into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    json!({ "about": facts, "rows": rows })
}

/// What was measured and nothing that follows from it: who reads this computes that.
fn row(result: &RowResult<'_>) -> Value {
    let reasons = result.row.absent.iter().map(|&(name, reason)| (name, reason));
    let failed = result.failed.iter().map(|series| (series.name, series.failed.as_deref().unwrap_or_default()));
    json!({
        "name": result.row.name,
        "part": result.part,
        "title": result.row.title,
        "unit": result.row.unit.symbol(),
        "table": result.row.table,
        "target": result.row.target,
        "target_of_peers": result.row.target_of_peers,
        "target_of_bare": result.row.target_of_bare,
        "edges": result.series.iter().any(|series| !series.histogram.is_empty()).then_some(EDGES),
        "curve": result.row.curve.map(|(of, many)| json!({ "of": of, "many": many })),
        "note": result.row.notes,
        "absent": reasons.chain(failed).collect::<Vec<_>>(),
        "series": result.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn series(series: &Series) -> Value {
    let mut value = json!({ "entrant": series.name, "role": series.role.word(), "samples": series.samples });
    if !series.histogram.is_empty() {
        value["histogram"] = json!(series.histogram);
    }
    value
}
