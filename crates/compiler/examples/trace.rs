//! A program's run on the simulator of the ZU9EG as JSON, for `scripts/accelerator_tables.py`:
//!
//!     cargo run --release -p diffuser-compiler --example trace -- cifar10 > cifar10.json
//!     cargo run --release -p diffuser-compiler --example trace -- shipped > shipped.json
//!
//! `cifar10` is the 35.7 M U-Net of CIFAR-10 with random weights (streams enter products in 8 bits, as the
//! quantiser makes them unless told otherwise), `shipped` the model that the command ships. Three steps of
//! DDIM; spans of all descriptors, in cycles since start, from the simulator's cycle model.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;

use common::model::{Kind, random_model_of};
use common::runner::steps;
use common::simulate::simulate;
use diffuser_compiler::{Source, Target, compile};
use diffuser_device::{Options, Simulator, Span};
use diffuser_isa::{Common, Descriptor, Op, Unit};
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::Sampler;

/// Steps of the run: the first begins with empty memories, the last is like all others.
const STEPS: u32 = 3;

fn model(name: &str) -> QuantisedModel {
    match name {
        "cifar10" => random_model_of(diffuser_testing::CIFAR10, 1, Kind::default()),
        "shipped" => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let file = root.join("../cli/assets/default.safetensors");
            QuantisedModel::load(&file).expect("the shipped model")
        }
        _ => panic!("cifar10 or shipped, not {name}"),
    }
}

/// The `prep` that a chained `conv` follows, counted in its pass from 0.
fn follows(common: &Common) -> String {
    match common.wait(Unit::Prep) {
        Some(count) if common.chain => (count - 1).to_string(),
        _ => "null".into(),
    }
}

/// What a picture or a table needs to know of a descriptor, as members of an object.
fn details(descriptor: &Descriptor) -> String {
    match &descriptor.op {
        Op::Conv(op) => format!(
            r#", "kernel": {}, "stride": {}, "upsample": {}, "spread": {}, "interleave": {}, "planes": {}, "blocks": {}, "tiles": {}, "pad": [{}, {}], "in": [{}, {}], "out": [{}, {}], "dest": {}, "sums": {}, "follows": {}"#,
            [1, 3, 2][op.kernel as usize],
            op.stride + 1,
            op.upsample,
            op.spread,
            op.interleave,
            u32::from(op.planes) + 1,
            op.blocks,
            op.tiles,
            op.pad_top,
            op.pad_left,
            op.in_height,
            op.in_width,
            op.out_height,
            op.out_width,
            op.dest_kind,
            op.sums,
            follows(&descriptor.common)
        ),
        Op::Prep(op) => format!(r#", "kind": {}"#, op.kind),
        Op::Load(op) => format!(r#", "space": {}, "words": {}"#, op.space, op.words),
        _ => String::new(),
    }
}

fn span(span: &Span, program: &[Descriptor]) -> String {
    format!(
        r#"{{"index": {}, "step": {}, "tag": {}, "operation": "{}", "unit": "{}", "start": {}, "end": {}, "issued": {}, "busy": {}, "weight": {}, "operand": {}, "bank": {}, "drain": {}{}}}"#,
        span.index,
        span.step,
        span.tag,
        span.operation,
        span.unit.name(),
        span.start,
        span.end,
        span.issued,
        span.busy,
        span.stall_weight,
        span.stall_operand,
        span.stall_bank,
        span.stall_store,
        details(&program[span.index as usize])
    )
}

fn counters(simulator: &Simulator) -> String {
    let c = simulator.counters();
    format!(
        r#"{{"cycles": {}, "busy": {}, "weight": {}, "operand": {}, "bank": {}, "drain": {}, "read_bytes": {}}}"#,
        c.cycles,
        c.array_busy,
        c.stall_weight,
        c.stall_operand,
        c.stall_bank,
        c.stall_store,
        c.read_bytes
    )
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let model = model(&name);
    let length = model.graph.tensors[Graph::INPUT].len();
    let start = noise(1, 0, Purpose::Start, length);
    let class = (!model.embedding.classes.is_empty()).then_some(1);
    println!("{{");
    // one step more than another: start and end of the program do not count
    for count in [STEPS - 1, STEPS] {
        let (steps, sampling) = steps(&model, Sampler::Ddim, count, class);
        let source = Source {
            graph: &model.graph,
            nodes: &model.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        let compiled = compile(&source, &Target::ZU9EG).expect("the model fits");
        let options = Options {
            trace: true,
            ..Options::default()
        };
        let driver = simulate(&compiled, &[&start], options);
        let simulator = driver.device();
        println!(r#""counters_{count}": {},"#, counters(simulator));
        if count < STEPS {
            continue;
        }
        let taken = compiled.taken.iter();
        let taken = taken.map(|(m, n)| format!(r#""{m}": [{n}, {}]"#, compiled.target.words(*m)));
        let taken: Vec<String> = taken.collect();
        let names: Vec<String> = compiled.names.iter().map(|n| format!("{n:?}")).collect();
        let spans = simulator.trace().iter();
        let spans: Vec<String> = spans.map(|s| span(s, &compiled.program)).collect();
        let shape = compiled.target.shape;
        println!(r#""name": "{name}", "steps": {count},"#);
        println!(
            r#""shape": [{}, {}, {}],"#,
            shape.pixels, shape.outputs, shape.inputs
        );
        println!(r#""macs": {},"#, model.graph.macs());
        let nodes = model.graph.nodes.iter();
        let macs: Vec<String> = nodes
            .map(|n| model.graph.node_macs(n).to_string())
            .collect();
        println!(r#""node_macs": [{}],"#, macs.join(", "));
        println!(r#""descriptors": {},"#, compiled.program.len());
        println!(r#""data_bytes": {},"#, compiled.data.len());
        println!(r#""record_bytes": {},"#, compiled.stride);
        println!(r#""taken": {{{}}},"#, taken.join(", "));
        println!(r#""names": [{}],"#, names.join(", "));
        println!("\"spans\": [\n{}\n]", spans.join(",\n"));
    }
    println!("}}");
}
