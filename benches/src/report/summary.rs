//! What the results come to, in words: the top of the page.

use std::fmt::Write;

use super::judge::{Against, Judged, reached};
use super::machines::Machine;
use super::results::Results;
use super::style::escape;
use crate::standing::Standing;
use crate::stats::Spread;

/// Rows that are named before the rest is only counted.
const NAMED: usize = 6;

pub(super) fn render(page: &mut String, results: &Results, judged: &[Judged<'_>], machines: &[Machine<'_>]) {
    let fact = |name| escape(results.fact(name));
    let _ = writeln!(
        page,
        "<p class=\"lead\">Handcar beside tokio and the other single-threaded runtimes, on the same workloads, in one run. \
         Measured on {}: {}, {}, {}.</p>",
        fact("date"),
        fact("cpu"),
        fact("kernel"),
        fact("rustc"),
    );
    let ours: Vec<_> = judged.iter().filter(|judged| judged.is_main()).collect();
    let theirs: Vec<_> = judged.iter().filter(|judged| judged.row.table == crate::rows::THEIRS).collect();
    for (whose, rows) in [("Of our own", ours), ("Of the peers' own", theirs)] {
        if !rows.is_empty() {
            beside_tokio(page, whose, &rows);
            beside_peers(page, &rows);
            targets(page, &rows);
        }
    }
    for machine in machines {
        let _ = writeln!(
            page,
            "<p><a href=\"#machines\">Elsewhere</a>, on {} ({}):</p>",
            escape(machine.results.fact("cpu")),
            escape(machine.results.fact("date"))
        );
        let rows: Vec<_> = machine.judged.iter().filter(|judged| judged.is_main()).collect();
        beside_tokio(page, "Of our own", &rows);
        beside_peers(page, &rows);
        targets(page, &rows);
    }
}

fn beside_tokio(page: &mut String, whose: &str, rows: &[&Judged<'_>]) {
    let all: Vec<_> = rows.iter().map(|judged| (*judged, &judged.tokio)).collect();
    let shares: Vec<_> = all.iter().map(|(_, against)| against.share.median).collect();
    let _ = writeln!(
        page,
        "<p>{whose} {} rows, <b>beside tokio</b> at its fastest, {}. The middle one of these rows takes {:.2} of tokio's figure.{}</p>",
        rows.len(),
        counts(&all),
        Spread::of(&shares).median,
        lost(&all),
    );
}

fn beside_peers(page: &mut String, rows: &[&Judged<'_>]) {
    let all: Vec<_> = rows.iter().filter_map(|judged| Some((*judged, judged.peer.as_ref()?))).collect();
    if !all.is_empty() {
        let _ = writeln!(
            page,
            "<p><b>Beside the fastest of the others</b>, on each row another, {}.{}</p>",
            counts(&all),
            lost(&all)
        );
    }
}

/// Lost, tied, won, each in its colour.
fn counts(all: &[(&Judged<'_>, &Against<'_>)]) -> String {
    let standings = [(Standing::Loss, "lost"), (Standing::Tie, "tied"), (Standing::Win, "won")];
    let said = standings.map(|(standing, said)| {
        let count = all.iter().filter(|(_, against)| against.standing == standing).count();
        format!("<span class=\"{}\">{count} {said}</span>", standing.word())
    });
    said.join(", ")
}

/// The losses by name, the greatest first.
fn lost(all: &[(&Judged<'_>, &Against<'_>)]) -> String {
    let mut lost: Vec<_> = all.iter().filter(|(_, against)| against.standing == Standing::Loss).collect();
    if lost.is_empty() {
        return String::new();
    }
    lost.sort_by(|(_, a), (_, b)| b.share.median.total_cmp(&a.share.median));
    let named: Vec<_> = lost
        .iter()
        .take(NAMED)
        .map(|(judged, against)| {
            let whose =
                if against.other.role == "peer" { format!(" of {}'s", against.other.entrant) } else { String::new() };
            format!("{} ({:.2}{})", escape(&judged.row.title), against.share.median, escape(&whose))
        })
        .collect();
    let more = if lost.len() > NAMED { format!(", and {} more", lost.len() - NAMED) } else { String::new() };
    format!(" Behind on: {}{more}.", named.join("; "))
}

/// How many of the shares that were to be reached were, and which were missed.
fn targets(page: &mut String, rows: &[&Judged<'_>]) {
    type ToReach = fn(&Judged<'_>) -> Option<(f64, f64)>;
    let of_tokio: ToReach = |judged| Some((judged.tokio.share.median, judged.row.target?));
    let of_peer: ToReach = |judged| Some((judged.peer.as_ref()?.share.median, judged.row.target_of_peers?));
    let of_bare: ToReach = |judged| Some((judged.ours.median() / judged.bare?.median(), judged.row.target_of_bare?));
    for (whose, to_reach) in [("tokio's", of_tokio), ("the best other's", of_peer), ("the bare loop's", of_bare)] {
        let shares: Vec<_> = rows.iter().filter_map(|judged| Some((judged, to_reach(judged)?))).collect();
        let those = |word| shares.iter().filter(move |(_, (share, target))| reached(*share, *target) == word);
        let missed: Vec<_> = those("missed")
            .map(|(judged, (share, target))| format!("{} ({share:.2}, not {target:.2})", escape(&judged.row.title)))
            .collect();
        if shares.is_empty() {
            continue;
        }
        let sum = format!(
            "Of {} shares of {whose} figure that were to be reached, {} were, {} nearly (by 5 %), {} were missed",
            shares.len(),
            those("reached").count(),
            those("nearly").count(),
            missed.len(),
        );
        let _ = match &missed[..] {
            [] => writeln!(page, "<p>{sum}.</p>"),
            missed => writeln!(page, "<details><summary>{sum}</summary><p>{}.</p></details>", missed.join("; ")),
        };
    }
}
