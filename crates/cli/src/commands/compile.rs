//! `diffuser compile`.

use std::fmt::Write;

use diffuser::output::AtomicFile;
use diffuser::{Generator, Measured, Program, Result};
use serde_json::{Value, json};

use super::{classes, open_quantised};
use crate::args::CompileArgs;
use crate::ui::{self, Ui};

/// Layers of the text's list: those that take longest.
const MOST_LAYERS: usize = 10;

/// Compiles a model for the accelerator.
pub fn run(arguments: &CompileArgs, ui: &Ui) -> Result<()> {
    let output = arguments.output.as_deref().map(AtomicFile::create);
    let output = output.transpose()?;
    let model = open_quantised(arguments.model.as_deref(), arguments.execution, ui)?;
    let class: Vec<String> = arguments.class.iter().cloned().collect();
    let mut generator = Generator::new(&model)
        .classes(classes(model.profile(), &class)?)
        .eta(arguments.eta)
        .threads(arguments.execution.threads());
    if let Some(sampler) = arguments.scheduler {
        generator = generator.sampler(sampler);
    }
    if let Some(steps) = arguments.steps {
        generator = generator.steps(steps);
    }
    if let Some(spacing) = arguments.timestep_spacing {
        generator = generator.spacing(spacing);
    }
    if let Some(stage) = arguments.emit {
        ui::print(&generator.compiler_stage(&arguments.target, arguments.batch, stage)?)?;
    }
    if output.is_none() && arguments.emit.is_some() {
        return Ok(());
    }
    let program = generator.compile(&arguments.target, arguments.batch)?;
    if let Some(output) = output {
        let path = output.path().display().to_string();
        output.commit(&program.to_bytes()?)?;
        ui.note(&format!(
            "{} descriptors: {path}",
            program.compiled.program.len()
        ));
    }
    if arguments.emit.is_some() {
        return Ok(());
    }
    let measured = program.measure()?;
    if arguments.json {
        return ui::print_json(&report(arguments, &program, &measured));
    }
    ui::print(&text(&program, &measured))
}

fn stalls([weight, operand, bank, drain]: [u64; 4]) -> Value {
    json!({ "weight": weight, "operand": operand, "bank": bank, "drain": drain })
}

fn report(arguments: &CompileArgs, program: &Program, measured: &Measured) -> Value {
    let layers = measured.layers.iter().map(|layer| {
        let [norm, prep, array] = layer.cycles;
        json!({
            "name": layer.name,
            "descriptors": layer.descriptors,
            "cycles": { "norm": norm, "prep": prep, "array": array },
            "busy": layer.busy,
            "stalls": stalls(layer.stalls),
            "utilisation": layer.utilisation,
        })
    });
    let mut value = program.describe();
    value["version"] = json!(env!("CARGO_PKG_VERSION"));
    value["model"] = arguments.model.as_ref().map_or_else(
        || json!("embedded"),
        |path| json!(path.display().to_string()),
    );
    value["cycles_per_step"] = json!(measured.cycles_per_step);
    value["cycles_per_image_step"] = json!(measured.cycles_per_step as f64 / images(program));
    let macs: u64 = program.macs.iter().sum();
    value["macs_per_step"] = json!(macs * program.compiled.images as u64);
    value["utilisation"] = json!(measured.utilisation);
    value["busy_per_step"] = json!(measured.busy);
    value["stalls_per_step"] = stalls(measured.stalls);
    value["layers"] = layers.collect();
    value
}

fn text(program: &Program, measured: &Measured) -> String {
    let c = &program.compiled;
    let target = &c.target;
    let shape = target.shape;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22}{value}");
    };
    line(
        "target",
        format!(
            "{}: {} pixels x {} outputs x {} inputs",
            target.name, shape.pixels, shape.outputs, shape.inputs
        ),
    );
    line(
        "sampler",
        format!("{}, {} steps", program.options.sampler, c.steps),
    );
    line("descriptors", c.program.len().to_string());
    line("weights and states", format!("{} bytes", c.data.len()));
    line("record of a step", format!("{} bytes", c.stride));
    line("loaded in a step", format!("{} bytes", c.bytes_per_pass()));
    for &(memory, words) in &c.taken {
        let name = format!("{memory} memory");
        line(&name, format!("{words} of {} words", target.words(memory)));
    }
    line("cycles of a step", measured.cycles_per_step.to_string());
    if c.images > 1 {
        let each = measured.cycles_per_step as f64 / images(program);
        line("for each image", format!("{each:.0} of {}", c.images));
    }
    line("array in use", percent(measured.utilisation));
    let [weight, operand, bank, drain] = measured.stalls;
    line(
        "it waits for",
        format!("weights {weight}, operands {operand}, banks {bank}, drain {drain} cycles"),
    );
    let mut layers: Vec<_> = measured.layers.iter().collect();
    let array = |l: &&diffuser::LayerCycles| l.cycles[2] + l.stalls[0] + l.stalls[1];
    layers.sort_by_key(|l| std::cmp::Reverse(array(l)));
    let _ = writeln!(
        text,
        "\n{:>10}  {:>6}  layer that takes long",
        "cycles", "in use"
    );
    for layer in layers.into_iter().take(MOST_LAYERS) {
        let share = percent(layer.utilisation);
        let _ = writeln!(text, "{:>10}  {share:>6}  {}", array(&layer), layer.name);
    }
    text
}

fn images(program: &Program) -> f64 {
    program.compiled.images as f64
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
