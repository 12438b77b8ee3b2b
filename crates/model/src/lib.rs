//! What a diffusion model is: its U-Net as a graph, its weights, its noise schedule and sampler,
//! and the quantised file. Knows nothing of how any of it is executed.

pub mod graph;
pub mod noise;
pub mod sampling;
