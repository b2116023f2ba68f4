//! A picture of figures on lanes, one below the other: every sample a dot, the interval of the median a bar, the median a tick.

use std::fmt::Write;

use super::judge::Judged;
use super::style::{Axis, at, escape, figure, tick};
use crate::interval::Interval;

const WIDTH: f64 = 480.0;
const LANE: f64 = 30.0;
const TOP: f64 = 20.0;

struct Lane {
    label: String,
    value: String,
    class: String,
    dots: Vec<f64>,
    interval: Interval,
}

/// All entrants of one row, the fastest on top; behind them what tokio's figure strays when it is measured twice.
pub(super) fn row(judged: &Judged<'_>) -> String {
    let mut lanes: Vec<_> = judged
        .row
        .series
        .iter()
        .map(|series| {
            let interval = Interval::of(&series.samples);
            Lane {
                label: series.entrant.clone(),
                value: format!("{} {}", figure(interval.median), judged.row.unit),
                class: series.role.clone(),
                dots: series.samples.clone(),
                interval,
            }
        })
        .collect();
    lanes.sort_by(|a, b| a.interval.median.total_cmp(&b.interval.median));
    let rival = judged.tokio.other.median();
    let band = judged.noise.map(|noise| (rival * noise.low.min(1.0), rival * noise.high.max(1.0)));
    draw(&lanes, band, &format!("All samples of {}", judged.row.title))
}

/// Handcar's share of tokio's figure on each of these rows, the greatest first.
pub(super) fn summary<'a>(judged: impl Iterator<Item = &'a Judged<'a>>) -> String {
    let mut rows: Vec<_> = judged.collect();
    rows.sort_by(|a, b| b.tokio.share.median.total_cmp(&a.tokio.share.median));
    let lanes: Vec<_> = rows
        .into_iter()
        .map(|judged| Lane {
            label: judged.row.title.clone(),
            value: format!("{:.2}", judged.tokio.share.median),
            class: "ours".to_owned(),
            dots: judged.tokio.shares.clone(),
            interval: judged.tokio.share,
        })
        .collect();
    draw(&lanes, Some((0.95, 1.05)), "Handcar's share of tokio's figure: 0.25 is a quarter of the time or memory")
}

fn draw(lanes: &[Lane], band: Option<(f64, f64)>, title: &str) -> String {
    let ends = band.into_iter().flat_map(|(low, high)| [low, high]);
    let axis = Axis::new(lanes.iter().flat_map(|lane| lane.dots.iter().copied()).chain(ends), 6.0, WIDTH - 6.0);
    let bottom = TOP + LANE * lanes.len() as f64;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\"><title>{}</title>", bottom + 6.0, escape(title));
    if let Some((low, high)) = band {
        let (from, to) = (axis.place(low), axis.place(high));
        let _ = write!(
            svg,
            "<rect class=\"band\" x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>",
            at(from),
            at((to - from).max(1.0)),
            bottom - TOP
        );
    }
    for value in axis.ticks() {
        let place = axis.place(value);
        // A label at an end stays inside.
        let anchor = match place {
            place if place < 30.0 => "start",
            place if place > WIDTH - 30.0 => "end",
            _ => "middle",
        };
        let x = at(place);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{x} {TOP}V{bottom}\"/><text class=\"soft\" x=\"{x}\" y=\"13\" text-anchor=\"{anchor}\">{}</text>",
            tick(value)
        );
    }
    for (number, lane) in lanes.iter().enumerate() {
        lane.draw(&mut svg, &axis, TOP + LANE * number as f64);
    }
    svg.push_str("</svg>");
    svg
}

impl Lane {
    fn draw(&self, svg: &mut String, axis: &Axis, top: f64) {
        let (text, y) = (top + 13.0, at(top + 22.0));
        let dots = self.dots.iter().fold(String::new(), |mut dots, &dot| {
            let _ = write!(dots, "M{} {y}h0", at(axis.place(dot)));
            dots
        });
        let Interval { low, median, high } = self.interval;
        let (from, to, middle) = (at(axis.place(low)), at(axis.place(high)), at(axis.place(median)));
        let _ = write!(
            svg,
            "<text class=\"{class}\" x=\"6\" y=\"{text}\">{}</text><text class=\"{class}\" x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\
             <path class=\"dots {class}\" d=\"{dots}\"/><path class=\"span {class}\" d=\"M{from} {y}H{to}M{middle} {}v11\"/>",
            escape(&self.label),
            WIDTH - 6.0,
            escape(&self.value),
            at(top + 16.5),
            class = self.class,
        );
    }
}
