//! The gate: the instructions of Handcar's hot paths may not grow unseen.
//!
//! What each path takes stands in `benches/instructions.json`. A path that takes 3 % more fails the gate, and so does one that takes
//! 10 % more than at the last release; who means it has the file written anew, and the change of the file is there to be
//! reviewed. The rows are those that the file names.
//!
//! A count depends on the compiler and on the C library, which brings the allocator. Where either differs from what the file was
//! made with, the gate says so and fails nothing. The processor matters little: glibc is told to choose its copy
//! loops as if for an old one, and valgrind's own processor executes them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::counts::{Tool, difference};
use super::progress::Progress;
use crate::machine;
use crate::rows::{Role, Row};

const FILE: &str = "instructions.json";
/// Growth that a change may bring without a word.
const UNSEEN: f64 = 0.03;
/// Growth that a release may bring at all.
const RELEASE: f64 = 0.10;

/// Instructions for one operation of each row.
type Counts = BTreeMap<String, f64>;

/// Counts every path that the file names and judges them; or writes what it counted into the file.
pub(super) fn run(rows: &[Row], bless: bool) -> Result<(), String> {
    let path = format!("{}/{FILE}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let recorded = Record::parse(&text)?;
    let measured = Record { made_with: here(), counts: count(rows, recorded.counts.keys())? };
    let released = match last_release() {
        Some((tag, text)) => Some((tag, Record::parse(&text)?.counts)),
        None => None,
    };
    print!("{}", table(&measured.counts, &recorded.counts, released.as_ref()));
    if bless {
        return fs::write(&path, measured.render()).map_err(|error| format!("{path} cannot be written: {error}"));
    }
    let excesses = excesses(&measured.counts, &recorded.counts, released.as_ref().map(|(_, counts)| counts));
    if excesses.is_empty() {
        return Ok(());
    }
    if let Some(difference) = recorded.made_elsewhere(&measured) {
        println!("!!!! NOT JUDGED: {difference}; on that it would have failed:\n{}", excesses.join("\n"));
        return Ok(());
    }
    Err(format!(
        "hot paths have grown:\n{}\nTake it back; or, if it is worth that, run this again with --bless and commit {FILE}.",
        excesses.join("\n")
    ))
}

fn count<'a>(rows: &[Row], names: impl ExactSizeIterator<Item = &'a String>) -> Result<Counts, String> {
    let mut counts = Counts::new();
    let mut progress = Progress::new(names.len());
    for name in names {
        let row = rows.iter().find(|row| row.name == name).ok_or(format!("{FILE} names `{name}`, which is no row"))?;
        let ours = row.entrants.iter().find(|entrant| entrant.role == Role::Ours).expect("Handcar enters every row");
        progress.step(name);
        let counted = difference(Tool::Callgrind { clock_stands: true }, row.name, ours.name)?;
        counts.insert(name.clone(), (counted[0] * 10.0).round() / 10.0);
    }
    progress.end();
    Ok(counts)
}

/// The counts and what they were made with.
struct Record {
    made_with: BTreeMap<String, String>,
    counts: Counts,
}

impl Record {
    fn parse(text: &str) -> Result<Record, String> {
        let wrong = |what: &str| format!("{FILE} has no {what}");
        let value: Value = serde_json::from_str(text).map_err(|error| format!("{FILE} is no JSON: {error}"))?;
        let made_with = value["made_with"].as_object().ok_or_else(|| wrong("`made_with`"))?;
        let counts = value["instructions"].as_object().ok_or_else(|| wrong("`instructions`"))?;
        Ok(Record {
            made_with: made_with
                .iter()
                .map(|(name, of)| (name.clone(), of.as_str().unwrap_or("").to_owned()))
                .collect(),
            // A path that has no count yet is measured all the same, and blessing gives it one.
            counts: counts.iter().map(|(name, of)| (name.clone(), of.as_f64().unwrap_or(f64::NAN))).collect(),
        })
    }

    fn render(&self) -> String {
        format!("{:#}\n", json!({ "made_with": self.made_with, "instructions": self.counts }))
    }

    /// In what that decides about counts the two differ.
    fn made_elsewhere(&self, other: &Record) -> Option<String> {
        ["rustc", "glibc", "valgrind", "flags"].iter().find_map(|&name| {
            let (was, is) = (self.made_with.get(name)?, other.made_with.get(name)?);
            (was != is).then(|| format!("{FILE} was made with {name} `{was}`, this is `{is}`"))
        })
    }
}

