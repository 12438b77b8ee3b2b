//! The model that the command ships, on both targets.

mod common;

use std::path::Path;

use common::runner::{check_in_order, prepared};
use common::simulate::check_simulated;
use diffuser_compiler::Target;
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::Sampler;

fn shipped() -> QuantisedModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/default.safetensors");
    QuantisedModel::load(&path).expect("the shipped model")
}

fn check(target: &Target, sampler: Sampler, images: usize) {
    let model = shipped();
    let class = (!model.embedding.classes.is_empty()).then_some(1);
    let (compiled, want) = prepared(&model, target, (sampler, 2), class, images);
    if images == 1 {
        check_in_order(&compiled, &model.graph, &want);
    }
    check_simulated(&compiled, &want);
}

#[test]
fn two_steps_on_the_board() {
    check(&Target::ZU9EG, Sampler::Ddim, 1);
}

#[test]
fn two_steps_of_two_images_on_the_board() {
    check(&Target::ZU9EG, Sampler::Ddpm, 2);
}

#[test]
fn two_steps_on_the_small_array() {
    check(&Target::SMALL, Sampler::Ddpm, 1);
}
