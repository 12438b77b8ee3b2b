//! `diffuser info`.

use std::fmt::Write;
use std::path::Path;

use diffuser::graph::{Graph, Node, Op, TensorKind};
use diffuser::quantised::{Intervals, NodeParams, QuantisedModel, TensorTable, WideLinear};
use diffuser::{Profile, Residual, Result};
use serde_json::{Value, json};

use super::{Chosen, open};
use crate::args::InfoArgs;
use crate::ui;

/// Rows of the table of time steps in the text; JSON has all.
const MOST_ROWS: usize = 10;

/// Kind of a convolution that runs in phases.
const PHASES: &str = "convolution phases";

/// Kind of the skip's part of a block's first convolution.
const SKIP: &str = "convolution, skip";

/// Says what a model is.
pub fn run(arguments: &InfoArgs) -> Result<()> {
    let name = arguments
        .model
        .as_deref()
        .map_or("embedded model".into(), display);
    let value = match open(arguments.model.as_deref())? {
        Chosen::Quantised(model) => {
            let quantised = model.quantised();
            let mut value = common(&name, model.profile(), &quantised.graph);
            value["kind"] = json!("quantised");
            value["weight_bytes"] = json!(diffuser::weight_bytes(quantised));
            let layers = value["layers"].as_array_mut().into_iter().flatten();
            let nodes = quantised.graph.nodes.iter().zip(&quantised.nodes);
            for (layer, (node, params)) in layers.zip(nodes) {
                layer["steps"] = json!(
                    (0..quantised.intervals.len())
                        .map(|row| step(quantised, node.output, row))
                        .collect::<Vec<_>>()
                );
                if let NodeParams::Conv(c) = params {
                    layer["weight_bits"] = json!(c.bits.count());
                    layer["weights"] = json!(c.weight.len());
                }
            }
            value["parameters"] = json!(parameters(quantised));
            value["bytes"] = json!(model.to_bytes()?.len());
            value["table_bytes"] = json!(quantised.table_bytes());
            value["table_share"] = json!(table_share(quantised));
            value["provenance"] = json!(quantised.provenance);
            value["residual"] = json!(residual(quantised));
            value["rewrites"] = json!(quantised.rewrites);
            value["calibrated_timesteps"] = json!(quantised.calibrated);
            let last = model.profile().scheduler.num_train_timesteps - 1;
            value["intervals"] = intervals(quantised, last);
            value
        }
        Chosen::Float(model) => {
            let mut value = common(&name, model.profile(), model.graph());
            value["kind"] = json!("float");
            value["parameters"] = json!(model.pipeline().weights.count());
            value["provenance"] = json!({ "source_sha256": model.source_sha256() });
            value
        }
    };
    if arguments.json {
        return ui::print_json(&value);
    }
    ui::print(&text(&value, arguments.layers))
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// What both kinds of model have.
fn common(name: &str, profile: &Profile, graph: &Graph) -> Value {
    let [height, width, channels] = profile.sample_shape();
    let layers: Vec<_> = graph.nodes.iter().map(|n| layer(graph, n)).collect();
    let classes: Vec<_> = (0..profile.classes())
        .map(|c| profile.class_label(c))
        .collect();
    json!({
        "model": name,
        "sample": { "height": height, "width": width, "channels": channels },
        "macs": graph.macs(),
        "layers": layers,
        "classes": classes,
        "scheduler": profile.scheduler,
        "sampler": profile.default_sampler(),
        "config": profile.config,
    })
}

fn layer(graph: &Graph, node: &Node) -> Value {
    let out = &graph.tensors[node.output];
    let kind = match &node.op {
        Op::Norm(n) if n.silu => "group norm, SiLU",
        Op::Norm(_) => "group norm",
        Op::Quantise { .. } => "quantise",
        Op::Conv(c) if c.kernel == 1 => "linear",
        Op::Conv(c) if c.phases => PHASES,
        Op::Conv(c) if c.input_channels.start > 0 => SKIP,
        Op::Conv(_) => "convolution",
        Op::Attention(_) => "attention",
        Op::Resample(_) => "resample",
    };
    json!({
        "name": node.name,
        "kind": kind,
        "output": [out.height, out.width, out.channels],
        "macs": graph.node_macs(node),
    })
}

/// Bits of the residual stream where products read it, as `quantize --residual` takes them; none where
/// nothing reads it.
fn residual(model: &QuantisedModel) -> Option<&'static str> {
    let graph = &model.graph;
    let read = graph.nodes.iter().filter(|n| {
        matches!(n.op, Op::Quantise { .. }) && graph.tensors[n.inputs[0]].kind == TensorKind::Stream
    });
    let wide: Vec<bool> = read
        .map(|n| model.tensors[n.output] == TensorTable::Planes)
        .collect();
    match (wide.contains(&true), wide.contains(&false)) {
        (false, false) => None,
        (false, true) => Some(Residual::Eight.name()),
        (true, true) => Some(Residual::Shortcuts.name()),
        (true, false) => Some(Residual::Fifteen.name()),
    }
}