fn here() -> BTreeMap<String, String> {
    // SAFETY: the function takes nothing and returns a string that is part of the library.
    let glibc = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    let valgrind = Command::new("valgrind").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    BTreeMap::from([
        ("cpu".to_owned(), machine::cpu_model()),
        ("flags".to_owned(), env!("BUILD_FLAGS").to_owned()),
        ("glibc".to_owned(), glibc.to_string_lossy().into_owned()),
        ("rustc".to_owned(), env!("RUSTC_VERSION").to_owned()),
        ("valgrind".to_owned(), String::from_utf8_lossy(&valgrind).trim().to_owned()),
    ])
}

/// The last release's tag, and its file.
fn last_release() -> Option<(String, String)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let tag = git(&["describe", "--tags", "--abbrev=0", "--match", "v*"])?.trim().to_owned();
    let text = git(&["show", &format!("{tag}:./{FILE}")])?;
    Some((tag, text))
}

/// One line for each path that has grown too much.
fn excesses(measured: &Counts, recorded: &Counts, released: Option<&Counts>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, &is) in measured {
        let mut judge = |than: &str, was: Option<&f64>, share: f64| {
            let Some(&was) = was else { return };
            let most = was * (1.0 + share);
            // A path whose count is not a number yet has grown too.
            if is > most || most.is_nan() {
                lines.push(format!("    {name}: {is} instructions; {than} {was} allows {most:.1}"));
            }
        };
        judge("the recorded count", recorded.get(name), UNSEEN);
        judge("the last release's count", released.and_then(|counts| counts.get(name)), RELEASE);
    }
    lines
}

fn table(measured: &Counts, recorded: &Counts, released: Option<&(String, Counts)>) -> String {
    let tag = released.map_or("no release", |(tag, _)| tag);
    let mut text = format!("{:20} {:>12} {:>12} {:>9} {:>12}\n", "instructions", "now", "recorded", "change", tag);
    for (name, &is) in measured {
        let was = recorded.get(name).copied().unwrap_or(f64::NAN);
        let at_release = released.and_then(|(_, counts)| counts.get(name)).map_or(String::new(), f64::to_string);
        let change = (is / was - 1.0) * 100.0;
        let hint = if change < -UNSEEN * 100.0 { "  less: --bless keeps it so" } else { "" };
        let _ = writeln!(text, "{name:20} {is:>12} {was:>12} {change:>+8.1}% {at_release:>12}{hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, f64)]) -> Counts {
        of.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    #[test]
    fn a_path_that_grew_by_less_than_three_percent_passes() {
        let recorded = counts(&[("spawn", 1000.0), ("wake", 100.0)]);
        let measured = counts(&[("spawn", 1029.0), ("wake", 60.0)]);
        assert!(excesses(&measured, &recorded, None).is_empty());
    }

    #[test]
    fn a_path_that_grew_by_more_fails_and_is_named() {
        let recorded = counts(&[("spawn", 1000.0), ("wake", 100.0)]);
        let measured = counts(&[("spawn", 1000.0), ("wake", 104.0)]);
        let excesses = excesses(&measured, &recorded, None);
        assert_eq!(excesses.len(), 1);
        assert!(excesses[0].contains("wake"), "{excesses:?}");
    }

    #[test]
    fn small_steps_that_were_each_recorded_fail_when_a_release_is_ten_percent_back() {
        let (recorded, released) = (counts(&[("spawn", 1110.0)]), counts(&[("spawn", 1000.0)]));
        assert_eq!(excesses(&counts(&[("spawn", 1112.0)]), &recorded, Some(&released)).len(), 1);
        assert!(excesses(&counts(&[("spawn", 1099.0)]), &recorded, Some(&released)).is_empty());
    }

    #[test]
    fn a_path_without_a_recorded_count_fails_until_it_is_blessed() {
        assert_eq!(excesses(&counts(&[("spawn", 1.0)]), &counts(&[("spawn", f64::NAN)]), None).len(), 1);
    }

    #[test]
    fn another_compiler_is_told_apart_and_another_processor_is_not() {
        let record = |rustc: &str, cpu: &str| Record {
            made_with: [("rustc", rustc), ("cpu", cpu)].map(|(name, of)| (name.to_owned(), of.to_owned())).into(),
            counts: Counts::new(),
        };
        assert!(record("1.95", "a").made_elsewhere(&record("1.95", "b")).is_none());
        assert!(record("1.95", "a").made_elsewhere(&record("1.96", "a")).is_some_and(|text| text.contains("1.96")));
    }

    #[test]
    fn what_is_written_is_read_again_and_names_rows() {
        let text = fs::read_to_string(format!("{}/{FILE}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let record = Record::parse(&text).unwrap();
        assert_eq!(record.render(), text, "write it with --bless");
        let rows = crate::rows::all();
        for name in record.counts.keys() {
            assert!(rows.iter().any(|row| row.name == name), "{name} is a row");
        }
    }
}
