//! Random models, and programs run against the engine.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod graph;
pub mod model;
pub mod random;
pub mod runner;
pub mod simulate;

/// `google/ddpm-cifar10-32`.
pub const CIFAR10: &str = r#"{"sample_size": 32, "block_out_channels": [128, 256, 256, 256],
    "attention_head_dim": null, "downsample_padding": 0,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]}"#;
