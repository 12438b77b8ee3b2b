//! Vectors of real layers: what descriptors of the shipped model find in the memories when it runs.

use std::collections::BTreeSet;
use std::path::Path;

use diffuser_compiler::Target;
use diffuser_device::{Context, Memories};
use diffuser_isa::{Op, Unit};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::Sampler;

#[path = "../../../compiler/tests/common/mod.rs"]
mod common;

use common::runner::{IMAGE, Machine, SEED, check_result, prepared, trace};

/// Steps of the sampler.
const STEPS: u32 = 2;

/// Most pixels of a convolution's result or of attention: others take the small array too long.
const PIXELS: u32 = 256;

/// What tells a descriptor from others that do the same with other numbers; none of what takes too long.
fn kind(op: &Op, step: u32) -> Option<Vec<u32>> {
    match op {
        Op::Conv(c) => (c.out_width * c.out_height <= PIXELS).then(|| {
            let flags = [c.planes, c.upsample, c.residual, c.sums, c.add_sums];
            let flags = flags.into_iter().chain([c.interleave, c.spread]);
            let flags = flags.map(u32::from);
            flags.chain([c.dest_kind, c.kernel, c.stride]).collect()
        }),
        Op::Prep(p) => {
            let flags = [p.silu, p.spread, p.sums, p.channels_b > 0].map(u32::from);
            Some([&flags[..], &[p.kind, p.resample]].concat())
        }
        Op::Attention(a) => (a.pixels <= PIXELS).then(|| vec![a.heads, a.head_blocks, a.pixels]),
        Op::Norm(n) => Some(vec![step, n.channels_a, n.channels_b, n.groups]),
        Op::Sample(_) => Some(vec![step]),
        _ => None,
    }
}

/// Runs the shipped model; of each kind of `unit`'s descriptors the first is shown to `check`, with the memories that it finds, and those that the simulator
/// leaves. Returns how many there were.
pub fn each(unit: Unit, mut check: impl FnMut(&Op, &Context, &Memories, &Memories)) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/default.safetensors");
    let model = QuantisedModel::load(&path).expect("the shipped model");
    let sampler = (Sampler::Ddim, STEPS);
    let (compiled, want) = prepared(&model, &Target::SMALL, sampler, Some(1), 1);
    let mut machine = Machine::new(&compiled, &want);
    let mut seen = BTreeSet::new();
    for (index, step) in trace(&compiled) {
        let op = &compiled.program[index].op;
        let new = op.unit() == Some(unit) && kind(op, step).is_some_and(|kind| seen.insert(kind));
        let before = new.then(|| machine.memories.clone());
        machine.execute(index, step);
        if let Some(before) = before {
            let context = Context {
                step,
                seed: SEED,
                image: IMAGE,
                ..Context::default()
            };
            check(op, &context, &before, &machine.memories);
        }
    }
    check_result(&machine, &want);
    seen.len()
}
