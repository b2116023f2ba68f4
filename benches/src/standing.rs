//! Whether a ratio is a loss, a tie or a win.

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
    /// to where the ratio of two equal things strays.
    pub(crate) fn of(share: f64, noise: Option<(f64, f64)>) -> Standing {
        let band = noise.map_or(0.0, |(low, high)| (high - 1.0).max(1.0 - low)).max(TIE);
        if share > 1.0 + band {
            Standing::Loss
        } else if share * (1.0 + band) < 1.0 {
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

    #[test]
    fn less_than_five_percent_is_a_tie() {
        let narrow = Some((0.99, 1.01));
        assert_eq!(Standing::of(1.04, narrow), Standing::Tie);
        assert_eq!(Standing::of(1.06, narrow), Standing::Loss);
        assert_eq!(Standing::of(0.94, narrow), Standing::Win);
    }

    #[test]
    fn on_a_noisy_machine_a_tie_is_wider() {
        let wide = Some((0.85, 1.02));
        assert_eq!(Standing::of(1.1, wide), Standing::Tie);
        assert_eq!(Standing::of(0.9, wide), Standing::Tie);
        assert_eq!(Standing::of(0.8, wide), Standing::Win);
    }
}
