//! What the results say: Handcar's share of each rival's figure, and whether that is a loss.

use super::results::{Results, Row, Series};
use crate::interval::Interval;
use crate::standing::{Standing, TIE};

/// Handcar against one other, on one row.
pub(super) struct Against<'a> {
    pub(super) other: &'a Series,
    /// Handcar's share of the other's figure in each round.
    pub(super) shares: Vec<f64>,
    pub(super) share: Interval,
    pub(super) standing: Standing,
}

/// A row with what it says.
pub(super) struct Judged<'a> {
    pub(super) row: &'a Row,
    pub(super) ours: &'a Series,
    pub(super) tokio: Against<'a>,
    /// The fastest of the others, if any entered.
    pub(super) peer: Option<Against<'a>>,
    /// tokio's share of itself.
    pub(super) noise: Option<Interval>,
    pub(super) bare: Option<&'a Series>,
}

impl Judged<'_> {
    pub(super) fn worst(&self) -> Standing {
        self.peer.as_ref().map_or(self.tokio.standing, |peer| peer.standing.min(self.tokio.standing))
    }

    /// Whether it is one of the project's own workloads, and no point of a curve.
    pub(super) fn is_main(&self) -> bool {
        self.row.curve.is_none() && self.row.table != crate::rows::THEIRS
    }

    fn closest(&self) -> f64 {
        self.peer.as_ref().map_or(self.tokio.share.median, |peer| peer.share.median.max(self.tokio.share.median))
    }
}

/// Whether a share is as small as it was to be.
pub(super) fn reached(share: f64, target: f64) -> &'static str {
    match share {
        share if share <= target => "reached",
        share if share <= target * (1.0 + TIE) => "nearly",
        _ => "missed",
    }
}

/// Every row on which Handcar and tokio entered: losses first, then ties, then the rest, each from the closest on.
pub(super) fn judge(results: &Results) -> Vec<Judged<'_>> {
    let mut judged: Vec<_> = results.rows.iter().filter_map(judge_row).collect();
    judged.sort_by(|a, b| a.worst().cmp(&b.worst()).then(b.closest().total_cmp(&a.closest())));
    judged
}

pub(super) fn judge_row(row: &Row) -> Option<Judged<'_>> {
    let fastest = |role: &str| {
        let entered = row.series.iter().filter(|series| series.role == role);
        entered.min_by(|a, b| a.median().total_cmp(&b.median()))
    };
    let named = |name: &str| row.series.iter().find(|series| series.entrant == name);
    let again = row.series.iter().find(|series| series.entrant.ends_with(" again"));
    let once = again.and_then(|again| named(again.entrant.strip_suffix(" again")?));
    let noise = again.zip(once).map(|(again, once)| Interval::of(&shares(again, once)));
    let ours = fastest("ours")?;
    let against = |other| {
        let shares = shares(ours, other);
        let share = Interval::of(&shares);
        Against { other, shares, share, standing: Standing::of(share, noise) }
    };
    Some(Judged {
        row,
        ours,
        tokio: against(fastest("rival")?),
        peer: fastest("peer").map(against),
        noise,
        bare: named("bare"),
    })
}

fn shares(ours: &Series, theirs: &Series) -> Vec<f64> {
    ours.samples.iter().zip(&theirs.samples).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, figures: &[(&str, &str, f64)]) -> Row {
        let series = figures.iter().map(|&(entrant, role, figure)| Series {
            entrant: entrant.to_owned(),
            role: role.to_owned(),
            samples: vec![figure; 5],
            histogram: Vec::new(),
        });
        let series = series.collect();
        let (title, unit) = (name.to_owned(), "ns".to_owned());
        Row {
            name: name.to_owned(),
            title,
            unit,
            table: "Table".to_owned(),
            target: Some(0.5),
            target_of_peers: None,
            target_of_bare: None,
            curve: None,
            notes: Vec::new(),
            absent: Vec::new(),
            edges: Vec::new(),
            series,
        }
    }

    #[test]
    fn losses_come_first_and_a_faster_peer_is_one() {
        let results = Results {
            about: Vec::new(),
            builds: Vec::new(),
            counts: Vec::new(),
            rows: vec![
                row("won", &[("handcar", "ours", 1.0), ("tokio", "rival", 4.0)]),
                row("tied", &[("handcar", "ours", 4.1), ("tokio", "rival", 4.0)]),
                row("lost", &[("handcar", "ours", 1.0), ("tokio", "rival", 4.0), ("peer", "peer", 0.5)]),
            ],
        };
        let judged = judge(&results);
        let order: Vec<_> = judged.iter().map(|judged| (judged.row.name.as_str(), judged.worst().word())).collect();
        assert_eq!(order, [("lost", "loss"), ("tied", "tie"), ("won", "win")]);
        assert_eq!(reached(judged[0].tokio.share.median, 0.25), "reached");
    }

    #[test]
    fn the_rival_is_the_faster_tokio_and_its_echo_is_nobody() {
        let row = row(
            "row",
            &[
                ("handcar", "ours", 1.0),
                ("tokio a", "rival", 4.0),
                ("tokio b", "rival", 2.0),
                ("tokio a again", "context", 1.0),
            ],
        );
        let judged = judge_row(&row).unwrap();
        assert_eq!(judged.tokio.other.entrant, "tokio b");
        assert!((judged.noise.unwrap().median - 0.25).abs() < 1e-9);
    }
}
