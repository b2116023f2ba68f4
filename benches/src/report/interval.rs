//! How sure a median is: the bootstrap.
//!
//! The samples are drawn anew, with repetition, a thousand times; the middle 95 % of the medians of these draws are the interval.
//! It asks nothing of how the figures are distributed, which for times is never the normal way. The chance is seeded, so the same
//! samples give the same interval.

use crate::stats::quantile;

const DRAWS: usize = 1000;

/// A median and where it lies with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Interval {
    /// That of some figures, of which there is at least one.
    pub(super) fn of(figures: &[f64]) -> Interval {
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
    fn chance_reaches_every_figure_about_equally_often() {
        let mut chance = Chance(1);
        let mut hits = [0; 10];
        (0..100_000).for_each(|_| hits[chance.below(10)] += 1);
        assert!(hits.iter().all(|hits| (9_600..10_400).contains(hits)), "{hits:?}");
    }
}
