//! How latencies are spread: one line of bars for each entrant, all on the same logarithmic axis of time.

use std::fmt::Write;
use std::ops::Range;

use super::results::{Row, Series};
use super::style::{at, escape};

const WIDTH: f64 = 480.0;
const LANE: f64 = 44.0;
const TOP: f64 = 20.0;
/// The tallest bar.
const TALL: f64 = 24.0;

/// The histograms of a row, if it has any, in the order of its entrants.
pub(super) fn draw(row: &Row) -> Option<String> {
    let series: Vec<_> = row.series.iter().filter(|series| series.histogram.len() == row.edges.len() + 1).collect();
    let used = bins(&series)?;
    let bar = WIDTH / used.len() as f64;
    let bottom = TOP + LANE * series.len() as f64;
    let title = format!("How often {} lay between two times", row.title);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {bottom}\" role=\"img\"><title>{}</title>", escape(&title));
    // There is room for a dozen labels; of more, every second says enough.
    let every = if used.len() > 12 { 2 } else { 1 };
    for bin in used.clone().skip(1) {
        let x = at((bin - used.start) as f64 * bar);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{x} {TOP}V{bottom}\"/>");
        if bin.is_multiple_of(every) {
            let time = time(row.edges[bin - 1]);
            let _ = write!(svg, "<text class=\"soft\" x=\"{x}\" y=\"13\" text-anchor=\"middle\">{time}</text>");
        }
    }
    for (number, series) in series.iter().enumerate() {
        lane(&mut svg, series, used.clone(), bar, TOP + LANE * number as f64);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// From the first bin to the last in which anybody has something.
fn bins(series: &[&Series]) -> Option<Range<usize>> {
    let filled = |bin: &usize| series.iter().any(|series| series.histogram[*bin] > 0.0);
    let bins = 0..series.first()?.histogram.len();
    Some(bins.clone().find(filled)?..bins.rev().find(filled)? + 1)
}

/// A bar is as tall as the root of its share: one in a thousand is still seen.
fn lane(svg: &mut String, series: &Series, bins: Range<usize>, bar: f64, top: f64) {
    let all: f64 = series.histogram.iter().sum();
    let base = top + LANE - 4.0;
    let mut path = String::new();
    for (place, bin) in bins.enumerate() {
        let tall = (series.histogram[bin] / all).sqrt() * TALL;
        if tall > 0.0 {
            let _ = write!(
                path,
                "M{} {}h{}v-{}h-{}z",
                at(place as f64 * bar + 1.0),
                at(base),
                at(bar - 2.0),
                at(tall),
                at(bar - 2.0)
            );
        }
    }
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"6\" y=\"{}\">{}</text><path class=\"bars {class}\" d=\"{path}\"/>",
        at(top + 13.0),
        escape(&series.entrant),
        class = series.role,
    );
}

/// A time of so many nanoseconds.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 1e3 => format!("{short}ns"),
        short if short < 1e6 => format!("{}us", short / 1e3),
        long => format!("{}ms", long / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!([200.0, 5000.0, 2e7].map(time), ["200ns", "5us", "20ms"]);
    }

    #[test]
    fn bins_that_are_empty_for_all_are_left_out() {
        let series = |histogram: Vec<f64>| Series {
            entrant: String::new(),
            role: String::new(),
            samples: Vec::new(),
            histogram,
        };
        let (one, other) = (series(vec![0.0, 0.0, 3.0, 0.0]), series(vec![0.0, 1.0, 0.0, 0.0]));
        assert_eq!(bins(&[&one, &other]), Some(1..3));
        assert_eq!(bins(&[&series(vec![0.0])]), None);
    }
}
