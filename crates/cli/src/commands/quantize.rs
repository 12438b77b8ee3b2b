//! `diffuser quantize`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use diffuser::output::AtomicFile;
use diffuser::{Budget, Error, FloatModel, QuantiseSettings, Result, Rewrites, Weights};
use serde_json::json;

use super::quantise_watched;
use crate::args::QuantizeArgs;
use crate::ui::{self, Ui, seconds};

/// Where a calibration that is interrupted leaves what it has: beside the output, if that is a file.
fn unfinished(output: &Path) -> Option<PathBuf> {
    if output.exists() && !output.is_file() {
        return None;
    }
    let mut name = output.file_name()?.to_owned();
    name.push(".calibration");
    Some(output.with_file_name(name))
}

/// The widths that the command line asks for.
fn weights(arguments: &QuantizeArgs) -> Result<Weights> {
    let bytes = arguments.weight_bytes.map(Budget::Bytes);
    let budget = bytes.or(arguments.weight_budget.map(Budget::Share));
    match (arguments.weights.as_str(), budget) {
        ("mixed", Some(budget)) => Ok(Weights::Mixed(budget)),
        ("mixed", None) => Err(Error::setting(
            "--weights mixed: a budget is needed, --weight-bytes N or --weight-budget PERCENT",
        )),
        (_, Some(_)) => Err(Error::setting(
            "--weight-bytes and --weight-budget: only with --weights mixed",
        )),
        ("4", None) => Ok(Weights::Four),
        (_, None) => Ok(Weights::Eight),
    }
}

/// Makes a quantised file of a folder.
pub fn run(arguments: &QuantizeArgs, ui: &Ui) -> Result<()> {
    let weights = weights(arguments)?;
    let output = AtomicFile::create(&arguments.output)?;
    let float = FloatModel::load(&arguments.folder)?;
    let settings = QuantiseSettings {
        method: arguments.method.clone(),
        residual: arguments.residual,
        rows: arguments.rows.map(|n| n as usize),
        sampler: arguments.scheduler,
        steps: arguments.steps,
        images: arguments.images,
        seed: arguments.seed,
        rounding: arguments.rounding,
        weights,
        rewrites: Rewrites::chosen(arguments.upsample == "phases", arguments.skips == "split"),
        threads: arguments.threads.unwrap_or(0) as usize,
        unfinished: unfinished(&arguments.output),
    };
    let begun = Instant::now();
    if settings.unfinished.as_ref().is_some_and(|p| p.exists()) {
        ui.note("taking up the calibration that was interrupted");
    }
    let model = quantise_watched(&float, &settings, ui)?;
    let time = begun.elapsed();
    let bytes = model.to_bytes()?;
    output.commit(&bytes)?;
    let name = arguments.output.display();
    ui.note(&format!(
        "{name}: {:.2} MB ({:.2} MB of weights), {} intervals of time steps, in {}",
        bytes.len() as f64 / 1e6,
        diffuser::weight_bytes(model.quantised()) as f64 / 1e6,
        model.quantised().intervals.len(),
        seconds(time)
    ));
    if arguments.json {
        let provenance = &model.quantised().provenance;
        ui::print_json(&json!({
            "output": name.to_string(),
            "bytes": bytes.len(),
            "weight_bytes": diffuser::weight_bytes(model.quantised()),
            "intervals": model.quantised().intervals.len(),
            "provenance": provenance,
            "seconds": time.as_secs_f64(),
        }))?;
    }
    Ok(())
}
