//! One evaluation of the CIFAR-10 DDPM U-Net (`google/ddpm-cifar10-32`'s shape), every kernel.
//!
//! `cargo bench -p diffuser-engine --bench unet -- [4bit] [KERNEL...]`

mod common;

use std::time::Duration;

use diffuser_model::build_graph::build_graph;
use diffuser_model::config::UnetConfig;

const CONFIG: &str = r#"{
    "_class_name": "UNet2DModel", "act_fn": "silu", "attention_head_dim": null,
    "block_out_channels": [128, 256, 256, 256], "center_input_sample": false,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0, "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-6, "norm_num_groups": 32,
    "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]
}"#;

fn main() {
    let config: UnetConfig = serde_json::from_str(CONFIG).expect("a configuration");
    let graph = build_graph(&config).expect("a graph");
    let macs = graph.macs() as f64;
    println!("{:.2} GMAC", macs / 1e9);
    let all = std::thread::available_parallelism().map_or(1, |n| n.get());
    for choice in common::choices() {
        for threads in [1, all] {
            let graph = graph.clone();
            let budget = Duration::from_secs(3);
            let t = common::on_threads(threads, || common::time(graph, choice, budget));
            let (ms, rate) = (t.as_secs_f64() * 1e3, macs / t.as_secs_f64() / 1e9);
            println!("{choice:10} {threads:2} threads {ms:8.2} ms {rate:8.1} GMAC/s");
        }
    }
}
