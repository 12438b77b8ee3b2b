//! Line plots as SVG.

use std::fmt::Write;

/// Size of the picture and the room around the axes.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 56.0;

/// Colours that people with any colour vision can tell apart (Okabe and Ito 2008).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the legend calls it.
    pub name: String,
    /// Points, left to right.
    pub points: Vec<(f64, f64)>,
}

/// A plot of lines over a linear horizontal and a logarithmic vertical axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Above the plot.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// At most four are told apart by colour.
    pub lines: Vec<Line>,
}

impl Plot {
    /// The plot as an SVG file. Points that are not finite, or not above 0, are left out.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let shown = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && y > 0.0;
        let all: Vec<_> = self
            .lines
            .iter()
            .flat_map(|l| l.points.iter().copied().filter(shown))
            .collect();
        let x = Axis::linear(&all.iter().map(|p| p.0).collect::<Vec<_>>());
        let y = Axis::logarithmic(&all.iter().map(|p| p.1).collect::<Vec<_>>());
        let px = |v: f64| LEFT + x.place(v) * (WIDTH - LEFT - RIGHT);
        let py = |v: f64| HEIGHT - BOTTOM - y.place(v.log10()) * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<text x="{LEFT}" y="26" font-size="16" font-weight="bold">{}</text>
"##,
            escape(&self.title)
        );
        let mut put = |text: std::fmt::Arguments<'_>| {
            svg.write_fmt(text).expect("a string takes any text");
            svg.push('\n');
        };
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for &(value, ref label) in &x.ticks {
            let p = px(value);
            put(format_args!(
                r##"<path d="M{p:.1} {TOP}V{bottom}" stroke="#e4e4e4"/><text x="{p:.1}" y="{:.1}" text-anchor="middle">{label}</text>"##,
                bottom + 18.0
            ));
        }
        for &(value, ref label) in &y.ticks {
            let p = py(10f64.powf(value));
            put(format_args!(
                r##"<path d="M{LEFT} {p:.1}H{right}" stroke="#e4e4e4"/><text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"##,
                LEFT - 8.0,
                p + 4.5
            ));
        }
        put(format_args!(
            r##"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#444"/>"##
        ));
        put(format_args!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            (LEFT + right) / 2.0,
            HEIGHT - 14.0,
            escape(&self.x_label)
        ));
        put(format_args!(
            r#"<text transform="translate(18 {:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            (TOP + bottom) / 2.0,
            escape(&self.y_label)
        ));
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<_> = line
                .points
                .iter()
                .filter(|p| shown(p))
                .map(|&(x, y)| format!("{:.1},{:.1}", px(x), py(y)))
                .collect();
            if let [only] = points.as_slice() {
                // A polyline of one point draws nothing.
                let (cx, cy) = only.split_once(',').unwrap_or_default();
                put(format_args!(
                    r#"<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>"#
                ));
            } else {
                put(format_args!(
                    r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#,
                    points.join(" ")
                ));
            }
        }
        put(format_args!("{}</svg>", self.legend(right, &all, px, py)));
        svg
    }

    /// The legend, in the corner of the axes that has the fewest points.
    fn legend(
        &self,
        right: f64,
        all: &[(f64, f64)],
        px: impl Fn(f64) -> f64,
        py: impl Fn(f64) -> f64,
    ) -> String {
        let longest = self.lines.iter().map(|l| l.name.chars().count()).max();
        let (w, h) = (
            50.0 + 7.2 * longest.unwrap_or(0) as f64,
            10.0 + 20.0 * self.lines.len() as f64,
        );
        let bottom = HEIGHT - BOTTOM;
        let corners = [
            (right - w - 8.0, TOP + 8.0),
            (LEFT + 8.0, TOP + 8.0),
            (LEFT + 8.0, bottom - h - 8.0),
            (right - w - 8.0, bottom - h - 8.0),
        ];
        let covered = |&(left, top): &(f64, f64)| {
            all.iter()
                .filter(|&&(x, y)| {
                    (left..left + w).contains(&px(x)) && (top..top + h).contains(&py(y))
                })
                .count()
        };
        let (left, top) = corners.into_iter().min_by_key(covered).unwrap_or_default();
        let mut out = format!(
            r##"<rect x="{left:.1}" y="{top:.1}" width="{w:.1}" height="{h:.1}" fill="#fff" fill-opacity="0.85" stroke="#ccc"/>"##
        );
        for (i, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let y = top + 18.0 + 20.0 * i as f64;
            write!(
                out,
                r#"
<path d="M{:.1} {:.1}h22" stroke="{colour}" stroke-width="3"/><text x="{:.1}" y="{y:.1}">{}</text>"#,
                left + 8.0,
                y - 4.0,
                left + 38.0,
                escape(&line.name)
            )
            .expect("a string takes any text");
        }
        out.push('\n');
        out
    }
}

