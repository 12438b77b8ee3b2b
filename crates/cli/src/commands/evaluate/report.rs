//! The figures, as tables and as JSON.

use std::fmt::Write;

use diffuser::{Comparison, Result, SamplerOptions};
use diffuser_evaluate::Preprocessing;
use diffuser_metrics::Jackknife;
use serde_json::{Value, json};

use super::distances::{BLOCKS, Between, Distances, Figures};
use super::figure::{Figure, LEVEL};
use super::paired::Paired;
use super::reference::{MOST_ROWS, Reference};
use crate::commands::compare::mean_psnr;

/// All figures.
pub struct Report {
    /// What was measured.
    pub run: Run,
    /// The float model, if there is one.
    pub float: Option<Measurements>,
    /// The quantised models; the first is the one that all is about.
    pub systems: Vec<System>,
    /// Distances between generated sets.
    pub between: Vec<Between>,
    /// The real images, if there are any.
    pub reference: Option<Reference>,
}

/// What was measured.
pub struct Run {
    /// Number of images.
    pub images: usize,
    /// Index of the first.
    pub first: u64,
    /// Seed of the noise.
    pub seed: u64,
    /// How they were sampled.
    pub options: SamplerOptions,
    /// What made the features.
    pub extractor: Option<Extractor>,
}

/// What made the features.
pub struct Extractor {
    /// Digest of its file.
    pub sha256: String,
    /// How it was given the images.
    pub preprocessing: Preprocessing,
    /// Number of features.
    pub dim: usize,
}

/// The float model.
pub struct Measurements {
    /// Digest of the model: of weights, configuration and schedule.
    pub sha256: String,
    /// Digest of all pixels.
    pub pixels_sha256: String,
    /// Distances to the reference.
    pub distances: Option<Distances>,
}

/// A quantised model.
pub struct System {
    /// What it is called.
    pub name: String,
    /// Digest of the file.
    pub sha256: String,
    /// Digest of all pixels.
    pub pixels_sha256: String,
    /// Distances to the reference.
    pub distances: Option<Distances>,
    /// Against the float images of the same noise.
    pub paired: Option<Paired>,
    /// Errors at each step, if measured.
    pub steps: Option<Comparison>,
}

/// Width of the first column.
const NAME: usize = 44;

/// Kernel distances are shown times this, as they are published.
const KERNEL_SCALE: f64 = 1000.0;

impl Report {
    /// The tables.
    pub fn to_text(&self) -> Result<String> {
        let Run {
            images,
            first,
            seed,
            options,
            ..
        } = &self.run;
        let mut text = format!(
            "{images} images from number {first}, seed {seed}, {} {} steps\n",
            options.sampler.name(),
            options.steps
        );
        for system in &self.systems {
            if let Some(paired) = &system.paired {
                writeln!(text, "\n{} against float, the same noise", system.name).expect("memory");
                paired_text(&mut text, paired, system.steps.as_ref())?;
            }
        }
        if let Some(reference) = &self.reference {
            self.distances_text(&mut text, reference)?;
        }
        if !self.between.is_empty() {
            text += "\nFréchet distance between generated sets\n";
            for b in &self.between {
                let noise = if b.same_noise {
                    "same noise"
                } else {
                    "other noise"
                };
                let name = format!(
                    "{} - {}, {} images, {noise}",
                    b.names[0], b.names[1], b.images
                );
                row(&mut text, &name, &b.distance.text(3));
            }
        }
        let versus = &self.systems[1..];
        for other in versus {
            let main = &self.systems[0];
            writeln!(text, "\n{} less {}, paired", main.name, other.name).expect("memory");
            if let (Some(a), Some(b)) = (&main.paired, &other.paired) {
                for (name, figure) in a.less(b)? {
                    row(&mut text, paired_name(name), &figure.signed(4));
                }
            }
            if let Some(figure) = step_difference(main, other) {
                let figure = figure.times(100.0).signed(3);
                row(&mut text, "error of one evaluation, mean, %", &figure);
            }
            if let (Some(a), Some(b)) = (&main.distances, &other.distances) {
                difference_text(&mut text, &a.less(b)?);
            }
        }
        Ok(text)
    }

