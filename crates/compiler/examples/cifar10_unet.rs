//! The 35.7 M U-Net of CIFAR-10 (Ho et al. 2020, `google/ddpm-cifar10-32`), random weights, compiled for
//! the ZU9EG and run on the simulator: `cargo run --release -p diffuser-compiler --example cifar10_unet`.
//!
//! Prints cycles of one step, where they go, and the words of each memory that are taken. The argument
//! says how many percent of the streams become operands of two planes (0 as
//! `quantize --residual 8` makes them, 100 as `--residual 15` does), and `shortcuts` gives two to those that shortcuts read; with `phases`, upsampling convolutions run in phases, with `four`
//! weights have 4 bits, with `split` blocks over skip connections are split (`split=N`: from N pixels on), and with `list` the program is printed too; `images=N` makes
//! a batch of so many, `weight=N` and `stream=N` give these memories so many words.

#[path = "../tests/common/mod.rs"]
mod common;

use common::model::{Kind, random_model_of};
use common::runner::steps;
use common::simulate::simulate;
use diffuser_compiler::{self as compiler, Source, Target, compile_with};
use diffuser_device::{Options, layers};
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::Sampler;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|a| a == name);
    let number = |name: &str| {
        let value = arguments.iter().find_map(|a| a.strip_prefix(name));
        value.map(|n| n.parse().expect("a number"))
    };
    let images = number("images=").unwrap_or(1);
    let target = Target {
        weight: number("weight=").unwrap_or(Target::ZU9EG.weight),
        stream: number("stream=").unwrap_or(Target::ZU9EG.stream),
        ..Target::ZU9EG
    };
    let listed = given("list");
    let chosen = Rewrites::chosen(given("phases"), given("split"));
    let kind = Kind {
        four: usize::from(given("four")),
        planes: arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(0),
        shortcuts: given("shortcuts"),
        rewrites: Rewrites {
            split_from: number("split=").or(chosen.split_from),
            ..chosen
        },
    };
    let model = random_model_of(diffuser_testing::CIFAR10, 1, kind);
    let compiler_options = compiler::Options {
        images,
        ..compiler::Options::default()
    };
    let length = model.graph.tensors[Graph::INPUT].len();
    let starts: Vec<Vec<i32>> = (0..images as u64)
        .map(|image| noise(1, image, Purpose::Start, length))
        .collect();
    let starts: Vec<&[i32]> = starts.iter().map(Vec::as_slice).collect();
    let mut cycles = Vec::new();
    // one step more than another: start and end of the program do not count
    for count in [2, 3] {
        let (steps, sampling) = steps(&model, Sampler::Ddim, count, None);
        let source = Source {
            graph: &model.graph,
            nodes: &model.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        let compiled = match compile_with(&source, &target, &compiler_options) {
            Ok(compiled) => compiled,
            Err(e) => panic!("{e}"),
        };
        let options = Options {
            trace: true,
            ..Options::default()
        };
        let driver = simulate(&compiled, &starts, options);
        let simulator = driver.device();
        cycles.push(*simulator.counters());
        if count == 2 {
            continue;
        }
        println!("descriptors {}", compiled.program.len());
        println!("bytes of weights {}", compiled.data.len());
        println!("bytes of a step's record {}", compiled.stride);
        for (memory, words) in &compiled.taken {
            println!("{memory} {words} of {}", compiled.target.words(*memory));
        }
        if listed {
            print!("{}", compiled.listing());
        }
        println!(
            "layer: array busy, waits for dma, for prep, bank conflicts, drain, in {count} steps"
        );
        for layer in layers(simulator.trace()) {
            let name = compiled.names.get(layer.tag as usize);
            println!(
                "{:50} {:8} {:7} {:7} {:7} {:7}  {:?}",
                name.map_or("", String::as_str),
                layer.array_busy,
                layer.stall_weight,
                layer.stall_operand,
                layer.stall_bank,
                layer.stall_store,
                layer.cycles
            );
        }
    }
    let step = cycles[1].cycles - cycles[0].cycles;
    let busy = cycles[1].array_busy - cycles[0].array_busy;
    println!("cycles per step {step}, per image {}", step / images as u64);
    println!(
        "array busy {busy}, {:.1} %",
        100.0 * busy as f64 / step as f64
    );
    println!(
        "stalls per step: weight {} operand {} bank {} store {}",
        cycles[1].stall_weight - cycles[0].stall_weight,
        cycles[1].stall_operand - cycles[0].stall_operand,
        cycles[1].stall_bank - cycles[0].stall_bank,
        cycles[1].stall_store - cycles[0].stall_store
    );
    println!(
        "bytes read per step {}",
        cycles[1].read_bytes - cycles[0].read_bytes
    );
    println!("multiply-accumulates per step {}", model.graph.macs());
}
