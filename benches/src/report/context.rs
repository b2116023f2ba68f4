//! What stands beside the results: the same rows in other builds, and counts of what is not time.

use std::fmt::Write;

use super::judge::{Judged, judge_row};
use super::results::{Counted, Results};
use super::style::{escape, figure};

/// Handcar's share of tokio's figure in each build, row by row.
pub(super) fn builds(page: &mut String, results: &Results, judged: &[Judged<'_>]) {
    if results.builds.is_empty() {
        return;
    }
    page.push_str("<table class=\"small\"><thead><tr><th>Share of tokio's</th><th>as everywhere else</th>");
    for build in &results.builds {
        let _ = write!(page, "<th>{}</th>", escape(&build.name));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in &results.builds[0].rows {
        let standard = judged.iter().find(|judged| judged.row.name == row.name);
        let _ = write!(page, "<tr><td>{}</td>{}", escape(&row.title), cell("as everywhere else", standard));
        for build in &results.builds {
            let there = build.rows.iter().find(|other| other.name == row.name).and_then(judge_row);
            page.push_str(&cell(&build.name, there.as_ref()));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
}

fn cell(of: &str, judged: Option<&Judged<'_>>) -> String {
    let Some(judged) = judged else { return String::from("<td class=\"none\"></td>") };
    format!(
        "<td data-of=\"{}\">{:.2}<small>{} of {} {}</small></td>",
        escape(of),
        judged.tokio.share.median,
        figure(judged.ours.median()),
        figure(judged.tokio.other.median()),
        escape(&judged.row.unit)
    )
}

/// What was counted for one operation: Handcar's count, and tokio's.
pub(super) fn counts(page: &mut String, counts: &[Counted]) {
    let mut columns: Vec<&str> = Vec::new();
    let mut titles: Vec<&str> = Vec::new();
    for counted in counts {
        remember(&mut titles, &counted.title);
        counted.counts.iter().for_each(|(column, _)| remember(&mut columns, column));
    }
    page.push_str("<table class=\"small\"><thead><tr><th>For one operation</th>");
    for column in &columns {
        let _ = write!(page, "<th>{column}</th><th>tokio's</th>", column = escape(column));
    }
    page.push_str("</tr></thead><tbody>\n");
    for title in titles {
        let _ = write!(page, "<tr><td>{}</td>", escape(title));
        for column in &columns {
            for (entrant, of) in
                [("handcar", (*column).to_owned()), ("tokio LocalRuntime", format!("tokio's {column}"))]
            {
                let count = counts
                    .iter()
                    .filter(|counted| counted.title == title && counted.entrant == entrant)
                    .find_map(|counted| counted.counts.iter().find(|(other, _)| other == column));
                let _ = match count {
                    Some((_, count)) => write!(page, "<td data-of=\"{}\">{}</td>", escape(&of), exact(*count)),
                    None => write!(page, "<td class=\"none\"></td>"),
                };
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
}

fn remember<'a>(known: &mut Vec<&'a str>, new: &'a str) {
    if !known.contains(&new) {
        known.push(new);
    }
}

/// A count of two runs' difference: what rounds to nothing is nothing.
fn exact(count: f64) -> String {
    if count.abs() < 0.005 { String::from("0") } else { figure(count) }
}