/// Weights, biases and the like, as the float model counts them.
fn parameters(model: &QuantisedModel) -> usize {
    let wide = |w: &WideLinear| w.weight.len() + w.bias.len();
    let nodes = model.graph.nodes.iter().zip(&model.nodes);
    let network: usize = nodes
        .map(|(node, params)| match (params, &node.op) {
            (NodeParams::Norm { gamma, beta }, _) => gamma.len() + beta.len(),
            (NodeParams::Conv(_), Op::Conv(conv)) => {
                let (out, taps) = (conv.output_channels, conv.float_kernel().pow(2));
                let bias = conv.bias.as_ref().map_or(0, |_| out);
                out * conv.input_channels.len() * taps + bias
            }
            _ => 0,
        })
        .sum();
    let e = &model.embedding;
    let embedding: usize = e.time.iter().chain(&e.projections).map(wide).sum();
    network + embedding + e.classes.len()
}

/// Bytes of the tables over those of the weights, biases and scales not counted.
fn table_share(model: &QuantisedModel) -> f64 {
    let e = &model.embedding;
    let wide = e
        .time
        .iter()
        .chain(&e.projections)
        .map(|w| 2 * w.weight.len());
    let narrow = model.nodes.iter().map(|node| match node {
        NodeParams::Conv(c) => c.weight.len(),
        NodeParams::Norm { .. } | NodeParams::None => 0,
    });
    model.table_bytes() as f64 / wide.chain(narrow).sum::<usize>() as f64
}

/// Step size of an operand, or unit of a stream, in one interval of time steps.
fn step(model: &QuantisedModel, id: usize, row: usize) -> f64 {
    match model.graph.tensors[id].kind {
        TensorKind::Operand => diffuser::scale_to_f64(model.operand_step(id, row).step),
        TensorKind::Input | TensorKind::Stream => f64::from(-model.exponent(id, row)).exp2(),
    }
}

/// For each interval of time steps: the step sizes of operands and the units of streams.
fn intervals(model: &QuantisedModel, last: u32) -> Value {
    let Intervals { starts } = &model.intervals;
    let ids = |kind: TensorKind| {
        let tensors = model.graph.tensors.iter().enumerate();
        tensors
            .filter(move |(_, t)| t.kind == kind)
            .map(|(id, _)| id)
    };
    let rows: Vec<_> = (0..starts.len())
        .map(|row| {
            let of = |kind| ids(kind).map(|id| step(model, id, row)).collect();
            json!({
                "first": starts[row],
                "last": starts.get(row + 1).map_or(last, |next| next - 1),
                "operand_step": spread(of(TensorKind::Operand)),
                "stream_unit": spread(of(TensorKind::Stream)),
            })
        })
        .collect();
    json!(rows)
}

/// Smallest, middle and largest value.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(min), Some(median), Some(max)) => json!({ "min": min, "median": median, "max": max }),
        _ => Value::Null,
    }
}

