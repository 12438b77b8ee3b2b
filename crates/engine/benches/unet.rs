//! One evaluation of the CIFAR-10 DDPM U-Net (`google/ddpm-cifar10-32`'s shape), every kernel.
//!
//! `cargo bench -p diffuser-engine --bench unet -- [4bit] [phases] [split] [KERNEL...]`; with `phases` upsampling
//! convolutions run in phases, with `split` blocks over skip connections are split.

mod common;

use std::time::Duration;

use diffuser_model::build_graph::build_graph_with;
use diffuser_model::config::UnetConfig;
use diffuser_model::rewrite::Rewrites;
use diffuser_testing::CIFAR10;

fn main() {
    let config: UnetConfig = serde_json::from_str(CIFAR10).expect("a configuration");
    let given = |name: &str| std::env::args().any(|a| a == name);
    let rewrites = Rewrites::chosen(given("phases"), given("split"));
    let graph = build_graph_with(&config, rewrites).expect("a graph");
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