    fn distances_text(&self, text: &mut String, reference: &Reference) -> Result<()> {
        let extractor = self.run.extractor.as_ref();
        writeln!(
            text,
            "\ndistances to {}, {} images{}, by {}",
            reference.name,
            reference.moments.count(),
            reference
                .size
                .map_or(String::new(), |[h, w]| format!(" of {w}x{h}")),
            extractor.map_or("", |e| &e.preprocessing.name)
        )
        .expect("memory");
        let float = self.float.as_ref().and_then(|f| f.distances.as_ref());
        let systems = self.systems.iter();
        let systems = systems.filter_map(|s| Some((s.name.as_str(), s.distances.as_ref()?)));
        for (name, distances) in float
            .map(|d| ("float", d))
            .into_iter()
            .chain(systems.clone())
        {
            let figures = distances.figures()?;
            for (what, title, factor, digits) in SHOWN {
                if let Some(figure) = figures.get(what) {
                    let name = format!("{name}: {title}");
                    row(text, &name, &figure.times(factor).text(digits));
                }
            }
        }
        if let Some(floor) = &reference.floor {
            let [a, b] = floor.images;
            let of = if floor.halves {
                "halves of the reference"
            } else {
                "the test images"
            };
            let name = format!("floor: {of}, {a} and {b}");
            row(text, &name, &Figure::jackknifed(&floor.distance)?.text(3));
        }
        if let Some(float) = float {
            for (name, distances) in systems {
                writeln!(text, "\n{name} less float, the same noise").expect("memory");
                difference_text(text, &distances.less(float)?);
            }
        }
        Ok(())
    }

    /// Everything. JSON has no infinity: equal pictures have `null` decibels.
    pub fn to_json(&self) -> Result<Value> {
        let run = &self.run;
        let main = &self.systems[0];
        let float = self.float.as_ref();
        let mut value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "images": run.images,
            "first": run.first,
            "seed": run.seed,
            "sampler": run.options,
            "confidence": LEVEL,
            "model_sha256": main.sha256,
            "float_sha256": float.map(|f| &f.sha256),
            "sha256": { "float": float.map(|f| &f.pixels_sha256), "integers": main.pixels_sha256 },
            "extractor": run.extractor.as_ref().map(|e| json!({
                "sha256": e.sha256,
                "preprocessing": e.preprocessing,
                "features": e.dim,
            })),
            "reference": self.reference.as_ref().map(reference_json).transpose()?,
            "float": float.map(|f| distances_json(f.distances.as_ref())).transpose()?,
            "between": self.between.iter().map(Between::to_json).collect::<Vec<_>>(),
        });
        self.system_json(main, &mut value)?;
        let mut versus = Vec::new();
        for other in &self.systems[1..] {
            let mut entry = json!({
                "model_sha256": other.sha256,
                "sha256": { "integers": other.pixels_sha256 },
            });
            self.system_json(other, &mut entry)?;
            let mut less = serde_json::Map::new();
            if let (Some(a), Some(b)) = (&main.paired, &other.paired) {
                let figures = a.less(b)?;
                less.extend(
                    figures
                        .into_iter()
                        .map(|(n, f)| (n.to_owned(), f.to_json())),
                );
            }
            if let Some(figure) = step_difference(main, other) {
                less.insert("output_relative_error_mean".into(), figure.to_json());
            }
            if let (Some(a), Some(b)) = (&main.distances, &other.distances) {
                less.insert("distances".into(), a.less(b)?.to_json());
            }
            entry["model_less_this"] = Value::Object(less);
            versus.push(entry);
        }
        value["versus"] = json!(versus);
        Ok(value)
    }

    /// What is known of one quantised model.
    fn system_json(&self, system: &System, value: &mut Value) -> Result<()> {
        value["name"] = json!(system.name);
        if let Some(paired) = &system.paired {
            value["psnr_db"] = paired.psnr_json()?;
            for (name, figure) in paired.other_json()? {
                value[name] = figure;
            }
        }
        value["steps"] = json!(system.steps.as_ref().map(steps_json));
        value["distances"] = distances_json(system.distances.as_ref())?;
        let float = self.float.as_ref().and_then(|f| f.distances.as_ref());
        if let (Some(a), Some(b)) = (&system.distances, float) {
            value["distances_less_float"] = a.less(b)?.to_json();
        }
        Ok(())
    }
}

/// Figures of the table of distances: name, title, what they are multiplied with, digits.
const SHOWN: [(&str, &str, f64, usize); 7] = [
    ("frechet", "Fréchet distance", 1.0, 3),
    ("kernel", "kernel distance x 1000", KERNEL_SCALE, 3),
    ("inception", "Inception score", 1.0, 3),
    ("precision", "precision", 1.0, 4),
    ("recall", "recall", 1.0, 4),
    ("density", "density", 1.0, 4),
    ("coverage", "coverage", 1.0, 4),
];

fn row(text: &mut String, name: &str, value: &str) {
    writeln!(text, "  {name:<NAME$} {value}").expect("memory");
}

fn paired_name(name: &str) -> &str {
    match name {
        "psnr_db" => "PSNR, median of the differences, dB",
        "ssim" => "SSIM",
        "feature_distance" => "cosine distance of features",
        other => other,
    }
}

