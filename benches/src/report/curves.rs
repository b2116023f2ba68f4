//! How a cost grows: one picture for each thing of which there were more and more, both axes logarithmic.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::results::{Results, Row};
use super::style::{Axis, at, escape, tick};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 208.0;
const BOTTOM: f64 = 34.0;
/// Between two labels.
const LABEL: f64 = 14.0;

/// Every curve of the results, by what it is a curve of.
pub(super) fn all(results: &Results) -> Vec<(String, String)> {
    let mut curves: BTreeMap<&str, Vec<(u64, &Row)>> = BTreeMap::new();
    for row in &results.rows {
        if let Some((of, many)) = &row.curve {
            curves.entry(of).or_default().push((*many, row));
        }
    }
    curves.into_iter().map(|(of, points)| (of.to_owned(), draw(of, &points))).collect()
}

/// One entrant's points.
struct Curve<'a> {
    entrant: &'a str,
    class: &'a str,
    points: Vec<(f64, f64)>,
}

fn draw(of: &str, rows: &[(u64, &Row)]) -> String {
    let curves = curves(rows);
    let figures = curves.iter().flat_map(|curve| curve.points.iter());
    let across = Axis::new(figures.clone().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Axis::new(figures.map(|point| point.1), HEIGHT - BOTTOM, 22.0);
    let row = rows[0].1;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{title} by number of {of}</title>\
         <text class=\"soft\" x=\"4\" y=\"13\">{title}, {unit}</text><text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{of}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 4.0,
        title = escape(&row.title),
        unit = escape(&row.unit),
        of = escape(of),
    );
    for value in up.ticks() {
        let y = at(up.place(value));
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y}H{}\"/><text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 4.0,
            at(up.place(value) + 4.0),
            tick(value)
        );
    }
    for (many, _) in rows {
        let (x, y) = (at(across.place(*many as f64)), HEIGHT - BOTTOM + 14.0);
        let _ = write!(svg, "<text class=\"soft\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", short(*many));
    }
    let ends: Vec<f64> = curves.iter().map(|curve| up.place(curve.points[curve.points.len() - 1].1)).collect();
    for (curve, label) in curves.iter().zip(spread(&ends)) {
        let mut path = String::new();
        for (number, &(many, cost)) in curve.points.iter().enumerate() {
            let letter = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{} {}", at(across.place(many)), at(up.place(cost)));
        }
        let _ = write!(
            svg,
            "<path class=\"curve {class}\" d=\"{path}\"/><text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
            WIDTH - RIGHT + 8.0,
            at(label + 4.0),
            escape(curve.entrant),
            class = curve.class,
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Those who are not there twice, the lowest cost at the end last, so that labels can be laid out from the top.
fn curves<'a>(rows: &[(u64, &'a Row)]) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for (many, row) in rows {
        for series in row.series.iter().filter(|series| !series.entrant.ends_with(" again")) {
            let point = (*many as f64, series.median());
            match curves.iter_mut().find(|curve| curve.entrant == series.entrant) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve { entrant: &series.entrant, class: &series.role, points: vec![point] }),
            }
        }
    }
    curves.sort_by(|a, b| b.points[b.points.len() - 1].1.total_cmp(&a.points[a.points.len() - 1].1));
    curves
}

/// Moves places, which ascend, apart until no two labels overlap, and keeps them as near to where they were as that allows.
fn spread(places: &[f64]) -> Vec<f64> {
    let mut spread: Vec<f64> = places.to_vec();
    for number in 1..spread.len() {
        spread[number] = spread[number].max(spread[number - 1] + LABEL);
    }
    let mut lowest = HEIGHT - BOTTOM;
    for place in spread.iter_mut().rev() {
        *place = place.min(lowest);
        lowest = *place - LABEL;
    }
    spread
}

fn short(many: u64) -> String {
    match many {
        many if many >= 1_000_000 => format!("{}M", many / 1_000_000),
        many if many >= 1000 => format!("{}k", (many / 100) as f64 / 10.0),
        many => many.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance() {
        let spread = spread(&[50.0, 51.0, 52.0, 270.0, 275.0]);
        assert!(spread.windows(2).all(|pair| pair[1] - pair[0] >= LABEL - 1e-9), "{spread:?}");
        assert!((spread[0] - 50.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([10, 8000, 9900, 1_000_000].map(short), ["10", "8k", "9.9k", "1M"]);
    }
}
