//! Distances and their intervals, as a picture.

use std::fmt::Write;

use diffuser::Result;
use diffuser_metrics::Jackknife;

use super::figure::{Figure, LEVEL};
use super::report::Report;

/// Room for names, for the axis of distances, and to the right of it.
const LEFT: f64 = 230.0;
const PLOT: f64 = 430.0;
const RIGHT: f64 = 100.0;
/// Height of a row, and room above and below all of them.
const ROW: f64 = 30.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;

/// One row a set of images: a dot at the distance, a line over its interval; the floor as a row of its own. SVG.
pub fn distances(report: &Report) -> Result<String> {
    let mut rows: Vec<(&str, Figure)> = Vec::new();
    let mut add = |name, jackknife: Option<&Jackknife>| -> Result<()> {
        if let Some(jackknife) = jackknife {
            rows.push((name, Figure::jackknifed(jackknife)?));
        }
        Ok(())
    };
    let floor = report.reference.as_ref().and_then(|r| r.floor.as_ref());
    add("floor: real against real", floor.map(|f| &f.distance))?;
    let float = report.float.as_ref().and_then(|f| f.distances.as_ref());
    add("float", float.map(|d| &d.frechet))?;
    for system in &report.systems {
        add(&system.name, system.distances.as_ref().map(|d| &d.frechet))?;
    }
    let name = report.reference.as_ref().map_or("", |r| &r.name);
    let title = format!(
        "Fréchet distance to {name}, {} images, {:.0} % intervals",
        report.run.images,
        LEVEL * 100.0
    );
    Ok(svg(&title, &rows))
}

fn svg(title: &str, rows: &[(&str, Figure)]) -> String {
    let highs = rows.iter().map(|(_, f)| f.interval.high.max(f.value));
    let most = highs.filter(|v| v.is_finite()).fold(0.0, f64::max);
    let step = tick_step(most);
    let ticks = (most / step) as usize + 1;
    let end = ticks as f64 * step;
    let x = |v: f64| LEFT + PLOT * v.max(0.0) / end;
    let (width, bottom) = (LEFT + PLOT + RIGHT, TOP + ROW * rows.len() as f64);
    let height = bottom + BOTTOM;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"28\" font-size=\"15\" text-anchor=\"middle\">{}</text>\n",
        width / 2.0,
        escape(title)
    );
    for k in 0..=ticks {
        let tick = k as f64 * step;
        writeln!(
            out,
            "<line x1=\"{0:.1}\" y1=\"{TOP}\" x2=\"{0:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{2}</text>",
            x(tick),
            bottom + 20.0,
            // without the noise of binary fractions
            (tick * 1e9).round() / 1e9
        )
        .expect("memory");
    }
    for (i, (name, figure)) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <line x1=\"{:.1}\" y1=\"{y}\" x2=\"{:.1}\" y2=\"{y}\" stroke=\"#0072b2\" stroke-width=\"2\"/>\
             <circle cx=\"{:.1}\" cy=\"{y}\" r=\"4\" fill=\"#0072b2\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.2}</text>",
            LEFT - 10.0,
            y + 4.0,
            escape(name),
            x(figure.interval.low),
            x(figure.interval.high),
            x(figure.value),
            x(figure.interval.high.max(figure.value)) + 10.0,
            y + 4.0,
            figure.value
        )
        .expect("memory");
    }
    out + "</svg>\n"
}

/// 1, 2 or 5 times a power of ten, for about six ticks up to `most`; 1 where there is nothing to show.
fn tick_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let rough = most / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|m| m * power >= rough);
    step.unwrap_or(10.0) * power
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use diffuser_metrics::Interval;

    use super::*;

    #[test]
    fn a_plot_of_distances_stays_as_it_is() {
        let figure = |value: f64, reach: f64| Figure {
            value,
            interval: Interval {
                low: value - reach,
                high: value + reach,
            },
            at_most: None,
        };
        let rows = [
            ("floor: real against real", figure(3.1, 0.2)),
            ("float", figure(12.0, 0.5)),
            ("static <mse>", figure(17.25, 0.75)),
        ];
        insta::assert_snapshot!(svg("Fréchet distance to a & b", &rows));
    }

    #[test]
    fn nothing_to_plot_is_a_plot_all_the_same() {
        let svg = svg("none", &[]);
        assert!(svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(tick_step(18.0), 5.0);
        assert_eq!(tick_step(0.9), 0.2);
        assert_eq!(tick_step(6.0), 1.0);
        assert_eq!(tick_step(0.0), 1.0);
        assert_eq!(tick_step(3e-9), 5e-10);
    }
}
