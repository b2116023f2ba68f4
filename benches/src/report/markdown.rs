//! The summary as Markdown: what the README shows.

use std::fmt::Write;

use super::judge::{Against, Judged};
use super::machines::Machine;
use super::results::Results;
use super::style::figure;
use super::table::number;
use crate::interval::Interval;
use crate::standing::Standing;

/// Every row of the main tables, losses first, and below them what one must know to read some.
pub(super) fn render(results: &Results, judged: &[Judged<'_>], machines: &[Machine<'_>]) -> String {
    let rows: Vec<_> = judged.iter().filter(|judged| judged.is_main()).collect();
    let mut text = came_to(results, &rows);
    for machine in machines {
        let rows: Vec<_> = machine.judged.iter().filter(|judged| judged.is_main()).collect();
        let _ = write!(text, "*{}* is another machine: {}", machine.directory, came_to(machine.results, &rows));
    }
    text.push_str("| row | Handcar | share of tokio's | tokio against itself | share of the best other's |");
    for machine in machines {
        let _ = write!(text, " *{}*: of tokio's | of the best other's |", machine.directory);
    }
    let _ = writeln!(text, "\n|---|---:|---:|---:|---:|{}", "---:|---:|".repeat(machines.len()));
    let mut notes: Vec<&str> = Vec::new();
    for judged in rows {
        let numbers: Vec<_> = judged.row.notes.iter().map(|note| number(&mut notes, note).to_string()).collect();
        let numbers = if numbers.is_empty() { String::new() } else { format!(" <sup>{}</sup>", numbers.join(" ")) };
        let noise = judged.noise.map_or(String::new(), |Interval { low, high, .. }| format!("{low:.2} to {high:.2}"));
        let peer =
            judged.peer.as_ref().map_or(String::new(), |peer| format!("{}, {}", share(peer), peer.other.entrant));
        let (title, ours, unit) = (&judged.row.title, figure(judged.ours.median()), &judged.row.unit);
        let _ = write!(text, "| {title}{numbers} | {ours} {unit} | {} | {noise} | {peer} |", share(&judged.tokio));
        for there in machines.iter().map(|machine| machine.of(judged)) {
            let tokio = there.map_or(String::new(), |there| median(&there.tokio));
            let peer = there.and_then(|there| there.peer.as_ref());
            let peer = peer.map_or(String::new(), |peer| format!("{}, {}", median(peer), peer.other.entrant));
            let _ = write!(text, " {tokio} | {peer} |");
        }
        text.push('\n');
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for (place, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", place + 1);
    }
    text
}

/// Where and of which commits they were measured, and how many were lost, tied and won.
fn came_to(results: &Results, rows: &[&Judged<'_>]) -> String {
    format!(
        "{}, at {}, {}, {}, {}. Of {} rows, beside tokio at its fastest: {}. Beside the fastest of the others, on each row another: {}.\n\n",
        results.fact("date"),
        results.fact("commit"),
        results.fact("cpu"),
        results.fact("kernel"),
        results.fact("rustc"),
        rows.len(),
        counts(rows.iter().map(|judged| &judged.tokio)),
        counts(rows.iter().filter_map(|judged| judged.peer.as_ref())),
    )
}

fn counts<'a>(all: impl Iterator<Item = &'a Against<'a>>) -> String {
    let (mut lost, mut tied, mut won) = (0, 0, 0);
    for against in all {
        match against.standing {
            Standing::Loss => lost += 1,
            Standing::Tie => tied += 1,
            Standing::Win => won += 1,
        }
    }
    format!("{lost} lost, {tied} tied, {won} won")
}

fn share(against: &Against<'_>) -> String {
    let Interval { low, high, .. } = against.share;
    format!("{} ({low:.2} to {high:.2})", median(against))
}

/// A loss is set in bold.
fn median(against: &Against<'_>) -> String {
    let bold = if against.standing == Standing::Loss { "**" } else { "" };
    format!("{bold}{:.2}{bold}", against.share.median)
}
