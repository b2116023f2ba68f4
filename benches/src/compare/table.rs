//! The results as text: losses first, then ties, then the rest from the closest on.

use std::fmt::Write;

use super::{About, RowResult, json};
use crate::report::figure;
use crate::standing::{Standing, TIE};
use crate::stats::Spread;

/// Whether a target is reached: `close` is no more than 5 % above it.
pub(super) fn verdict(share: f64, target: Option<f64>) -> &'static str {
    match target {
        None => "",
        Some(target) if share <= target => "hit",
        Some(target) if share <= target * (1.0 + TIE) => "close",
        Some(_) => "MISS",
    }
}

pub(super) fn render(results: &[RowResult<'_>], about: &About) -> String {
    let mut sorted: Vec<_> =
        results.iter().map(|result| (Standing::of(result.share(), result.noise()), result)).collect();
    sorted.sort_by(|(a, left), (b, right)| a.cmp(b).then(right.share().median.total_cmp(&left.share().median)));
    let mut text = String::new();
    for (name, value) in json::facts(about) {
        let _ = writeln!(text, "{name:10} {value}");
    }
    let _ = writeln!(
        text,
        "\n{:58} {:>8} {:>8} {:>6}   {:17} {:>6} {:5}  {:4}  {:19} {:>8}",
        "row", "handcar", "tokio", "share", "interval", "target", "", "", "tokio against itself", "bare"
    );
    for (standing, result) in &sorted {
        let _ = writeln!(text, "{}", line(*standing, result));
    }
    let _ = writeln!(text, "\nall figures");
    for (_, result) in &sorted {
        let _ = writeln!(text, "{} ({})", result.title(), result.row.unit.symbol());
        for series in &result.series {
            let spread = Spread::of(&series.samples);
            let _ = writeln!(
                text,
                "    {:26} {:>10}   [{} .. {}]",
                series.name,
                figure(spread.median),
                figure(spread.lower),
                figure(spread.upper)
            );
        }
    }
    text
}

fn line(standing: Standing, result: &RowResult<'_>) -> String {
    let share = result.share();
    let target = result.row.target.map_or(String::new(), |target| format!("{target:.2}"));
    let noise = result
        .noise()
        .map_or(String::new(), |noise| format!("{:.3} [{:.3} .. {:.3}]", noise.median, noise.low, noise.high));
    let bare = result.series.iter().find(|series| series.name == "bare");
    format!(
        "{:58} {:>8} {:>8} {:>6.3}   [{:.3} .. {:.3}]  {:>6} {:5}  {:4}  {:19} {:>8}",
        format!("{} ({})", result.title(), result.row.unit.symbol()),
        figure(result.ours().median()),
        figure(result.rival().median()),
        share.median,
        share.low,
        share.high,
        target,
        verdict(share.median, result.row.target),
        standing.word(),
        noise,
        bare.map_or(String::new(), |bare| figure(bare.median())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_hit_nearly_hit_or_missed() {
        assert_eq!(verdict(0.2, Some(0.2)), "hit");
        assert_eq!(verdict(0.205, Some(0.2)), "close");
        assert_eq!(verdict(0.22, Some(0.2)), "MISS");
        assert_eq!(verdict(0.22, None), "");
    }
}