fn paired_text(text: &mut String, paired: &Paired, steps: Option<&Comparison>) -> Result<()> {
    let Figure {
        value, interval, ..
    } = paired.median()?;
    row(
        text,
        "PSNR, median",
        &format!("{value:6.2} dB [{:.2}, {:.2}]", interval.low, interval.high),
    );
    row(
        text,
        "PSNR of the mean squared error",
        &format!("{:6.2} dB", mean_psnr(&paired.psnr)),
    );
    row(
        text,
        "PSNR, worst image",
        &format!("{:6.2} dB", paired.worst()),
    );
    if let Some(ssim) = paired.mean_ssim()? {
        row(text, "SSIM, mean", &ssim.text(5));
    }
    if let Some(distance) = paired.mean_features()? {
        row(text, "cosine distance of features, mean", &distance.text(6));
    }
    if let Some(steps) = steps {
        let n = steps.psnr.len();
        let mean = step_mean(steps);
        let interval = match Figure::jackknifed(&mean) {
            Ok(f) => format!(
                " [{:.3}, {:.3}]",
                f.interval.low * 100.0,
                f.interval.high * 100.0
            ),
            // of one image
            Err(_) => String::new(),
        };
        row(
            text,
            &format!("error of one evaluation, mean ({n} images)"),
            &format!("{:6.3} %{interval}", mean.estimate * 100.0),
        );
        row(
            text,
            "error of one evaluation, worst step",
            &format!("{:6.3} %", step_worst(steps) * 100.0),
        );
    }
    Ok(())
}

/// Differences of distances; the Fréchet distance with the bound that it stays under.
fn difference_text(text: &mut String, figures: &Figures) {
    let percent = LEVEL * 100.0;
    if let Some(f) = figures.get("frechet") {
        let most = f.at_most.map_or(String::new(), |m| {
            format!(", at most {m:+.3} ({percent:.0} %)")
        });
        row(text, "Fréchet distance", &(f.signed(3) + &most));
    }
    if let Some(f) = figures.get("frechet_ratio") {
        let most = f.at_most.map_or(String::new(), |m| {
            format!(", at most {m:.4} ({percent:.0} %)")
        });
        row(text, "Fréchet distance, ratio", &(f.text(4) + &most));
    }
    for (what, title, factor, digits) in SHOWN.into_iter().skip(1) {
        if let Some(f) = figures.get(what) {
            row(text, title, &f.times(factor).signed(digits));
        }
    }
}

fn reference_json(reference: &Reference) -> Result<Value> {
    Ok(json!({
        "name": reference.name,
        "images": reference.moments.count(),
        "size": reference.size,
        "blocks": BLOCKS,
        "images_for_neighbours": reference.rows.is_some().then_some(
            reference.moments.count().min(MOST_ROWS as u64)
        ),
        "floor": reference.floor.as_ref().map(|f| -> Result<Value> {
            Ok(json!({
                "frechet": Figure::jackknifed(&f.distance)?.to_json(),
                "images": f.images,
                "halves": f.halves,
            }))
        }).transpose()?,
    }))
}

fn distances_json(distances: Option<&Distances>) -> Result<Value> {
    distances.map_or(Ok(Value::Null), Distances::to_json)
}

fn steps_json(comparison: &Comparison) -> Value {
    let mean = step_mean(comparison);
    json!({
        "images": comparison.psnr.len(),
        "output_relative_error_mean": mean.estimate,
        "output_relative_error_mean_interval": Figure::jackknifed(&mean)
            .ok()
            .map(|f| [f.interval.low, f.interval.high]),
        "output_relative_error_worst": step_worst(comparison),
        "each": comparison.steps.iter().map(|s| json!({
            "timestep": s.timestep,
            "output_relative_error": s.output,
            "state_relative_error": s.state,
        })).collect::<Vec<_>>(),
    })
}

/// Mean over the steps of the error of the network's output on the same input, and the same without each image.
fn step_mean(comparison: &Comparison) -> Jackknife {
    let steps = &comparison.output_squares;
    let mean = |left_out: Option<usize>| {
        let error = |images: &Vec<[f64; 2]>| {
            let kept = images.iter().enumerate();
            let kept = kept.filter(|(k, _)| Some(*k) != left_out);
            let [error, signal] = kept.fold([0.0; 2], |[e, s], (_, i)| [e + i[0], s + i[1]]);
            if error == 0.0 {
                0.0
            } else {
                (error / signal).sqrt()
            }
        };
        steps.iter().map(error).sum::<f64>() / steps.len() as f64
    };
    Jackknife {
        estimate: mean(None),
        without: (0..comparison.psnr.len()).map(|k| mean(Some(k))).collect(),
    }
}

/// The mean error at a step of one model less that of another, on the same images; of two images or more.
fn step_difference(a: &System, b: &System) -> Option<Figure> {
    let (a, b) = (a.steps.as_ref()?, b.steps.as_ref()?);
    let difference = step_mean(a).difference(&step_mean(b)).ok()?;
    Figure::jackknifed(&difference).ok()
}

/// The worst step.
fn step_worst(comparison: &Comparison) -> f64 {
    let errors = comparison.steps.iter().map(|s| s.output);
    errors.fold(0.0, f64::max)
}
