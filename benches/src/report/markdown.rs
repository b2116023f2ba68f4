//! The summary as Markdown: what the README shows.

use std::fmt::Write;

use super::judge::{Against, Judged};
use super::results::Results;
use super::style::figure;
use crate::interval::Interval;
use crate::standing::Standing;

/// Every row of the main tables, losses first.
pub(super) fn render(results: &Results, judged: &[Judged<'_>]) -> String {
    let rows: Vec<_> = judged.iter().filter(|judged| judged.is_main()).collect();
    let mut text = format!(
        "{}, {}, {}, {}. Of {} rows, beside tokio at its fastest: {}. Beside the fastest of the others, on each row another: {}.\n\n\
         | row | Handcar | share of tokio's | tokio against itself | share of the best other's |\n|---|---:|---:|---:|---:|\n",
        results.fact("date"),
        results.fact("cpu"),
        results.fact("kernel"),
        results.fact("rustc"),
        rows.len(),
        counts(rows.iter().map(|judged| &judged.tokio)),
        counts(rows.iter().filter_map(|judged| judged.peer.as_ref())),
    );
    for judged in rows {
        let noise = judged.noise.map_or(String::new(), |Interval { low, high, .. }| format!("{low:.2} to {high:.2}"));
        let peer =
            judged.peer.as_ref().map_or(String::new(), |peer| format!("{}, {}", share(peer), peer.other.entrant));
        let (title, ours, unit) = (&judged.row.title, figure(judged.ours.median()), &judged.row.unit);
        let _ = writeln!(text, "| {title} | {ours} {unit} | {} | {noise} | {peer} |", share(&judged.tokio));
    }
    text
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

/// A loss is set in bold.
fn share(against: &Against<'_>) -> String {
    let Interval { low, median, high } = against.share;
    let bold = if against.standing == Standing::Loss { "**" } else { "" };
    format!("{bold}{median:.2}{bold} ({low:.2} to {high:.2})")
}
