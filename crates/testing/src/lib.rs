//! What tests, examples and benchmarks of several crates share. No crate uses it otherwise.

mod network;
mod random;

pub use network::Network;
pub use random::Random;

/// Configuration of `google/ddpm-cifar10-32` (Ho et al. 2020): 35.7 M parameters, 6.2 G multiply-accumulates a
/// step.
pub const CIFAR10: &str = r#"{
    "_class_name": "UNet2DModel", "act_fn": "silu", "attention_head_dim": null,
    "block_out_channels": [128, 256, 256, 256], "center_input_sample": false,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0, "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-6, "norm_num_groups": 32,
    "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]
}"#;
