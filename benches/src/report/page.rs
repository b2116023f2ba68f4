//! The page itself: one file, without a script and without anything from elsewhere.

use std::fmt::Write;

use super::judge::Judged;
use super::machines::Machine;
use super::results::Results;
use super::style::{COLOURS, PICTURE, escape};
use super::{context, curves, histogram, lanes, machines, summary, table};
use crate::interval::confidence;
use crate::standing::Standing;

const GROWTH: &str = "As there are more of them";
const COUNTS: &str = "Instructions, allocations, system calls";
const BUILDS: &str = "Other builds";
const MACHINES: &str = "Other machines";

const COLUMNS: &str = "<p class=\"soft\">tokio is whichever of its ways to run tasks on one thread is fastest on the row: LocalSet, spawn, LocalRuntime. \
    <i>tokio / itself</i> is one of them measured twice: what the machine alone does. <i>Best other</i> is the fastest peer. <i>Bare</i> is the \
    work without a runtime. Under each share stand where its median lies, and what was to be reached.</p>\n";

/// Wide screens show a table; on narrow ones each row becomes a block, and each cell names its column itself.
const LAYOUT: &str = "\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:1120px;margin:0 auto;padding:16px}h1{font-size:1.7rem;line-height:1.2}h2{margin-top:2.4em}h3{margin:1.6em 0 .2em;font-size:1rem}\
p,dl,li{max-width:52em}.lead{font-size:1.1rem}a{color:var(--ours)}.soft,small{color:var(--soft)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:.9rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}\
th,td{padding:5px 8px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}\
th{font-weight:600;color:var(--soft);position:sticky;top:0;background:var(--ground)}th:first-child,td:first-child{text-align:left}\
td small{display:block;white-space:nowrap}.loss{color:var(--loss);font-weight:600}.tie{color:var(--tie)}.win{color:var(--win)}\
figure{margin:0;max-width:600px}figcaption{font-size:.86rem;color:var(--soft)}svg{width:100%;height:auto;display:block}\
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 28px}section.row{min-width:0}\
details{margin:.8em 0}details summary{cursor:pointer;color:var(--ours)}nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:1.2em 0}\
.notes{font-size:.8rem;color:var(--soft);padding-left:1.6em}sup{color:var(--ours)}.small{max-width:900px}.small small{white-space:nowrap}\
@media(max-width:720px){main{padding:10px}thead{display:none}table,tbody{display:block}\
tr{display:grid;grid-template-columns:1fr 1fr;border-bottom:1px solid var(--line);padding:8px 0}\
td{border:0;padding:2px 4px 2px 0;text-align:left}td:first-child{grid-column:1/-1;font-weight:600}\
td:not(:first-child)::before{content:attr(data-of);display:block;color:var(--soft);font-size:.75rem}td.none{display:none}}";

/// `how` is where it says how to measure, as a link.
pub(super) fn render(results: &Results, judged: &[Judged<'_>], others: &[Machine<'_>], how: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Handcar's benchmarks, {date}</title><style>{COLOURS}{PICTURE}{LAYOUT}</style></head><body><main>\n\
         <h1>Handcar's benchmarks</h1>\n",
        date = escape(results.fact("date")),
    );
    let tables = tables(judged);
    summary::render(&mut page, results, judged, others);
    reading(&mut page, results, how);
    contents(&mut page, &tables, results, others);
    losses(&mut page, judged);
    for (name, rows) in &tables {
        section(&mut page, name, rows);
    }
    growth(&mut page, results, judged);
    counts(&mut page, results);
    builds(&mut page, results, judged);
    other_machines(&mut page, judged, others);
    notes(&mut page, results);
    page.push_str("</main></body></html>\n");
    page
}

