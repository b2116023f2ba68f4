//! Colours, which follow the reader's choice of light or dark, and the small things that all pictures share.

use std::fmt::Write;

/// The colours. Whoever prints it gets the light ones.
pub(super) const COLOURS: &str = "\
:root{--ground:#fff;--ink:#1d2129;--soft:#626b78;--line:#dde1e7;--wash:#f5f6f8;--ours:#0a6ebd;--rival:#b4540a;--peer:#6b4fa0;\
--loss:#b3261e;--tie:#7a5d00;--win:#1b6e3c;--band:#b4540a22}\
@media(prefers-color-scheme:dark){:root{--ground:#15181d;--ink:#e6e8ec;--soft:#9aa4b2;--line:#323843;--wash:#1d2128;\
--ours:#5cb3ff;--rival:#f0a05a;--peer:#b79df0;--loss:#ff8a80;--tie:#e3c45c;--win:#74d39a;--band:#f0a05a2e}}";

/// How the parts of a picture look.
pub(super) const PICTURE: &str = "\
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}svg .grid{stroke:var(--line);stroke-width:1;fill:none}\
svg .one{stroke:var(--soft);stroke-width:1}svg .band{fill:var(--band)}\
svg .dots{stroke-linecap:round;stroke-width:5;opacity:.38;fill:none}svg .span{stroke-width:3;fill:none}\
svg .ours{stroke:var(--ours)}svg .rival{stroke:var(--rival)}svg .peer{stroke:var(--peer)}svg .context{stroke:var(--soft)}\
svg text.ours{fill:var(--ours);stroke:none;font-weight:600}svg text.rival{fill:var(--rival);stroke:none}\
svg text.peer{fill:var(--peer);stroke:none}svg text.context{fill:var(--soft);stroke:none}\
svg .bars{stroke:none;opacity:.8}svg .bars.ours{fill:var(--ours)}svg .bars.rival{fill:var(--rival)}svg .bars.peer{fill:var(--peer)}svg .bars.context{fill:var(--soft)}\
svg .curve{fill:none;stroke-width:1.5;opacity:.75}svg .curve.ours{stroke-width:3;opacity:1}";

/// A picture as a file of its own.
pub(super) fn alone(picture: &str) -> String {
    let style = format!("<style>{COLOURS}{PICTURE}svg{{background:var(--ground)}}</style>");
    let picture = picture.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    let open = picture.find('>').map_or(0, |at| at + 1);
    format!("{}{style}{}\n", &picture[..open], &picture[open..])
}

/// Text that may stand between tags and in quotes. Backticks are Markdown's, and mean nothing there.
pub(super) fn escape(text: &str) -> String {
    text.replace('`', "").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Three digits that mean something, thousands apart.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (number, digit) in digits.chars().enumerate() {
                if number > 0 && (digits.len() - number).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A logarithmic axis between two figures.
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that shows all of `figures` between these two coordinates.
    pub(super) fn new(figures: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = figures.clone().fold(f64::INFINITY, f64::min).max(1e-3);
        let high = figures.fold(low * 1.01, f64::max);
        Axis { low: low / 1.12, high: high * 1.12, from, to }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// Round figures to label: as many as there is room for.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = match decades {
            decades if decades < 1.6 => &[1.0, 2.0, 5.0],
            decades if decades < 3.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let mut ticks = Vec::new();
        for power in -4..10 {
            ticks.extend(
                steps
                    .iter()
                    .map(|step| step * 10_f64.powi(power))
                    .filter(|&tick| tick >= self.low && tick <= self.high),
            );
        }
        ticks
    }
}

/// A tick's figure: no zeros that say nothing.
pub(super) fn tick(value: f64) -> String {
    if value < 1.0 {
        return format!("{}", (value * 1e4).round() / 1e4);
    }
    figure(value.round()).trim_end_matches(".00").trim_end_matches(".0").to_owned()
}

/// Coordinates, to a tenth.
pub(super) fn at(value: f64) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value:.1}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_commas() {
        assert_eq!([1.234, 12.34, 123.4, 1_234_567.0].map(figure), ["1.23", "12.3", "123", "1,234,567"]);
        assert_eq!([3.0 * 0.1, 1.0, 20.0, 3000.0].map(tick), ["0.3", "1", "20", "3,000"]);
    }

    #[test]
    fn an_axis_shows_all_and_puts_the_mean_of_logarithms_in_the_middle() {
        let axis = Axis::new([1.0, 100.0].into_iter(), 0.0, 100.0);
        assert!(axis.place(1.0) > 0.0 && axis.place(100.0) < 100.0);
        assert!((axis.place(10.0) - 50.0).abs() < 1e-9);
        assert_eq!(axis.ticks(), [1.0, 3.0, 10.0, 30.0, 100.0]);
    }

    #[test]
    fn what_could_be_a_tag_is_none() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
