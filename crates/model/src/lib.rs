//! What a diffusion model is: its U-Net as a graph, its weights, its noise schedule and sampler,
//! and the quantised file. Knows nothing of how any of it is executed.

pub mod build_graph;
pub mod config;
pub mod error;
pub mod graph;
pub mod import;
pub mod weights;
