//! `diffuser compare`.

use diffuser::output::{AtomicFile, Line, Plot, difference};
use diffuser::{
    Comparison, FloatModel, Generator, Image, Model, Profile, Progress, Result, sha256,
};
use serde_json::{Value, json};

use super::{Layout, check_distinct, configure, latents, quantise_once};
use crate::args::CompareArgs;
use crate::ui::{self, Bar, Ui};

/// Images where no number is given.
const DEFAULT_COUNT: usize = 8;

/// How much brighter differences are shown than they are.
const DIFFERENCE_GAIN: u8 = 8;

/// Makes images in both arithmetics and measures.
pub fn run(arguments: &CompareArgs, ui: &Ui) -> Result<()> {
    check_distinct(&[Some(&arguments.output), arguments.plot.as_deref()])?;
    let output = AtomicFile::create(&arguments.output)?;
    let plot = arguments
        .plot
        .as_deref()
        .map(AtomicFile::create)
        .transpose()?;
    let float = FloatModel::load(&arguments.folder)?;
    let model = match &arguments.quantised {
        Some(path) => Model::load(path)?,
        None => quantise_once(&float, arguments.sampling.execution, ui)?,
    };
    let latents = latents(arguments.latents.as_deref(), float.profile())?;
    let given = arguments.count;
    let sampling = &arguments.sampling;
    let generator = configure(
        Generator::new(&model),
        sampling,
        latents.as_ref(),
        given,
        DEFAULT_COUNT,
    )?;
    let count = generator.image_count()?;
    let columns = arguments.columns.map_or(8, |c| c as usize).min(count);
    let cells = 3 * count.next_multiple_of(columns);
    let layout = Layout::new(float.profile(), cells, columns, arguments.scale)?;
    let watcher = Watcher(ui.bar("comparing"));
    let comparison = generator.compare(&float, &watcher)?;
    drop(watcher);
    if !model.was_made_from(&float) {
        ui.warn("the quantised file was made from other weights than those in the folder");
    }

    output.commit(&sheet(&comparison, layout).to_png())?;
    if let Some(file) = plot {
        file.commit(error_plot(&comparison).to_svg().as_bytes())?;
    }
    if arguments.json {
        ui::print_json(&report(&comparison, float.profile(), arguments))
    } else {
        ui::print(&summary(&comparison, float.profile(), arguments))
    }
}

struct Watcher(Bar);

impl Progress for Watcher {
    fn evaluated(&self, done: u64, total: u64) {
        self.0.set(done, total);
    }
}

/// Bands of three rows: float, integer, difference.
fn sheet(comparison: &Comparison, layout: Layout) -> Image {
    let pairs: Vec<_> = comparison.float.iter().zip(&comparison.integer).collect();
    let columns = layout.columns;
    let mut cells = Vec::new();
    for band in pairs.chunks(columns) {
        let float = |(f, _): &(&Image, &Image)| Image::clone(f);
        let integer = |(_, i): &(&Image, &Image)| Image::clone(i);
        let differ = |(f, i): &(&Image, &Image)| difference(f, i, DIFFERENCE_GAIN);
        for row in [float as fn(&_) -> _, integer, differ] {
            // A last band that is not full stays aligned: empty cells show the background.
            let empty = (band.len()..columns).map(|_| None);
            cells.extend(band.iter().map(|p| Some(row(p))).chain(empty));
        }
    }
    layout.arrange(cells.iter().map(Option::as_ref))
}

/// Errors over the steps.
pub fn error_plot(comparison: &Comparison) -> Plot {
    let line = |name: &str, error: &dyn Fn(usize) -> f64| Line {
        name: name.into(),
        points: (0..comparison.steps.len())
            .map(|i| ((i + 1) as f64, error(i)))
            .collect(),
    };
    Plot {
        title: format!(
            "Integers against floating point, {} images",
            comparison.float.len()
        ),
        x_label: "step of the sampler (first: noise, last: image)".into(),
        y_label: "relative error".into(),
        lines: vec![
            line("network's output, same input", &|i| {
                comparison.steps[i].output
            }),
            line("state, each its own way", &|i| comparison.steps[i].state),
        ],
    }
}

/// Mean in decibels that survives equal pictures: of the mean squared errors, not of the decibels.
pub fn mean_psnr(psnr: &[f64]) -> f64 {
    let mean = psnr.iter().map(|p| 10f64.powf(-p / 10.0)).sum::<f64>() / psnr.len() as f64;
    -10.0 * mean.log10()
}

fn summary(comparison: &Comparison, profile: &Profile, arguments: &CompareArgs) -> String {
    let mut text = String::new();
    for (k, (psnr, class)) in
        (arguments.sampling.first..).zip(comparison.psnr.iter().zip(&comparison.classes))
    {
        let class = class.map_or(String::new(), |c| format!("  {}", profile.class_label(c)));
        text += &format!("image {k:5}  {psnr:6.2} dB{class}\n");
    }
    text += &format!("all          {:6.2} dB\n", mean_psnr(&comparison.psnr));
    let worst = comparison
        .steps
        .iter()
        .map(|s| s.output)
        .fold(0.0, f64::max);
    let last = comparison.steps.last().map_or(0.0, |s| s.state);
    text += &format!(
        "network's output on the same input: relative error at most {:.2} % at any step\n",
        worst * 100.0
    );
    text += &format!("final state: relative error {:.2} %\n", last * 100.0);
    text
}

/// JSON has no infinity: equal pictures have `null` decibels.
fn report(comparison: &Comparison, profile: &Profile, arguments: &CompareArgs) -> Value {
    let images: Vec<_> = (arguments.sampling.first..)
        .zip(comparison.psnr.iter().zip(&comparison.classes))
        .map(|(index, (psnr, class))| {
            json!({
                "index": index,
                "class": class,
                "class_name": class.map(|c| profile.class_label(c)),
                "psnr_db": psnr,
            })
        })
        .collect();
    let steps: Vec<_> = comparison
        .steps
        .iter()
        .map(|s| {
            json!({
                "timestep": s.timestep,
                "output_relative_error": s.output,
                "state_relative_error": s.state,
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "psnr_db": mean_psnr(&comparison.psnr),
        "images": images,
        "steps": steps,
        "sha256": { "float": sha256(&comparison.float), "integer": sha256(&comparison.integer) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_are_averaged_as_errors() {
        assert!((mean_psnr(&[30.0, 30.0]) - 30.0).abs() < 1e-9);
        assert!((mean_psnr(&[30.0, f64::INFINITY]) - 33.0103).abs() < 1e-4);
        assert_eq!(mean_psnr(&[f64::INFINITY]), f64::INFINITY);
    }
}
