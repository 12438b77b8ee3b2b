//! Networks whose tensors are larger than the memories: these live in DDR and go through in bands of rows.

use diffuser_compiler::{Compiled, Target};
use diffuser_cosim::memory::DdrConfig;
use diffuser_isa::{Op, Space};
use diffuser_model::graph::Graph;
use diffuser_model::sampling::Sampler;

use crate::common::model::random_model;
use crate::common::runner::{check_output, prepared};
use crate::common::simulate::job;
use crate::networks::same_work;
use crate::run::{TARGET, compare};

/// Rows and columns of the input.
const SIZE: [u32; 2] = [16, 8];

/// Three levels, the lowest with attention, which needs its operands whole.
const CONFIG: &str = r#"{"sample_size": [16, 8], "block_out_channels": [9, 18, 27], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    "norm_num_groups": 9, "attention_head_dim": 9, "downsample_padding": 1}"#;

/// The program has all of what can be cut, in bands: `rows` of `columns` are fewer than the tensor's.
fn check_bands(graph: &Graph, compiled: &Compiled) {
    let words = graph.tensors.iter().map(|t| {
        let blocks = t.channels.div_ceil(TARGET.shape.outputs);
        t.height * t.width * blocks
    });
    let largest = words.max().expect("tensors");
    assert!(
        compiled.target.stream < largest,
        "one tensor has {largest} words"
    );
    let band = |columns: u32, rows: u32| rows < SIZE[0] * columns / SIZE[1];
    let count = |what: &str, f: &dyn Fn(&Op) -> bool| {
        let found = compiled.program.iter().filter(|d| f(&d.op)).count();
        println!("{found} {what}");
        assert!(found > 1, "{what}");
    };
    let stream = Space::Stream as u32;
    count(
        "stores of streams",
        &|op| matches!(op, Op::Store(s) if s.space == stream),
    );
    count(
        "loads of streams",
        &|op| matches!(op, Op::Load(l) if l.space == stream),
    );
    count(
        "bands of which a norm's sums are added",
        &|op| matches!(op, Op::Conv(c) if c.add_sums && band(c.out_width, c.out_height)),
    );
    count(
        "bands that a norm is applied to",
        &|op| matches!(op, Op::Prep(p) if p.kind == 0 && band(p.width, p.height)),
    );
    count(
        "bands of a stream beside a skip connection's",
        &|op| matches!(op, Op::Prep(p) if p.channels_b > 0 && band(p.width, p.height)),
    );
    count(
        "bands of results with a residual",
        &|op| matches!(op, Op::Conv(c) if c.residual && band(c.out_width, c.out_height)),
    );
    count(
        "bands of half the size",
        &|op| matches!(op, Op::Conv(c) if c.stride == 1 && band(c.out_width, c.out_height)),
    );
    count(
        "bands of twice the size",
        &|op| matches!(op, Op::Conv(c) if c.upsample && band(c.out_width, c.out_height)),
    );
    count("attentions", &|op| matches!(op, Op::Attention(_)));
}

/// On the RTL, with the simulator descriptor by descriptor; state and pixels are the engine's.
fn check(target: &Target, sampler: Sampler) -> Compiled {
    let model = random_model(CONFIG, 26, false);
    let (compiled, want) = prepared(&model, target, (sampler, 2), None, 1);
    check_bands(&model.graph, &compiled);
    let job = job(&compiled, &[&want[0].start]);
    let (rtl, simulated) = compare(&job, &compiled.program, DdrConfig::default());
    same_work(&rtl, &simulated);
    check_output(
        &compiled.state_of(&rtl.data[compiled.state_out(0)]),
        &compiled.pixels_of(&rtl.data[compiled.pixels_out(0)]),
        &want[0],
    );
    compiled
}

/// One stream takes up to 384 words, two as an operand up to 160 rows.
const SMALLER: Target = Target {
    stream: 300,
    operand: 72,
    ..TARGET
};

#[test]
fn streams_and_operands() {
    check(&SMALLER, Sampler::Ddpm);
}

/// The state too, which the sampler's update then reads and writes in bands.
#[test]
fn streams_operands_and_the_state() {
    let target = Target {
        state: 80,
        ..SMALLER
    };
    let compiled = check(&target, Sampler::Ddim);
    let pixels = SIZE[0] * SIZE[1];
    let updates = compiled.program.iter();
    let updates = updates.filter(|d| matches!(d.op, Op::Sample(s) if s.pixels < pixels));
    assert!(updates.count() > 1);
}
