//! Any bytes as float weights of a small network.

#![no_main]

use std::sync::LazyLock;

use diffuser_model::build_graph::{Parameter, parameters};
use diffuser_model::config::UnetConfig;
use diffuser_model::weights::Weights;
use libfuzzer_sys::fuzz_target;

static EXPECTED: LazyLock<Vec<Parameter>> = LazyLock::new(|| {
    let json = r#"{"_class_name": "UNet2DModel", "sample_size": 4, "in_channels": 1, "out_channels": 1,
        "layers_per_block": 1, "block_out_channels": [4], "norm_num_groups": 2,
        "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "add_attention": false}"#;
    parameters(&UnetConfig::from_json(json).expect("valid")).expect("valid")
});

fuzz_target!(|bytes: &[u8]| {
    let _ = Weights::from_bytes(bytes, &EXPECTED);
});
