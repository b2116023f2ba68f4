//! The results as JSON: every sample, and what it was measured on and with.

use std::process::Command;

use serde_json::{Value, json};

use super::stats::Spread;
use super::table::{Standing, verdict};
use super::{About, RowResult, Series};
use crate::machine;

/// What the figures depend on, as names and values.
pub(super) fn facts(about: &About) -> Vec<(&'static str, String)> {
    vec![
        ("cpu", machine::cpu_model()),
        ("core", format!("{} of {}", about.core, cores())),
        ("kernel", machine::kernel()),
        ("load", about.load.to_string()),
        ("rustc", env!("RUSTC_VERSION").to_owned()),
        ("target", env!("TARGET").to_owned()),
        ("flags", env!("BUILD_FLAGS").to_owned()),
        ("commit", commit()),
        ("tokio", env!("TOKIO_VERSION").to_owned()),
        ("rounds", about.rounds.to_string()),
    ]
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
    let facts: serde_json::Map<_, _> =
        facts(about).into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let rows: Vec<_> = results.iter().map(row).collect();
    json!({ "about": facts, "rows": rows })
}

fn row(result: &RowResult<'_>) -> Value {
    let share = result.share();
    json!({
        "name": result.row.name,
        "title": result.row.title,
        "unit": result.row.unit.symbol(),
        "target": result.row.target,
        "verdict": verdict(share.median, result.row.target),
        "standing": Standing::of(share, result.noise()).word(),
        "rival": result.rival().name,
        "share": spread(share),
        "noise": result.noise().map(spread),
        "series": result.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn series(series: &Series) -> Value {
    json!({ "entrant": series.name, "samples": series.samples })
}

fn spread(spread: Spread) -> Value {
    json!({ "lower": spread.lower, "median": spread.median, "upper": spread.upper })
}
