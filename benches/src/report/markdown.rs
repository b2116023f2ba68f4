//! The table as Markdown, for a README.

use std::fmt::Write;

use super::judge::{Against, Judged};
use super::results::Results;
use super::style::figure;

/// Every row of the main tables, losses first.
pub(super) fn render(results: &Results, judged: &[Judged<'_>]) -> String {
    let mut text = format!(
        "Handcar's share of another's figure, less is better; {}, {}, {}.\n\n\
         | row | Handcar | of tokio's | of the best other's |\n|---|---:|---:|---:|\n",
        results.fact("date"),
        results.fact("cpu"),
        results.fact("kernel"),
    );
    for judged in judged.iter().filter(|judged| judged.is_main()) {
        let ours = figure(judged.ours.median());
        let peer = judged.peer.as_ref().map_or(String::new(), |peer| format!("{} {}", share(peer), peer.other.entrant));
        let (title, unit, tokio) = (&judged.row.title, &judged.row.unit, share(&judged.tokio));
        let _ = writeln!(text, "| {title} | {ours} {unit} | {tokio} | {peer} |");
    }
    text
}

/// A loss is set in bold.
fn share(against: &Against<'_>) -> String {
    let bold = if against.standing == crate::standing::Standing::Loss { "**" } else { "" };
    format!("{bold}{:.2}{bold}", against.share.median)
}
