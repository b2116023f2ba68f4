//! Whether a ratio is a loss, a tie or a win.

use crate::interval::Interval;

/// Ratios closer to one than this say nothing, however often they are measured.
pub(crate) const TIE: f64 = 0.05;

/// How Handcar did against somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Loss,
    Tie,
    Win,
}

impl Standing {
    /// A share within 5 % of one is a tie, and so is one within what the machine alone does, if that is more: `noise` is from where
    /// to where the ratio of two equal things strays. A win has to be sure besides. A loss counts without that; and one that is sure,
    /// the whole interval above those 5 %, counts whatever the noise.
    pub(crate) fn of(share: Interval, noise: Option<Interval>) -> Standing {
        let band = noise.map_or(0.0, |noise| (noise.high - 1.0).max(1.0 - noise.low)).max(TIE);
        if share.median > 1.0 + band || share.low > 1.0 + TIE {
            Standing::Loss
        } else if share.median * (1.0 + band) < 1.0 && share.high < 1.0 {
            Standing::Win
        } else {
            Standing::Tie
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Standing::Loss => "loss",
            Standing::Tie => "tie",
            Standing::Win => "win",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(low: f64, high: f64) -> Interval {
        Interval { low, median: f64::midpoint(low, high), high }
    }

    #[test]
    fn less_than_five_percent_is_a_tie() {
        let standing = |share| Standing::of(around(share, share), Some(around(0.99, 1.01)));
        assert_eq!([1.04, 1.06, 0.94].map(standing), [Standing::Tie, Standing::Loss, Standing::Win]);
    }

    #[test]
    fn on_a_noisy_machine_a_tie_is_wider() {
        let standing = |share| Standing::of(around(share - 0.1, share + 0.1), Some(around(0.85, 1.02)));
        assert_eq!([1.1, 0.9, 0.8].map(standing), [Standing::Tie, Standing::Tie, Standing::Win]);
    }

    #[test]
    fn noise_does_not_excuse_a_loss_that_is_sure() {
        let standing = |(low, high)| Standing::of(around(low, high), Some(around(0.6, 1.0)));
        assert_eq!(
            [(1.06, 1.3), (1.04, 1.3), (0.7, 0.94)].map(standing),
            [Standing::Loss, Standing::Tie, Standing::Tie]
        );
    }

    #[test]
    fn a_win_has_to_be_sure_and_a_loss_has_not() {
        let standing = |(low, high)| Standing::of(around(low, high), None);
        assert_eq!([(0.6, 1.1), (0.9, 1.4)].map(standing), [Standing::Tie, Standing::Loss]);
    }
}
