//! A median and its quartiles.

/// Where the middle of some figures lies, and the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Spread {
    /// That of `figures`, which may stand in any order.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn of(figures: &[f64]) -> Spread {
        let mut sorted = figures.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Spread { lower: quantile(&sorted, 0.25), median: quantile(&sorted, 0.5), upper: quantile(&sorted, 0.75) }
    }
}

/// Between two figures it lies on the line from one to the other.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few figures")]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    assert!(!sorted.is_empty(), "nothing was measured");
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_an_odd_number_are_figures_themselves() {
        assert_eq!(Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Spread { lower: 2.0, median: 3.0, upper: 4.0 });
    }

    #[test]
    fn a_median_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Spread { lower: 1.75, median: 2.5, upper: 3.25 });
    }

    #[test]
    fn one_figure_has_no_spread() {
        assert_eq!(Spread::of(&[7.0]), Spread { lower: 7.0, median: 7.0, upper: 7.0 });
    }
}
