//! `diffuser quantize`.

use std::time::Instant;

use diffuser::output::AtomicFile;
use diffuser::{FloatModel, QuantiseSettings, Result};
use serde_json::json;

use crate::args::QuantizeArgs;
use crate::ui::{self, Ui, seconds};

/// Makes a quantised file of a folder.
pub fn run(arguments: &QuantizeArgs, ui: &Ui) -> Result<()> {
    let output = AtomicFile::create(&arguments.output)?;
    let float = FloatModel::load(&arguments.folder)?;
    let settings = QuantiseSettings {
        method: arguments.method.clone(),
        sampler: arguments.scheduler,
        steps: arguments.steps,
        images: arguments.images,
        seed: arguments.seed,
        rounding: arguments.rounding,
        threads: arguments.threads.unwrap_or(0) as usize,
    };
    let begun = Instant::now();
    let bar = ui.bar("calibrating");
    let model = float.quantise(&settings, &|done, total| bar.set(done, total))?;
    drop(bar);
    let time = begun.elapsed();
    let bytes = model.to_bytes()?;
    output.commit(&bytes)?;
    let name = arguments.output.display();
    ui.note(&format!(
        "{name}: {:.2} MB, {} intervals of time steps, in {}",
        bytes.len() as f64 / 1e6,
        model.quantised().intervals.len(),
        seconds(time)
    ));
    if arguments.json {
        let provenance = &model.quantised().provenance;
        ui::print_json(&json!({
            "output": name.to_string(),
            "bytes": bytes.len(),
            "intervals": model.quantised().intervals.len(),
            "provenance": provenance,
            "seconds": time.as_secs_f64(),
        }))?;
    }
    Ok(())
}