/// The range of an axis and its labelled places.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Where a value lies on the axis, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Lowest and highest value; something sensible when there is none or they are one.
    fn range(values: &[f64]) -> (f64, f64) {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match low.partial_cmp(&high) {
            Some(std::cmp::Ordering::Less) => (low, high),
            Some(std::cmp::Ordering::Equal) => (low - 0.5, high + 0.5),
            _ => (0.0, 1.0),
        }
    }

    /// About six ticks at multiples of 1, 2 or 5 times a power of ten.
    fn linear(values: &[f64]) -> Self {
        let (low, high) = Self::range(values);
        let power = 10f64.powf(((high - low) / 6.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            .find(|s| (high - low) / s <= 8.0)
            .unwrap_or(10.0 * power);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let ticks = (first..=last)
            .map(|i| i as f64 * step)
            .map(|v| (v, format!("{v:.digits$}")))
            .collect();
        Self { low, high, ticks }
    }

    /// In powers of ten: whole decades, with 2 and 5 labelled as well when there are few.
    fn logarithmic(values: &[f64]) -> Self {
        let logs: Vec<_> = values.iter().map(|v| v.log10()).collect();
        let (low, high) = Self::range(&logs);
        let within: &[f64] = match high - low {
            d if d < 1.6 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let candidates: Vec<f64> = (low.floor() as i32 - 1..=high.ceil() as i32)
            .flat_map(|decade| within.iter().map(move |m| f64::from(decade) + m.log10()))
            .collect();
        // Outwards to the nearest tick, so that the lines stay inside.
        let low = candidates
            .iter()
            .copied()
            .rfind(|&t| t <= low)
            .unwrap_or(low);
        let high = candidates
            .iter()
            .copied()
            .find(|&t| t >= high)
            .unwrap_or(high);
        let ticks = candidates
            .into_iter()
            .filter(|t| (low..=high).contains(t))
            .map(|t| (t, power_label(t)))
            .collect();
        Self { low, high, ticks }
    }
}

/// `10^log`, a number of one digit times a power of ten, in the shortest readable way.
fn power_label(log: f64) -> String {
    let decade = (log + 1e-9).floor();
    let digit = 10f64.powf(log - decade).round() as u32;
    if (-4.0..4.0).contains(&decade) {
        return format!("{:.*}", (-decade).max(0.0) as usize, 10f64.powf(log));
    }
    format!("{digit}e{decade}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(lines: Vec<Vec<(f64, f64)>>) -> Plot {
        Plot {
            title: "Error <a & b>".into(),
            x_label: "step".into(),
            y_label: "relative error".into(),
            lines: lines
                .into_iter()
                .enumerate()
                .map(|(i, points)| Line {
                    name: format!("line {i}"),
                    points,
                })
                .collect(),
        }
    }

    #[test]
    fn a_plot_stays_as_it_is() {
        insta::assert_snapshot!(
            plot(vec![
                vec![(0.0, 0.01), (1.0, 0.02), (2.0, 0.5)],
                vec![(0.0, 0.3), (1.0, 0.0), (2.0, f64::NAN)],
            ])
            .to_svg()
        );
    }

    #[test]
    fn nothing_to_plot_is_a_plot_all_the_same() {
        for lines in [
            vec![],
            vec![vec![]],
            vec![vec![(0.0, 0.0)]],
            vec![vec![(3.0, 1.0)]],
        ] {
            let svg = plot(lines).to_svg();
            assert!(svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn axes() {
        let x = Axis::linear(&[0.0, 49.0]);
        let labels: Vec<_> = x.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(labels, ["0", "10", "20", "30", "40"]);
        let y = Axis::logarithmic(&[0.03, 0.4]);
        let labels: Vec<_> = y.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(labels, ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        assert!((y.place(0.02f64.log10())).abs() < 1e-9);
        let y = Axis::logarithmic(&[1e-7, 1.0]);
        let labels: Vec<_> = y.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(labels[..4], ["1e-7", "1e-6", "1e-5", "0.0001"]);
    }
}
