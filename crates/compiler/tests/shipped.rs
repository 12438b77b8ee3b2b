//! The model that the command ships, on both targets.

mod common;

use std::path::Path;

use common::runner::check_with;
use diffuser_compiler::Target;
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::Sampler;

fn shipped() -> QuantisedModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/default.safetensors");
    QuantisedModel::load(&path).expect("the shipped model")
}

#[test]
fn two_steps_on_the_board() {
    let model = shipped();
    let class = (!model.embedding.classes.is_empty()).then_some(1);
    let compiled = check_with(&model, &Target::ZU9EG, Sampler::Ddim, 2, class);
    println!("{:?}", compiled.taken);
}

#[test]
fn two_steps_on_the_small_array() {
    let model = shipped();
    let class = (!model.embedding.classes.is_empty()).then_some(1);
    let compiled = check_with(&model, &Target::SMALL, Sampler::Ddpm, 2, class);
    println!("{:?}", compiled.taken);
}