/// The same for people.
fn text(value: &Value, layers: bool) -> String {
    let mut out = String::new();
    let mut put = |name: &str, text: String| {
        writeln!(out, "{name:<13}{text}").expect("a string takes any text");
    };
    let plain = |v: &Value| v.as_str().map_or(v.to_string(), str::to_owned);
    let of = |path: &str| value.pointer(path).map_or(String::new(), plain);
    let million = |path: &str| value.pointer(path).and_then(Value::as_f64).unwrap_or(0.0) / 1e6;

    put("model", format!("{} ({})", of("/model"), of("/kind")));
    put(
        "sample",
        format!(
            "{} x {} pixels, {} channels",
            of("/sample/width"),
            of("/sample/height"),
            of("/sample/channels")
        ),
    );
    let all = value["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let with = |kinds: &[&str]| {
        all.iter()
            .filter(|l| kinds.iter().any(|k| l["kind"] == *k))
            .count()
    };
    put(
        "network",
        format!(
            "{:.2} M parameters; {} convolutions, {} linear layers, {} group norms, {} attentions",
            million("/parameters"),
            with(&["convolution", PHASES, SKIP]),
            with(&["linear"]),
            with(&["group norm", "group norm, SiLU"]),
            with(&["attention"]),
        ),
    );
    put(
        "work",
        format!(
            "{:.1} M multiply-accumulates an evaluation",
            million("/macs")
        ),
    );
    if value["bytes"].is_number() {
        put("file", format!("{:.2} MB", million("/bytes")));
        let of_bits = |bits: u32| {
            let of = all.iter().filter(|l| l["weight_bits"] == bits);
            of.filter_map(|l| l["weights"].as_f64())
                .fold(0.0, |a, b| a + b)
                / 1e6
        };
        put(
            "weights",
            format!(
                "{:.2} MB: {:.2} M of 8 bits, {:.2} M of 4, in {} of {} layers",
                million("/weight_bytes"),
                of_bits(8),
                of_bits(4),
                all.iter().filter(|l| l["weight_bits"] == 4).count(),
                all.iter().filter(|l| l["weight_bits"].is_number()).count(),
            ),
        );
    }
    if let (Some(bytes), Some(share)) =
        (value["table_bytes"].as_f64(), value["table_share"].as_f64())
    {
        let rows = value["intervals"].as_array().map_or(0, Vec::len);
        put(
            "tables",
            format!(
                "{:.1} kB for {rows} intervals of time steps, {:.2} % of the weights' bytes",
                bytes / 1e3,
                100.0 * share
            ),
        );
    }
    put(
        "trained with",
        format!(
            "{} time steps, {}, predicts {}",
            of("/scheduler/num_train_timesteps"),
            of("/scheduler/beta_schedule"),
            of("/scheduler/prediction_type"),
        ),
    );
    put(
        "sampler",
        format!(
            "{}, {} spacing",
            of("/sampler"),
            of("/scheduler/timestep_spacing")
        ),
    );
    if value["kind"] == "quantised" {
        let p = |field: &str| of(&format!("/provenance/{field}"));
        put(
            "quantised",
            format!(
                "{}, {} rounding, calibrated with {} images in {} steps of {}, seed {}, by version {}",
                p("method"),
                p("rounding"),
                p("images"),
                p("steps"),
                p("sampler"),
                p("seed"),
                p("quantiser"),
            ),
        );
    }
    let read = match value["residual"].as_str() {
        Some("shortcuts") => Some("15 bits in shortcuts, 8 where it is resampled"),
        Some("15") => Some("15 bits in shortcuts and where it is resampled"),
        Some(_) => Some("8 bits in shortcuts and where it is resampled"),
        None => None,
    };
    if let Some(read) = read {
        put("residual", read.into());
    }
    for (field, name, kind, what) in [
        (
            "phases_from",
            "upsampling",
            PHASES,
            "convolutions behind it in phases",
        ),
        ("split_from", "skips", SKIP, "convolved by themselves"),
    ] {
        if let Some(least) = value["rewrites"][field].as_u64() {
            let count = with(&[kind]);
            put(
                name,
                format!("{count} {what}, those with at least {least} pixels"),
            );
        }
    }
    put(
        "source",
        format!("weights with sha256 {}", of("/provenance/source_sha256")),
    );
    let classes = value["classes"].as_array().map_or(&[][..], Vec::as_slice);
    if classes.is_empty() {
        put("classes", "none".into());
    } else {
        put("classes", classes.len().to_string());
        for (i, name) in classes.iter().enumerate() {
            put("", format!("{i:4}  {}", plain(name)));
        }
    }
    if let Some(rows) = value["intervals"].as_array() {
        out += &interval_table(rows);
    }
    if layers {
        out += &layer_table(all);
    }
    out
}

fn interval_table(rows: &[Value]) -> String {
    let shown = rows.len().min(MOST_ROWS);
    let omitted = match rows.len() - shown {
        0 => String::new(),
        _ => format!("; {shown} shown, --json has all"),
    };
    let mut out = format!(
        "\n{} intervals of time steps, each with its own step sizes (smallest, median, largest{omitted}):\n\
         {:>12}   {:<30}   stream units\n",
        rows.len(),
        "time steps",
        "operand steps",
    );
    for i in 0..shown {
        // Evenly, both ends included.
        let row = &rows[i * (rows.len() - 1) / (shown - 1).max(1)];
        let three = |v: &Value| {
            ["min", "median", "max"]
                .map(|k| format!("{:8.2e}", v[k].as_f64().unwrap_or(0.0)))
                .join("  ")
        };
        out += &format!(
            "{:>5} - {:>4}   {:<30}   {}\n",
            row["first"].to_string(),
            row["last"].to_string(),
            three(&row["operand_step"]),
            three(&row["stream_unit"]),
        );
    }
    out
}

fn layer_table(layers: &[Value]) -> String {
    let mut out = format!(
        "\n{:<52} {:<18} {:>14} {:>10} {:>4}\n",
        "layer", "kind", "output", "MACs", "bits"
    );
    for layer in layers {
        let text = |key: &str| layer[key].as_str().unwrap_or_default().to_owned();
        let shape: Vec<_> = layer["output"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect();
        out += &format!(
            "{:<52} {:<18} {:>14} {:>10} {:>4}\n",
            text("name"),
            text("kind"),
            shape.join("x"),
            layer["macs"].to_string(),
            layer["weight_bits"]
                .as_u64()
                .map_or(String::new(), |b| b.to_string()),
        );
    }
    out
}
