//! How sure a median is: the bootstrap.
//!
//! The samples are drawn anew, with repetition, a thousand times; the middle 95 % of the medians of these draws are the interval.
//! It asks nothing of how the figures are distributed, which for times is never the normal way. The chance is seeded, so the same
//! samples give the same interval. Of a handful of figures it is the whole range, and nothing could promise 95 % of that.

use crate::stats::quantile;

const DRAWS: usize = 1000;

/// What an interval promises, in percent, if there are enough figures.
const CONFIDENCE: f64 = 95.0;

/// What it can promise of so few, in percent: that not all of them lie on the same side of the median.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "few figures")]
pub(crate) fn confidence(figures: usize) -> f64 {
    CONFIDENCE.min(100.0 * (1.0 - 2_f64.powi(1 - figures as i32)))
}

/// A median and where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// That of some figures, of which there is at least one.
    pub(crate) fn of(figures: &[f64]) -> Interval {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut draw = vec![0.0; figures.len()];
        let mut medians: Vec<f64> = (0..DRAWS)
            .map(|_| {
                draw.fill_with(|| figures[chance.below(figures.len())]);
                median(&mut draw)
            })
            .collect();
        medians.sort_unstable_by(f64::total_cmp);
        Interval {
            low: quantile(&medians, 0.025),
            median: median(&mut figures.to_vec()),
            high: quantile(&medians, 0.975),
        }
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    quantile(figures, 0.5)
}

/// Sebastiano Vigna's splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from((u128::from(mixed) * (bound as u128)) >> 64).expect("it is below the bound")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_figures_leave_no_doubt() {
        assert_eq!(Interval::of(&[2.0; 9]), Interval { low: 2.0, median: 2.0, high: 2.0 });
    }

    #[test]
    fn the_interval_is_the_same_each_time_and_holds_the_median() {
        let figures = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 100.0];
        let interval = Interval::of(&figures);
        assert_eq!(interval, Interval::of(&figures));
        assert!(interval.low < 5.0 && interval.high > 5.0, "{interval:?}");
        assert!(interval.high < 100.0, "one outlier moves no median: {interval:?}");
    }

    #[test]
    fn more_of_the_same_figures_narrow_it() {
        let few: Vec<f64> = (0..9).map(f64::from).collect();
        let many: Vec<f64> = (0..900).map(|number| f64::from(number) / 100.0).collect();
        let width = |interval: Interval| interval.high - interval.low;
        assert!(width(Interval::of(&many)) < width(Interval::of(&few)) / 3.0);
    }

    #[test]
    fn a_few_figures_promise_less() {
        let promised = [1, 3, 5, 6, 1000].map(confidence);
        assert!(
            promised.iter().zip([0.0, 75.0, 93.75, 95.0, 95.0]).all(|(is, to_be)| (is - to_be).abs() < 1e-9),
            "{promised:?}"
        );
    }

    #[test]
    fn chance_reaches_every_figure_about_equally_often() {
        let mut chance = Chance(1);
        let mut hits = [0; 10];
        (0..100_000).for_each(|_| hits[chance.below(10)] += 1);
        assert!(hits.iter().all(|hits| (9_600..10_400).contains(hits)), "{hits:?}");
    }
}
