//! The page itself: one file, without a script and without anything from elsewhere.

use std::fmt::Write;

use super::curves;
use super::judge::{Against, Judged};
use super::lanes;
use super::results::Results;
use super::style::{COLOURS, PICTURE, escape, figure, tick};
use crate::standing::Standing;

/// Wide screens show a table; on narrow ones each row becomes a block, and each cell names its column itself.
const LAYOUT: &str = "\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:1120px;margin:0 auto;padding:16px}h1{font-size:1.7rem;line-height:1.2}h2{margin-top:2.4em}h3{margin:1.6em 0 .2em;font-size:1rem}\
p,dl,li{max-width:46em}a{color:var(--ours)}.soft,small{color:var(--soft)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:.9rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}\
th,td{padding:5px 8px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}\
th{font-weight:600;color:var(--soft);position:sticky;top:0;background:var(--ground)}th:first-child,td:first-child{text-align:left}\
td small{display:block}.loss{color:var(--loss);font-weight:600}.tie{color:var(--tie)}.win{color:var(--win)}\
figure{margin:0;max-width:700px}svg{width:100%;height:auto;display:block}\
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 28px}section.row{min-width:0}\
.row small{display:block}details summary{cursor:pointer}\
@media(max-width:720px){main{padding:10px}thead{display:none}table,tbody{display:block}\
tr{display:grid;grid-template-columns:1fr 1fr;border-bottom:1px solid var(--line);padding:8px 0}\
td{border:0;padding:2px 4px 2px 0;text-align:left}td:first-child{grid-column:1/-1;font-weight:600}\
td:not(:first-child)::before{content:attr(data-of);display:block;color:var(--soft);font-size:.75rem}td.none{display:none}}";

pub(super) fn render(results: &Results, judged: &[Judged<'_>]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Handcar's benchmarks, {date}</title><style>{COLOURS}{PICTURE}{LAYOUT}</style></head><body><main>\n\
         <h1>Handcar's benchmarks</h1>\n",
        date = escape(results.fact("date")),
    );
    introduction(&mut page, results, judged);
    summary(&mut page, judged);
    table(&mut page, judged);
    growth(&mut page, results);
    samples(&mut page, judged);
    notes(&mut page, results);
    page.push_str("</main></body></html>\n");
    page
}

