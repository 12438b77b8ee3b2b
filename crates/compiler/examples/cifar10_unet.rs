//! The 35.7 M U-Net of CIFAR-10 (Ho et al. 2020, `google/ddpm-cifar10-32`), random weights, compiled for
//! the ZU9EG: words of each memory that it takes.

#[path = "../tests/common/mod.rs"]
mod common;

use common::model::{Kind, random_model_of};
use common::runner::steps;
use diffuser_compiler::{Source, Target, compile};
use diffuser_model::sampling::Sampler;

fn main() {
    let planes = std::env::args()
        .nth(1)
        .map_or(100, |a| a.parse().expect("percent"));
    let model = random_model_of(
        common::CIFAR10,
        1,
        Kind {
            four: false,
            planes,
        },
    );
    let (steps, sampling) = steps(&model, Sampler::Ddim, 2, None);
    let source = Source {
        graph: &model.graph,
        nodes: &model.nodes,
        steps: &steps,
        sampling: &sampling,
    };
    let compiled = match compile(&source, &Target::ZU9EG) {
        Ok(c) => c,
        Err(e) => panic!("{e}"),
    };
    println!("descriptors {}", compiled.program.len());
    println!("data {} record {}", compiled.data.len(), compiled.stride);
    println!("taken {:?}", compiled.taken);
    if std::env::args().nth(2).is_some() {
        print!("{}", compiled.listing());
    }
}