/// The tables in the order of the results, each with its rows, losses first. The points of curves have a section of their own.
fn tables<'a>(judged: &'a [Judged<'a>]) -> Vec<(&'a str, Vec<&'a Judged<'a>>)> {
    let mut tables: Vec<(&str, Vec<&Judged<'_>>)> = Vec::new();
    for judged in judged.iter().filter(|judged| judged.row.curve.is_none()) {
        match tables.iter_mut().find(|(name, _)| *name == judged.row.table) {
            Some((_, rows)) => rows.push(judged),
            None => tables.push((&judged.row.table, vec![judged])),
        }
    }
    tables.sort_by_key(|(name, _)| crate::rows::TABLES.iter().position(|other| other == name));
    tables
}

/// How to read what follows, and what it was measured on.
fn reading(page: &mut String, results: &Results, how: &str) {
    let _ = write!(
        page,
        "<p>Figures are costs: less is better everywhere. A share is Handcar's figure divided by another's of the same round, so 0.25 \
         means a quarter of the time or memory. A tie is within 5 %, or within what tokio differs from itself on that row; \
         a win is one even at the end of its interval; a loss is one whatever the noise, if its whole interval is above those 5 %. Losses come first. How it is measured and how to run it yourself: \
         <a href=\"{how}\">benchmarks.md</a>. Every sample stands in the JSON files beside this page, from which it was drawn.</p>\n\
         <details><summary>Measured on, and with</summary><dl>",
    );
    for (name, value) in &results.about {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl></details>\n");
}

/// Where everything is.
fn contents(page: &mut String, tables: &[(&str, Vec<&Judged<'_>>)], results: &Results, others: &[Machine<'_>]) {
    page.push_str("<nav><a href=\"#losses\">Losses</a>");
    for (name, rows) in tables {
        let _ = write!(
            page,
            "<span><a href=\"#{}\">{}</a> <small>{}</small></span>",
            anchor(name),
            escape(name),
            rows.len()
        );
    }
    for (there, anchor, name) in [
        (results.rows.iter().any(|row| row.curve.is_some()), "growth", GROWTH),
        (!results.counts.is_empty(), "counts", COUNTS),
        (!results.builds.is_empty(), "builds", BUILDS),
        (!others.is_empty(), "machines", MACHINES),
    ] {
        if there {
            let _ = write!(page, "<a href=\"#{anchor}\">{name}</a>");
        }
    }
    page.push_str("</nav>\n");
}

fn anchor(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
}

/// Every row on which somebody was faster or smaller, whatever its table, before anything else.
fn losses(page: &mut String, judged: &[Judged<'_>]) {
    page.push_str("<h2 id=\"losses\">Losses</h2>\n");
    let lost: Vec<_> = judged.iter().filter(|judged| judged.worst() == Standing::Loss).collect();
    if lost.is_empty() {
        page.push_str("<p>On no row was anybody ahead by more than the noise.</p>\n");
        return;
    }
    page.push_str("<p>Rows on which tokio or a peer was ahead by more than 5 % and more than the noise; they stand in their tables again.</p>\n");
    table::render(page, &lost);
    page.push_str(COLUMNS);
}

fn section(page: &mut String, name: &str, rows: &[&Judged<'_>]) {
    let _ = write!(
        page,
        "<h2 id=\"{}\">{}</h2>\n<figure><figcaption>Handcar's share of tokio's figure, and 5 % around one</figcaption>{}</figure>\n",
        anchor(name),
        escape(name),
        lanes::summary(rows.iter().copied())
    );
    table::render(page, rows);
    let rounds = rows.iter().map(|judged| judged.ours.samples.len()).min().unwrap_or_default();
    let sure = match rounds {
        0 | 1 => String::from("Each dot is a process."),
        rounds => format!(
            "Each dot is a process, one of {rounds} or more. The tick is their median, the bar where it lies with a confidence of {:.0} %.",
            confidence(rounds)
        ),
    };
    let _ = write!(
        page,
        "<details><summary>Every sample</summary>\n<p>{sure} The shaded band is how far tokio's figure strays when it is measured twice.</p>\n\
         <div class=\"pictures\">",
    );
    for judged in rows {
        let _ = writeln!(
            page,
            "<section class=\"row\"><h3>{}, {}</h3><figure>{}</figure></section>",
            escape(&judged.row.title),
            escape(&judged.row.unit),
            lanes::row(judged)
        );
    }
    page.push_str("</div></details>\n");
    let histograms: Vec<_> =
        rows.iter().filter_map(|judged| Some((judged.row, histogram::draw(judged.row)?))).collect();
    if histograms.is_empty() {
        return;
    }
    page.push_str("<details><summary>Histograms</summary>\n<p>All rounds together. A bar's height is the root of its share, so that one latency in a thousand is still seen.</p>\n<div class=\"pictures\">");
    for (row, picture) in histograms {
        let title = row.title.strip_suffix(": p50").unwrap_or(&row.title);
        let _ = writeln!(page, "<section class=\"row\"><h3>{}</h3><figure>{picture}</figure></section>", escape(title));
    }
    page.push_str("</div></details>\n");
}

fn growth(page: &mut String, results: &Results, judged: &[Judged<'_>]) {
    let curves = curves::all(results);
    if curves.is_empty() {
        return;
    }
    let _ = write!(page, "<h2 id=\"growth\">{GROWTH}</h2>\n<div class=\"pictures\">");
    for (_, picture) in curves {
        let _ = write!(page, "<figure>{picture}</figure>");
    }
    page.push_str("</div>\n<details><summary>Every point</summary>\n");
    let points: Vec<_> = judged.iter().filter(|judged| judged.row.curve.is_some()).collect();
    table::render(page, &points);
    page.push_str("</details>\n");
}

fn counts(page: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2 id=\"counts\">{COUNTS}</h2>\n<p>Counted under valgrind and with perf, in two runs whose difference is what one more operation \
         takes. They repeat nearly exactly, and tell apart what time calls a tie. tokio's are those of LocalRuntime.</p>\n"
    );
    context::counts(page, &results.counts);
}

fn builds(page: &mut String, results: &Results, judged: &[Judged<'_>]) {
    if results.builds.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2 id=\"builds\">{BUILDS}</h2>\n<p>Everything above was built with fat LTO in one codegen unit, and allocates with glibc. Here both \
         sides were built or allocated in another way.</p>\n"
    );
    context::builds(page, results, judged);
}

fn other_machines(page: &mut String, judged: &[Judged<'_>], others: &[Machine<'_>]) {
    if others.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2 id=\"machines\">{MACHINES}</h2>\n<p>The same rows, measured elsewhere. What differs most between processors is what an atomic \
         operation takes, of which tokio's tasks and channels make many.</p>\n"
    );
    machines::render(page, judged, others);
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
