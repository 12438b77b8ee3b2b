//! U-Nets of larger images with random weights, compiled for the ZU9EG:
//! `cargo run --release -p diffuser-compiler --example large_unets [64 128 256] [run] [check] [list]`.
//!
//! 128 channels at the highest resolution, attention at 16x16, as in Ho et al. 2020. Prints descriptors and what a step
//! moves; with `run`, the simulator's cycles of a step, slowly; with `check`, that the simulator's state and pixels after it are the
//! engine's and that no two descriptors race, at modelled and at random times, more slowly.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::model::{Kind, random_model_of};
use common::runner::{references, steps};
use common::simulate::{check_simulated, simulate};
use diffuser_compiler::{Source, Target, compile};
use diffuser_device::Options;
use diffuser_isa::Op;
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::sampling::Sampler;

/// Channels of each level down to 8x8 pixels or below, with attention at 16x16.
fn config(size: usize) -> String {
    let channels: &[usize] = match size {
        64 => &[128, 256, 256, 256],
        128 => &[128, 128, 256, 256, 512],
        _ => &[128, 128, 256, 256, 256, 512],
    };
    let levels = channels.len();
    let block = |level: usize, kind: &str| {
        let attention = if size >> level == 16 { "Attn" } else { "" };
        format!("\"{attention}{kind}Block2D\"")
    };
    let down: Vec<String> = (0..levels).map(|l| block(l, "Down")).collect();
    let up: Vec<String> = (0..levels).rev().map(|l| block(l, "Up")).collect();
    format!(
        r#"{{"sample_size": {size}, "block_out_channels": {channels:?}, "attention_head_dim": null,
        "downsample_padding": 0, "down_block_types": [{}], "up_block_types": [{}]}}"#,
        down.join(", "),
        up.join(", ")
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|a| a == name);
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![64, 128, 256];
    }
    for size in sizes {
        let model = random_model_of(&config(size), 1, Kind::default());
        let (steps, sampling) = steps(&model, Sampler::Ddim, 1, None);
        let source = Source {
            graph: &model.graph,
            nodes: &model.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        let begun = Instant::now();
        let compiled = match compile(&source, &Target::ZU9EG) {
            Ok(compiled) => compiled,
            Err(e) => panic!("{size}: {e}"),
        };
        let body = compiled.program.iter().skip_while(|d| !d.common.first);
        let stores = body.filter_map(|d| match d.op {
            Op::Store(s) if s.space == 2 => Some(64 * u64::from(s.words)),
            _ => None,
        });
        println!(
            "{size}: {} descriptors in {:.1?}, {} bytes at the data's base",
            compiled.program.len(),
            begun.elapsed(),
            compiled.data.len()
        );
        println!(
            "  bytes of a step: {} loaded, {} stored; {} multiply-accumulates",
            compiled.bytes_per_pass(),
            stores.sum::<u64>(),
            model.graph.macs()
        );
        if given("check") {
            check_simulated(&compiled, &references(&source, 1));
            println!("  state and pixels are the engine's");
        }
        if given("list") {
            print!("{}", compiled.listing());
        }
        if given("run") {
            let length = model.graph.tensors[Graph::INPUT].len();
            let start = noise(1, 0, Purpose::Start, length);
            let driver = simulate(&compiled, &[&start], Options::default());
            let counters = driver.device().counters();
            println!(
                "  cycles {}, multiplied in {:.1} %: {counters:?}",
                counters.cycles,
                100.0 * counters.array_busy as f64 / counters.cycles as f64
            );
        }
    }
}