fn introduction(page: &mut String, results: &Results, judged: &[Judged<'_>]) {
    let count = |standing| judged.iter().filter(|judged| judged.worst() == standing).count();
    let _ = write!(
        page,
        "<p>Handcar beside tokio and the other single-threaded runtimes, on the same workloads, in one run. Figures are costs: less is \
         better everywhere. A share is Handcar's figure divided by another's of the same round, so 0.25 means a quarter of \
         the time or memory. Losses come first.</p>\n\
         <p>Against the fastest of all who entered: <span class=\"loss\">{} lost</span>, <span class=\"tie\">{} tied</span>, \
         <span class=\"win\">{} won</span>, of {} rows. A tie is within 5 %, or within what tokio differs from itself on that row.</p>\n",
        count(Standing::Loss),
        count(Standing::Tie),
        count(Standing::Win),
        judged.len(),
    );
    page.push_str("<details open><summary>Measured on</summary><dl>");
    for (name, value) in &results.about {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str(
        "</dl></details>\n<p class=\"soft\">How it is measured and how to run it yourself: <a href=\"../benchmarks.md\">benchmarks.md</a>. \
         Every sample stands in the JSON files beside this page, from which it was drawn.</p>\n",
    );
}

fn summary(page: &mut String, judged: &[Judged<'_>]) {
    let _ = write!(
        page,
        "<h2>Share of tokio's figure</h2>\n<p>Each dot is one round, the tick is the median, the bar where it lies with a confidence of \
         95 %. The shaded band is the tie around 1.</p>\n<figure>{}</figure>\n",
        lanes::summary(judged)
    );
}

fn table(page: &mut String, judged: &[Judged<'_>]) {
    page.push_str(
        "<h2>Every row</h2>\n<table><thead><tr><th>Row</th><th>Handcar</th><th>tokio</th><th>share of tokio's</th><th>target</th>\
         <th>tokio / itself</th><th>best other</th><th>share of its</th><th>bare</th></tr></thead><tbody>\n",
    );
    for judged in judged {
        let row = judged.row;
        let at = row.curve.as_ref().map_or(String::new(), |(of, many)| format!(", {} {of}", tick(*many as f64)));
        let _ = write!(page, "<tr><td>{}{} <small>{}</small></td>", escape(&row.title), escape(&at), escape(&row.unit));
        cell(page, "Handcar", &figure(judged.ours.median()));
        cell(page, "tokio", &who(&judged.tokio));
        cell(page, "share of tokio's", &share(&judged.tokio));
        let target =
            row.target.map_or(String::new(), |target| format!("{target:.2}<small>{}</small>", judged.target()));
        cell(page, "target", &target);
        let noise = judged.noise.map_or(String::new(), |noise| format!("{:.2}..{:.2}", noise.low, noise.high));
        cell(page, "tokio / itself", &noise);
        cell(page, "best other", &judged.peer.as_ref().map_or(String::new(), who));
        cell(page, "share of its", &judged.peer.as_ref().map_or(String::new(), share));
        let bare = judged.bare.map(|bare| figure(bare.median()));
        cell(page, "bare", &bare.unwrap_or_default());
        page.push_str("</tr>\n");
    }
    page.push_str(
        "</tbody></table>\n<p class=\"soft\">tokio is whichever of its ways to run local tasks is faster on the row. <i>tokio / itself</i> is one of them \
         measured twice: what the machine alone does. <i>Best other</i> is the fastest peer. <i>Bare</i> is the work without a runtime.</p>\n",
    );
}

fn cell(page: &mut String, of: &str, content: &str) {
    let class = if content.is_empty() { " class=\"none\"" } else { "" };
    let _ = write!(page, "<td{class} data-of=\"{of}\">{content}</td>");
}

fn who(against: &Against<'_>) -> String {
    format!(
        "{}<small>{}</small>",
        figure(against.other.median()),
        escape(against.other.entrant.trim_start_matches("tokio "))
    )
}

fn share(against: &Against<'_>) -> String {
    let share = against.share;
    let word = against.standing.word();
    format!(
        "<span class=\"{word}\">{:.2} {word}</span><small>{:.2}..{:.2}</small>",
        share.median, share.low, share.high
    )
}

fn growth(page: &mut String, results: &Results) {
    let curves = curves::all(results);
    if curves.is_empty() {
        return;
    }
    page.push_str("<h2>As there are more of them</h2>\n<div class=\"pictures\">");
    for (_, picture) in curves {
        let _ = write!(page, "<figure>{picture}</figure>");
    }
    page.push_str("</div>\n");
}

fn samples(page: &mut String, judged: &[Judged<'_>]) {
    page.push_str("<h2>Every sample</h2>\n<p>Each dot is a process. The shaded band is how far tokio's figure strays when it is measured twice.</p>\n<div class=\"pictures\">");
    for judged in judged.iter().filter(|judged| judged.row.curve.is_none()) {
        let _ = write!(
            page,
            "<section class=\"row\"><h3>{}, {}</h3><figure>{}</figure>",
            escape(&judged.row.title),
            escape(&judged.row.unit),
            lanes::row(judged)
        );
        if let Some(note) = &judged.row.note {
            let _ = write!(page, "<small>{}</small>", escape(note));
        }
        page.push_str("</section>\n");
    }
    page.push_str("</div>\n");
}

/// Who is missing where, each reason once.
fn notes(page: &mut String, results: &Results) {
    let mut reasons: Vec<(&(String, String), Vec<&str>)> = Vec::new();
    for row in &results.rows {
        for absent in &row.absent {
            match reasons.iter_mut().find(|(other, _)| *other == absent) {
                Some((_, rows)) => rows.push(&row.name),
                None => reasons.push((absent, vec![&row.name])),
            }
        }
    }
    if reasons.is_empty() {
        return;
    }
    page.push_str("<h2>Who did not enter</h2>\n<ul>");
    for ((name, reason), mut rows) in reasons {
        rows.dedup();
        let _ =
            write!(page, "<li>{}: {}. <small>{}</small></li>", escape(name), escape(reason), escape(&rows.join(", ")));
    }
    page.push_str("</ul>\n");
}
