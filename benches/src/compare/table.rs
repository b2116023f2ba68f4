//! The results as text: losses first, then ties, then the rest from the closest on.

use std::fmt::Write;

use super::stats::Spread;
use super::{About, RowResult, json};

/// Ratios closer to one than this say nothing, however often they are measured.
const TIE: f64 = 0.05;

/// How Handcar did on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Loss,
    Tie,
    Win,
}

impl Standing {
    /// A ratio within 5 % of one, or within what the machine alone does, is a tie.
    pub(super) fn of(share: Spread, noise: Option<Spread>) -> Standing {
        let band = noise.map_or(0.0, |noise| (noise.upper - 1.0).max(1.0 - noise.lower)).max(TIE);
        match share.median {
            median if median > 1.0 + band => Standing::Loss,
            median if median * (1.0 + band) < 1.0 => Standing::Win,
            _ => Standing::Tie,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Standing::Loss => "loss",
            Standing::Tie => "tie",
            Standing::Win => "win",
        }
    }
}

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
        "\n{:46} {:>8} {:>8} {:>6}   {:17} {:>6} {:5}  {:4}  {:19} {:>8}",
        "row", "handcar", "tokio", "share", "quartiles", "target", "", "", "tokio against itself", "bare"
    );
    for (standing, result) in &sorted {
        let _ = writeln!(text, "{}", line(*standing, result));
    }
    let _ = writeln!(text, "\nall figures");
    for (_, result) in &sorted {
        let _ = writeln!(text, "{} ({})", result.row.title, result.row.unit.symbol());
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
        .map_or(String::new(), |noise| format!("{:.3} [{:.3} .. {:.3}]", noise.median, noise.lower, noise.upper));
    let bare = result.series.iter().find(|series| series.name == "bare");
    format!(
        "{:46} {:>8} {:>8} {:>6.3}   [{:.3} .. {:.3}]  {:>6} {:5}  {:4}  {:19} {:>8}",
        format!("{} ({})", result.row.title, result.row.unit.symbol()),
        figure(result.ours().median()),
        figure(result.rival().median()),
        share.median,
        share.lower,
        share.upper,
        target,
        verdict(share.median, result.row.target),
        standing.word(),
        noise,
        bare.map_or(String::new(), |bare| figure(bare.median())),
    )
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Option<Spread> = Some(Spread { lower: 0.99, median: 1.0, upper: 1.01 });
    const WIDE: Option<Spread> = Some(Spread { lower: 0.85, median: 0.97, upper: 1.02 });

    fn at(median: f64) -> Spread {
        Spread { lower: median, median, upper: median }
    }

    #[test]
    fn less_than_five_percent_is_a_tie() {
        assert_eq!(Standing::of(at(1.04), NARROW), Standing::Tie);
        assert_eq!(Standing::of(at(1.06), NARROW), Standing::Loss);
        assert_eq!(Standing::of(at(0.94), NARROW), Standing::Win);
    }

    #[test]
    fn on_a_noisy_machine_a_tie_is_wider() {
        assert_eq!(Standing::of(at(1.1), WIDE), Standing::Tie);
        assert_eq!(Standing::of(at(0.9), WIDE), Standing::Tie);
        assert_eq!(Standing::of(at(0.8), WIDE), Standing::Win);
    }

    #[test]
    fn a_target_is_hit_nearly_hit_or_missed() {
        assert_eq!(verdict(0.2, Some(0.2)), "hit");
        assert_eq!(verdict(0.205, Some(0.2)), "close");
        assert_eq!(verdict(0.22, Some(0.2)), "MISS");
        assert_eq!(verdict(0.22, None), "");
    }
}
