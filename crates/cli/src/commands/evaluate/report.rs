//! The figures, as a table and as JSON.

use diffuser::{Comparison, SamplerOptions};
use serde_json::{Value, json};

use crate::commands::compare::mean_psnr;

/// All figures.
pub struct Report {
    /// What was measured.
    pub run: Run,
    /// Image against image of the same noise.
    pub paired: Paired,
    /// Errors at each step, if measured.
    pub steps: Option<Comparison>,
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
    /// Digest of the quantised file.
    pub model_sha256: String,
    /// Digest of the float model: of weights, configuration and schedule.
    pub float_sha256: String,
    /// Digest of the float pixels.
    pub sha256_float: String,
    /// Digest of the pixels made in integers.
    pub sha256_integers: String,
}

/// Figures of pairs of images from the same noise.
pub struct Paired {
    /// Peak signal-to-noise ratio of each pair in decibels; infinite where the two are equal.
    psnr: Vec<f64>,
}

impl Paired {
    /// From the ratio of each pair, one or more.
    pub fn new(psnr: Vec<f64>) -> Self {
        Self { psnr }
    }

    fn median(&self) -> f64 {
        let mut sorted = self.psnr.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
    }

    fn worst(&self) -> f64 {
        self.psnr.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

impl Report {
    /// The table.
    pub fn to_text(&self) -> String {
        let Run {
            images,
            first,
            seed,
            options,
            ..
        } = &self.run;
        let mut text = format!(
            "{images} images from number {first}, seed {seed}, {} {} steps\n\n",
            options.sampler.name(),
            options.steps
        );
        let mut row = |name: &str, value: String| text += &format!("{name:<44}{value}\n");
        let p = &self.paired;
        row("PSNR, median", format!("{:6.2} dB", p.median()));
        row(
            "PSNR of the mean squared error",
            format!("{:6.2} dB", mean_psnr(&p.psnr)),
        );
        row("PSNR, worst image", format!("{:6.2} dB", p.worst()));
        if let Some(steps) = &self.steps {
            let [mean, worst] = step_figures(steps);
            let n = steps.psnr.len();
            row(
                &format!("error of one evaluation, mean ({n} images)"),
                format!("{:6.2} %", mean * 100.0),
            );
            row(
                "error of one evaluation, worst step",
                format!("{:6.2} %", worst * 100.0),
            );
        }
        text
    }

    /// Everything. JSON has no infinity: equal pictures have `null` decibels.
    pub fn to_json(&self) -> Value {
        let run = &self.run;
        let p = &self.paired;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "images": run.images,
            "first": run.first,
            "seed": run.seed,
            "sampler": run.options,
            "model_sha256": run.model_sha256,
            "float_sha256": run.float_sha256,
            "sha256": { "float": run.sha256_float, "integers": run.sha256_integers },
            "psnr_db": {
                "median": p.median(),
                "of_mean_squared_error": mean_psnr(&p.psnr),
                "worst": p.worst(),
                "each": p.psnr,
            },
            "steps": self.steps.as_ref().map(|c| {
                let [mean, worst] = step_figures(c);
                json!({
                    "images": c.psnr.len(),
                    "output_relative_error_mean": mean,
                    "output_relative_error_worst": worst,
                    "each": c.steps.iter().map(|s| json!({
                        "timestep": s.timestep,
                        "output_relative_error": s.output,
                        "state_relative_error": s.state,
                    })).collect::<Vec<_>>(),
                })
            }),
        })
    }
}

/// Mean and worst over the steps of the error of the network's output on the same input.
fn step_figures(comparison: &Comparison) -> [f64; 2] {
    let errors = comparison.steps.iter().map(|s| s.output);
    let mean = errors.clone().sum::<f64>() / comparison.steps.len() as f64;
    [mean, errors.fold(0.0, f64::max)]
}
