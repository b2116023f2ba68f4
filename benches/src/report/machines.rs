//! The same rows on other machines: each is a directory beside the page, with a page of its own.
//!
//! ```text
//!    docs/benchmarks/*.json             this page
//!                    amd-epyc/*.json    a page of its own, and two more columns here
//! ```
//!
//! How far two runtimes are apart depends on the processor; so nobody should have to believe one.

use std::cmp;
use std::fmt::Write;

use super::judge::{Against, Judged};
use super::results::Results;
use super::style::escape;
use crate::standing::Standing;

/// Another machine that the rows were measured on, and what came out.
pub(super) struct Machine<'a> {
    /// The directory of its page, beside this one.
    pub(super) directory: &'a str,
    pub(super) results: &'a Results,
    pub(super) judged: Vec<Judged<'a>>,
}

impl<'a> Machine<'a> {
    /// What a row of this page came to there.
    pub(super) fn of(&self, row: &Judged<'_>) -> Option<&Judged<'a>> {
        let is_same = |other: &&Judged<'_>| other.row.title == row.row.title && other.row.curve == row.row.curve;
        self.judged.iter().find(is_same)
    }
}

/// Rows that were lost here come first, then those that were lost on another machine; otherwise the order stays.
pub(super) fn losses_first(judged: &mut [Judged<'_>], machines: &[Machine<'_>]) {
    let worst = |row: &Judged<'_>| {
        let there = machines.iter().filter_map(|machine| Some(machine.of(row)?.worst()));
        there.fold(row.worst(), cmp::min)
    };
    judged.sort_by_key(|row| (row.worst() != Standing::Loss, worst(row) != Standing::Loss));
}

/// Handcar's shares here and there, row by row.
pub(super) fn render(page: &mut String, judged: &[Judged<'_>], machines: &[Machine<'_>]) {
    for machine in machines {
        let _ = writeln!(
            page,
            "<p><a href=\"{}/index.html\">{0}</a> is {}, measured on {}.</p>",
            escape(machine.directory),
            escape(machine.results.fact("cpu")),
            escape(machine.results.fact("date")),
        );
    }
    page.push_str(
        "<table class=\"small\"><thead><tr><th>Row</th><th>share of tokio's</th><th>share of the best other's</th>",
    );
    for machine in machines {
        let _ = write!(page, "<th>{0}: of tokio's</th><th>of the best other's</th>", escape(machine.directory));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in judged.iter().filter(|row| row.is_main()) {
        let _ = write!(page, "<tr><td>{}</td>", escape(&row.row.title));
        cells(page, "", Some(row));
        for machine in machines {
            cells(page, &format!("{}: ", machine.directory), machine.of(row));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
}

fn cells(page: &mut String, machine: &str, row: Option<&Judged<'_>>) {
    let mut cell = |of: &str, against: Option<&Against<'_>>, name: bool| {
        let _ = match against {
            Some(against) => write!(
                page,
                "<td data-of=\"{}{of}\"><span class=\"{}\">{:.2}</span><small>{}</small></td>",
                escape(machine),
                against.standing.word(),
                against.share.median,
                if name { escape(&against.other.entrant) } else { String::new() },
            ),
            None => write!(page, "<td class=\"none\"></td>"),
        };
    };
    cell("of tokio's", row.map(|row| &row.tokio), false);
    cell("of the best other's", row.and_then(|row| row.peer.as_ref()), true);
}
