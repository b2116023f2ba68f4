//! The tables of the page: Handcar's figures, and its shares of others'.

use std::fmt::Write;

use super::judge::{Against, Judged, reached};
use super::style::{escape, figure, tick};
use crate::interval::Interval;

/// The rows, in their order, and below them what one must know to read some.
pub(super) fn render(page: &mut String, rows: &[&Judged<'_>]) {
    page.push_str(
        "<table><thead><tr><th>Row</th><th>Handcar</th><th>tokio</th><th>share of tokio's</th><th>tokio / itself</th>\
         <th>best other</th><th>share of its</th><th>bare</th></tr></thead><tbody>\n",
    );
    let mut notes: Vec<&str> = Vec::new();
    for judged in rows {
        let numbers: Vec<_> = judged.row.notes.iter().map(|note| number(&mut notes, note).to_string()).collect();
        row(page, judged, &numbers.join(" "));
    }
    page.push_str("</tbody></table>\n");
    if notes.is_empty() {
        return;
    }
    page.push_str("<ol class=\"notes\">");
    for note in notes {
        let _ = write!(page, "<li>{}</li>", escape(note));
    }
    page.push_str("</ol>\n");
}

/// The number of a note, from one on; each stands there once.
pub(super) fn number<'a>(notes: &mut Vec<&'a str>, note: &'a str) -> usize {
    let place = notes.iter().position(|other| *other == note).unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    place + 1
}

fn row(page: &mut String, judged: &Judged<'_>, notes: &str) {
    let row = judged.row;
    let at = row.curve.as_ref().map_or(String::new(), |(of, many)| format!(", {} {of}", tick(*many as f64)));
    let notes = if notes.is_empty() { String::new() } else { format!("<sup>{notes}</sup>") };
    let _ =
        write!(page, "<tr><td>{}{}{notes} <small>{}</small></td>", escape(&row.title), escape(&at), escape(&row.unit));
    cell(page, "Handcar", &figure(judged.ours.median()));
    cell(page, "tokio", &who(&judged.tokio));
    cell(page, "share of tokio's", &share(&judged.tokio, row.target));
    let noise = judged.noise.map_or(String::new(), |Interval { low, high, .. }| format!("{low:.2}..{high:.2}"));
    cell(page, "tokio / itself", &noise);
    let peer = judged.peer.as_ref();
    cell(page, "best other", &peer.map_or(String::new(), who));
    cell(page, "share of its", &peer.map_or(String::new(), |peer| share(peer, row.target_of_peers)));
    let bare = judged.bare.map(|bare| {
        let bare = bare.median();
        format!("{}{}", figure(bare), target(judged.ours.median() / bare, row.target_of_bare))
    });
    cell(page, "bare", &bare.unwrap_or_default());
    page.push_str("</tr>\n");
}

/// On narrow screens a cell names its column itself.
fn cell(page: &mut String, of: &str, content: &str) {
    let class = if content.is_empty() { " class=\"none\"" } else { "" };
    let _ = write!(page, "<td{class} data-of=\"{of}\">{content}</td>");
}

fn who(against: &Against<'_>) -> String {
    let name = against.other.entrant.trim_start_matches("tokio ");
    format!("{}<small>{}</small>", figure(against.other.median()), escape(name))
}

fn share(against: &Against<'_>, to_reach: Option<f64>) -> String {
    let Interval { low, median, high } = against.share;
    let word = against.standing.word();
    let target = target(median, to_reach);
    format!("<span class=\"{word}\">{median:.2} {word}</span><small>{low:.2}..{high:.2}</small>{target}")
}

fn target(share: f64, to_reach: Option<f64>) -> String {
    to_reach.map_or(String::new(), |target| format!("<small>target {target:.2}: {}</small>", reached(share, target)))
}
