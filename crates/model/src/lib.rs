//! What a diffusion model is: its U-Net as a graph, its weights, its noise schedule and sampler,
//! and the quantised file. Knows nothing of how any of it is executed.

pub mod build_graph;
pub mod config;
pub mod error;
pub mod file;
pub mod graph;
pub mod import;
pub mod noise;
pub mod prepare;
pub mod quantised;
pub mod rewrite;
pub mod sampling;
pub mod scale;
pub mod step;
pub mod timestep;
pub mod weights;
